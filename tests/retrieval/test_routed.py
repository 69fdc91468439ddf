"""Following a router: a shelf, all shelves, and the count of what went where."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk
from course_lib.core.validate import FloatArray
from course_lib.retrieval.bm25 import BM25Retriever
from course_lib.retrieval.routed import RoutedRetriever, confusion, route
from course_lib.retrieval.routing import KeywordRouter

SPORT = ["the team won the match", "a goal in the final match", "the team lost the final"]
POWER = ["the turbine turns in the wind", "wind power feeds the grid", "the grid lost power", "solar power"]


class Table:
    """A router with the scores that a test wants."""

    def __init__(self, rows: Sequence[Sequence[float]], shelves: Sequence[str]) -> None:
        self.rows, self.shelves = np.array(rows, dtype=np.float32), tuple(shelves)

    def scores(self, queries: Sequence[str]) -> FloatArray:
        return self.rows[: len(queries)]


def test_the_best_shelf_if_its_lead_is_large_enough() -> None:
    """Leads: .5, .1, 0. With min_lead .1 the second is still sure (.1 >= .1); a tie never is."""
    router = Table([[0.75, 0.25], [0.25, 0.375], [0.5, 0.5]], ["a", "b"])
    queries = ["first", "second", "third"]
    assert [one.shelf for one in route(router, queries)] == ["a", "b", None]
    assert [one.shelf for one in route(router, queries, min_lead=0.125)] == ["a", "b", None]
    assert [one.shelf for one in route(router, queries, min_lead=0.2)] == ["a", None, None]
    first = route(router, queries)[0]
    assert (first.query, first.scores, first.lead) == ("first", {"a": 0.75, "b": 0.25}, 0.5)


def test_a_single_shelf_is_always_sure() -> None:
    assert route(Table([[0.0]], ["only"]), ["x"], min_lead=9)[0].shelf == "only"


@given(st.lists(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=6), st.floats(0, 1))
def test_more_lead_asked_for_never_routes_more(rows: list[list[float]], min_lead: float) -> None:
    router, queries = Table(rows, "abc"), ["q"] * len(rows)
    easy, strict = route(router, queries), route(router, queries, min_lead=min_lead)
    for loose, tight in zip(easy, strict, strict=True):
        assert tight.shelf in (None, loose.shelf)


def test_a_lead_below_zero() -> None:
    with pytest.raises(ValueError, match="min_lead must be at least 0, got -0.1"):
        route(Table([[1, 0]], "ab"), ["x"], min_lead=-0.1)


def retrievers() -> dict[str, BM25Retriever]:
    def chunks(shelf: str, texts: list[str]) -> list[Chunk]:
        date = datetime.date(2024, 1, 1)
        return [Chunk(f"{shelf}/{i}#00", f"{shelf}/{i}", "", date, text, 0, len(text)) for i, text in enumerate(texts)]

    shelves = {"sport": chunks("sport", SPORT), "power": chunks("power", POWER)}
    fitted = {shelf: BM25Retriever().fit(found) for shelf, found in shelves.items()}
    return fitted | {"all": BM25Retriever().fit([*shelves["sport"], *shelves["power"]])}


def test_only_the_shelf_of_the_route_is_searched() -> None:
    shelves = retrievers()
    everything = shelves.pop("all")
    router = KeywordRouter({"sport": ["match"], "power": ["wind"]})
    routed = RoutedRetriever(router, shelves, everything)
    assert routed.search("Who lost the match?", 2) == shelves["sport"].search("Who lost the match?", 2)
    assert routed.search("Who lost?", 2) == everything.search("Who lost?", 2), "no keyword: all shelves"
    assert routed.search("wind against match", 2) == everything.search("wind against match", 2), "a tie: all shelves"
    assert routed.route("the wind").shelf == "power"
    assert len(routed) == 7 and routed.chunk("sport/1#00").text == SPORT[1]
    wrong = RoutedRetriever(KeywordRouter({"sport": ["wind"], "power": ["match"]}), shelves, everything)
    assert all(hit.chunk_id.startswith("sport/") for hit in wrong.search("the wind", 2)), (
        "a wrong route finds nothing right"
    )


def test_a_shelf_with_fewer_chunks_than_k_gives_what_it_has() -> None:
    shelves = retrievers()
    everything = shelves.pop("all")
    routed = RoutedRetriever(KeywordRouter({"sport": ["match"], "power": ["wind"]}), shelves, everything)
    assert len(routed.search("the match", 7)) == 3
    with pytest.raises(ValueError, match="k must be between 1 and the 7 indexed chunks, got 8"):
        routed.search("the match", 8)
    with pytest.raises(ValueError, match="query must not be empty"):
        routed.search(" ", 1)


def test_every_shelf_of_the_router_must_be_there() -> None:
    shelves = retrievers()
    with pytest.raises(ValueError, match=r"\['energy'\] is missing"):
        RoutedRetriever(KeywordRouter({"sport": ["match"], "energy": ["wind"]}), shelves, shelves["all"])


def test_the_table_of_confusions_by_hand() -> None:
    """Two a: one to a, one to b. Three b: one to a, one to b, one to all. Nothing else."""
    true, routed = ["a", "a", "b", "b", "b"], ["a", "b", "a", "b", None]
    assert confusion(true, routed, ["a", "b"]) == [[1, 1, 0], [1, 1, 1]]
    assert confusion([], [], ["a", "b"]) == [[0, 0, 0], [0, 0, 0]]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", None])), max_size=20))
def test_the_table_is_scikit_learn_s(pairs: list[tuple[str, str | None]]) -> None:
    from sklearn.metrics import confusion_matrix

    table = np.array(confusion([t for t, _ in pairs], [r for _, r in pairs], ["a", "b", "c"]))
    assert table.sum() == len(pairs)
    known = [(t, r) for t, r in pairs if r is not None]
    if known:
        theirs = confusion_matrix([t for t, _ in known], [r for _, r in known], labels=["a", "b", "c"])
        np.testing.assert_array_equal(table[:, :3], theirs)


@pytest.mark.parametrize(
    ("true", "routed", "words"),
    [(["a"], [], "equally long, got 1 and 0"), (["a"], ["z"], "z is missing"), (["y"], [None], "y is missing")],
)
def test_lists_that_do_not_fit(true: list[str], routed: list[str | None], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        confusion(true, routed, ["a", "b"])

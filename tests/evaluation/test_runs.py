"""A retriever asked all questions, with a clock that the test turns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.evaluation import runs
from course_lib.evaluation.runs import Run, as_documents, run_queries


@dataclass
class Shelf:
    """Finds "QUERY#00", "QUERY#01", ... and notes what it was asked."""

    asked: list[tuple[str, int]] = field(default_factory=list)

    def search(self, query: str, k: int) -> Ranking:
        self.asked.append((query, k))
        if query == "bad":
            raise ValueError("query must not be bad")
        return [Hit(f"{query}#{place:02}", 1 / (1 + place)) for place in range(k)]

    def chunk(self, chunk_id: str) -> Chunk:
        raise KeyError(chunk_id)


def test_every_query_is_asked_once_in_order() -> None:
    shelf = Shelf()
    run = run_queries(shelf, {"q2": "pumps", "q1": "goals"}, 2)
    assert shelf.asked == [("pumps", 2), ("goals", 2)]
    assert run.rankings == {"q2": ["pumps#00", "pumps#01"], "q1": ["goals#00", "goals#01"]}
    assert list(run.rankings) == ["q2", "q1"] and len(run.seconds) == 2


def test_seconds_are_those_of_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is read before and after each search: 0 and 3, 3 and 4, 4 and 14."""
    ticks = iter([0.0, 3.0, 3.0, 4.0, 4.0, 14.0])
    monkeypatch.setattr(runs.time, "perf_counter", lambda: next(ticks))
    run = run_queries(Shelf(), {"a": "x", "b": "y", "c": "z"}, 1)
    assert run.seconds == (3.0, 1.0, 10.0)
    assert run.median_seconds == 3.0  # the mean would be 4.67


def test_the_median_of_two_lies_between() -> None:
    assert Run({}, (1.0, 4.0)).median_seconds == 2.5


def test_there_must_be_a_query() -> None:
    with pytest.raises(ValueError, match="queries must hold at least one query, got none"):
        run_queries(Shelf(), {}, 3)


def test_what_the_retriever_refuses_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="query must not be bad"):
        run_queries(Shelf(), {"a": "good", "b": "bad"}, 3)


def test_a_bar_only_if_named(capsys: pytest.CaptureFixture[str]) -> None:
    run_queries(Shelf(), {"a": "x"}, 1)
    assert capsys.readouterr().err == ""
    run_queries(Shelf(), {"a": "x"}, 1, progress="Asking")
    assert "Asking" in capsys.readouterr().err


def test_documents_stand_where_their_best_chunk_stands() -> None:
    ranking = ["energy/dams#03", "help/bills#00", "energy/dams#01", "whole/document", "help/bills#07"]
    assert as_documents(ranking) == ["energy/dams", "help/bills", "whole/document"]
    assert as_documents([]) == []


@given(st.lists(st.tuples(st.sampled_from(["a/x", "a/y", "b/x"]), st.integers(0, 9)), unique=True))
def test_documents_keep_their_order_and_come_once(pairs: list[tuple[str, int]]) -> None:
    documents = as_documents([f"{name}#{number:02}" for name, number in pairs])
    assert sorted(documents) == sorted({name for name, _ in pairs})
    first = {name: next(i for i, (other, _) in enumerate(pairs) if other == name) for name in documents}
    assert all(first[one] < first[two] for one, two in itertools.pairwise(documents))

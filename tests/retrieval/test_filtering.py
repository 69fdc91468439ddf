"""Filters: what passes, how they join, and a search that goes on until enough pass and always ends."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Document, Hit, Ranking, ranked
from course_lib.retrieval.filtering import (
    ANYTHING,
    Filter,
    FilteredRetriever,
    dated,
    first_version,
    in_force,
    in_register,
    latest_version,
    on_shelf,
    versions_asked_for,
)


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def document(name: str, date: str, shelf: str = "energy", **more: str) -> Document:
    return Document(doc_id=name, shelf=shelf, title=name, date=day(date), text="text", **more)


# a fee with three versions, and a leaflet without any
FEE = {
    d.doc_id: d
    for d in (
        document("fee-2020", "2020-03-02", superseded_by="fee-2022"),
        document("fee-2022", "2022-04-01", supersedes="fee-2020", superseded_by="fee-2025"),
        document("fee-2025", "2025-07-01", supersedes="fee-2022"),
        document("leaflet", "2021-05-05", "neurology", register="patient"),
    )
}


def passing(keep: Filter) -> list[str]:
    return [name for name, document in FEE.items() if keep(document)]


class Fixed:
    """A retriever whose hits are given, best first, one chunk for each document; counts how it is asked."""

    def __init__(self, *doc_ids: str) -> None:
        self.hits = ranked(Hit(f"{name}#00", float(len(doc_ids) - i)) for i, name in enumerate(doc_ids))
        self.depths: list[int] = []

    def __len__(self) -> int:
        return len(self.hits)

    def search(self, query: str, k: int) -> Ranking:
        self.depths.append(k)
        return self.hits[:k]

    def chunk(self, chunk_id: str) -> Chunk:
        if chunk_id not in {hit.chunk_id for hit in self.hits}:
            raise KeyError(chunk_id)
        doc_id = chunk_id.rpartition("#")[0]
        return Chunk(chunk_id, doc_id, doc_id, day("2020-01-01"), "text", 0, 4)


# ---------------------------------------------------------------- what passes


def test_shelf_and_register() -> None:
    assert passing(on_shelf("energy")) == ["fee-2020", "fee-2022", "fee-2025"]
    assert passing(on_shelf("energy", "neurology")) == list(FEE)
    assert passing(in_register("patient")) == ["leaflet"]
    assert passing(in_register("clinician")) == []
    assert passing(in_register(None, "patient")) == list(FEE)
    assert passing(ANYTHING) == list(FEE)


def test_date_ranges_hold_both_ends() -> None:
    assert passing(dated(since=day("2022-04-01"))) == ["fee-2022", "fee-2025"]
    assert passing(dated(until=day("2022-04-01"))) == ["fee-2020", "fee-2022", "leaflet"]
    assert passing(dated(since=day("2021-05-05"), until=day("2021-05-05"))) == ["leaflet"]


def test_a_version_is_in_force_until_the_day_before_the_next() -> None:
    """fee-2020 holds from 2020-03-02 to 2022-03-31, fee-2022 from 2022-04-01 to 2025-06-30, fee-2025 since."""
    for at, version in (
        ("2020-03-02", "fee-2020"),
        ("2022-03-31", "fee-2020"),
        ("2022-04-01", "fee-2022"),
        ("2025-06-30", "fee-2022"),
        ("2025-07-01", "fee-2025"),
        ("2031-01-01", "fee-2025"),
    ):
        assert [name for name in passing(in_force(FEE, start=day(at))) if name != "leaflet"] == [version], at
    assert passing(in_force(FEE, start=day("2020-03-01"))) == []
    assert passing(in_force(FEE, start=day("2019-01-01"), end=day("2022-04-01"))) == ["fee-2020", "fee-2022", "leaflet"]
    assert passing(latest_version()) == ["fee-2025", "leaflet"]


@given(st.dates(day("2019-01-01"), day("2030-01-01")))
def test_one_version_of_a_chain_is_in_force_at_a_time(at: datetime.date) -> None:
    chain = [name for name in passing(in_force(FEE, start=at)) if name != "leaflet"]
    assert len(chain) == (at >= day("2020-03-02"))
    if at >= day("2025-07-01"):
        assert chain == [name for name in passing(latest_version()) if name != "leaflet"]


def test_the_oldest_version_names_the_chain() -> None:
    assert [first_version(name, FEE) for name in FEE] == ["fee-2020", "fee-2020", "fee-2020", "leaflet"]
    with pytest.raises(KeyError, match="nothing"):
        first_version("nothing", FEE)
    circle = {"x": document("x", "2020-01-01", supersedes="y"), "y": document("y", "2020-01-01", supersedes="x")}
    with pytest.raises(ValueError, match="in a circle, but x does"):
        first_version("x", circle)


def test_filters_join_and_say_so() -> None:
    both = on_shelf("energy") & dated(since=day("2022-01-01"))
    assert passing(both) == ["fee-2022", "fee-2025"]
    assert passing(on_shelf("neurology") | latest_version()) == ["fee-2025", "leaflet"]
    assert passing(~latest_version()) == ["fee-2020", "fee-2022"]
    assert str(both) == "(on energy and dated since 2022-01-01)"
    assert str(~(on_shelf("a", "b") | latest_version())) == "not (on a or b or not superseded)"


FILTERS = st.sampled_from(
    [ANYTHING, on_shelf("energy"), in_register("patient"), latest_version(), dated(until=day("2021-12-31"))]
)


@given(FILTERS, FILTERS)
def test_joined_filters_obey_de_morgan(a: Filter, b: Filter) -> None:
    assert passing(~(a & b)) == passing(~a | ~b)
    assert set(passing(a & b)) == set(passing(a)) & set(passing(b))
    assert set(passing(a | b)) == set(passing(a)) | set(passing(b))


def test_filters_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="name at least one shelf, got none"):
        on_shelf()
    with pytest.raises(ValueError, match="name at least one register, got none"):
        in_register()
    with pytest.raises(ValueError, match="give since, until or both"):
        dated()
    with pytest.raises(ValueError, match="since must not be after until, got 2022-01-02 and 2022-01-01"):
        dated(since=day("2022-01-02"), until=day("2022-01-01"))
    with pytest.raises(ValueError, match="start must not be after end, got 2022-01-02 and 2022-01-01"):
        in_force(FEE, start=day("2022-01-02"), end=day("2022-01-01"))
    with pytest.raises(KeyError, match="fee-2022"):
        in_force({}, start=day("2021-01-01"))(FEE["fee-2020"])


# ---------------------------------------------------------------- searching on until enough pass


def test_it_searches_deeper_until_k_pass() -> None:
    inner = Fixed("fee-2020", "fee-2022", "leaflet", "fee-2025")
    found = FilteredRetriever(inner, FEE, latest_version()).search("fee", 2)
    assert [(hit.chunk_id, hit.score) for hit in found] == [("leaflet#00", 2.0), ("fee-2025#00", 1.0)]
    assert inner.depths == [2, 4]  # twice as many each time, never more than there are


def test_each_search_is_twice_as_deep_as_the_one_before() -> None:
    many = {f"d{i:02d}": document(f"d{i:02d}", "2024-01-01", "neurology" if i == 18 else "energy") for i in range(20)}
    inner = Fixed(*many)
    assert FilteredRetriever(inner, many, on_shelf("neurology")).search("q", 1)[0].chunk_id == "d18#00"
    assert inner.depths == [1, 2, 4, 8, 16, 20]


def test_what_passes_at_once_needs_one_search() -> None:
    inner = Fixed("leaflet", "fee-2020", "fee-2022", "fee-2025")
    assert len(FilteredRetriever(inner, FEE, ANYTHING).search("fee", 3)) == 3
    assert inner.depths == [3]


def test_fewer_than_k_are_an_error_or_a_shorter_list() -> None:
    inner = Fixed("fee-2020", "fee-2022", "fee-2025", "leaflet")
    with pytest.raises(
        ValueError, match=r'only 1 of 4 chunks pass the filter "\(not superseded and on energy\)", and k is 2;'
    ):
        FilteredRetriever(inner, FEE, latest_version() & on_shelf("energy")).search("fee", 2)
    short = FilteredRetriever(inner, FEE, latest_version() & on_shelf("energy"), fewer="return")
    assert [hit.chunk_id for hit in short.search("fee", 2)] == ["fee-2025#00"]
    assert FilteredRetriever(inner, FEE, in_register("clinician"), fewer="return").search("fee", 4) == []


def test_it_ends_when_the_inner_retriever_finds_less_than_it_holds() -> None:
    class Shy(Fixed):
        def search(self, query: str, k: int) -> Ranking:
            return super().search(query, k)[:1]

    inner = Shy("fee-2020", "fee-2022", "fee-2025", "leaflet")
    assert FilteredRetriever(inner, FEE, latest_version(), fewer="return").search("fee", 2) == []
    assert inner.depths == [2]


@given(st.permutations(list(FEE)), st.integers(1, 4), FILTERS)
def test_it_equals_filtering_the_whole_ranking(order: list[str], k: int, keep: Filter) -> None:
    inner = Fixed(*order)
    whole = [hit for hit in inner.hits if keep(FEE[hit.chunk_id[:-3]])][:k]
    assert FilteredRetriever(inner, FEE, keep, fewer="return").search("fee", k) == whole
    assert len(inner.depths) <= 4


def test_the_filter_may_depend_on_the_query() -> None:
    inner = Fixed("fee-2020", "fee-2025", "leaflet", "fee-2022")
    filtered = FilteredRetriever(inner, FEE, lambda query: latest_version() if "now" in query else ANYTHING)
    assert filtered.search("the fee now", 1)[0].chunk_id == "fee-2025#00"
    assert filtered.search("the fee in 2020", 1)[0].chunk_id == "fee-2020#00"
    assert (str(filtered.filter_for("now")), str(filtered.filter_for("then"))) == ("not superseded", "anything")


def test_bad_arguments() -> None:
    inner = Fixed("fee-2020", "unknown")
    with pytest.raises(ValueError, match="k must be between 1 and the 2 indexed chunks, got 3"):
        FilteredRetriever(inner, FEE, ANYTHING).search("fee", 3)
    with pytest.raises(ValueError, match="fewer must be 'raise' or 'return', got 'none'"):
        FilteredRetriever(inner, FEE, ANYTHING, fewer="none")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="unknown"):
        FilteredRetriever(inner, FEE, ANYTHING).search("fee", 2)
    filtered = FilteredRetriever(inner, FEE, on_shelf("neurology"))
    assert len(filtered) == 2 and filtered.chunk("fee-2020#00").doc_id == "fee-2020"
    with pytest.raises(KeyError):
        filtered.chunk("nothing#00")


# ---------------------------------------------------------------- which versions a question asks for


def test_the_version_that_a_question_asks_for() -> None:
    for query in ("What is the fee now?", "How high is the fee?", "Which fee is in force, and was it ever higher?"):
        assert str(versions_asked_for(query)) == "not superseded", query
    for query in ("What was the fee?", "What is the fee of 2020?", "By how much is it higher than the first one?"):
        assert str(versions_asked_for(query)) == "anything", query
    assert str(versions_asked_for("How high is the fee?", only_with_cue=True)) == "anything"
    assert str(versions_asked_for("How high is the fee now?", only_with_cue=True)) == "not superseded"

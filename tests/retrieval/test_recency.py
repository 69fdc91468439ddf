"""Questions about the latest: what counts as one, and that versions decide."""

from __future__ import annotations

import datetime

import pytest

from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.retrieval.recency import LatestFirst, asks_for_latest, freshness, looks_back


class Fixed:
    """A retriever whose scores are given."""

    def __init__(self, **scored: tuple[float, str]) -> None:
        self.hits = ranked(Hit(name, score) for name, (score, _) in scored.items())
        self.chunks = {
            name: Chunk(name, name, "", datetime.date.fromisoformat(day), "", 0, 0) for name, (_, day) in scored.items()
        }

    def __len__(self) -> int:
        return len(self.hits)

    def search(self, query: str, k: int) -> Ranking:
        return self.hits[:k]

    def chunk(self, chunk_id: str) -> Chunk:
        return self.chunks[chunk_id]


def test_cues() -> None:
    for query in ("Who won the most recent final?", "What does it cost now?", "the current fee", "Is it still free?"):
        assert asks_for_latest(query), query
    for query in ("Who won in 1998?", "Who won the last final before 1950?", "What is a kilowatt hour?"):
        assert not asks_for_latest(query), query


def test_what_looks_back() -> None:
    for query in ("What was the fee?", "Who won in 1998?", "Is it dearer than before?", "the First rule"):
        assert looks_back(query), query
    for query in ("How high is the fee?", "What does it cost now?", "Wasps sting", "room 1234"):
        assert not looks_back(query), query


def test_freshness_halves() -> None:
    assert freshness(0, half_life=3) == 1
    assert freshness(3, half_life=3) == 0.5  # one half-life
    assert freshness(6, half_life=3) == 0.25


def test_superseded_goes_only_when_the_latest_is_asked_for() -> None:
    base = Fixed(old=(0.9, "2022-01-01"), new=(0.8, "2024-01-01"))
    latest = LatestFirst(base, {"old"})
    assert [hit.chunk_id for hit in latest.search("What is the fee now?", 1)] == ["new"]
    assert [hit.chunk_id for hit in latest.search("What was the fee in 2022?", 2)] == ["old", "new"]


def test_newer_rises_but_a_much_better_match_stays_first() -> None:
    base = Fixed(old=(0.6, "2014-07-13"), new=(0.5, "2026-07-19"))
    assert LatestFirst(base).search("the latest final", 2)[0].chunk_id == "new"  # 0.6 + 0.2 * 0.06 < 0.5 + 0.2
    base = Fixed(old=(0.9, "2014-07-13"), new=(0.5, "2026-07-19"))
    assert LatestFirst(base).search("the latest final", 2)[0].chunk_id == "old"


def test_the_pool_is_what_is_scored_again_and_bounds_the_search() -> None:
    """pool_size 1 reads three hits at most, and keeps one: the newer chunk below it does not rise."""
    base = Fixed(old=(0.6, "2014-07-13"), new=(0.5, "2026-07-19"))
    assert [hit.chunk_id for hit in LatestFirst(base, pool_size=1).search("the latest final", 1)] == ["old"]
    assert len(LatestFirst(base)) == 2 and LatestFirst(base).chunk("new").date == datetime.date(2026, 7, 19)


def test_all_superseded_still_answers_and_k_is_checked() -> None:
    base = Fixed(old=(0.6, "2014-07-13"))
    assert LatestFirst(base, {"old"}).search("the latest final", 1)[0].chunk_id == "old"
    with pytest.raises(ValueError, match="k must be between 1 and the 1 indexed chunks, got 2"):
        LatestFirst(base).search("the latest final", 2)

"""The scoreboard's rows: what quality counts, and a file that keeps what was put into it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import GoldSpan, Question
from course_lib.evaluation.answers import abstention_scores
from course_lib.evaluation.scoreboard import (
    ANSWERABLE,
    COURSE,
    HEADLINE,
    LEARNER,
    Row,
    difference,
    merged,
    put_row,
    quality,
    read_rows,
    right_answers,
    row_as_json,
    row_from_json,
)
from course_lib.evaluation.significance import Interval

KINDS = ("exact_term", "paraphrase", "number_or_date", "latest", "comparison")


def question(number: int, kind: str) -> Question:
    gold = () if kind == "unanswerable" else (GoldSpan("shelf/a", "x"),)
    answers = () if kind == "unanswerable" else (f"answer {number}",)
    return Question(f"q{number:03d}", f"What is {number}?", kind, "energy", "test", answers, gold)


QUESTIONS = [question(10 * i + j, kind) for i, kind in enumerate((*KINDS, "unanswerable")) for j in range(4)]
PERFECT = {q.question_id: f"It is {q.answers[0]}." if q.gold else "I do not know." for q in QUESTIONS}
JUDGED = {q.question_id: {f"gold-{q.question_id}": 1.0} for q in QUESTIONS if q.gold}


def row(name: str = "a system", **facts: object) -> Row:
    figures = {"contained": {HEADLINE: Interval(0.5, 0.25, 0.75, 16)}}
    return Row(**{"name": name, "lesson": "04", "how": "By hand.", "quality": figures, **facts})  # type: ignore[arg-type]


# ---------------------------------------------------------------- quality


def test_a_system_that_is_always_right_scores_1() -> None:
    rankings = {q.question_id: [f"gold-{q.question_id}", "other"] for q in QUESTIONS if q.gold}
    found = quality(QUESTIONS, PERFECT, rankings=rankings, judgements=JUDGED)
    for metric in ("contained", "success@1", "recall@5", "nDCG@10"):
        assert {interval.mean for interval in found[metric].values()} == {1.0}, metric
        assert set(found[metric]) == {*KINDS, ANSWERABLE, HEADLINE}
    assert found["abstention precision"]["all"].mean == found["abstention recall"]["unanswerable"].mean == 1.0
    assert found["exact match"][ANSWERABLE].mean == 0.0  # "It is answer 3." is not the answer alone


def test_by_hand() -> None:
    """Two of four right by containing, one of them exactly; F1 of 'it is answer 0' against 'answer 0': 2*2/(4+2)."""
    asked = QUESTIONS[:4]
    replies = {"q000": "it is answer 0", "q001": "answer 1", "q002": "no", "q003": "answer 4"}
    found = quality(asked, replies)
    assert found["contained"]["exact_term"].mean == 0.5
    assert found["exact match"]["exact_term"].mean == 0.25
    assert found["token F1"]["exact_term"].mean == pytest.approx((4 / 6 + 1 + 0 + 0.5) / 4)
    assert found["contained"]["exact_term"].n == 4


def test_comparisons_count_among_the_answerable_but_not_in_the_headline() -> None:
    replies = {name: "" for name in PERFECT} | {
        q.question_id: q.answers[0] for q in QUESTIONS if q.kind == "comparison"
    }
    found = quality(QUESTIONS, replies)
    assert found["contained"][HEADLINE].mean == 0.0 and found["contained"][HEADLINE].n == 16
    assert found["contained"][ANSWERABLE].mean == 0.2 and found["contained"]["comparison"].mean == 1.0


def test_a_random_ranking_scores_about_chance() -> None:
    """One gold chunk in 40, the first five counted: 5 / 40."""
    rng = np.random.default_rng(13)
    asked = [question(i, KINDS[i % 5]) for i in range(600)]
    names = [f"c{i}" for i in range(40)]
    rankings = {q.question_id: [names[i] for i in rng.permutation(40)[:10]] for q in asked}
    judged = {q.question_id: {"c7": 1.0} for q in asked}
    found = quality(asked, {q.question_id: "" for q in asked}, rankings=rankings, judgements=judged)
    interval = found["recall@5"][ANSWERABLE]
    assert interval.low < 5 / 40 < interval.high and interval.n == 600


def test_abstentions_agree_with_the_measure_of_evaluation() -> None:
    replies = {q.question_id: "I do not know." if i % 3 else "It is four." for i, q in enumerate(QUESTIONS)}
    found = quality(QUESTIONS, replies)
    precision, recall = abstention_scores([bool(i % 3) for i in range(24)], [bool(q.gold) for q in QUESTIONS])
    assert found["abstention precision"]["all"].mean == pytest.approx(precision)
    assert found["abstention recall"]["unanswerable"].mean == pytest.approx(recall)


def test_who_never_abstains_has_no_precision() -> None:
    found = quality(QUESTIONS, {name: "It is four." for name in PERFECT})
    assert "abstention precision" not in found and found["abstention recall"]["unanswerable"].mean == 0.0


def test_groundedness_counts_where_it_was_judged() -> None:
    found = quality(QUESTIONS, PERFECT, grounded={"q000": 1.0, "q001": 0.0, "q010": 0.0, "q011": 0.0})
    assert found["grounded"]["all"].mean == 0.25 and found["grounded"]["all"].n == 4
    assert set(found["grounded"]) == {"exact_term", "paraphrase", "all"}


@given(
    st.lists(
        st.sampled_from(["I do not know.", "answer 0", "It is answer 1.", "", "answer 12"]), min_size=24, max_size=24
    )
)
def test_every_figure_is_a_share_within_its_interval(said: list[str]) -> None:
    found = quality(QUESTIONS, {q.question_id: words for q, words in zip(QUESTIONS, said, strict=True)})
    for table in found.values():
        for interval in table.values():
            assert (
                0 <= interval.low <= interval.mean + 1e-9
                and interval.mean <= interval.high + 1e-9
                and interval.high <= 1
            )


def test_a_missing_reply_is_named() -> None:
    replies = {name: words for name, words in PERFECT.items() if name != "q011"}
    with pytest.raises(ValueError, match="1 are missing, the first is q011"):
        quality(QUESTIONS, replies)


def test_rankings_need_judgements() -> None:
    with pytest.raises(ValueError, match="judgements must say which chunks are right"):
        quality(QUESTIONS, PERFECT, rankings={"q000": ["a"]})


def test_right_answers_are_marked_question_by_question() -> None:
    """Eight of sixteen: those of the first two kinds; comparisons and unanswerable ones have no mark."""
    replies = {q.question_id: PERFECT[q.question_id] if q.kind in KINDS[:2] else "no" for q in QUESTIONS}
    assert right_answers(list(reversed(QUESTIONS)), replies) == "1" * 8 + "0" * 8


def test_a_difference_is_paired() -> None:
    """Three questions more and one fewer of eight: 2 / 8. The bootstrap of the pairs, not of two samples."""
    base, better = row(marks="11000000"), row(marks="10111000")
    found = difference(better, base)
    assert found is not None and found.mean == 0.25 and found.n == 8 and found.low < 0.25 < found.high
    assert difference(base, base) == Interval(0.0, 0.0, 0.0, 8)
    for other in (row(marks="1"), row(), row(marks="11000000", quick=True), row(marks="11000000", split="dev")):
        assert difference(other, base) is None


# ---------------------------------------------------------------- rows and file


@pytest.mark.parametrize(("name", "value"), [("seconds", -1.0), ("peak_gb", float("nan")), ("trained_parameters", -3)])
def test_a_price_below_zero_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number of at least 0"):
        row(**{name: value})


def test_a_row_needs_a_name_and_known_metrics() -> None:
    with pytest.raises(ValueError, match="name must not be empty"):
        row(" ")
    with pytest.raises(ValueError, match="metric must be one of contained"):
        row(quality={"magic": {}})


def test_a_row_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "scoreboard.json"
    kept = row(seconds=1.25, n_timed=20, peak_gb=0.9, how='brackets [ 1, 2 ] and "quotes"', measured={"seed": 13})
    put_row(path, kept)
    assert read_rows(path) == [kept]
    assert [each.name for each in (tmp_path / "folder").iterdir()] == ["scoreboard.json"]  # no lock, no draft is left


def test_a_row_takes_the_place_of_its_namesake(tmp_path: Path) -> None:
    path = tmp_path / "scoreboard.json"
    for name, seconds in (("b", 1.0), ("a", 2.0), ("mine", 3.0), ("b", 4.0)):
        put_row(path, row(name, seconds=seconds), order=("a", "b"))
    assert [(each.name, each.seconds) for each in read_rows(path)] == [("a", 2.0), ("b", 4.0), ("mine", 3.0)]


def test_an_absent_file_holds_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "none.json") == []


@pytest.mark.parametrize("content", ["{", '{"format": 99, "rows": []}', "[]", '{"format": 1, "rows": [{"name": "a"}]}'])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scoreboard.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match="move it away"):
        put_row(path, row())
    assert path.read_text(encoding="utf-8") == content


def test_plain_data_and_back() -> None:
    assert row_from_json(json.loads(json.dumps(row_as_json(row())))) == row()


def test_merging_says_whose_each_row_is() -> None:
    both = merged([row("a")], [row("a"), row("mine")])
    assert [(each.name, each.whose) for each in both] == [("a", COURSE), ("a", LEARNER), ("mine", LEARNER)]

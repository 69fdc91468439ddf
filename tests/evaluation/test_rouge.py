"""ROUGE by hand, against rouge-score."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from course_lib.evaluation.rouge import longest_common, rouge_l, rouge_n

TEXT = st.text(alphabet="ab c1.-É", max_size=25)
SCORER = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)


def test_numbers_worked_by_hand() -> None:
    # written: police kill the gunman; wanted: police killed the gunman. Shared words 3 of 4 and 4; the longest common
    # subsequence is "police the gunman", 3; one bigram ("the gunman") of 3 and 3.
    written, wanted = "police kill the gunman", "police killed the gunman"
    assert rouge_n(written, wanted).f1 == pytest.approx(0.75)
    assert rouge_n(written, wanted, 2).f1 == pytest.approx(1 / 3)
    assert rouge_l(written, wanted).recall == pytest.approx(0.75)
    # order matters to L alone: "the gunman police kill" keeps "the gunman", 2 of 4
    assert rouge_l("the gunman police kill", wanted).f1 == pytest.approx(0.5)
    assert rouge_n("the gunman police kill", wanted).f1 == pytest.approx(0.75)


@settings(max_examples=200, deadline=None)
@given(TEXT, TEXT)
def test_equal_to_rouge_score(text: str, reference: str) -> None:
    theirs = SCORER.score(reference, text)
    for name, ours in (
        ("rouge1", rouge_n(text, reference)),
        ("rouge2", rouge_n(text, reference, 2)),
        ("rougeL", rouge_l(text, reference)),
    ):
        wanted = theirs[name]
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(
            (wanted.precision, wanted.recall, wanted.fmeasure)
        )


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_longest_common_is_symmetric_and_bounded(a: list[str], b: list[str]) -> None:
    assert longest_common(a, b) == longest_common(b, a) <= min(len(a), len(b))
    assert longest_common(a, a) == len(a)


def test_precision_and_recall_are_not_swapped() -> None:
    long = rouge_n("one two three four", "one two")
    assert (long.precision, long.recall) == (0.5, 1.0)
    with pytest.raises(ValueError, match="n must be at least 1"):
        rouge_n("a", "b", 0)

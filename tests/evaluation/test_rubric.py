"""Ratings of people, and Cohen's kappa against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from course_lib.evaluation.rubric import Criterion, Rating, agreement, cohen_kappa, load_ratings, save_ratings

TONE = Criterion("tone", "Does it sound like us?", ("no", "partly", "yes"))


def test_a_number_worked_by_hand() -> None:
    # 10 texts, 7 alike. Rater one says 1 six times, rater two five times: by chance .6 x .5 + .4 x .5 = .5;
    # kappa = (.7 - .5) / (1 - .5) = .4
    first = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    second = [1, 1, 1, 1, 0, 0, 0, 0, 0, 1]
    assert cohen_kappa(first, second) == pytest.approx(0.4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30),
    st.sampled_from(["none", "linear", "quadratic"]),
)
def test_equal_to_scikit_learn(pairs: list[tuple[int, int]], weights: str) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    levels = sorted({*first, *second})
    assume(len(levels) > 1)
    theirs = cohen_kappa_score(first, second, weights=None if weights == "none" else weights, labels=levels)
    assert cohen_kappa(first, second, weights=weights) == pytest.approx(theirs)  # type: ignore[arg-type]


def test_agreement_looks_only_at_texts_that_both_rated() -> None:
    ratings = [Rating(f"t{i}", "ann", {"tone": level}) for i, level in enumerate([0, 1, 2, 2])]
    ratings += [Rating(f"t{i}", "ben", {"tone": level}) for i, level in enumerate([0, 1, 2])]
    assert agreement(ratings, TONE) == (1.0, 3)
    with pytest.raises(ValueError, match="two raters, got 1: ann"):
        agreement(ratings[:4], TONE)


def test_what_is_undefined_raises() -> None:
    with pytest.raises(ValueError, match="always chose level 2"):
        cohen_kappa([2, 2], [2, 2])
    with pytest.raises(ValueError, match="got 0 and 0 ratings"):
        cohen_kappa([], [])
    with pytest.raises(ValueError, match="got 1 and 2 ratings"):
        cohen_kappa([1], [1, 2])
    with pytest.raises(ValueError, match="weights must be"):
        cohen_kappa([1, 2], [1, 2], weights="cubic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least two"):
        Criterion("tone", "?", ("yes",))


def test_ratings_go_to_a_file_and_back(tmp_path: Path) -> None:
    ratings = [Rating("t1", "ann", {"tone": 2}), Rating("t2", "Zoë", {"tone": 0})]
    path = tmp_path / "deep" / "ratings.jsonl"
    assert load_ratings(path) == []
    save_ratings(ratings, path)
    assert load_ratings(path) == ratings
    path.write_text(path.read_text("utf-8") + '{"text_id": "t3"}\n', "utf-8")
    with pytest.raises(ValueError, match=r"line 3 of ratings\.jsonl is no rating"):
        load_ratings(path)

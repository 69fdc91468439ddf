"""What speaks for an answer: hand-worked shares, nearness, properties, edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.evaluation.grounding_features import (
    FEATURES,
    NO_FIGURES,
    claim_of,
    figures,
    nearest,
    sentence_features,
    share_of_figures,
    share_of_words,
)


@pytest.mark.parametrize(
    ("sentence", "claim"),
    [
        ("The answer is: 4.2 kilowatt-hours.", "4.2 kilowatt-hours."),
        ("The answer to this question is: Pedals.", "Pedals."),
        ("The answer is 198.", "198."),
        ('"The answer is: Spain"', 'Spain"'),
        ("Spain won [1].", "Spain won."),
        ("Spain won [1, 2][3].", "Spain won."),
        ("[2] Spain won.", "Spain won."),
        ("The answer isn't there.", "The answer isn't there."),
        ("Spain's answer is no.", "Spain's answer is no."),
        ("The NASA engineers' answer is 45.", "The NASA engineers' answer is 45."),
        ("[1]", ""),
        ("The answer is:", ""),
    ],
)
def test_claims_lose_citations_and_lead_ins(sentence: str, claim: str) -> None:
    assert claim_of(sentence) == claim


def test_figures_are_numbers_dates_and_codes_in_one_form() -> None:
    text = "On 19 July 2026, E-2042 cost EUR 1,000 for fifteen of them, 59.3 per cent."
    assert figures(text) == {"19", "2026", "e2042", "1000", "15", "59.3"}
    assert figures("no figure at all") == frozenset()


def test_hand_worked_shares() -> None:
    assert share_of_words({"spain", "beat", "italy"}, {"spain", "beat", "argentina"}) == pytest.approx(2 / 3)
    assert share_of_words(set(), {"spain"}) == 0
    # 2026 is asked about; of 1, 0 and 106, two stand in the evidence
    assert share_of_figures({"2026", "1", "0", "106"}, {"2026"}, {"1", "0"}) == pytest.approx(2 / 3)
    assert share_of_figures({"2026"}, {"2026"}, {"7"}) == NO_FIGURES
    assert share_of_figures(set(), set(), {"7"}) == NO_FIGURES


SETS = st.frozensets(st.sampled_from("abcdef"))


@given(SETS, SETS, SETS)
def test_shares_are_bounded_and_more_evidence_never_hurts(
    claimed: frozenset[str], one: frozenset[str], more: frozenset[str]
) -> None:
    assert 0 <= share_of_words(claimed, one) <= share_of_words(claimed, one | more) <= 1
    assert share_of_figures(claimed, frozenset(), one) <= share_of_figures(claimed, frozenset(), one | more)
    if claimed:
        assert share_of_words(claimed, claimed) == share_of_figures(claimed, frozenset(), claimed) == 1


def test_nearest_takes_the_first_of_equal_rows() -> None:
    evidence = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0.6, 0.8, 0]], dtype=np.float32)
    row, cosine = nearest(np.array([0.0, 1, 0], dtype=np.float32), evidence)
    assert row == 1
    assert cosine == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("vector", "evidence", "message"),
    [
        (np.ones(3), np.ones((0, 3)), "evidence must hold at least one vector"),
        (np.ones(3), np.ones(3), r"evidence must hold at least one vector \(n, dim\), got shape \(3,\)"),
        (np.ones(2), np.ones((4, 3)), r"vector must be \(3,\) like the evidence, got shape \(2,\)"),
    ],
)
def test_nearest_checks_shapes(vector: np.ndarray, evidence: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nearest(vector, evidence)


def features(claim: str = "1-0", **changed: object) -> tuple[dict[str, float], int]:
    given_ = {
        "claimed_words": {"1-0"},
        "evidence_words": {"spain", "1-0"},
        "with_claim": np.array([0.6, 0.8], dtype=np.float32),
        "question_alone": np.array([1.0, 0.0], dtype=np.float32),
        "evidence_vectors": np.array([[0.8, 0.6], [0.0, 1.0]], dtype=np.float32),
        **changed,
    }
    return sentence_features(claim, "What was the score?", ["Spain won 1-0.", "It was hot."], **given_)  # type: ignore[arg-type]


def test_hand_worked_features() -> None:
    # with the claim: cosines .6 * .8 + .8 * .6 = .96 and .8; the question alone: .8 and 0
    values, row = features()
    assert row == 0
    assert values == {
        "words": 1.0,
        "figures": 1.0,
        "similarity": pytest.approx(0.96),
        "gain": pytest.approx(0.16),
    }
    assert features(ratio=-0.5)[0]["ratio"] == -0.5
    assert set(features(ratio=-0.5)[0]) == set(FEATURES)


def test_a_figure_must_stand_in_the_nearest_sentence() -> None:
    assert features("2-0")[0]["figures"] == 0
    far = features(evidence_vectors=np.array([[0.0, 1.0], [0.8, 0.6]], dtype=np.float32))
    assert far[1] == 1
    assert far[0]["figures"] == 0  # 1-0 stands in the other sentence


def test_evidence_and_vectors_must_agree() -> None:
    with pytest.raises(ValueError, match="a row for each of the 2 sentences, got 3"):
        features(evidence_vectors=np.ones((3, 2), dtype=np.float32))

"""BLEU by hand, against sacrebleu."""

from __future__ import annotations

import math

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.evaluation.bleu import bleu, brevity_penalty, clipped_matches, ngrams, tokenise_13a

WORDS = st.lists(
    st.sampled_from(["the", "cat", "sat", "mat.", "3.5", "1,000", "a-b", "on", "don't", "(x)"]), max_size=9
)
TEXT = WORDS.map(" ".join)


def test_a_number_worked_by_hand() -> None:
    # "the cat the cat" against "the cat sat down": unigrams the x1, cat x1 clipped: 2 of 4; bigrams "the cat" 1 of 3
    # (in the text twice, in the reference once); length 4 against 4, no penalty: 100 sqrt(1/2 * 1/3)
    found = bleu(["the cat the cat"], [["the cat sat down"]], max_n=2)
    assert found.precisions == pytest.approx((50, 100 / 3))
    assert found.score == pytest.approx(100 * math.sqrt(1 / 6))


def test_clipping_takes_the_reference_that_has_it_most() -> None:
    assert clipped_matches(["a", "a", "a"], [["a", "b"], ["a", "a", "c"]], 1) == 2
    assert ngrams(["a", "b", "a", "b"], 2) == {("a", "b"): 2, ("b", "a"): 1}


@pytest.mark.parametrize(("n", "wanted", "penalty"), [(4, 4, 1), (6, 4, 1), (4, 8, math.exp(-1)), (0, 3, 0), (0, 0, 1)])
def test_brevity_penalty(n: int, wanted: int, penalty: float) -> None:
    assert brevity_penalty(n, wanted) == pytest.approx(penalty)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=2, max_size=2)), min_size=1, max_size=5))
def test_equal_to_sacrebleu_on_random_corpora(corpus: list[tuple[str, list[str]]]) -> None:
    texts, references = [text for text, _ in corpus], [wanted for _, wanted in corpus]
    theirs = sacrebleu.corpus_bleu(texts, [[wanted[i] for wanted in references] for i in range(2)])
    ours = bleu(texts, references)
    assert ours.score == pytest.approx(theirs.score, abs=1e-9)
    assert (ours.n_tokens, ours.n_reference_tokens) == (theirs.sys_len, theirs.ref_len)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab ,.-&;<>quotlmpgs1{}[]()/:@!\n'", max_size=30))
def test_tokens_equal_to_sacrebleu(text: str) -> None:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    assert tokenise_13a(text) == Tokenizer13a()(text.rstrip()).split()


def test_no_mean_of_sentence_scores_and_no_credit_for_brevity() -> None:
    whole, part = "the cat sat on the mat today", "the cat sat on"
    assert bleu([whole], [[whole]]).score == pytest.approx(100)
    assert bleu([part], [[whole]]).score == pytest.approx(100 * math.exp(1 - 7 / 4))
    both = bleu([whole, "x"], [[whole], ["the cat"]])
    assert both.score != pytest.approx((bleu([whole], [[whole]]).score + 0) / 2)


def test_smoothing_none_gives_zero_where_a_precision_is_zero() -> None:
    texts, references = ["the cat sat on a mat"], [["on the mat the cat sat"]]
    assert bleu(texts, references, smoothing="none").score == 0
    assert bleu(texts, references).score > 0
    theirs = sacrebleu.corpus_bleu(texts, [[references[0][0]]], smooth_method="none")
    assert theirs.score == 0


@pytest.mark.parametrize(
    ("texts", "references", "words"),
    [([], [], "at least one"), (["a"], [], "as many"), (["a"], [[]], "at least one text"), (["a"], ["a"], "list of")],
)
def test_bad_input(texts: list[str], references: list[list[str]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bleu(texts, references)
    with pytest.raises(ValueError, match="max_n"):
        bleu(["a"], [["a"]], max_n=0)

"""The measures of texts and questions, each on numbers worked by hand."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Document, GoldSpan, Question
from course_lib.corpus.quality import (
    NearDuplicates,
    broken_links,
    chains,
    content_words,
    near_duplicates,
    opening,
    repeated_openings,
    sentence_lengths,
    shingles,
    stems,
    vocabulary,
    words,
)
from course_lib.corpus.question_quality import (
    answer_in_span,
    found_by_kind,
    gold_found,
    holds_answer,
    normalised,
    same_place,
    shared_with_gold,
)

TEXTS = st.lists(st.sampled_from(["the", "fee", "is", "due", "on", "a", "bill"]), max_size=12).map(" ".join)


def document(doc_id: str, text: str = "", day: int = 1, **links: str) -> Document:
    return Document(f"energy/{doc_id}", "energy", doc_id, datetime.date(2024, 1, day), text, **links)


def question(
    answers: tuple[str, ...] = (), *spans: tuple[str, str], text: str = "?", any_gold: bool = False
) -> Question:
    gold = tuple(GoldSpan(*span) for span in spans)
    return Question("q", text, "exact_term", "energy", "test", answers, gold, any_gold)


# ---------------------------------------------------------------- words


def test_words_divide_at_hyphens_and_keep_decimals_and_apostrophes() -> None:
    assert words("Don't pay 4.63 or 12,000 euros for E-2041, José\u2019s.") == [
        "don't", "pay", "4.63", "or", "12,000", "euros", "for", "e", "2041", "josé's",
    ]  # fmt: skip


def test_stems_leave_out_stop_words_single_letters_and_possessives() -> None:
    assert stems("The customers' refunds aren't the customer's refunding, E-7") == [
        "custom", "refund", "custom", "refund", "7",
    ]  # fmt: skip
    assert content_words("refunded refunds") == {"refund"}
    assert content_words("It is what it is.") == frozenset()


def test_vocabulary_counts_texts_not_occurrences() -> None:
    assert vocabulary(["bills, bills, bills", "a bill and a meter"]) == {"bill": 2, "meter": 1}


# ---------------------------------------------------------------- near duplicates


def test_shingles_are_runs_of_words() -> None:
    assert shingles("a b c d", 3) == {("a", "b", "c"), ("b", "c", "d")}
    assert shingles("Too short.", 3) == {("too", "short")}
    assert shingles("...", 3) == frozenset()
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        shingles("a", 0)


def test_similarity_is_shared_runs_over_all_runs() -> None:
    # runs of 2: {ab, bc, cd} and {bc, cd, de}: 2 shared of 4
    texts = {"x": "a b c d", "y": "b c d e", "z": "f g"}
    assert near_duplicates(texts, threshold=0.5, n=2) == [NearDuplicates("x", "y", 0.5)]
    assert near_duplicates(texts, threshold=0.51, n=2) == []


def test_most_alike_come_first_and_equal_ones_in_order_of_id() -> None:
    texts = {"c": "a b c", "b": "a b c", "a": "a b c", "d": "a b x"}
    pairs = near_duplicates(texts, threshold=0.1, n=2)
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"), ("b", "d"), ("c", "d"),
    ]  # fmt: skip
    assert pairs[3].similarity == pytest.approx(1 / 3)  # {ab, bc} and {ab, bx}


@given(st.lists(TEXTS, max_size=6), st.integers(1, 4))
def test_the_inverted_index_finds_what_comparing_all_finds(texts: list[str], n: int) -> None:
    named = {str(i): text for i, text in enumerate(texts)}
    runs = {key: shingles(text, n) for key, text in named.items()}
    slow = {
        (a, b): len(runs[a] & runs[b]) / len(runs[a] | runs[b])
        for a in named
        for b in named
        if a < b and runs[a] & runs[b]
    }
    fast = near_duplicates(named, threshold=1e-9, n=n)
    assert {(pair.first, pair.second): pair.similarity for pair in fast} == pytest.approx(slow)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.1, float("nan")])
def test_a_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be above 0 and at most 1"):
        near_duplicates({}, threshold=threshold)


# ---------------------------------------------------------------- openings, sentences


def test_openings_are_compared_without_case_and_punctuation() -> None:
    assert opening("A bill, dear reader, is due. Soon.") == "a bill dear reader is"
    texts = {"a": "One two: three", "b": "one TWO three!", "c": "one two four"}
    assert repeated_openings(texts, more_than=1, n=3) == {"one two three": ["a", "b"]}
    assert repeated_openings(texts, more_than=2, n=2) == {"one two": ["a", "b", "c"]}


def test_sentence_lengths() -> None:
    assert sentence_lengths("One two. Three, at 4.5 per cent!\n\nFive") == [2, 5, 1]
    assert sentence_lengths("") == []


# ---------------------------------------------------------------- versions


def test_chains_run_from_the_oldest_to_the_newest() -> None:
    first = document("first", superseded_by="energy/second")
    second = document("second", day=2, supersedes="energy/first")
    assert chains([second, document("alone"), first]) == [[first, second]]
    with pytest.raises(ValueError, match="superseded_by must name a document"):
        chains([first])


def test_a_circle_of_versions_does_not_hang() -> None:
    first = document("first", superseded_by="energy/second")
    second = document("second", day=2, supersedes="energy/first", superseded_by="energy/second")
    with pytest.raises(ValueError, match="circle"):
        chains([first, second])


def test_every_broken_link_is_told() -> None:
    first = document("first", day=2, superseded_by="energy/second")
    second = document("second", supersedes="energy/first")
    assert broken_links([first, second]) == ["energy/second: not later than energy/first, which it supersedes"]
    assert broken_links([second]) == ["energy/second: supersedes names energy/first, which does not exist"]
    assert len(broken_links([first, document("second", day=3)])) == 1


# ---------------------------------------------------------------- questions


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("The 7kW charger.", "7 kw charger"),
        ("1,066 seconds", "1066 seconds"),
        ("€55, an HOUR", "€ 55 hour"),
        ("34.85%", "34.85 %"),
        ("don\u2019t", "don't"),
        ("the", ""),
    ],
)
def test_answers_are_compared_in_one_form(text: str, same: str) -> None:
    assert normalised(text) == same
    assert normalised(same) == same


def test_an_answer_is_found_as_whole_words_only() -> None:
    assert holds_answer("It took 12 working days.", ["twelve working days", "12 Working Days"])
    assert not holds_answer("It took 112 working days.", ["12 working days"])
    assert not holds_answer("anything", [])
    assert not holds_answer("anything", ["the", "!"])


def test_shared_words_are_counted_after_stemming() -> None:
    asked = question(("x",), ("a", "The fee was refunded."), ("b", "Pay monthly."), text="Is a refund paid in months?")
    assert shared_with_gold(asked) == {"refund", "month"}  # "paid" and "pay" have different stems
    assert not answer_in_span(asked)
    assert answer_in_span(question(("no", "refunded"), ("a", "The fee was refunded.")))


def test_all_gold_must_be_found_unless_any_will_do() -> None:
    both = question(("x",), ("a", ""), ("b", ""))
    either = question(("x",), ("a", ""), ("b", ""), any_gold=True)
    assert [gold_found(both, found) for found in (["a", "b", "c"], ["a", "c"], [])] == [True, False, False]
    assert [gold_found(either, found) for found in (["a", "b", "c"], ["a", "c"], [])] == [True, True, False]
    with pytest.raises(ValueError, match="q has no gold document"):
        gold_found(question(), ["a"])
    assert found_by_kind([both, question()], {"q": ["a", "b"]}) == {"exact_term": [True]}


def test_the_place_of_a_quote_in_another_version_is_found() -> None:
    older = document("old", "We like letters. The late fee is 12 euros. Call the Billing Desk.")
    # {late, fee, 12, euro} and {late, fee, 9, euro}: 3 shared of 5; without the answer "9 euros", {late, fee}: 2 of 3
    quote = "The late fee is 9 euros."
    for dropped, similarity in (((), 3 / 5), (("9 euros",), 2 / 3)):
        place, found = same_place(quote, older, without=dropped)
        assert place == "The late fee is 12 euros."
        assert found == pytest.approx(similarity)

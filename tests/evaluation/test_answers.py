"""Right or wrong, abstained or not, cited well or badly: hand-worked numbers, the official rules, properties, edges."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from course_lib.corpus.labelled_answers import load_labelled_answers
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.answers import (
    PrecisionRecall,
    abstains,
    abstention_scores,
    citation_scores,
    contains,
    exact_match,
    hallucination_rate,
    pooled,
    token_f1,
)

MARKS = (exact_match, contains, token_f1)


def test_hand_worked_f1() -> None:
    # said: spain won 1-0 (3 words); gold: spain 1-0 (2); shared 2: 2 * 2 / (3 + 2)
    assert token_f1("Spain won 1-0.", ["Spain, 1-0"]) == pytest.approx(0.8)
    # the best of several golds counts: against "Spain" 2 * 1 / (3 + 1)
    assert token_f1("Spain won 1-0.", ["Spain"]) == pytest.approx(0.5)
    assert token_f1("Spain won 1-0.", ["Spain", "Spain, 1-0"]) == pytest.approx(0.8)
    # a word counts as often as both hold it: shared 1 of 3 and 1
    assert token_f1("Spain Spain Spain", ["Spain"]) == pytest.approx(0.5)
    assert token_f1("", ["Spain"]) == token_f1("Italy", ["Spain"]) == 0


@pytest.mark.parametrize(
    ("answer", "gold", "is_in"),
    [
        ("It took 10 days.", "10", True),
        ("It was in 2010.", "10", False),
        ("The answer is 10.5.", "10", False),
        ("They won 10-0.", "10", False),
        ("The year 1990", "199", False),
        ("It costs 1000 euros.", "EUR 1,000", True),
        ("It costs EUR 1,000 a year.", "one thousand euros", True),
        ("It was on July 19, 2026.", "19 July 2026", True),
        ("It was on 19 July.", "19 July 2026", False),
        ("It was in May 2020", "2020", True),
        ("Form F-14", "14", False),
        ("She lived in Spainland", "Spain", False),
        ("Not Spain but Italy", "Spain", True),  # documented: what else it says is not looked at
        ("The battery holds its charge for 30 days", "30-day", True),  # a unit after a number: "30 day"
    ],
)
def test_contains_at_word_borders(answer: str, gold: str, is_in: bool) -> None:
    assert contains(answer, [gold]) == float(is_in)


def test_aliases_count() -> None:
    golds = ["nine", "nine internationals", "9 matches"]
    assert exact_match("9", golds) == exact_match("Nine internationals.", golds) == 1
    assert exact_match("nineteen", golds) == 0
    assert contains("He was banned for 9 matches by FIFA", golds) == 1


@pytest.mark.parametrize("mark", MARKS)
def test_gold_answers_of_the_course_are_right_and_others_mostly_wrong(mark: object) -> None:
    assert callable(mark)
    questions = [question for question in load_questions() if question.answers]
    for question in questions:
        assert all(mark(answer, question.answers) == 1 for answer in question.answers)
    others = questions[len(questions) // 2 :] + questions[: len(questions) // 2]
    shifted = [mark(one.answers[0], other.answers) for one, other in zip(questions, others, strict=True)]
    assert sum(shifted) < 0.05 * len(shifted)  # the answer to another question is hardly ever right


WORDS = st.lists(
    st.sampled_from(["spain", "won", "in", "1964", "with", "2", "goals", "by", "the", "captain", "EUR", "5"]),
    min_size=1,
)
TEXTS = WORDS.map(" ".join)


def squad_f1(said: list[str], gold: list[str]) -> float:
    """The official F1 of SQuAD, from precision and recall over the words."""
    shared = sum((Counter(said) & Counter(gold)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(said), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


PLAIN = st.lists(st.sampled_from(["spain", "won", "with", "goals", "by", "captain", "torres"]), min_size=1, max_size=6)


@given(PLAIN, PLAIN)
def test_f1_equals_the_official_one(said: list[str], gold: list[str]) -> None:
    assert token_f1(" ".join(said), [" ".join(gold)]) == pytest.approx(squad_f1(said, gold))


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_marks_are_ordered_and_bounded(answer: str, golds: list[str]) -> None:
    exact, inside, f1 = (mark(answer, golds) for mark in MARKS)
    assert 0 <= f1 <= 1
    assert exact <= inside
    assert exact <= f1 + 1e-12
    assert exact in (0, 1)
    assert inside in (0, 1)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), TEXTS)
def test_another_alias_never_hurts_and_their_order_does_not_matter(answer: str, golds: list[str], more: str) -> None:
    for mark in MARKS:
        assert mark(answer, [*golds, more]) >= mark(answer, golds)
        assert mark(answer, golds[::-1]) == mark(answer, golds)


@pytest.mark.parametrize("mark", MARKS)
def test_golds_are_checked(mark: object) -> None:
    assert callable(mark)
    with pytest.raises(
        ValueError, match="at least one gold answer, got none; mark an unanswerable question by abstains"
    ):
        mark("Spain", [])
    with pytest.raises(ValueError, match=r"every gold answer must hold a word or a number, got '\.\.\.'"):
        mark("Spain", ["Spain", "..."])
    with pytest.raises(TypeError, match="golds must be a list of answers, got the str 'Spain'"):
        mark("Spain", "Spain")
    with pytest.raises(TypeError, match="text must be a str"):
        mark(None, ["Spain"])


@pytest.mark.parametrize(
    "answer",
    [
        "I do not know.",
        "I don't know the answer to that.",
        "I don’t know",
        "I do not know. The passages only speak of 2022.",
        "The passages do not say.",
        "The passage doesn't mention who won.",
        "The text does not specify the year, but it is not given elsewhere either.",
        "I'm sorry, but I cannot answer that.",
        "I am unable to find it.",
        "I'm not sure.",
        "The answer is not mentioned in the passages.",
        "This was not stated in the given text.",
        "There is no information on this.",
        "There is not enough information.",
        "It cannot be determined from the passages.",
        "We have no data on that.",
        "We're not sure.",
        "I can\u2019t say who won.",
        "Dear John, the answer is not provided.",
        "Unknown.",
        "N/A",
    ],
)
def test_abstentions(answer: str) -> None:
    assert abstains(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Spain",
        "Spain did not win.",
        "The cause is not known.",
        "The cause of the disease is unknown.",
        "I am not sure, but it was 1954.",
        "I do not know, although I think Spain won.",
        "No.",
        "He did not know the way.",
        "They were not sure.",
        "I'm unable to send any further bills.",
        "The report does not have a roof.",
        "You do not have to tell us.",
        "The fee is not included in the bill.",
        "Spain won. I do not know by how much.",
        "",
        "   ",
    ],
)
def test_answers_are_no_abstentions(answer: str) -> None:
    assert not abstains(answer)


def test_none_of_the_labelled_answers_abstains() -> None:
    assert not [answer.answer for answer in load_labelled_answers() if abstains(answer.answer)]


def test_abstains_wants_text() -> None:
    with pytest.raises(TypeError, match="answer must be a str, got NoneType"):
        abstains(None)  # type: ignore[arg-type]


def test_hand_worked_abstention_scores() -> None:
    # three abstentions, two of them on the four unanswerable questions: 2/3 and 2/4
    abstained = [True, True, True, False, False, False]
    answerable = [False, False, True, False, False, True]
    scores = abstention_scores(abstained, answerable)
    precision, recall = scores
    assert precision == pytest.approx(2 / 3)
    assert recall == 0.5
    assert (scores.right, scores.said, scores.wanted) == (2, 3, 4)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_abstention_scores_are_those_of_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    abstained, answerable = [a for a, _ in pairs], [b for _, b in pairs]
    scores = abstention_scores(abstained, answerable)
    unanswerable = [not can for can in answerable]
    if any(abstained):
        assert scores.precision == pytest.approx(precision_score(unanswerable, abstained))
    if any(unanswerable):
        assert scores.recall == pytest.approx(recall_score(unanswerable, abstained))


def test_undefined_abstention_scores_raise_when_they_are_read() -> None:
    never = abstention_scores([False, False], [True, False])
    assert never.recall == 0
    with pytest.raises(ValueError, match="precision is undefined where nothing was said"):
        _ = never.precision
    all_answerable = abstention_scores([True, False], [True, True])
    assert all_answerable.precision == 0
    with pytest.raises(ValueError, match="recall is undefined where nothing was wanted"):
        _ = all_answerable.recall
    with pytest.raises(ValueError, match="precision is undefined"):
        _precision, _recall = never


@pytest.mark.parametrize(("abstained", "answerable"), [([True], [True, False]), ([], [])])
def test_abstention_lists_are_checked(abstained: list[bool], answerable: list[bool]) -> None:
    with pytest.raises(ValueError, match="must be of the same questions, got"):
        abstention_scores(abstained, answerable)


def test_hand_worked_citation_scores() -> None:
    # cited 1, 2 and 3, of which 2 is right; 2 and 5 are wanted: 1/3 and 1/2
    assert list(citation_scores([1, 2, 3], [2, 5])) == [pytest.approx(1 / 3), 0.5]
    assert list(citation_scores([2, 2, 2], [2])) == [1, 1]  # each counts once
    # one of several that say the same is enough
    assert list(citation_scores(["a", "x"], ["a", "b", "c"], any_gold=True)) == [0.5, 1]
    assert citation_scores(["a", "b"], ["a", "b", "c"], any_gold=True).precision == 1
    assert citation_scores(["x"], ["a", "b"], any_gold=True).recall == 0


def test_undefined_citation_scores_raise_when_they_are_read() -> None:
    silent = citation_scores([], [1])
    assert silent.recall == 0
    with pytest.raises(ValueError, match="precision is undefined"):
        _ = silent.precision
    unanswerable = citation_scores([1], [], any_gold=True)
    assert unanswerable.precision == 0
    with pytest.raises(ValueError, match="recall is undefined"):
        _ = unanswerable.recall


@pytest.mark.parametrize(("cited", "gold", "name"), [("12", [1], "cited"), ([1], "12", "gold")])
def test_a_bare_string_is_no_list_of_passages(cited: object, gold: object, name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a list of passages"):
        citation_scores(cited, gold)  # type: ignore[arg-type]


def test_pooled_adds_counts_not_shares() -> None:
    # 1 of 1 and 0 of 3 citations right: 1/4 in all, not the mean 1/2
    both = pooled([citation_scores([1], [1]), citation_scores([3, 4, 5], [1])])
    assert both == PrecisionRecall(right=1, said=4, found=1, wanted=2)
    assert both.precision == 0.25
    with pytest.raises(ValueError, match="undefined"):
        _ = pooled([]).recall


SETS = st.sets(st.integers(0, 6), min_size=1)


@given(SETS, SETS)
def test_citation_scores_are_bounded_and_symmetric(cited: set[int], gold: set[int]) -> None:
    precision, recall = citation_scores(cited, gold)
    assert 0 <= precision <= 1
    assert 0 <= recall <= 1
    assert (precision == recall == 1) == (cited == gold)
    assert citation_scores(gold, cited).precision == recall


def test_hand_worked_hallucination_rate() -> None:
    # four answers, one abstains; of the three given one is unsupported
    assert hallucination_rate([True, False, True, False], [False, False, False, True]) == pytest.approx(1 / 3)
    assert hallucination_rate([True], [False]) == 0


def test_hallucination_rate_is_undefined_without_answers() -> None:
    with pytest.raises(ValueError, match="undefined where no answer was given"):
        hallucination_rate([False], [True])
    with pytest.raises(ValueError, match="undefined where no answer was given"):
        hallucination_rate([], [])
    with pytest.raises(ValueError, match="of the same answers, got 2 and 1 values"):
        hallucination_rate([True, True], [False])

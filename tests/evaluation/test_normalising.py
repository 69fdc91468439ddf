"""One way of writing: numbers, dates, units, codes; what stays different; the official rules of SQuAD where they apply."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.corpus.questions import load_questions
from course_lib.evaluation.normalising import normalise

SAME = [
    ("1,000", "1000", "one thousand", "a thousand", "1\u202f000", "ONE THOUSAND."),
    ("1,242", "one thousand, two hundred and forty-two", "one thousand two hundred forty two"),
    ("1.12 billion people", "1,120 million people", "1,120,000,000 people"),
    ("fifteen months", "15 months", "15 month", "15-month"),
    ("nine hundred and ninety-nine thousand nine hundred and ninety-nine", "999,999"),
    ("one hundred and two thousand", "102,000"),
    ("one hour", "1 hour", "1 h"),
    ("one", "1", "One."),
    ("minus five degrees", "-5 degrees", "\u22125°"),
    ("EUR 3,500", "€3,500", "3500 euros", "3,500 EUR", "three thousand five hundred euros"),
    ("$70", "70 US dollars", "US$70", "seventy dollars"),
    ("€3 million", "3,000,000 euros", "three million euros"),
    ("59.3 per cent", "59.3%", "59.3 percent", "59.3 %"),
    ("65 °C", "65 degrees Celsius", "65 degrees C", "65℃", "sixty-five degrees Celsius"),
    ("16 metres", "16 m", "16m", "16 meters", "sixteen metres"),
    ("100 MWh", "100 megawatt-hours", "100MWh"),
    ("90 km/h", "90 kilometres an hour", "90 kilometers per hour"),
    ("19 July 2026", "July 19th, 2026", "the 19th of July 2026", "2026-07-19", "19 Jul 2026", "19 July, 2026"),
    ("3 September", "September 3rd", "Sept 3", "03 Sep"),
    ("E-2042", "e-2042", "E2042", "(E-2042)"),
    ("Sándor Kocsis", "Sandor Kocsis", "sándor  kocsis"),
    ("Mr Dargan's", "Mr Dargan", "mr dargan\u2019s"),
    ("the U.K.", "UK", "U.K"),
    ("a boat", "The boat!", "boat"),
    ("2018\u201319", "2018-19"),
    ("0.5", ".5"),
]
DIFFERENT = [
    ("10", "2010"),
    ("4.2", "42"),
    ("1-0", "10"),
    ("1-0", "0-1"),
    ("5 degrees", "-5 degrees"),
    ("4.20", "4.2"),
    ("16/27", "1627"),
    ("03:01", "301"),
    ("F-14", "14"),
    ("EUR 55", "55"),
    ("19 July 2026", "7 July 2026"),
    ("between one hundred and two hundred", "300"),
    ("two minus two", "two -2"),
]


@pytest.mark.parametrize("forms", SAME, ids=lambda forms: forms[0])
def test_forms_of_one_answer_are_the_same(forms: tuple[str, ...]) -> None:
    assert {form: normalise(form) for form in forms} == dict.fromkeys(forms, normalise(forms[0]))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_answers_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("On 19 Jul 2026, Spain beat Argentina 1-0.", "on 19 july 2026 spain beat argentina 1-0"),
        ("EUR 1,000 or 59.3% of it", "1000 euro or 59.3 percent of it"),
        ("One of the two teams", "one of 2 teams"),
        ("in the 1990s", "in 1990s"),
        ("14-3-3 protein", "14-3-3 protein"),
        ("two or three", "2 or 3"),
        ("between one hundred and two hundred", "between 100 and 200"),
        ("between one thousand and two thousand", "between 1000 and 2000"),
        ("two million and three thousand", "2003000"),
        ("nineteen fifty", "19 50"),
        ("1,5", "1 5"),
        ("19/07/2026", "19/07/2026"),
        ("May 2020", "may 2020"),
        ("The A", "the a"),
        ("", ""),
        (" ...!", ""),
        ("% $", ""),
    ],
)
def test_hand_worked_forms(text: str, normal: str) -> None:
    assert normalise(text) == normal


def squad(text: str) -> str:
    """The official rules of SQuAD: lower case, no punctuation, no articles, single spaces."""
    bare = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


PLAIN = st.lists(
    st.sampled_from(
        [
            "the",
            "a",
            "an",
            "Spain",
            "won",
            "with",
            "goals",
            "from",
            "Ferran",
            "Torres",
            "palm",
            "oil",
            "butcher",
            "they",
            "lost",
        ]
    ),
    min_size=1,
)


@given(PLAIN, st.sampled_from(["", ".", "!", " ?", ","]))
def test_plain_words_come_out_as_the_official_rules_have_them(words: list[str], mark: str) -> None:
    text = f" {mark} ".join(words) + mark
    if squad(text):  # here they differ on purpose: "The A" is kept
        assert normalise(text) == squad(text)


PIECES = st.sampled_from(
    [
        "one",
        "two",
        "nine",
        "ten",
        "twenty",
        "forty-two",
        "hundred",
        "thousand",
        "million",
        "and",
        "a",
        "the",
        "1,000",
        "4.2",
        "-5",
        "1-0",
        "0",
        "7",
        "12",
        "EUR",
        "€",
        "$",
        "%",
        "°C",
        "m",
        "kg",
        "kWh",
        "euros",
        "hours",
        "July",
        "19th",
        "of",
        "2026",
        "2026-07-19",
        "minus",
        "E-2042",
        "U.K.",
        "Sándor's",
        "teams",
        ",",
        ".",
        ":",
        "/",
        "-",
        "(",
        "30-day",
        "03:01",
        "may",
        "st",
    ]
)


@given(st.lists(PIECES, max_size=8).map(" ".join))
def test_form_has_neither_capitals_nor_stray_marks(text: str) -> None:
    for token in normalise(text).split():
        assert re.fullmatch(r"-?\d+(?:[.:/-]\d+)*|[^\W_]+", token), (text, token)
        assert token == token.casefold()


@given(st.integers(0, 999_999))
def test_digits_and_words_of_a_number_agree(number: int) -> None:
    assert normalise(f"{number:,}") == normalise(spelt(number)) == str(number)


def spelt(number: int) -> str:
    small = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
    ]
    small += ["seventeen", "eighteen", "nineteen"]
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    if number < 20:
        return small[number]
    if number < 100:
        return tens[number // 10 - 2] + (f"-{small[number % 10]}" if number % 10 else "")
    if number < 1000:
        return f"{small[number // 100]} hundred" + (f" and {spelt(number % 100)}" if number % 100 else "")
    rest = number % 1000
    link = " and " if 0 < rest < 100 else " "
    return f"{spelt(number // 1000)} thousand" + (f"{link}{spelt(rest)}" if rest else "")


def test_gold_answers_of_the_course_survive_a_second_pass() -> None:
    for question in load_questions():
        for answer in question.answers:
            assert normalise(answer)
            assert normalise(normalise(answer)) == normalise(answer)


@pytest.mark.parametrize("text", [None, 1954, ["Spain"]])
def test_only_text_has_a_form(text: object) -> None:
    with pytest.raises(TypeError, match="text must be a str, got"):
        normalise(text)  # type: ignore[arg-type]

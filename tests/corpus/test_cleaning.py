"""Repairs of extracted text: each by hand, what must stay, and the report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.corpus.cleaning import (
    STEPS,
    Change,
    Cleaned,
    Step,
    clean_pages,
    join_broken_words,
    join_wrapped_lines,
    plain_characters,
    single_spaces,
    trimmed_lines,
    without_page_numbers,
    without_running_lines,
)

any_pages = st.lists(st.text("aB1-. \n\u00adﬁ|7", max_size=60), max_size=5)


def only(step: Step, *pages: str) -> tuple[str, ...]:
    return step(pages).pages


# ---------------------------------------------------------------- what holds for every step


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
@given(pages=any_pages)
def test_pages_stay_as_many_and_a_change_is_reported(step: Step, pages: list[str]) -> None:
    cleaned = step(pages)
    assert len(cleaned.pages) == len(pages)
    for number, (before, after) in enumerate(zip(pages, cleaned.pages, strict=True), start=1):
        assert (before != after) == any(change.page == number for change in cleaned.changes)
    assert all(change.times >= 1 for change in cleaned.changes)


@given(any_pages)
def test_no_letter_is_added_by_cleaning(pages: list[str]) -> None:
    def letters(text: str) -> str:
        return "".join(c for c in text if c in "aB1.|7")

    cleaned = clean_pages(pages).pages
    for before, after in zip(pages, cleaned, strict=True):
        rest = iter(letters(before))
        assert all(letter in rest for letter in letters(after))  # a subsequence: lines may be dropped, none invented


@given(any_pages)
def test_spaces_are_single_and_lines_end_in_letters(pages: list[str]) -> None:
    for page in single_spaces(pages).pages:
        assert "  " not in page and " \n" not in page and "\n " not in page and "\n\n\n" not in page
        assert page == page.strip("\n")
    assert single_spaces(single_spaces(pages).pages).changes == ()


def test_a_bare_text_is_no_list_of_pages() -> None:
    with pytest.raises(TypeError, match=r"pages must be a list of str, got one str; write \['One page'\]"):
        clean_pages("One page")


# ---------------------------------------------------------------- characters


def test_characters_by_hand() -> None:
    cleaned = plain_characters(["e\u0301t\u00e9 \ufb01nd\u00adings 5\u00a0m\u00b2 \u00bd\r\nof\ufb01ce"])
    assert cleaned.pages == ("été findings 5 m² ½\noffice",)  # NFKC would have made m2 and 1⁄2
    assert cleaned.counts() == {"characters": 4, "accents": 1}  # two fi, a soft hyphen, a hard space; one accent
    assert Change("accents", 1, "e\u0301", "é") in cleaned.changes


def test_plain_text_is_left_alone() -> None:
    assert plain_characters(["Rain – “5 °C”, naïve, 日本"]) == Cleaned(("Rain – “5 °C”, naïve, 日本",))


# ---------------------------------------------------------------- page numbers


@pytest.mark.parametrize("form", ["{}", "- {} -", "Page {} of 9", "page {}", "{} / 9", "| {} |"])
def test_numbers_that_grow_with_the_pages_go(form: str) -> None:
    pages = [f"Text {word}\n{form.format(number)}" for number, word in ((7, "a"), (8, "b"), (9, "c"))]
    assert only(without_page_numbers, *pages) == ("Text a", "Text b", "Text c")


def test_other_numbers_stay() -> None:
    """1998 and 2002 stand at the edge of two pages, but they do not grow by one; 12 stands in the middle."""
    pages = ("1998\nfirst\n12\nsecond\nthird\nfourth", "2002\nfirst\nsecond")
    assert only(without_page_numbers, *pages) == pages
    assert only(without_page_numbers, "Text\n1") == ("Text\n1",)  # one page: nothing to compare with


def test_a_year_among_page_numbers_stays() -> None:
    """Pages 1 to 3 end in 1, 2, 3; the first line of the second is a year."""
    cleaned = only(without_page_numbers, "a\nb\nc\n1", "1998\nb\nc\n2", "a\nb\nc\n3")
    assert cleaned == ("a\nb\nc", "1998\nb\nc", "a\nb\nc")


# ---------------------------------------------------------------- running lines


def test_headers_and_footers_go() -> None:
    pages = [
        f"Handbook, page {n}\nBody {c}\nThe same\nrest {c}\n© Saltmarsh" for n, c in ((1, "a"), (2, "b"), (3, "c"))
    ]
    cleaned = without_running_lines(pages)
    assert cleaned.pages == tuple(f"Body {c}\nThe same\nrest {c}" for c in "abc")
    assert cleaned.counts() == {"running lines": 6}


def test_a_line_on_two_pages_stays() -> None:
    pages = ("Handbook\na", "Handbook\nb")
    assert only(without_running_lines, *pages) == pages


def test_a_line_on_few_of_many_pages_stays() -> None:
    """On three of eight pages: fewer than 40 %, 3.2."""
    pages = [f"{'Chapter' if n < 3 else f'Line {chr(97 + n)}'}\nBody {chr(97 + n)}" for n in range(8)]
    assert only(without_running_lines, *pages) == tuple(pages)
    assert "Chapter" not in "".join(only(without_running_lines, *pages[:7]))  # three of seven, 2.8: it goes


def test_a_line_that_repeats_in_the_middle_stays() -> None:
    pages = [f"{c}1\n{c}2\nThe same\n{c}3\n{c}4" for c in "xyz"]
    assert only(without_running_lines, *pages) == tuple(pages)


# ---------------------------------------------------------------- broken words


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("the elec-\ntricity bill", "the electricity\nbill"),
        ("the elec- \n tricity, then", "the electricity,\nthen"),
        ("Anglo-\nSaxon", "Anglo-Saxon\n"),  # a capital follows
        ("from 1914-\n1918 on", "from 1914-1918\non"),  # a digit follows
        ("error E-\n2041", "error E-2041\n"),
        ("a well-known one, a well-\nknown two", "a well-known one, a well-known\ntwo"),  # the document's own hyphen
        ("online, on-line, online, on-\nline", "online, on-line, online, online\n"),  # more often without
        ("elec-\ntricity\nNext", "electricity\nNext"),
        ("elec-\ntricity.\n\nNext", "electricity.\n\nNext"),
        ("a dash -\nhere", "a dash -\nhere"),
        ("- item\n- item", "- item\n- item"),
    ],
)
def test_broken_words_by_hand(page: str, expected: str) -> None:
    assert only(join_broken_words, page) == (expected,)


def test_the_hyphen_of_another_page_counts() -> None:
    assert only(join_broken_words, "a well-\nknown one", "a well-known two")[0] == "a well-known\none"


# ---------------------------------------------------------------- wrapped lines

WRAPPED = "The meter was read on the first of the\nmonth, and the bill came a week later.\nShort line.\nA new paragraph begins here and goes on\nto the end."


def test_wrapped_lines_by_hand() -> None:
    """Lines of 38, 38, 11, 39 and 11 characters: the width is 38 or 39. "month," would not have fitted after 38
    characters, nor "to" after 39; "A" would have fitted after "Short line." """
    (page,) = only(join_wrapped_lines, WRAPPED)
    assert page.split("\n") == [
        "The meter was read on the first of the month, and the bill came a week later. Short line.",
        "A new paragraph begins here and goes on to the end.",
    ]


def test_a_heading_stays_alone() -> None:
    """The width is 39, 85 % of it 33: after 27 characters, "The" (3 and a space) would have fitted, so the line ends."""
    text = "Opening hours of the office\nThe office is open from eight until six\nfrom Monday to Friday, and until four on\nthe rest."
    assert only(join_wrapped_lines, text)[0].split("\n")[0] == "Opening hours of the office"


def test_list_items_and_empty_lines_begin_anew() -> None:
    text = "The meter was read on the first of the\n- month, and the bill came a week later\n\nto the address that we had on the file"
    assert only(join_wrapped_lines, text) == (text,)


@pytest.mark.parametrize("text", ["short\nlines\nhere", "x" * 130 + "\n" + "y" * 130, ""])
def test_lines_that_are_not_wrapped_stay(text: str) -> None:
    assert only(join_wrapped_lines, text) == (text,)


# ---------------------------------------------------------------- white space and the report


def test_white_space_by_hand() -> None:
    assert only(single_spaces, "\n  a   b \n\n\n\n c\n") == ("a b\n\nc",)
    assert only(trimmed_lines, "\n  a   b \n\n\n\n c\n") == ("  a   b\n\n c",)  # the indent of code stays


def test_all_steps_together() -> None:
    """What a two-column brochure looks like after extraction: header, ligature, broken and wrapped lines, number."""
    body = [
        "The of\ufb01ce reads every meter on the \ufb01rst\nday of the month, and the elec-\ntricity bill  follows a week after that.",
        "A second page speaks of the refund that\nis due to customers who have left us.",
        "The third page names the telephone line\nthat is open from eight until six daily.",
    ]
    cleaned = clean_pages([f"Saltmarsh Energy\n{text}\n- {n} -" for n, text in enumerate(body, start=4)])
    assert cleaned.pages == (
        "The office reads every meter on the first day of the month, and the electricity bill follows a week after that.",
        "A second page speaks of the refund that is due to customers who have left us.",
        "The third page names the telephone line that is open from eight until six daily.",
    )
    assert cleaned.counts() == {
        "characters": 2,
        "page numbers": 3,
        "running lines": 3,
        "broken words": 1,
        "wrapped lines": 4,
        "white space": 1,
    }
    assert "broken words: 1; the first on page 1: 'elec-\\ntricity' -> 'electricity'" in str(cleaned)


def test_nothing_to_repair() -> None:
    assert str(clean_pages(["A clean line."])) == "nothing to repair"
    assert clean_pages([]) == Cleaned(())

"""Markdown without its marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.corpus.markdown import markdown_text


def plain(text: str) -> str:
    return markdown_text(text)[0].strip()


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("# Heading", "Heading"),
        ("### Heading ###", "Heading"),
        ("#no heading", "#no heading"),
        ("A [link](http://a.b/c_(d)) here", "A link here"),
        ('A [link](x.md "with a title")', "A link"),
        ("A [link][ref]\n\n[ref]: http://a.b", "A link"),
        ("<https://a.b/c>", "https://a.b/c"),
        ("![A cat](cat.png)", "A cat"),
        ("**bold** and *emphasis* and __bold__ and _emphasis_", "bold and emphasis and bold and emphasis"),
        ("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4"),
        ("`code_x` and ``a ` b``", "code_x and a ` b"),
        ("wrapped\nlines  \nof one", "wrapped lines of one"),
        ("> quoted\n> words", "quoted words"),
        ("- one\n  and more\n- two", "- one and more\n- two"),
        ("1. one\n2. two", "1. one\n2. two"),
        ("Text\n- one", "Text\n- one"),
        ("a\n\n***\n\nb", "a\n\n\n\nb"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "| a | b |\n| 1 | 2 |"),
        ("x <!-- hidden\n words --> y", "x  y"),
        ("<div>inside</div>", "inside"),
        ("Fish &amp; chips &lt; 5", "Fish & chips < 5"),
        (r"\*not emphasis\*", "*not emphasis*"),
        ("Title\n=====\n\ntext", "Title\n\n\ntext"),  # empty lines are cleaned later
        ("Part\n----\ntext", "Part\n\ntext"),
    ],
)
def test_marks_go_and_words_stay(marked: str, expected: str) -> None:
    assert plain(marked) == expected


def test_code_is_kept_as_it_is() -> None:
    text = "Before\n```python\n# no heading\n    x = *y*\n```\nAfter\n\n~~~\n```\n~~~"
    assert plain(text) == "Before\n# no heading\n    x = *y*\nAfter\n\n```"


def test_a_fence_that_is_never_closed_holds_the_rest() -> None:
    assert plain("a\n```\n# b\n\n*c*") == "a\n# b\n\n*c*"


def test_front_matter_is_read_and_dropped() -> None:
    text = '---\ntitle: "Meters: a guide"\nDate: 2024-05-06\ntags:\n  - a\n---\n# Other\ntext'
    assert markdown_text(text) == ("\nOther\n\ntext\n", {"title": "Meters: a guide", "date": "2024-05-06", "tags": ""})


def test_a_rule_at_the_start_is_no_front_matter() -> None:
    text, front = markdown_text("---\nwords without an end")
    assert (text.strip(), front) == ("words without an end", {})


@pytest.mark.parametrize(
    ("text", "title"), [("# One\n# Two", "One"), ("## Two\n# *One*", "One"), ("One\n===", "One"), ("text", None)]
)
def test_the_first_heading_is_the_title(text: str, title: str | None) -> None:
    assert markdown_text(text)[1].get("title") == title


@given(st.text("ab#*_`[]()>|-~=!\\<& \n", max_size=80))
def test_no_text_breaks_it_and_no_letter_is_lost_outside_tags(text: str) -> None:
    plain_text, _ = markdown_text(text)
    if not set("<[(&-`~") & set(text):
        assert [c for c in plain_text if c in "ab"] == [c for c in text if c in "ab"]

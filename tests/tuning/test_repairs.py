"""Repairs of texts and labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.tuning.prepare import as_dataset
from course_lib.tuning.repairs import (
    canonical_label,
    read_as_utf8,
    read_quoted_printable,
    repaired_labels,
    repaired_texts,
    without_markup,
)

LABELS = ("meter_fault", "meter_reading", "moving_in", "moving_out")


@pytest.mark.parametrize(
    ("broken", "meant"),
    [
        ("donâ€™t", "don’t"),
        ("30 â‚¬", "30 €"),
        ("cafÃ©", "café"),
        ("café", "café"),
        ("30 €", "30 €"),
        ("plain", "plain"),
    ],
)
def test_characters_read_wrongly(broken: str, meant: str) -> None:
    assert read_as_utf8(broken) == meant


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_ascii_is_never_touched(text: str) -> None:
    assert read_as_utf8(text) == text


def test_quoted_printable_needs_to_show_twice() -> None:
    assert read_quoted_printable("She=E2=80=99s here") == "She’s here"
    assert read_quoted_printable("one line=\nand its rest") == "one lineand its rest"
    assert read_quoted_printable("counter=20 today") == "counter=20 today"
    assert read_quoted_printable("=E2=FF broken") == "=E2=FF broken"


def test_markup() -> None:
    assert without_markup("<p>Fish &amp; chips</p>\n<br/>now") == "Fish & chips now"
    assert without_markup("&lt;p&gt;it&amp;#39;s&lt;/p&gt;") == "it's"
    assert without_markup("5 < 6 and 7 > 3") == "5 < 6 and 7 > 3"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("METER_READING", "meter_reading"), ("meter-fault", "meter_fault"), ("MovingOut", "moving_out"),
        (" moving_in ", "moving_in"), ("meter_fualt", "meter_fault"), ("billing", None), ("", None),
    ],
)  # fmt: skip
def test_labels_as_they_were_meant(written: str, meant: str | None) -> None:
    assert canonical_label(written, LABELS) == meant
    with pytest.raises(ValueError, match="labels must hold"):
        canonical_label(written, ())


def test_steps_say_what_they_did() -> None:
    data = as_dataset([
        {"id": "1", "text": "donâ€™t <b>go</b>", "label": "Meter Fault"},
        {"id": "2", "text": "fine", "label": "weather"},
    ])  # fmt: skip
    texts = repaired_texts(data)
    assert texts.dataset["text"][0] == "don’t go" and texts.changed[0].why == "characters and markup or space"
    labels = repaired_labels(data, LABELS)
    assert [each.why for each in labels.removed] == ["unknown label 'weather'"]
    assert [(each.before, each.after) for each in labels.changed] == [("Meter Fault", "meter_fault")]

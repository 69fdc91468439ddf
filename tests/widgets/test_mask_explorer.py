"""The label mask explorer: which tokens count, how it is shown, and the widget driven by its traits."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.widgets.label_mask import (
    ASSISTANT,
    END,
    MARKS,
    MASKS,
    TEMPLATES,
    MaskView,
    explore_mask,
    token_texts,
)
from course_lib.widgets.mask_explorer import mask_explorer_demo, mask_explorer_widget

OWN, NAMES, BARE = TEMPLATES
ONE = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Is it <open>?"},
    {"role": "assistant", "content": "Yes, we are open."},
]
TWO = [*ONE, {"role": "user", "content": "Until when?"}, {"role": "assistant", "content": "Until 6."}]


def words(text: str) -> list[str]:
    """A made-up tokeniser: marks, line breaks, words with the blank before them, and signs."""
    return re.findall(r"<\|\w+\|>|\n| ?\w+|\S| ", text)


def view(conversation: Any = ONE, **options: Any) -> MaskView:
    return explore_mask(conversation, words, **options)


def counted(found: MaskView) -> str:
    return "".join(token.text for token in found.tokens if token.counts)


# ---------------------------------------------------------------- which tokens count


def test_by_hand() -> None:
    """Yes / , / we / are / open / . and the end: 7 of 30."""
    found = view()
    assert counted(found) == "Yes, we are open.<|im_end|>" and found.n_counted == 7
    assert len(found.tokens) == 30 and found.rows() == [
        (MARKS, 3 + 1 + 3 + 1 + 3, 0),
        ("system", 3, 0),
        (END, 3, 1),
        ("user", 6 + 1, 0),
        (ASSISTANT, 6, 6),
    ]


def test_the_text_is_that_of_the_template() -> None:
    assert "".join(token.text for token in view(TWO).tokens) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nIs it <open>?<|im_end|>\n<|im_start|>assistant\n"
        "Yes, we are open.<|im_end|>\n<|im_start|>user\nUntil when?<|im_end|>\n<|im_start|>assistant\nUntil 6.<|im_end|>"
    )
    assert "".join(token.text for token in view(template=NAMES).tokens) == (
        "System: Be kind.\n\nUser: Is it <open>?\n\nAssistant: Yes, we are open.\n\n"
    )
    assert "".join(token.text for token in view(template=BARE).tokens) == "Be kind.\nIs it <open>?\nYes, we are open.\n"


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        ("every answer", "Yes, we are open.<|im_end|>Until 6.<|im_end|>"),
        ("last answer", "Until 6.<|im_end|>"),
        ("answers without their end", "Yes, we are open.Until 6."),
    ],
)
def test_each_mask(mask: str, text: str) -> None:
    assert counted(view(TWO, mask=mask)) == text


def test_everything_is_everything() -> None:
    found = view(TWO, mask="everything")
    assert found.n_counted == len(found.tokens)


@given(st.sampled_from(list(TEMPLATES)), st.sampled_from(MASKS), st.sampled_from([ONE, TWO]))
def test_parts_add_up_and_no_reader_is_learnt(template: str, mask: str, conversation: Any) -> None:
    found = view(conversation, template=template, mask=mask)
    assert sum(total for _, total, _ in found.rows()) == len(found.tokens)
    assert sum(n for *_, n in found.rows()) == found.n_counted > 0
    if mask != "everything":
        assert not any(token.counts for token in found.tokens if token.part in (MARKS, "system", "user"))


def test_what_follows_the_last_answer_is_left_out() -> None:
    assert view([*ONE, {"role": "user", "content": "Thanks"}]) == view()


def test_a_token_reader_of_transformers() -> None:
    class Tokenizer:
        def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
            assert add_special_tokens is False
            return {"input_ids": [ord(letter) for letter in text]}

        def decode(self, ids: list[int]) -> str:
            return "".join(map(chr, ids))

    assert token_texts(Tokenizer())("ab\n") == ["a", "b", "\n"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "Alpaca"}, "template must be one of ChatML"),
        ({"mask": "nothing"}, "mask must be one of every answer"),
        ({"conversation": ONE[:2]}, "must hold a turn of the assistant"),
        ({"conversation": []}, "must hold a turn of the assistant"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        view(**options)


# ---------------------------------------------------------------- what is shown


def test_the_notes_say_what_follows() -> None:
    assert view().notes() == ["Each answer is learnt, with the end of its turn, and nothing else."]
    (everything,) = view(mask="everything").notes()
    assert everything.startswith("23 of 30 counted tokens are not the model's")  # 11 marks, 3 and 7 words, 2 ends
    assert "until it is cut" in view(mask="answers without their end").notes()[0]
    assert "Only 1 of 2 answers" in view(TWO, mask="last answer").notes()[0]
    assert view(mask="last answer").notes() == view().notes()
    assert "tuned with other marks" in view(template=BARE).notes()[0]


def test_the_alt_text_says_what_is_drawn() -> None:
    assert (
        view()
        .alt()
        .startswith(
            "30 tokens, 7 count (23%). Template: ChatML, the model's own. Counted: every answer. By part: template 0 of 11; "
            "system 0 of 3; end of turn 1 of 3; user 0 of 7; assistant 6 of 6."
        )
    )


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("template", list(TEMPLATES))
def test_the_markup_is_sound_and_holds_every_token(template: str, mask: str) -> None:
    found = view(TWO, template=template, mask=mask)
    page = ElementTree.fromstring(f"<page>{found.table()}{found.html()}</page>")
    box = page.find("div")
    assert box is not None and box.get("role") == "region"
    spans = box.findall("span")
    assert [span.text for span in spans] == [token.text.replace("\n", "⏎\n") for token in found.tokens]
    tinted = ["font-weight:bold" in (span.get("style") or "") for span in spans]  # told apart without colour
    assert tinted == [token.counts for token in found.tokens]
    rows = page.findall("table/tr")
    assert len(rows) == 1 + len(found.rows())


def test_what_is_shown_is_not_run() -> None:
    sly = [{"role": "user", "content": "<script>x</script>"}, {"role": "assistant", "content": "<b>"}]
    found = explore_mask(sly, lambda text: [text])
    assert "<script" not in found.html() and "&lt;script&gt;x" in found.html() and "<b>" not in found.html()
    assert "<|im_end|>" not in view().html()


# ---------------------------------------------------------------- the widget


@pytest.fixture
def widget() -> Any:
    return mask_explorer_widget({"one turn": ONE, "two turns": TWO}, words)


def test_it_shows_a_result_before_anything_is_touched(widget: Any) -> None:
    chooser, template, mask, shown = widget.children
    assert (chooser.value, template.value, mask.value) == ("one turn", OWN, "every answer")
    assert shown.value == view().table() + view().html()
    assert all(control.description for control in (chooser, template, mask))  # for who reads by ear


def test_each_control_changes_the_picture(widget: Any) -> None:
    chooser, template, mask, shown = widget.children
    chooser.value = "two turns"
    mask.value = "last answer"
    assert shown.value == view(TWO, mask="last answer").table() + view(TWO, mask="last answer").html()
    template.value = NAMES
    found = view(TWO, mask="last answer", template=NAMES)
    assert shown.value == found.table() + found.html()


def test_readers_without_a_kernel_see_the_first_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    bundles: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: bundles.append(bundle))
    mask_explorer_demo({"two turns": TWO, "one turn": ONE}, words)
    (bundle,) = bundles
    assert bundle["text/plain"] == view(TWO).alt() and bundle["text/html"] == view(TWO).table() + view(TWO).html()


def test_no_conversation_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one conversation"):
        mask_explorer_widget({}, words)

"""Streaming: the pieces are the reply, whole characters only; it ends when the reader leaves; errors come through."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.core.protocols import Message
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.stopping import FIRST_SENTENCE, pieces
from course_lib.generation.streaming import stream


def talk(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


STORY = talk("Tell me a long story about a ship.")


def decoding() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "decoding"]


@pytest.mark.parametrize("stop", [(), ("e",), (" w", "\n"), FIRST_SENTENCE])
def test_joined_they_are_the_reply(stop: Any, tiny_model: LanguageModel) -> None:
    """Random weights say random bytes: half characters in the middle and at the end, which no real model shows so often."""
    broken = 0
    for number in range(6):
        reply = tiny_model.generate(talk(f"Number {number}?"), max_new_tokens=20, stop=stop)
        found = list(stream(tiny_model, talk(f"Number {number}?"), max_new_tokens=20, stop=stop))
        assert "".join(found) == reply and all(found)
        broken += "\ufffd" in reply
    assert broken or stop, "no half character came up: this test shows less than it says"


def test_the_real_model_streams_what_it_says(language_model: LanguageModel) -> None:
    whole = language_model.generate(STORY, max_new_tokens=24)
    found = list(stream(language_model, STORY, max_new_tokens=24))
    assert "".join(found) == whole and len(found) > 12
    first = list(stream(language_model, STORY, max_new_tokens=60, stop=FIRST_SENTENCE))
    assert "".join(first) == language_model.generate(STORY, max_new_tokens=60, stop=FIRST_SENTENCE)


@settings(max_examples=60)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_no_token_of_the_real_tokenizer_is_shown_by_half(language_model: LanguageModel, text: str) -> None:
    """Any text, written token by token: 🙂 and 漢 are several tokens each. A few bytes have no token at all."""
    tokens = language_model.tokenizer(text, add_special_tokens=False)["input_ids"]
    growing = [language_model.text(tokens[: n + 1]) for n in range(len(tokens))]
    found = list(pieces(growing))
    assert "".join(found) == language_model.text(tokens).strip()
    assert "\ufffd" in language_model.text(tokens) or not any("\ufffd" in piece for piece in found)


def test_a_character_of_several_tokens_comes_whole(language_model: LanguageModel) -> None:
    tokens = language_model.tokenizer("é 🙂 漢字", add_special_tokens=False)["input_ids"]
    growing = [language_model.text(tokens[: n + 1]) for n in range(len(tokens))]
    assert any(text.endswith("\ufffd") for text in growing), "the tokenizer must cut characters, or this shows nothing"
    assert "".join(pieces(growing)) == "é 🙂 漢字"


def test_who_leaves_early_ends_the_decoding(tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    forward = tiny_model.model.forward

    def counting(*args: Any, **kwargs: Any) -> Any:
        made.append(1)
        return forward(*args, **kwargs)

    monkeypatch.setattr(tiny_model.model, "forward", counting)
    question = talk("Number 1?")
    list(stream(tiny_model, question, max_new_tokens=100))
    whole = len(made)
    found = stream(tiny_model, question, max_new_tokens=100)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert decoding() == []
    assert len(made) - whole <= whole
    for piece in stream(tiny_model, question, max_new_tokens=100):
        assert piece
        break
    assert decoding() == []


def test_a_stop_rule_ends_the_decoding(tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiny_model.generate(talk("Number 2?"), max_new_tokens=30)
    made: list[int] = []
    forward = tiny_model.model.forward
    monkeypatch.setattr(tiny_model.model, "forward", lambda *args, **kwargs: made.append(1) or forward(*args, **kwargs))
    assert (
        "".join(stream(tiny_model, talk("Number 2?"), max_new_tokens=30, stop=whole[3]))
        == whole[: whole.index(whole[3])].rstrip()
    )
    assert len(made) < 15 and decoding() == []


def test_nothing_starts_before_the_first_piece_is_asked_for(tiny_model: LanguageModel) -> None:
    found = stream(tiny_model, talk("Number 1?"), max_new_tokens=5)
    assert decoding() == []
    assert "".join(found) == tiny_model.generate(talk("Number 1?"), max_new_tokens=5)


def test_bad_arguments_raise_at_the_call(tiny_model: LanguageModel) -> None:
    with pytest.raises(ValueError, match=r"must fit into 160 tokens, got \d+ \+ 48; pass fewer or shorter"):
        stream(tiny_model, talk("word " * 200))
    with pytest.raises(ValueError, match="max_new_tokens must be at least 1, got 0"):
        stream(tiny_model, talk("word"), max_new_tokens=0)
    with pytest.raises(ValueError, match="stop must hold no empty string"):
        stream(tiny_model, talk("word"), stop="")
    assert decoding() == []


def test_an_error_while_decoding_reaches_the_reader(tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise MemoryError("no more")

    monkeypatch.setattr(tiny_model.model, "forward", fails)
    with pytest.raises(MemoryError, match="no more"):
        list(stream(tiny_model, talk("word"), max_new_tokens=5))
    assert decoding() == []


def test_a_generator_that_streams_by_itself_is_asked() -> None:
    class Own:
        def stream(self, messages: Sequence[Message], *, max_new_tokens: int, stop: Any = ()) -> Iterator[str]:
            return iter([messages[0]["content"], str(max_new_tokens), str(stop)])

    assert list(stream(Own(), talk("a"), max_new_tokens=3, stop=("x",))) == ["a", "3", "('x',)"]


def test_a_generator_that_cannot_stream() -> None:
    with pytest.raises(TypeError, match="model must be a LanguageModel or have a method stream, got object"):
        stream(object(), talk("a"))  # type: ignore[arg-type]

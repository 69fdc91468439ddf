"""Replies on disk: made once, per model, prompt and length; damaged files and several objects; seconds that do not lie."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from course_lib.core.protocols import Message
from course_lib.generation import cached
from course_lib.generation.cached import FRESH, CachedGenerator
from course_lib.generation.prompting import build_prompt
from course_lib.generation.stopping import FIRST_SENTENCE


class Counting:
    """Answers each conversation with its last words, upside down, and remembers what it was asked for."""

    def __init__(self, pause: float = 0.0) -> None:
        self.asked: list[tuple[str, int]] = []
        self.pause = pause

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate_many(
        self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int, batch_size: int
    ) -> list[str]:
        time.sleep(self.pause * len(conversations))
        self.asked += [(talk[-1]["content"], max_new_tokens) for talk in conversations]
        return [talk[-1]["content"][::-1][:max_new_tokens] for talk in conversations]


def talk(text: str, system: str = "") -> list[Message]:
    turns = [{"role": "system", "content": system}] if system else []
    return [*turns, {"role": "user", "content": text}]


def test_what_was_said_once_is_not_asked_again(tmp_path: Path) -> None:
    model = Counting()
    generator = CachedGenerator(model, "a", folder=tmp_path)
    assert generator.generate_many([talk("abc"), talk("xyz")], max_new_tokens=9) == ["cba", "zyx"]
    assert generator.generate_many([talk("xyz"), talk("new"), talk("abc")], max_new_tokens=9) == ["zyx", "wen", "cba"]
    assert model.asked == [("abc", 9), ("xyz", 9), ("new", 9)]
    assert generator.n_made == 3


def test_another_process_finds_it(tmp_path: Path) -> None:
    CachedGenerator(Counting(), "a", folder=tmp_path).generate(talk("Grüße\n\u2028 🙂"), max_new_tokens=9)
    later = Counting()
    assert (
        CachedGenerator(later, "a", folder=tmp_path).generate(talk("Grüße\n\u2028 🙂"), max_new_tokens=9)
        == "Grüße\n\u2028 🙂"[::-1][:9]
    )
    assert later.asked == []


def test_one_prompt_twice_in_a_batch_is_decoded_once(tmp_path: Path) -> None:
    model = Counting()
    assert CachedGenerator(model, "a", folder=tmp_path).generate_many([talk("ab")] * 3, max_new_tokens=4) == ["ba"] * 3
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    "change",
    [{"identity": "b"}, {"max_new_tokens": 2}, {"system": "Be brief."}, {"text": "abc "}],
    ids=["model", "length", "system", "prompt"],
)
def test_anything_else_is_asked_anew(change: dict[str, str], tmp_path: Path) -> None:
    CachedGenerator(Counting(), "a", folder=tmp_path).generate(talk("abc"), max_new_tokens=3)
    settings = {"identity": "a", "max_new_tokens": 3, "system": "", "text": "abc"} | change
    model = Counting()
    CachedGenerator(model, str(settings["identity"]), folder=tmp_path).generate(
        talk(str(settings["text"]), str(settings["system"])), max_new_tokens=int(settings["max_new_tokens"])
    )
    assert len(model.asked) == 1


def test_the_seconds_are_those_of_the_making(tmp_path: Path) -> None:
    """Two replies of 0.05 seconds each: 0.1, whether they are made now or come from the disk."""
    first = CachedGenerator(Counting(pause=0.05), "a", folder=tmp_path)
    first.generate_many([talk("abc"), talk("xyz")], max_new_tokens=3)
    second = CachedGenerator(Counting(), "a", folder=tmp_path)
    second.generate_many([talk("abc"), talk("xyz")], max_new_tokens=3)
    assert first.seconds >= 0.1
    assert second.seconds == pytest.approx(first.seconds, abs=0.001) and second.n_made == 0
    second.generate(talk("abc"), max_new_tokens=3)
    assert second.seconds == pytest.approx(1.5 * first.seconds, abs=0.001)


def test_a_damaged_file_costs_only_what_was_damaged(tmp_path: Path) -> None:
    generator = CachedGenerator(Counting(), "a", folder=tmp_path)
    generator.generate_many([talk("abc"), talk("xyz")], max_new_tokens=3)
    whole = generator.path.read_text(encoding="utf-8").strip().splitlines()
    others = ["not json", "[1, 2]", '{"key": "k"}', '{"key": "k", "reply": "r", "seconds": "soon"}', "\x00\xff"]
    generator.path.write_text("\n".join([whole[0], *others, whole[1][: len(whole[1]) // 2]]), encoding="utf-8")
    model = Counting()
    again = CachedGenerator(model, "a", folder=tmp_path)
    assert again.generate_many([talk("abc"), talk("xyz")], max_new_tokens=3) == ["cba", "zyx"]
    assert model.asked == [("xyz", 3)]
    last = Counting()
    CachedGenerator(last, "a", folder=tmp_path).generate_many([talk("abc"), talk("xyz")], max_new_tokens=3)
    assert last.asked == [], "what was written after a line that was cut short must be readable"


def test_two_that_write_lose_nothing(tmp_path: Path) -> None:
    one, two = (CachedGenerator(Counting(), "a", folder=tmp_path) for _ in range(2))
    one.generate(talk("abc"), max_new_tokens=3)
    two.generate(talk("xyz"), max_new_tokens=3)
    lines = [json.loads(line) for line in one.path.read_text(encoding="utf-8").split("\n") if line]
    assert {line["reply"] for line in lines} == {"cba", "zyx"}


def test_fresh_reads_nothing_and_still_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CachedGenerator(Counting(), "a", folder=tmp_path).generate(talk("abc"), max_new_tokens=3)
    monkeypatch.setenv(FRESH, "1")
    model = Counting()
    fresh = CachedGenerator(model, "a", folder=tmp_path)
    for _ in range(2):
        fresh.generate(talk("abc"), max_new_tokens=3)
    assert len(model.asked) == 1, "within one object, a reply is made once all the same"


def test_the_name_of_a_model_is_no_path(tmp_path: Path) -> None:
    generator = CachedGenerator(Counting(), "some/one:../model", folder=tmp_path)
    assert generator.path.parent == tmp_path and generator.path.name == "some_one_.._model.jsonl"


def test_tokens_are_counted_by_the_model(tmp_path: Path) -> None:
    assert CachedGenerator(Counting(), "a", folder=tmp_path).count_tokens("one two") == 2


def test_the_course_s_model_by_weights_and_number_format(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setenv("COURSE_DTYPE", "float32")
    monkeypatch.setattr(cached, "load_language_model", Counting)
    monkeypatch.setattr(cached.models, "generator_source", lambda: "some/model")
    generator = cached.load_cached_language_model()
    assert generator.identity == "some/model-float32"
    assert generator.path == tmp_path / "replies" / "some_model-float32.jsonl"


# ---------------------------------------------------------------- stop rules are part of the key


class Stopping(Counting):
    """Takes stop rules, and remembers them."""

    context_length = 500
    estimates_tokens = True

    def __init__(self) -> None:
        super().__init__()
        self.rules: list[tuple[str, ...]] = []

    def count_conversation(self, messages: Sequence[Message]) -> int:
        return 7

    def generate_many(self, conversations: Any, *, max_new_tokens: int, batch_size: int, stop: Any = ()) -> list[str]:
        self.rules.append(stop)
        return super().generate_many(conversations, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def stream(self, messages: Sequence[Message], *, max_new_tokens: int, stop: Any = ()) -> Iterator[str]:
        self.rules.append(stop)
        yield from ("one ", "two ", "three")


def test_the_key_of_a_reply_without_stop_rules_is_what_it_always_was(tmp_path: Path) -> None:
    """A file written before there were stop rules stays good: the key of this reply was computed then."""
    generator = CachedGenerator(Counting(), "a", folder=tmp_path)
    generator.generate(talk("abc", "Be brief."), max_new_tokens=9)
    (line,) = filter(None, generator.path.read_text(encoding="utf-8").split("\n"))
    assert json.loads(line)["key"] == "371d713ab4c881278cc5b91a9d9c33a2"


def test_another_stop_rule_is_asked_anew_and_the_same_is_not(tmp_path: Path) -> None:
    model = Stopping()
    generator = CachedGenerator(model, "a", folder=tmp_path)
    for stop in ((), "x", "y", ("x", "y"), FIRST_SENTENCE):
        generator.generate(talk("abc"), max_new_tokens=3, stop=stop)
    assert model.rules == [(), ("x",), ("y",), ("x", "y"), (FIRST_SENTENCE,)]
    for stop in ([], ["x"], ("y", "x", "y"), (FIRST_SENTENCE,)):
        CachedGenerator(model, "a", folder=tmp_path).generate_many([talk("abc")], max_new_tokens=3, stop=stop)
    assert len(model.rules) == 5, "neither the order of rules nor how they are written changes a reply"


def test_a_bad_stop_rule_is_refused_even_where_nothing_is_asked(tmp_path: Path) -> None:
    generator = CachedGenerator(Counting(), "a", folder=tmp_path)
    with pytest.raises(ValueError, match="stop must hold no empty string"):
        generator.generate_many([], max_new_tokens=3, stop="")


# ---------------------------------------------------------------- streaming and counting


def test_a_streamed_reply_is_kept_once_it_is_whole(tmp_path: Path) -> None:
    model = Stopping()
    generator = CachedGenerator(model, "a", folder=tmp_path)
    left = generator.stream(talk("abc"), max_new_tokens=3)
    assert next(left) == "one "
    left.close()  # type: ignore[attr-defined]
    assert generator.n_made == 0, "half a reply is none"
    assert list(generator.stream(talk("abc"), max_new_tokens=3)) == ["one ", "two ", "three"]
    assert generator.n_made == 1 and len(model.rules) == 2
    again = CachedGenerator(model, "a", folder=tmp_path)
    assert "".join(again.stream(talk("abc"), max_new_tokens=3)) == "one two three"
    assert again.generate(talk("abc"), max_new_tokens=3) == "one two three"
    assert len(model.rules) == 2


def test_the_seconds_of_a_stream_are_those_of_the_making(tmp_path: Path) -> None:
    """A reader who takes a rest between pieces does not make the model slower."""
    generator = CachedGenerator(Stopping(), "a", folder=tmp_path)
    for _ in generator.stream(talk("abc"), max_new_tokens=3):
        time.sleep(0.3)
    assert generator.seconds < 0.9  # with the rests it would be more


@pytest.mark.parametrize("reply", ["", "one", " one  two\n\nthree ", "🙂 é"])
def test_a_known_reply_comes_in_words(reply: str, tmp_path: Path) -> None:
    generator = CachedGenerator(Counting(), "a", folder=tmp_path)
    generator.generate(talk(reply[::-1]), max_new_tokens=99)
    found = list(generator.stream(talk(reply[::-1]), max_new_tokens=99))
    assert "".join(found) == reply and len(found) == len(reply.split())


def test_what_the_generator_knows_of_tokens_is_passed_on(tmp_path: Path) -> None:
    kept = CachedGenerator(Stopping(), "a", folder=tmp_path)
    assert (kept.count_conversation(talk("a b c")), kept.context_length, kept.estimates_tokens) == (7, 500, True)
    plain = CachedGenerator(Counting(), "a", folder=tmp_path)
    assert plain.count_conversation(talk("a b c", "d")) == 4 and not plain.estimates_tokens
    with pytest.raises(AttributeError):
        _ = plain.context_length


def test_a_prompt_is_counted_by_the_model_behind(language_model: Any, tmp_path: Path) -> None:
    import datetime

    from course_lib.core.types import Chunk

    shown = Chunk("s/d#00", "s/d", "D", datetime.date(2026, 7, 9), "Spain won.", 0, 10)
    kept = CachedGenerator(language_model, "a", folder=tmp_path)
    assert build_prompt("Who?", [shown], generator=kept) == build_prompt("Who?", [shown], generator=language_model)
    with pytest.raises(ValueError, match="budget must be below the 8192 tokens"):
        build_prompt("Who?", [shown], generator=kept, budget=9000)

"""A prompt cache must change nothing but the work: the same replies, fewer tokens read."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from course_lib.core.protocols import Message
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.prompt_cache import PromptCache
from course_lib.generation.prompt_caching_model import MIN_TOKENS, PromptCachingModel, with_prompt_cache
from course_lib.generation.streaming import stream

LIBRARY = "The final was played on Sunday. Spain won."
QUESTIONS = ("Who won?", "On which day?", "Was it Spain?", "Who lost?", "Why?")


def talks(library: str = LIBRARY, questions: Sequence[str] = QUESTIONS) -> list[list[Message]]:
    return [[{"role": "user", "content": f"{library}\n\nQuestion: {question}"}] for question in questions]


@pytest.fixture
def caching(tiny_model: LanguageModel) -> PromptCachingModel:
    """The tiny model has 300 tokens and a context of 160, so beginnings are short, too."""
    return PromptCachingModel(tiny_model.tokenizer, tiny_model.model, PromptCache(), min_tokens=24)


def n_tokens(model: LanguageModel, talk: list[Message]) -> int:
    return model.count_conversation(talk)


def test_one_by_one_the_replies_are_the_same(caching: PromptCachingModel, tiny_model: LanguageModel) -> None:
    expected = [tiny_model.generate(talk, max_new_tokens=7) for talk in talks()]
    assert len(set(expected)) > 2, "the prompts must tell the model apart, or this test says nothing"
    assert [caching.generate(talk, max_new_tokens=7) for talk in talks()] == expected
    assert [caching.generate(talk, max_new_tokens=7) for talk in talks()[::-1]] == expected[::-1]
    lengths = [n_tokens(caching, talk) for talk in talks()]
    assert caching.cache.n_reused + caching.cache.n_read == 2 * sum(lengths)
    assert caching.cache.n_reused > 0.5 * 2 * sum(lengths)  # the shared beginning of all but the first


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_many_at_once_the_replies_are_the_same(
    batch_size: int, caching: PromptCachingModel, tiny_model: LanguageModel
) -> None:
    """Two libraries in turn: each is read once, and every reply comes back to its place."""
    both = [talk for pair in zip(talks(), talks("No goal fell. It rained all day long."), strict=True) for talk in pair]
    expected = [tiny_model.generate(talk, max_new_tokens=7) for talk in both]
    assert caching.generate_many(both, max_new_tokens=7, batch_size=batch_size) == expected
    assert len(caching.cache) == 2
    assert caching.generate_many([], max_new_tokens=7) == []


@pytest.mark.parametrize("stop", ["e", ("a", "\n"), "nowhere"])
def test_stop_rules_hold(stop: Any, caching: PromptCachingModel, tiny_model: LanguageModel) -> None:
    expected = [tiny_model.generate(talk, max_new_tokens=9, stop=stop) for talk in talks()]
    assert [caching.generate(talk, max_new_tokens=9, stop=stop) for talk in talks()] == expected
    assert caching.generate_many(talks(), max_new_tokens=9, stop=stop) == expected


def test_who_watches_is_told_and_streams_join(caching: PromptCachingModel, tiny_model: LanguageModel) -> None:
    told: list[str] = []
    whole = caching.generate(talks()[0], max_new_tokens=6, watch=lambda text: bool(told.append(text)))
    assert told[-1].strip() == whole == tiny_model.generate(talks()[0], max_new_tokens=6)
    assert caching.generate(talks()[0], max_new_tokens=6, watch=lambda text: True) != whole
    assert "".join(stream(caching, talks()[1], max_new_tokens=6)) == tiny_model.generate(talks()[1], max_new_tokens=6)


def test_reading_ahead(caching: PromptCachingModel) -> None:
    """What two conversations share is read and kept; a question then reads its own words only."""
    n_shared = caching.read(talks()[:2])
    assert caching.cache.n_read == n_shared and caching.cache.n_bytes == caching.kv_bytes(n_shared)
    caching.generate(talks()[2], max_new_tokens=3)
    assert caching.cache.n_reused == n_shared
    assert caching.cache.n_read == n_tokens(caching, talks()[2])
    with pytest.raises(ValueError, match=r"share at least 24 tokens, got \d"):
        caching.read([talks()[0], talks("Zero to zero.")[0]])


def test_a_longer_library_goes_on_from_the_shorter(caching: PromptCachingModel, tiny_model: LanguageModel) -> None:
    longer = talks(LIBRARY + " It was the final of the year.")
    for talk in [*talks()[:2], *longer[:3], *talks()[2:]]:
        assert caching.generate(talk, max_new_tokens=5) == tiny_model.generate(talk, max_new_tokens=5)
    assert 1 <= len(caching.cache) <= 2


def test_another_adapter_finds_nothing(caching: PromptCachingModel) -> None:
    """Weights change between two questions: the keys and values of before must not be used."""
    changed = copy.deepcopy(caching.model)
    model = PromptCachingModel(caching.tokenizer, changed, PromptCache(), min_tokens=24)
    before = model.generate_many(talks(), max_new_tokens=7)
    n_first = model.cache.n_read
    weight = changed.model.layers[0].self_attn.v_proj.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.mul_(-1)  # "another adapter"
    expected = LanguageModel(caching.tokenizer, changed).generate_many(talks(), max_new_tokens=7)
    assert expected != before
    assert model.generate_many(talks(), max_new_tokens=7) == expected and model.cache.n_read == 2 * n_first
    with torch.no_grad():
        weight.copy_(kept)
    assert model.generate_many(talks(), max_new_tokens=7) == before
    assert model.cache.n_read < 3 * n_first  # the entry of the first weights is still there


def test_without_room_nothing_is_kept_and_the_replies_are_the_same(tiny_model: LanguageModel) -> None:
    cramped = PromptCachingModel(tiny_model.tokenizer, tiny_model.model, PromptCache(limit_bytes=64), min_tokens=24)
    expected = [tiny_model.generate(talk, max_new_tokens=5) for talk in talks()]
    assert [cramped.generate(talk, max_new_tokens=5) for talk in talks()] == expected
    assert len(cramped.cache) == 0 == cramped.cache.n_reused
    with pytest.raises(ValueError, match="must have room for [0-9,]+ bytes, its limit is 64"):
        cramped.read(talks())


def test_bad_arguments(caching: PromptCachingModel) -> None:
    with pytest.raises(ValueError, match="min_tokens must be at least 1, got 0"):
        PromptCachingModel(caching.tokenizer, caching.model, min_tokens=0)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        caching.generate_many(talks(), max_new_tokens=3, batch_size=0)
    with pytest.raises(ValueError, match=r"must fit into 160 tokens, got \d+ \+ 150 for conversation 0"):
        caching.generate_many(talks(), max_new_tokens=150)


def test_a_model_with_its_own_way_to_decode_is_refused(tiny_model: LanguageModel) -> None:
    class Tuned(LanguageModel):
        def _decode(self, *arguments: Any) -> Any:
            raise AssertionError

    with pytest.raises(TypeError, match="plain LanguageModel, got Tuned, which decodes in its own way"):
        with_prompt_cache(Tuned(tiny_model.tokenizer, tiny_model.model))
    again = with_prompt_cache(with_prompt_cache(tiny_model), limit_bytes=5)
    assert again.cache.limit_bytes == 5


def test_the_course_model_says_the_same_in_float32(language_model: LanguageModel) -> None:
    exact = LanguageModel(language_model.tokenizer, copy.deepcopy(language_model.model).float())
    caching = with_prompt_cache(exact)
    library = (
        "The meter is read each May. A letter announces the day a week before, and an estimate follows in June." * 3
    )
    asked = talks(library, ("When is the meter read?", "What follows in June?", "Who won the final?"))
    expected = [exact.generate(talk, max_new_tokens=12) for talk in asked]
    assert caching.min_tokens == MIN_TOKENS
    assert caching.generate_many(asked, max_new_tokens=12) == expected
    assert [caching.generate(talk, max_new_tokens=12) for talk in asked] == expected
    assert caching.cache.n_bytes == caching.kv_bytes(len(caching.cache.entries[0].tokens))
    assert caching.kv_bytes(1) == 2 * 30 * 3 * 64 * 4  # keys and values, layers, heads, head size, bytes

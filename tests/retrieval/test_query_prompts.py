"""A language model's replies are read defensively, and what cannot be used is never hidden."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.protocols import Message
from course_lib.corpus.questions import load_questions
from course_lib.retrieval.query import same_words
from course_lib.retrieval.query_prompts import PROMPTS, ByModel, Prompt, by_model, parse_lines, parse_passage

QUERY = "How long is a passport valid?"


class Says:
    """A generator that answers every conversation with the next of its replies, one at a time."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.asked = list(replies), list[list[Message]]()

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int) -> str:
        self.asked.append(list(messages))
        return self.replies[(len(self.asked) - 1) % len(self.replies)]


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        ("1. one thing\n2. another\n3. a third", ["one thing", "another", "a third"]),
        ("1) one thing\n(2) another\n3: a third", ["one thing", "another", "a third"]),
        ("- one thing\n* another\n• a third", ["one thing", "another", "a third"]),
        ("a) one thing\nb) another", ["one thing", "another"]),
        ("one thing\n\n\nanother\n", ["one thing", "another"]),
        ("1. What is it? 2. Where is it? 3. Who knows?", ["What is it?", "Where is it?", "Who knows?"]),
        ("\"one thing\"\n“another”\n'a third'", ["one thing", "another", "a third"]),
        ("**one thing**\n`another`", ["one thing", "another"]),
        ("Sure! Here are three queries:\n1. one thing\n2. another", ["one thing", "another"]),
        ("Of course, here you go:\n- one thing\nI hope this helps!", ["one thing"]),
        ("Query 1: one thing\nQuery 2: another", ["one thing", "another"]),
        ("Rewritten query: one thing", ["one thing"]),
        ("1. Question: one thing", ["one thing"]),
        ("one thing\nOne  thing.\nanother", ["one thing", "another"]),
        ("```\none thing\n```", ["one thing"]),
        ("1.\n2.\n...\n?!\n42", []),
        ("", []),
        ("   \n\t", []),
        ("I'm sorry, but I cannot help with that.", []),
        ("As an AI language model, I have no access to it.", []),
        ("1. I'm sorry to hear that\n2. another", ["another"]),
        ("E-2014 on the display\n3.5 kW heat pump", ["E-2014 on the display", "3.5 kW heat pump"]),
        ("2022 final winner", ["2022 final winner"]),
        ("What did he say: yes or no?", ["What did he say: yes or no?"]),
    ],
)
def test_the_list_in_a_reply(reply: str, texts: list[str]) -> None:
    assert parse_lines(reply, limit=5) == texts


def test_at_most_limit() -> None:
    assert parse_lines("a one\nb two\nc three", limit=2) == ["a one", "b two"]
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        parse_lines("a one", limit=0)


@given(st.text(), st.integers(1, 4))
def test_reading_never_fails(reply: str, limit: int) -> None:
    texts = parse_lines(reply, limit=limit)
    assert len(texts) <= limit and all(text == text.strip() and text for text in texts)
    assert len({same_words(text) for text in texts}) == len(texts)
    assert "\n" not in parse_passage(reply)


@given(st.lists(st.from_regex(r"[a-z]{3,8}( [a-z]{3,8}){1,4}", fullmatch=True), min_size=1, max_size=4, unique=True))
def test_a_list_that_is_written_is_the_list_that_is_read(texts: list[str]) -> None:
    texts = [text for text in texts if "sure" not in text and "here" not in text and "hope" not in text]
    for line in ("{n}. {text}", "- {text}", '{n}) "{text}"', "{text}"):
        reply = "\n".join(line.format(n=n, text=text) for n, text in enumerate(texts, start=1))
        assert parse_lines(reply, limit=4) == texts


@pytest.mark.parametrize(
    ("reply", "passage"),
    [
        ("A passport is valid\nfor ten years.", "A passport is valid for ten years."),
        ("Here is a passage:\nA passport is valid.", "A passport is valid."),
        ('Passage: "A passport is valid."', "A passport is valid."),
        ("", ""),
        ("I am sorry, I cannot answer this.", ""),
        ("...\n--", ""),
    ],
)
def test_the_passage_in_a_reply(reply: str, passage: str) -> None:
    assert parse_passage(reply) == passage


# ---------------------------------------------------------------- prompts


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_shows_what_it_asks_for(name: str) -> None:
    """System, examples in turns, and the query last, in the form of the examples."""
    prompt = PROMPTS[name]
    messages = prompt.messages(f" {QUERY} ")
    roles = [message["role"] for message in messages]
    assert roles == (["system"] if prompt.system else []) + ["user", "assistant"] * len(prompt.shots) + ["user"]
    assert messages[-1]["content"] == prompt.template.format(QUERY)
    for asked, reply in prompt.shots:
        made = ByModel(Says(reply), prompt)(asked)
        assert not made.note and len(made.texts) > 1, "an example must be a reply that can be read"


@pytest.mark.parametrize("name", PROMPTS)
def test_no_example_is_a_question_of_the_set(name: str) -> None:
    known = {same_words(question.text) for question in load_questions()}
    assert not known & {same_words(asked) for asked, _ in PROMPTS[name].shots}


def test_braces_in_a_query_are_letters() -> None:
    assert PROMPTS["rewriting"].messages("What is {x} in {}?")[-1]["content"].endswith("What is {x} in {}?")


def test_an_empty_or_endless_query_is_refused() -> None:
    with pytest.raises(ValueError, match="query must not be empty"):
        PROMPTS["HyDE"].messages(" ")
    with pytest.raises(ValueError, match="query must have at most 500 words, got 501; search it in parts"):
        PROMPTS["HyDE"].messages("word " * 501)
    assert PROMPTS["HyDE"].messages("word " * 500)


# ---------------------------------------------------------------- transformations


def test_what_the_model_said_is_searched_beside_the_query() -> None:
    model = Says("1. Validity of passports\n2. Passport expiry")
    made = by_model("several queries", model)(QUERY)
    assert made.texts == (QUERY, "Validity of passports", "Passport expiry")
    assert (made.fuse, made.note, made.reply) == (PROMPTS["several queries"].fuse, "", model.replies[0])
    assert model.asked == [PROMPTS["several queries"].messages(QUERY)]


def test_the_query_can_be_switched_off() -> None:
    made = by_model("rewriting", Says("Validity of passports"), keep_original=False)(QUERY)
    assert made.texts == ("Validity of passports",)


def test_hyde_is_a_mean_of_vectors() -> None:
    made = by_model("HyDE", Says("A passport is valid\nfor ten years."))(QUERY)
    assert made.fuse == "mean" and made.texts == (QUERY, "A passport is valid for ten years.")


@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    ("reply", "note"),
    [
        ("", "the model said nothing"),
        ("  \n", "the model said nothing"),
        ("I'm sorry, I cannot do that.", "holds no text to search"),
        ("1.\n2.\n3.", "holds no text to search"),
        (QUERY, "the model repeated the query"),
        (f'1. "{QUERY.upper()}"', "the model repeated the query"),
    ],
)
def test_a_useless_reply_leaves_the_query_alone_and_says_so(name: str, keep: bool, reply: str, note: str) -> None:
    made = by_model(name, Says(reply), keep_original=keep)(QUERY)
    assert made.texts == (QUERY,) and note in made.note and made.note.endswith("searched as it stands")
    assert made.reply == reply


def test_many_at_once_are_asked_at_once() -> None:
    class AtOnce(Says):
        batches = 0

        def generate_many(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
            self.batches += 1
            return [self.generate(messages, max_new_tokens=max_new_tokens) for messages in conversations]

    queries = ["a first", "a second", "a third"]
    replies = ("one more", "two more", "")
    batched, single = AtOnce(*replies), Says(*replies)
    assert by_model("step-back", batched).many(queries) == by_model("step-back", single).many(queries)
    assert batched.batches == 1 and batched.asked == single.asked
    assert by_model("step-back", batched).many([]) == []


def test_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="name must be one of rewriting, sub-queries, .*, got 'magic'"):
        by_model("magic", Says(""))


def test_a_prompt_of_one_s_own() -> None:
    prompt = Prompt("Translate.", (), 1, 8, template="In French: {}")
    model = Says("Combien?")
    assert ByModel(model, prompt)("How many?").texts == ("How many?", "Combien?")
    assert model.asked[0][-1]["content"] == "In French: How many?"

"""The prompt, letter for letter; the budget, by hand."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk
from course_lib.generation.prompting import (
    CITING_SYSTEM,
    CLOSED_BOOK_SYSTEM,
    ORDERS,
    SYSTEM,
    Prompt,
    build_prompt,
    closed_book_messages,
    conversation_tokens,
    format_passage,
    in_order,
    rag_messages,
    within_budget,
    written_date,
)


def chunk(name: str, text: str) -> Chunk:
    return Chunk(f"shelf/{name}#00", f"shelf/{name}", name.title(), datetime.date(2026, 7, 9), text, 0, len(text))


ONE, TWO = chunk("first match", "Spain won."), chunk("second match", "Norway lost.\nIt rained.")


def n_words(text: str) -> int:
    return len(text.split())


# ---------------------------------------------------------------- what the model reads


@pytest.mark.parametrize(
    ("date", "words"),
    [
        (datetime.date(2026, 7, 19), "19 July 2026"),
        (datetime.date(1930, 1, 1), "1 January 1930"),
        (datetime.date(2024, 2, 29), "29 February 2024"),
    ],
)
def test_a_date_as_prose_writes_it(date: datetime.date, words: str) -> None:
    assert written_date(date) == words


def test_a_passage_shows_number_title_date_and_text() -> None:
    assert format_passage(3, TWO) == "[3] Second Match (9 July 2026)\nNorway lost.\nIt rained."


def test_the_conversation_letter_for_letter() -> None:
    assert rag_messages("  Who won?\n", [ONE, TWO]) == [
        {"role": "system", "content": SYSTEM},
        {
            "role": "user",
            "content": "[1] First Match (9 July 2026)\nSpain won.\n\n"
            "[2] Second Match (9 July 2026)\nNorway lost.\nIt rained.\n\n"
            "Question: Who won?",
        },
    ]


def test_the_model_is_told_how_to_abstain() -> None:
    """In words that `evaluation.answers` takes for an abstention; without passages it is not told to."""
    from course_lib.evaluation.answers import abstains

    _, told, words = SYSTEM.rpartition("answer: ")
    assert told and abstains(words)
    assert "answer: " not in CLOSED_BOOK_SYSTEM


def test_a_swapped_passage_reaches_the_prompt() -> None:
    """A prompt that forgets its passages is the fault that a RAG system hides best."""
    assert rag_messages("Who won?", [ONE]) != rag_messages("Who won?", [TWO])
    assert rag_messages("Who won?", [ONE, TWO]) != rag_messages("Who won?", [TWO, ONE])


def test_closed_book_holds_the_question_alone() -> None:
    assert closed_book_messages(" Who won? ") == [
        {"role": "system", "content": CLOSED_BOOK_SYSTEM},
        {"role": "user", "content": "Who won?"},
    ]


def test_without_passages_there_is_nothing_to_ask_of() -> None:
    with pytest.raises(ValueError, match="passages must hold at least one passage, got none"):
        rag_messages("Who won?", [])


@pytest.mark.parametrize(
    ("question", "error"), [("", ValueError), ("\n ", ValueError), (None, TypeError), (3, TypeError)]
)
def test_a_question_must_be_one(question: Any, error: type[Exception]) -> None:
    for build in (lambda: rag_messages(question, [ONE]), lambda: closed_book_messages(question)):
        with pytest.raises(error, match="question must"):
            build()


# ---------------------------------------------------------------- the budget


def test_the_budget_by_hand() -> None:
    """Counted in words: "[1] First Match (9 July 2026)" is 6, "Spain won." 2: 8. Passage 2: 6 + 4 = 10, together 18."""
    assert within_budget([ONE, TWO], n_words, 18) == [ONE, TWO]
    assert within_budget([ONE, TWO], n_words, 17) == [ONE]
    assert within_budget([ONE, TWO], n_words, 8) == [ONE]


def test_not_even_the_first_fits() -> None:
    with pytest.raises(
        ValueError, match=r"budget must hold at least the first passage \(8 tokens\), got 7; use shorter chunks"
    ):
        within_budget([ONE, TWO], n_words, 7)


def test_no_passage_needs_no_budget() -> None:
    assert within_budget([], n_words, 0) == []


def test_a_short_passage_does_not_jump_the_queue() -> None:
    """A prefix is kept: leaving out the second to squeeze in the third would reorder the ranking unseen."""
    long = chunk("long", "word " * 50)
    assert within_budget([ONE, long, TWO], n_words, 40) == [ONE]


@given(st.lists(st.integers(1, 30), max_size=6), st.integers(8, 150))
def test_what_is_kept_fits_and_one_more_would_not(lengths: list[int], budget: int) -> None:
    passages = [chunk(f"p{i}", "word " * length) for i, length in enumerate(lengths)]

    def size(chosen: list[Chunk]) -> int:
        return sum(n_words(format_passage(number, one)) for number, one in enumerate(chosen, start=1))

    if passages and size(passages[:1]) > budget:
        with pytest.raises(ValueError, match="budget must hold"):
            within_budget(passages, n_words, budget)
        return
    kept = within_budget(passages, n_words, budget)
    assert kept == passages[: len(kept)]
    assert size(kept) <= budget
    assert kept == passages or size(passages[: len(kept) + 1]) > budget


def test_the_budget_holds_for_the_prompt_as_the_model_counts(language_model: Any) -> None:
    """Counted passage by passage, but read as one text: the sum must not be less than the whole."""
    passages = [chunk(f"match {i}", "Spain beat Norway 2-1 in Oslo after extra time. " * 3) for i in range(9)]
    kept = within_budget(passages, language_model.count_tokens, 300)
    assert 1 < len(kept) < 9
    shown = rag_messages("Who?", kept)[1]["content"].rpartition("Question:")[0]
    assert language_model.count_tokens(shown) <= 300


# ---------------------------------------------------------------- a prompt that fits


class Words:
    """Counts words; its chat template adds 5 to each message. It may say how much it can read."""

    def __init__(self, context_length: int | None = None) -> None:
        if context_length is not None:
            self.context_length = context_length

    def count_tokens(self, text: str) -> int:
        return n_words(text)

    def count_conversation(self, messages: Sequence[Message]) -> int:
        return sum(n_words(message["content"]) + 5 for message in messages)

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int) -> str:
        raise AssertionError("building a prompt decodes nothing")


RANKED = [chunk(f"rank{i}", "Alpha beta gamma. " * 3) for i in range(1, 6)]  # 5 words of heading, 9 of text each
N_INSTRUCTIONS = n_words(SYSTEM) + 5 + 5 + n_words("Question: Who won?")


def build(question: str = "Who won?", passages: Sequence[Chunk] = RANKED, **options: Any) -> Prompt:
    return build_prompt(question, passages, **{"generator": Words(), "budget": 1000} | options)


def test_what_is_built_is_what_rag_messages_writes() -> None:
    prompt = build()
    assert prompt.messages == rag_messages("Who won?", RANKED)
    assert prompt.shown == tuple(RANKED) and prompt.left_out == () and prompt.shortened == ()
    assert (prompt.n_tokens, prompt.budget, prompt.estimated) == (N_INSTRUCTIONS + 5 * 14, 1000, False)


@pytest.mark.parametrize(("room", "n_shown"), [(14, 1), (27, 1), (28, 2), (69, 4), (70, 5)])
def test_what_fits_to_the_token(room: int, n_shown: int) -> None:
    """Each passage takes 14 words. Instructions, question and template are counted before the first."""
    prompt = build(budget=N_INSTRUCTIONS + room)
    assert prompt.shown == tuple(RANKED[:n_shown]) and prompt.left_out == tuple(RANKED[n_shown:])
    assert prompt.n_tokens == N_INSTRUCTIONS + 14 * n_shown <= prompt.budget


def test_a_generator_without_a_template_is_counted_by_its_texts() -> None:
    class Plain:
        count_tokens = Words.count_tokens
        generate = Words.generate

    assert conversation_tokens(rag_messages("Who won?", RANKED), Plain()) == N_INSTRUCTIONS - 10 + 70  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("order", "ranks"),
    [("best_first", [1, 2, 3, 4, 5]), ("best_last", [5, 4, 3, 2, 1]), ("best_at_ends", [1, 3, 5, 4, 2])],
)
def test_orders_by_hand(order: str, ranks: list[int]) -> None:
    prompt = build(order=order)
    assert [RANKED.index(one) + 1 for one in prompt.shown] == ranks
    assert prompt.messages == rag_messages("Who won?", prompt.shown), "numbers follow the order as printed"
    small = build(order=order, budget=N_INSTRUCTIONS + 28)
    assert set(small.shown) == set(RANKED[:2]), "what is left out is the last rank, whatever the order"


@given(st.integers(0, 12), st.sampled_from(ORDERS))
def test_an_order_loses_nothing_and_the_best_stands_where_it_says(n: int, order: str) -> None:
    passages = [chunk(f"p{i}", "word") for i in range(n)]
    printed = in_order(passages, order)
    assert sorted(printed, key=passages.index) == passages
    if n > 1:
        assert printed.index(passages[0]) == (n - 1 if order == "best_last" else 0)
        assert order != "best_at_ends" or printed[-1] == passages[1]


def test_an_unknown_order() -> None:
    with pytest.raises(ValueError, match="order must be one of best_first, best_last, best_at_ends, got 'random'"):
        build(order="random")


def test_a_passage_is_cut_only_if_asked_and_then_at_a_sentence_and_said() -> None:
    """Room for 14 + 5 + 7 words: the second passage with 2 of its 3 sentences."""
    room = N_INSTRUCTIONS + 26
    assert build(budget=room).shown == (RANKED[0],)
    prompt = build(budget=room, shorten=True)
    assert prompt.shown[0] == RANKED[0]
    assert prompt.shown[1].text == "Alpha beta gamma. Alpha beta gamma."
    assert prompt.shortened == ("passage [2] (Rank2): the first 2 of 3 sentences",)
    assert prompt.left_out == tuple(RANKED[2:])
    assert prompt.n_tokens == N_INSTRUCTIONS + 14 + 11


def test_a_shortened_passage_keeps_its_place_in_the_document() -> None:
    whole = Chunk("s/d#01", "s/d", "D", RANKED[0].date, "One two. Three four.", 40, 60)
    (cut,) = build(passages=[whole], budget=N_INSTRUCTIONS + 7, shorten=True).shown
    assert (cut.text, cut.start, cut.end) == ("One two.", 40, 48)
    assert whole.text == "One two. Three four."


def test_the_note_names_the_number_as_printed() -> None:
    prompt = build(budget=N_INSTRUCTIONS + 26, shorten=True, order="best_last")
    assert prompt.shown[0].text == "Alpha beta gamma. Alpha beta gamma."
    assert prompt.shortened == ("passage [1] (Rank2): the first 2 of 3 sentences",)


def test_not_one_sentence_fits_so_none_is_shown() -> None:
    prompt = build(budget=N_INSTRUCTIONS + 14 + 7, shorten=True)
    assert prompt.shown == (RANKED[0],) and prompt.shortened == ()


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(0, 120), st.booleans(), st.sampled_from(ORDERS)
)
def test_a_prompt_never_takes_more_than_its_budget(lengths: list[int], room: int, shorten: bool, order: str) -> None:
    passages = [chunk(f"p{i}", "Alpha beta gamma. " * n) for i, n in enumerate(lengths)]
    least = 8 if shorten else 5 + 3 * lengths[0]
    if room < least:
        with pytest.raises(ValueError, match="budget must hold the question and"):
            build(passages=passages, budget=N_INSTRUCTIONS + room, shorten=shorten, order=order)
        return
    prompt = build(passages=passages, budget=N_INSTRUCTIONS + room, shorten=shorten, order=order)
    assert prompt.n_tokens <= prompt.budget
    assert len(prompt.shown) + len(prompt.left_out) == len(passages)
    ranks = {one.chunk_id: rank for rank, one in enumerate(passages)}
    assert {ranks[one.chunk_id] for one in prompt.shown} == set(range(len(prompt.shown)))
    cut = [one for one in prompt.shown if one not in passages]
    assert len(cut) == len(prompt.shortened) <= (1 if shorten else 0)
    assert not prompt.left_out or build(passages=passages, budget=10_000, order=order).n_tokens > prompt.budget


def test_other_instructions() -> None:
    prompt = build(system=CITING_SYSTEM)
    assert prompt.messages[0]["content"] == CITING_SYSTEM != SYSTEM
    assert prompt.messages[1] == rag_messages("Who won?", RANKED)[1]
    assert prompt.n_tokens > build().n_tokens


def test_an_estimate_says_that_it_is_one() -> None:
    class Guess(Words):
        estimates_tokens = True

    assert build(generator=Guess()).estimated


# ---------------------------------------------------------------- what cannot be built


def test_no_passage() -> None:
    with pytest.raises(ValueError, match="passages must hold at least one passage, got none; ask closed_book_messages"):
        build(passages=[])


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_passage(text: str) -> None:
    with pytest.raises(ValueError, match=r"passages\[1\] \(shelf/void#00\) is empty; drop it"):
        build(passages=[RANKED[0], chunk("void", text)])


def test_a_budget_that_is_too_small_for_the_best_passage() -> None:
    with pytest.raises(
        ValueError,
        match=rf"at least the best passage \({N_INSTRUCTIONS + 14} tokens\), got {N_INSTRUCTIONS + 13}; "
        "raise budget, use shorter chunks or pass shorten=True",
    ):
        build(budget=N_INSTRUCTIONS + 13)
    with pytest.raises(
        ValueError,
        match=rf"the best passage's first sentence \({N_INSTRUCTIONS + 8} tokens\), got {N_INSTRUCTIONS + 7}; raise budget$",
    ):
        build(budget=N_INSTRUCTIONS + 7, shorten=True)


@pytest.mark.parametrize("shorten", [False, True])
def test_a_question_of_ten_thousand_words(shorten: bool) -> None:
    with pytest.raises(ValueError, match=r"tokens, 10000 of them the question\), got 1200; ask a shorter question"):
        build("why " * 10_000, budget=1200, shorten=shorten)


@pytest.mark.parametrize("budget", [0, -5])
def test_no_budget_at_all(budget: int) -> None:
    with pytest.raises(ValueError, match=f"budget must hold the question .* got {budget}"):
        build(budget=budget)


@pytest.mark.parametrize("budget", [1200.0, "1200", None, True])
def test_a_budget_is_a_whole_number(budget: Any) -> None:
    with pytest.raises(TypeError, match="budget must be a whole number of tokens, got"):
        build(budget=budget)


@pytest.mark.parametrize("budget", [200, 5000])
def test_a_budget_leaves_room_for_the_answer(budget: int) -> None:
    with pytest.raises(ValueError, match=rf"budget must be below the 200 tokens .* got {budget}; leave room"):
        build(generator=Words(200), budget=budget)
    assert build(generator=Words(200), budget=199).n_tokens <= 199


@pytest.mark.parametrize(("question", "error"), [("", ValueError), (" \n", ValueError), (None, TypeError)])
def test_a_prompt_needs_a_question(question: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="question must"):
        build(question)


# ---------------------------------------------------------------- with the real model


def test_the_count_is_what_the_model_reads(language_model: Any) -> None:
    prompt = build(generator=language_model)
    read = language_model.tokenizer(language_model.prompt(prompt.messages), add_special_tokens=False)["input_ids"]
    assert prompt.n_tokens == len(read)
    assert prompt.n_tokens > sum(language_model.count_tokens(one["content"]) for one in prompt.messages)


def test_passages_larger_than_the_context(language_model: Any) -> None:
    """8,192 tokens: 60,000 words do not fit; shown are as many sentences as the budget holds, and one more would not."""
    huge = chunk("huge", "The final was played in New Jersey, and Spain won it. " * 5000)
    with pytest.raises(ValueError, match="budget must be below the 8192 tokens"):
        build(passages=[huge], generator=language_model, budget=70_000)
    with pytest.raises(ValueError, match=r"at least the best passage \(\d{5} tokens\), got 8000"):
        build(passages=[huge], generator=language_model, budget=8000)
    prompt = build(passages=[huge, RANKED[0]], generator=language_model, budget=8000, shorten=True)
    assert 7980 < prompt.n_tokens <= 8000 and prompt.shown[0].text.endswith("won it.")
    assert prompt.shortened and prompt.left_out == (RANKED[0],)
    assert len(language_model.prompt_tokens(prompt.messages, max_new_tokens=48)) == prompt.n_tokens

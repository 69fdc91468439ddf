"""The contexts of the experiments: what is shown is what was meant to be shown, and gold never leaks into distractors."""

from __future__ import annotations

import datetime
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Document, GoldSpan, Question
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.question_quality import holds_answer
from course_lib.corpus.questions import load_questions
from course_lib.generation.prompting import closed_book_messages, rag_messages
from course_lib.systems.contexts import (
    conversation,
    distractors,
    false_number,
    gold_passages,
    holds_number,
    placed,
    poisoned,
    shuffled_sentences,
    shuffled_words,
    spread_sample,
    states_answer,
)

DAY = datetime.date(2024, 1, 1)


def chunk(name: str, text: str, *, start: int = 0, title: str = "A notice") -> Chunk:
    return Chunk(f"{name}#00", name, title, DAY, text, start, start + len(text))


def question(name: str = "q", *answers: str, text: str = "How high is the fee?", kind: str = "paraphrase",
             shelf: str = "help_desk", **fields: object) -> Question:  # fmt: skip
    return Question(name, text, kind, shelf, "dev", answers, **fields)  # type: ignore[arg-type]


FEE = chunk("fees", "The fee is EUR 40. It was EUR 35. Nobody pays EUR 400 or 40.5.")
TWO_FEES = chunk("two", "The fee is EUR 53 in town and EUR 55 elsewhere.")


# ---------------------------------------------------------------- conversation


def test_without_passages_the_book_is_closed() -> None:
    assert conversation("Why?", []) == closed_book_messages("Why?")


def test_passages_reach_the_prompt_in_their_order() -> None:
    passages = [chunk("a", "First."), chunk("b", "Second.")]
    assert conversation("Why?", passages) == rag_messages("Why?", passages)
    content = conversation("Why?", passages)[-1]["content"]
    assert content.index("First.") < content.index("Second.") < content.index("Why?")


# ---------------------------------------------------------------- gold


def test_the_chunk_that_covers_most_of_the_span_is_gold() -> None:
    text = "aaaa bbbb cccc dddd"
    document = Document("d", "help_desk", "D", DAY, text)
    left, right = Chunk("d#00", "d", "D", DAY, text[:7], 0, 7), Chunk("d#01", "d", "D", DAY, text[5:], 5, 19)
    asked = question(gold=(GoldSpan("d", "bbbb cccc"),))  # characters 5 to 14: two in the first, nine in the second
    assert gold_passages(asked, [left, right], {"d": document}) == [right]


def test_of_spans_that_each_answer_the_first_is_enough_and_of_two_needed_both_come_once() -> None:
    documents = {name: Document(name, "help_desk", name, DAY, f"{name} says so. {name} repeats.") for name in "ab"}
    chunks = [chunk(name, document.text) for name, document in documents.items()]
    spans = (GoldSpan("b", "b says"), GoldSpan("a", "a says"), GoldSpan("a", "a repeats"))
    assert [c.doc_id for c in gold_passages(question(gold=spans), chunks, documents)] == ["b", "a"]
    assert [c.doc_id for c in gold_passages(question(gold=spans, any_gold=True), chunks, documents)] == ["b"]


def test_no_gold_is_said() -> None:
    with pytest.raises(ValueError, match="unanswerable: it has no gold passage"):
        gold_passages(question(), [], {})
    documents = {"d": Document("d", "help_desk", "D", DAY, "some text")}
    with pytest.raises(ValueError, match="no chunk touches its gold span in d"):
        gold_passages(question(gold=(GoldSpan("d", "text"),)), [chunk("e", "some text")], documents)


def test_the_oracle_of_the_collection_is_judged_to_be_gold() -> None:
    documents = load_documents("help_desk")
    chunks = chunk_documents(documents)
    questions = [q for q in load_questions(split="dev", shelf="help_desk") if q.gold]
    judged = judge_chunks(questions, chunks, documents)
    for asked in questions:
        passages = gold_passages(asked, chunks, {document.doc_id: document for document in documents})
        assert passages and all(passage.chunk_id in judged[asked.question_id] for passage in passages)


def test_a_copyist_could_answer() -> None:
    chunks = [chunk("fees", "The fee is EUR 40."), chunk("post", "Send it by post.")]
    documents = {c.doc_id: Document(c.doc_id, "help_desk", "T", DAY, c.text) for c in chunks}
    fee, post = GoldSpan("fees", "The fee is EUR 40."), GoldSpan("post", "by post")
    stated = question("a", "EUR 40", gold=(fee,))
    others = [
        question("b", "by letter", gold=(post,)),
        question("c", "EUR 40", gold=(fee, post)),
        question("d"),
    ]
    assert states_answer([stated, *others], chunks, documents) == {stated: chunks[0]}


# ---------------------------------------------------------------- distractors


def test_distractors_keep_their_order_and_leave_out_gold_and_whatever_holds_the_answer() -> None:
    found = [chunk("a", "It is EUR 40."), chunk("b", "Fees."), chunk("c", "By post."), chunk("d", "EUR 40 again.")]
    shown = distractors(question("q", "EUR 40"), [*found, FEE], {"b#00"}, 1)
    assert [c.chunk_id for c in shown] == ["c#00"]
    assert distractors(question("q", "EUR 40"), found, (), 0) == []


def test_an_answer_in_the_title_disqualifies_too() -> None:
    titled = chunk("a", "By post.", title="EUR 40 for everyone")
    with pytest.raises(ValueError, match="q: 1 distractors wanted, 0 found; search deeper"):
        distractors(question("q", "EUR 40"), [titled], (), 1)


def test_fewer_than_none_is_refused() -> None:
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        distractors(question(), [], (), -1)


# ---------------------------------------------------------------- position


@pytest.mark.parametrize(
    ("position", "n_others", "order"),
    [
        ("first", 4, "G1234"), ("middle", 4, "12G34"), ("last", 4, "1234G"), ("middle", 1, "1G"), ("middle", 3, "12G3"),
        ("last", 0, "G"),
    ],
)  # fmt: skip
def test_gold_stands_where_it_should(position: str, n_others: int, order: str) -> None:
    gold, others = chunk("G", "gold"), [chunk(str(i), "other") for i in range(1, n_others + 1)]
    assert "".join(c.doc_id for c in placed([gold], others, position)) == order


def test_another_position_is_refused() -> None:
    with pytest.raises(ValueError, match="position must be one of first, middle, last, got 'end'"):
        placed([], [], "end")


# ---------------------------------------------------------------- shuffles


@given(st.lists(st.sampled_from(["a", "fee", "40", "is."]), min_size=1, max_size=30), st.integers(0, 99))
def test_shuffling_keeps_every_word(words: list[str], seed: int) -> None:
    before = chunk("a", " ".join(words))
    after = shuffled_words(before, np.random.default_rng(seed))
    assert Counter(after.text.split()) == Counter(words)
    assert after.title == before.title and after.chunk_id != before.chunk_id


def test_shuffled_sentences_stay_whole() -> None:
    before = chunk("a", "One is here. Two is there. Three is gone. Four stays.")
    after = shuffled_sentences(before, np.random.default_rng(13))
    assert after.text != before.text
    assert sorted(after.text.replace(". ", ".|").split("|")) == sorted(before.text.replace(". ", ".|").split("|"))


def test_words_do_move() -> None:
    before = chunk("a", " ".join(str(i) for i in range(40)))
    assert shuffled_words(before, np.random.default_rng(13)).text != before.text


# ---------------------------------------------------------------- false numbers


@pytest.mark.parametrize(
    ("answer", "false"),
    [
        ("40", "60"), ("8", "6"), ("9.5 metres", "9.7 metres"), ("197,000", "199,000"), ("0.35", "0.37"), ("3,600", "3,800"),
        ("1954", "1956"), ("in 1990", "in 1970"), ("8 April 1906", "15 April 1908"), ("30 September", "23 September"),
        ("Two hours", "Four hours"), ("twelve", "ten"), ("4 to 15", "6 to 17"), ("EUR 2014", "EUR 2016"),
    ],
)  # fmt: skip
def test_false_numbers(answer: str, false: str) -> None:
    assert false_number(answer) == false


def test_without_a_number_there_is_no_false_one() -> None:
    assert not holds_number("one of them") and holds_number("three of them")
    with pytest.raises(ValueError, match="answer must hold a number in digits or two to twelve in words, got 'Spain'"):
        false_number("Spain")
    with pytest.raises(ValueError, match="answer must hold a number"):
        false_number("0.0")


@given(st.integers(1, 10**6))
def test_a_false_number_is_another_number_of_the_same_form(number: int) -> None:
    false = false_number(f"{number:,}")
    assert false != f"{number:,}" and len(false) == len(f"{number:,}") and not false.startswith("0")
    assert sum(a != b for a, b in zip(false, f"{number:,}", strict=True)) == 1


# ---------------------------------------------------------------- poison


def test_a_number_is_replaced_wherever_it_stands_alone() -> None:
    poison = poisoned(FEE, question("q", "EUR 40", "40"))
    assert (poison.true, poison.false) == ("40", "60")
    assert poison.chunk.text == "The fee is EUR 60. It was EUR 35. Nobody pays EUR 400 or 40.5."
    assert poison.chunk.chunk_id == "fees#00~poisoned" and poison.chunk.doc_id == "fees"
    assert FEE.text.startswith("The fee is EUR 40")


def test_the_end_of_a_longer_number_is_not_the_number() -> None:
    poison = poisoned(chunk("a", "Pay EUR 40, not EUR 2.40."), question("q", "40"))
    assert poison.chunk.text == "Pay EUR 60, not EUR 2.40."


def test_the_title_is_falsified_too() -> None:
    poison = poisoned(chunk("cup", "The cup of 1954.", title="1954 in Bern"), question("q", "1954"))
    assert (poison.chunk.title, poison.chunk.text) == ("1956 in Bern", "The cup of 1956.")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (("EUR 99",), "no gold answer with a number stands in fees#00"),
        (("nobody pays",), "no gold answer with a number stands in fees#00"),
        (("40", "EUR 35"), "another form of the answer remains in fees#00"),
        (("40", "60"), "another form of the answer remains in fees#00"),
    ],
)
def test_what_cannot_be_poisoned_is_said(answers: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        poisoned(FEE, question("q", *answers))


def test_a_false_number_that_stands_there_already_is_no_poison() -> None:
    with pytest.raises(ValueError, match="q: the false answer '55' stands in two#00 already"):
        poisoned(TWO_FEES, question("q", "53"))


def test_poison_in_the_collection_leaves_no_trace_of_the_truth() -> None:
    documents = {document.doc_id: document for document in load_documents()}
    chunks = chunk_documents(list(documents.values()))
    questions = [q for q in load_questions(split="dev") if len(q.gold) == 1]
    n_made = 0
    for asked in questions:
        (gold,) = gold_passages(asked, chunks, documents)
        try:
            poison = poisoned(gold, asked)
        except ValueError:
            continue
        n_made += 1
        assert holds_answer(gold.text, asked.answers) and not holds_answer(poison.chunk.text, asked.answers)
        assert holds_answer(poison.chunk.text, [poison.false]) and not holds_answer(gold.text, [poison.false])
    assert n_made > 0.4 * len(questions)


# ---------------------------------------------------------------- sample


def test_a_sample_spreads_over_the_kinds() -> None:
    questions = [question(f"a{i}", kind="latest") for i in range(20)] + [question("b", kind="exact_term")]
    drawn = spread_sample(questions, 6, np.random.default_rng(13))
    assert Counter(q.kind for q in drawn) == {"latest": 5, "exact_term": 1}
    assert drawn == sorted(drawn, key=lambda q: q.question_id) and len(set(drawn)) == 6
    assert drawn == spread_sample(questions, 6, np.random.default_rng(13))
    assert spread_sample(questions, 0, np.random.default_rng(13)) == []


@pytest.mark.parametrize("n", [-1, 3])
def test_a_sample_larger_than_the_set_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"n must be between 0 and the 2 questions, got {n}"):
        spread_sample([question("a"), question("b")], n, np.random.default_rng(13))

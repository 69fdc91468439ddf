"""The measures of difficulty on small cases, and the page: tables, figures with alt text, the stored answers."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from course_lib.assets.models import compute_dtype
from course_lib.core.types import Chunk, GoldSpan, Question
from course_lib.corpus.question_quality import question_key
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.prompting import closed_book_messages
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.workshop.data_difficulty import (
    ClosedBookAnswers,
    ask_closed_book,
    bm25_documents,
    bootstrap_share,
    dense_documents,
    intent_score,
    read_closed_book,
    write_closed_book,
)
from course_lib.workshop.page import save_figure, table


def chunk(doc_id: str, text: str) -> Chunk:
    return Chunk(f"{doc_id}#00", doc_id, "Title", datetime.date(2024, 1, 1), text, 0, len(text))


def question(question_id: str, text: str, *answers: str) -> Question:
    return Question(question_id, text, "exact_term", "energy", "test", answers, (GoldSpan("a", text),))


CHUNKS = [
    chunk("a", "Late fees are refunded."),
    chunk("b", "Meters are read monthly."),
    chunk("c", "Wind turns a rotor."),
]


def test_both_searches_put_the_passage_in_question_first(embedder: ContextualEmbedder) -> None:
    questions = [question("q", "Who reads the meter?"), question("p", "Do I get a refund for a late fee?")]
    for found in (bm25_documents(CHUNKS, questions, k=2), dense_documents(CHUNKS, questions, embedder, k=2)):
        assert {question_id: doc_ids[0] for question_id, doc_ids in found.items()} == {"q": "b", "p": "a"}
        assert {len(doc_ids) for doc_ids in found.values()} == {2}


def test_a_question_without_a_known_word_still_gets_k_chunks() -> None:
    assert bm25_documents(CHUNKS, [question("q", "Xylophone?")], k=2) == {"q": ["a", "b"]}


def test_two_chunks_of_one_document_are_one_document() -> None:
    twice = [*CHUNKS, replace(CHUNKS[0], chunk_id="a#01")]
    assert bm25_documents(twice, [question("q", "refunded fees")], k=2) == {"q": ["a"]}


def test_the_interval_of_a_share_is_that_of_resampling() -> None:
    found = [True] * 30 + [False] * 10
    share = bootstrap_share(found)
    rng = np.random.default_rng(0)
    means = rng.choice(np.array(found), (20_000, 40)).mean(axis=1)
    assert (share.mean, share.n) == (0.75, 40)
    assert [share.low, share.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.026)  # a case is 0.025
    assert str(share) == f"0.75 ({share.low:.2f} to {share.high:.2f})"
    assert bootstrap_share([True] * 5).low == 1
    with pytest.raises(ValueError, match="at least one case"):
        bootstrap_share([])


def test_intents_are_scored_on_messages_the_classifier_has_not_seen() -> None:
    texts = [f"refund my money {i}" for i in range(10)] + [f"the meter is dark {i}" for i in range(10)]
    score = intent_score(texts, ["refund"] * 10 + ["meter_fault"] * 10)
    assert score.mean == 1
    assert score.intents == ("meter_fault", "refund")
    assert score.confusion.tolist() == [[10, 0], [0, 10]]


def test_a_table_stands_its_numbers_at_the_right() -> None:
    assert table(("kind", "n"), [("a", 1), ("b", "-")]) == "| kind | n |\n| --- | ---: |\n| a | 1 |\n| b | - |"


def test_figures_are_the_same_bytes_every_time_and_have_alt_text(tmp_path: Path) -> None:
    pictures = []
    for _ in range(2):
        figure = Figure()
        figure.subplots().plot([1, 2])
        assert save_figure(figure, tmp_path, "data-x", "A line [rising].") == "![A line (rising).](figures/data-x.png)"
        pictures.append((tmp_path / "data-x.png").read_bytes())
    assert pictures[0] == pictures[1]


# ---------------------------------------------------------------- the language model without documents


def test_stored_answers_are_those_of_one_model_asked_in_one_way(tmp_path: Path) -> None:
    path = tmp_path / "closed_book.json"
    assert read_closed_book("m", path) == ClosedBookAnswers("m")
    write_closed_book(ClosedBookAnswers("m", answers={"k": "yes"}), path)
    write_closed_book(ClosedBookAnswers("other", answers={"k": "no"}), path)
    assert read_closed_book("m", path).answers == {"k": "yes"}
    write_closed_book(ClosedBookAnswers("m", system="Answer in verse.", answers={"k": "ay"}), path)
    assert read_closed_book("m", path).answers == {}
    assert read_closed_book("other", path).answers == {"k": "no"}


def test_nothing_is_loaded_where_every_answer_is_stored() -> None:
    def load() -> LanguageModel:
        raise AssertionError("the model was loaded")

    asked = question("q", "Who reads the meter?", "you")
    stored = ClosedBookAnswers(
        "m", answers={question_key(asked.text): "You do.", "gone": "an answer to an old question"}
    )
    answers = ask_closed_book([asked], load, stored, save=lambda _: None, say=print)
    assert answers.answers == {question_key(asked.text): "You do."}


@pytest.mark.slow
def test_a_batch_padded_on_the_left_says_what_single_questions_say(language_model: LanguageModel) -> None:
    texts = [
        "What is the capital of France?",
        "Name a planet.",
        "Which metal is liquid at room temperature, and why is it so?",
    ]
    questions = [question(str(i), text) for i, text in enumerate(texts)]
    saved: list[int] = []
    stored = ask_closed_book(
        questions,
        lambda: language_model,
        ClosedBookAnswers("m", max_new_tokens=12),
        save=lambda answers: saved.append(len(answers.answers)),
        say=lambda _: None,
        batch_size=2,
    )
    assert saved == [2, 3, 3]
    assert (stored.checked, stored.same, stored.agreed) == (3, 3, 3)
    assert set(stored.answers) == {question_key(text) for text in texts}
    assert language_model.model.dtype is compute_dtype()  # the shared model was copied, not turned
    alone = language_model.generate(closed_book_messages(texts[0]), max_new_tokens=12)
    assert "Paris" in alone and "Paris" in stored.answers[question_key(texts[0])]

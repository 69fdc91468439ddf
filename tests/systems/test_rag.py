"""RAG with the real models: take the passage away, or swap it, and the answer must change."""

from __future__ import annotations

import datetime
import functools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from course_lib import cli
from course_lib.assets import store
from course_lib.core.types import Answer, Chunk, Citation, Document
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import load_documents
from course_lib.evaluation.answers import abstains
from course_lib.generation.language_model import LanguageModel
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.retrieval.exact import DenseRetriever
from course_lib.retrieval.filtering import versions_asked_for
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.late_interaction import LateInteractionReranker
from course_lib.systems.glass import GlassPipeline
from course_lib.systems.glass_trace import STEPS, Settings
from course_lib.systems.rag import RAG, ClosedBook, answer_as_json, cite
from course_lib.systems.reading_room import reading_room_glass, reading_room_rag
from course_lib.systems.room import Room

ROOT = Path(__file__).resolve().parents[2]
FINAL = "world_cup/2026-07-19-spain-argentina"
# A model of 135 M parameters misreads a passage now and then, so a claim is a claim about the majority of these.
QUESTIONS = (
    "Who won the final of the 2026 World Cup?",
    "Who won the 2026 World Cup final?",
    "Which team won the World Cup in 2026?",
    "Who won the World Cup final of 2026 at MetLife Stadium?",
    "In 2026, which team won the final after extra time?",
)
MAJORITY = 3
FALSE_TITLE = "Norway 2-1 Peru (after extra time), final of the 2026 World Cup"
FALSE_TEXT = (
    "Norway won the 2026 World Cup. Norway beat Peru 2-1 after extra time in the final at MetLife Stadium in East "
    "Rutherford on 19 July 2026. Erling Haaland scored both goals for Norway."
)


@pytest.fixture(scope="module")
def room(embedder: ContextualEmbedder) -> DenseRetriever:
    """32 match reports: of every tournament up to 2022 the third last, of the old ones the last, too, and the final of 2026."""
    reports = {document.doc_id: document for document in load_documents("world_cup")}
    by_year = defaultdict(list)
    for doc_id in sorted(reports):
        if (day := doc_id.removeprefix("world_cup/"))[:4].isdigit() and day[4] == "-":
            by_year[int(day[:4])].append(doc_id)
    chosen = [ids[-3] for year, ids in by_year.items() if year < 2026] + [FINAL]
    chosen += [ids[-1] for year, ids in by_year.items() if year < 1974]
    return DenseRetriever(embedder).fit(chunk_documents([reports[doc_id] for doc_id in sorted(chosen)]))


@pytest.fixture(scope="module")
def false_report() -> Document:
    report = next(document for document in load_documents("world_cup") if document.doc_id == FINAL)
    return replace(report, doc_id="world_cup/2026-07-19-norway-peru", title=FALSE_TITLE, text=FALSE_TEXT)


@pytest.fixture(scope="module")
def answers(room: DenseRetriever, language_model: LanguageModel) -> list[Answer]:
    return [RAG(room, language_model, k=1, max_new_tokens=20)(question) for question in QUESTIONS]


def texts(answers: list[Answer]) -> str:
    return "\n".join(f"{answer.question} -> {answer.text}" for answer in answers)


# ---------------------------------------------------------------- the counterfactuals


def test_with_the_passage_the_answer_is_right(answers: list[Answer]) -> None:
    assert sum("Spain" in answer.text for answer in answers) >= MAJORITY, texts(answers)


def test_the_answer_rests_on_the_passage(answers: list[Answer]) -> None:
    for answer in answers:
        assert answer.passages[0][0].doc_id == FINAL, answer.question
        assert [citation.doc_id for citation in answer.citations] in ([FINAL], []), answer.question


def test_without_the_passage_the_answer_is_gone(room: DenseRetriever, language_model: LanguageModel) -> None:
    system = RAG(room.without(FINAL), language_model, k=1, max_new_tokens=20)
    answers = [system(question) for question in QUESTIONS]
    assert FINAL not in {chunk.doc_id for answer in answers for chunk, _ in answer.passages}
    assert sum("Spain" not in answer.text for answer in answers) >= MAJORITY, texts(answers)


def test_a_false_passage_is_followed(
    room: DenseRetriever, language_model: LanguageModel, false_report: Document
) -> None:
    """What the system says comes from what it reads, not from what it learned."""
    system = RAG(room.without(FINAL).add(chunk_documents([false_report])), language_model, k=1, max_new_tokens=20)
    answers = [system(question) for question in QUESTIONS]
    assert sum("Norway" in answer.text or abstains(answer.text) for answer in answers) >= MAJORITY, texts(answers)
    assert any("Norway" in answer.text for answer in answers), texts(answers)
    assert not any("Spain" in answer.text for answer in answers), texts(answers)


def test_closed_book_does_not_know(language_model: LanguageModel) -> None:
    answers = [ClosedBook(language_model, max_new_tokens=20)(question) for question in QUESTIONS]
    assert sum("Spain" not in answer.text for answer in answers) >= MAJORITY, texts(answers)
    assert all(answer.citations == answer.passages == () for answer in answers)


# ---------------------------------------------------------------- the parts, with a generator that shows its prompt


class Echo:
    """A generator whose answer is what a test says, and which keeps what it was asked."""

    def __init__(self, answer: str = "Spain won.") -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def generate(self, messages: Any, *, max_new_tokens: int) -> str:
        self.asked.append((messages, max_new_tokens))
        return self.answer

    def count_tokens(self, text: str) -> int:
        return len(text.split())


def test_every_passage_shown_reaches_the_prompt(room: DenseRetriever) -> None:
    echo = Echo()
    answer = RAG(room, echo, k=4, max_new_tokens=9)(QUESTIONS[0])
    ((messages, max_new_tokens),) = echo.asked
    assert max_new_tokens == 9 and messages[-1]["content"] == answer.prompt
    assert len(answer.passages) == 4
    places = [answer.prompt.index(chunk.text) for chunk, _ in answer.passages]
    assert places == sorted(places), "best first"
    assert answer.prompt.endswith(f"Question: {QUESTIONS[0]}")
    assert [score for _, score in answer.passages] == [hit.score for hit in room.search(QUESTIONS[0], 4)]


def test_what_the_budget_leaves_out_is_not_reported_as_shown(room: DenseRetriever) -> None:
    answer = RAG(room, Echo(), k=4, budget=250)(QUESTIONS[0])
    assert 1 <= len(answer.passages) < 4
    assert all(chunk.text in answer.prompt for chunk, _ in answer.passages)
    assert room.chunk(room.search(QUESTIONS[0], 4)[-1].chunk_id).text not in answer.prompt


@pytest.mark.parametrize("said", ["Spain won.", "Uruguay", "The and of", "I do not know.", "Zzz qqq"])
def test_citations_point_to_passages_that_were_shown(said: str, room: DenseRetriever) -> None:
    answer = RAG(room, Echo(said), k=3)(QUESTIONS[0])
    for citation in answer.citations:
        chunk = answer.passages[citation.number - 1][0]
        assert (citation.chunk_id, citation.doc_id, citation.title, citation.date) == (
            chunk.chunk_id, chunk.doc_id, chunk.title, chunk.date,
        )  # fmt: skip
        assert f"[{citation.number}] {citation.title}" in answer.prompt


@pytest.mark.parametrize("said", ["I do not know.", "Sorry, I DO NOT KNOW that."])
def test_who_abstains_cites_nothing(said: str, room: DenseRetriever) -> None:
    assert RAG(room, Echo(said), k=2)(QUESTIONS[0]).citations == ()


def test_every_step_is_timed(room: DenseRetriever) -> None:
    seconds = RAG(room, Echo(), k=1)(QUESTIONS[0]).seconds
    assert set(seconds) == {"search", "generate"} and all(0 <= value < 60 for value in seconds.values())
    assert set(ClosedBook(Echo())(QUESTIONS[0]).seconds) == {"generate"}


@pytest.mark.parametrize(("question", "error"), [("", ValueError), ("  ", ValueError), (None, TypeError)])
def test_a_question_must_be_one(question: Any, error: type[Exception], room: DenseRetriever) -> None:
    for system in (RAG(room, Echo()), ClosedBook(Echo())):
        with pytest.raises(error, match="must"):
            system(question)


def test_k_beyond_the_room(room: DenseRetriever) -> None:
    with pytest.raises(ValueError, match=f"k must be between 1 and the {len(room)} indexed chunks, got 1000"):
        RAG(room, Echo(), k=1000)("Who won?")


def passage(name: str, text: str) -> Chunk:
    return Chunk(f"{name}#00", name, name.title(), datetime.date(2026, 7, 19), text, 0, len(text))


def test_cite_by_hand() -> None:
    """Answer: {spain, won, it}. Passage 1 shares {won}, passage 2 {spain, won}, passage 3 {spain, won}: 2 comes first."""
    passages = [passage("oslo", "Norway won."), passage("spain", "They won."), passage("final", "Spain won.")]
    assert cite("Spain won it!", passages) == (Citation(2, "spain#00", "spain", "Spain", datetime.date(2026, 7, 19)),)


def test_nothing_shared_is_nothing_cited() -> None:
    assert cite("Zzz", [passage("a", "b")]) == cite("Spain", []) == cite("", [passage("a", "b")]) == ()


# ---------------------------------------------------------------- as JSON, and as a command without a network


def test_an_answer_as_plain_data() -> None:
    chunk = passage("final", "Spain won.")
    answer = Answer(
        "Who?",
        "Spain.",
        (Citation(1, "final#00", "final", "Final", chunk.date),),
        ((chunk, 0.123456),),
        "prompt",
        {"search": 0.00049},
    )
    assert answer_as_json(answer) == {
        "question": "Who?",
        "answer": "Spain.",
        "citations": [{"number": 1, "doc_id": "final", "chunk_id": "final#00", "title": "Final", "date": "2026-07-19"}],
        "passages": [
            {
                "chunk_id": "final#00",
                "doc_id": "final",
                "title": "Final",
                "date": "2026-07-19",
                "score": 0.1235,
                "text": "Spain won.",
            }
        ],
        "seconds": {"search": 0.0},
    }
    assert json.loads(json.dumps(answer_as_json(answer))) == answer_as_json(answer)


@functools.cache
def without_network() -> tuple[str, ...]:
    """A prefix that runs a command where no network is; empty if this machine has none."""
    candidates = (
        ("bwrap", "--unshare-net", "--dev-bind", "/", "/", "--"),
        ("unshare", "--net", "--"),
        ("unshare", "--map-root-user", "--net", "--"),
    )
    for prefix in candidates:
        if shutil.which(prefix[0]) and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
            return prefix
    return ()


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    if not (prefix := without_network()):
        pytest.skip("neither bwrap nor unshare can take the network away here")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PIP_", "TRANSFORMERS_"))
    }
    environment |= {"COURSE_HOME": str(store.course_home()), "PYTHONPATH": str(ROOT)}
    command = [*prefix, sys.executable, "-m", "course_lib.cli", "ask", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, env=environment)


def test_the_network_is_gone_where_the_command_runs() -> None:
    if not (prefix := without_network()):
        pytest.skip("neither bwrap nor unshare can take the network away here")
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    result = subprocess.run([*prefix, sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1 and "Network is unreachable" in result.stderr


def test_ask_as_json_without_a_network() -> None:
    """stdout is JSON and nothing else; nothing is said on stderr that a program would have to filter."""
    question = "Who won the World Cup final of 2026?"
    result = ask("--json", "--k", "2", question)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert list(report) == ["question", "answer", "citations", "passages", "seconds", "support"]
    assert report["question"] == question and report["answer"].strip()
    assert len(report["passages"]) == 2
    for found in report["passages"]:
        assert math.isfinite(found["score"]) and found["text"] and found["title"]
        datetime.date.fromisoformat(found["date"])
    scores = [found["score"] for found in report["passages"]]
    assert scores == sorted(scores, reverse=True)
    shown = {found["chunk_id"] for found in report["passages"]}
    assert {citation["chunk_id"] for citation in report["citations"]} <= shown
    assert {"vector", "words", "meaning", "fusion", "versions", "rerank", "prompt", "answer"} <= set(report["seconds"])
    assert all(value >= 0 for value in report["seconds"].values())
    assert all(support["quote"] or support["number"] is None for support in report["support"])
    assert "Traceback" not in result.stderr and "Warning" not in result.stderr


def test_ask_closed_book_without_a_network() -> None:
    result = ask("--json", "--closed-book", "What is the capital of France?")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert "Paris" in report["answer"]
    assert report["citations"] == report["passages"] == []


class Command:
    """`course ask` in this process, on the small room, with an answer that a test chooses."""

    def __init__(self, room: DenseRetriever, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer = "Spain won the final."
        self.options: list[dict[str, Any]] = []
        self.patch, self.room = monkeypatch, room
        monkeypatch.setattr("course_lib.systems.reading_room.reading_room_glass", self.load)

    def load(self, **options: Any) -> GlassPipeline:
        self.options.append(options)
        documents = {document.doc_id: document for document in load_documents("world_cup")}
        held = {chunk.doc_id: documents[chunk.doc_id] for chunk in self.room.chunks_.values()}
        return GlassPipeline(Room.of(self.room, held), Echo(self.answer), Settings(k=options["k"]))

    def __call__(self, *arguments: str) -> int:
        self.patch.setattr(sys, "argv", ["course", "ask", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0)


@pytest.fixture
def command(room: DenseRetriever, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(room, monkeypatch)


def test_ask_for_people_names_the_source_and_its_words(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    command.answer = "Spain beat Argentina 1-0 after extra time."
    assert command(QUESTIONS[0]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == command.answer
    assert re.match(r"\[1\] .*2026 World Cup", lines[2]) and FINAL in lines[3] and lines[4].startswith('    "')
    assert re.match(r"\d+\.\d\d s: filters 0\.\d\d, .*late|read again", lines[-1])


def test_ask_for_people_says_when_nothing_supports_an_answer(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    command.answer = "I do not know."
    assert command(QUESTIONS[0]) == 0
    said = capsys.readouterr().out
    assert said.startswith("I do not know.\n\n(no passage supports an answer)\n")


def test_ask_with_a_trace_prints_every_step(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--trace", "--k", "3", "--shelf", "world_cup", QUESTIONS[0]) == 0
    said = capsys.readouterr().out
    for name in STEPS.values():
        assert name in said
    assert "on world_cup" in said and f"Question: {QUESTIONS[0]}" in said and command.answer in said
    assert command.options[0]["k"] == 3


def test_ask_with_a_trace_as_json(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--trace", "--json", QUESTIONS[0]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["trace"]["lists"]) == {"words", "meaning", "fusion", "versions", "rerank"}
    assert "closed_book" not in report["trace"]["on"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((" ",), "must not be empty"),
        (("word " * 10_000,), "at most 1,000 characters, got 49,999"),
        (("--shelf", "attic", "Who?"), "--shelf must be one of world_cup, neurology, energy, help_desk, got 'attic'"),
        (("--closed-book", "--k", "2", "Who?"), "no document is searched"),
        (("--closed-book", "--trace", "Who?"), "no document is searched"),
        (("--closed-book", "--shelf", "energy", "Who?"), "no document is searched"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(
    arguments: tuple[str, ...], says: str, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """One message, no traceback, nothing on stdout, no model loaded."""
    assert command("--json", *arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and says in said.err and "Traceback" not in said.err
    assert command.options == []


@pytest.mark.parametrize("k", ["0", "11", "x"])
def test_k_out_of_range(k: str, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--k", k, "Who?") == 2
    assert command.options == [] and "Traceback" not in capsys.readouterr().err


# ---------------------------------------------------------------- the shipped system


def test_the_shipped_search_is_the_one_that_was_chosen() -> None:
    """Fusion by z-score, versions as the question asks for them, the 50 best read again; as a RAG and in glass alike."""
    rag, glass = reading_room_rag(k=2), reading_room_glass(k=2)
    room = glass.room
    fused = FusedRetriever(room.dense, room.words, n_chunks=len(room), method="z_score")
    for question in ("What does an evening call-out cost?", "Who won the most recent men's World Cup?"):
        hits = [hit.chunk_id for hit in rag.retriever.search(question, 2)]
        assert hits == [hit.chunk_id for hit in glass.retriever.search(question, 2)]
        keep = versions_asked_for(question)
        head = [hit for hit in fused.search(question, 100) if keep(room.documents[room.chunk(hit.chunk_id).doc_id])][
            :50
        ]
        reader = LateInteractionReranker(room.dense, room.tokens, depth=50, weight=0.0)
        assert hits == [hit.chunk_id for hit in reader.rerank(question, head)[:2]]
    assert "holders-of-the-world-cup-2026" in hits[0]

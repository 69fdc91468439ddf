"""Two assistants over one shelf each: the help desk and patient information; any generator, with or without a guard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from course_lib.core.protocols import Generator, Message, Retriever
from course_lib.core.types import Chunk, Citation, Document
from course_lib.corpus.load import load_documents
from course_lib.corpus.safety import ASSISTANTS
from course_lib.evaluation.answers import abstains
from course_lib.generation.prompting import SYSTEM, build_prompt, written_date
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.exact import DenseRetriever
from course_lib.retrieval.filtering import Filter, FilteredRetriever, in_register, versions_asked_for
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.recency import LatestFirst
from course_lib.systems.guard import Decision, Guard
from course_lib.systems.rag import cite
from course_lib.systems.reading_room import reading_room

SYSTEMS = {  # the course's own instructions, and one line: a small model loses its thread in a long list of rules
    "help_desk": f'{SYSTEM} You work for Fennimore Energy: say "we" and "you".',
    "patient": f"{SYSTEM} Use plain words. Give no diagnosis, no dose and no advice to start or stop a medicine.",
}
FENCE = "<<<", ">>>"


@dataclass(frozen=True)
class Turn:
    """One question on its way: what the model is to read, or the decision that it is not asked.

    messages: empty where the guard declined. shown: the passages as printed. decisions: so far.
    """

    question: str
    messages: tuple[Message, ...]
    shown: tuple[Chunk, ...]
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True)
class Reply:
    """What an assistant says. body: without its source. raw: what the model said, None where it was not asked."""

    question: str
    body: str
    source: str
    citation: Citation | None
    shown: tuple[Chunk, ...]
    decisions: tuple[Decision, ...]
    raw: str | None

    @property
    def text(self) -> str:
        """What the reader sees: the body, and the document with the date of its version behind it."""
        return f"{self.body} {self.source}".strip()

    @property
    def declined(self) -> bool:
        """Whether the guard put words of its own in place of an answer."""
        return any(decision.action == "decline" for decision in self.decisions)


@dataclass(frozen=True)
class Assistant:
    """A shelf, a voice, a guard and a generator, each to be exchanged.

    documents: doc_id -> Document, for the version that a source names. fence: passages stand between marks.
    """

    name: str
    retriever: Retriever
    generator: Generator
    documents: Mapping[str, Document]
    guard: Guard | None = None
    system: str = ""
    k: int = 1
    budget: int = 1200
    max_new_tokens: int = 48
    fence: bool = False

    def __post_init__(self) -> None:
        if self.name not in SYSTEMS:
            raise ValueError(f"name must be one of {', '.join(SYSTEMS)}, got {self.name!r}")
        if not self.system:
            object.__setattr__(self, "system", SYSTEMS[self.name])

    def with_guard(self, guard: Guard | None) -> Assistant:
        """Return the same assistant with another guard, or without one."""
        return replace(self, guard=guard)

    def with_generator(self, generator: Generator) -> Assistant:
        """Return the same assistant with another generator, a tuned one for example."""
        return replace(self, generator=generator)

    def __call__(self, question: str, passages: Sequence[Chunk] | None = None) -> Reply:
        """Return the reply to a question; passages: what is shown in place of what the search finds."""
        turn = self.prepare(question, passages)
        raw = self.generator.generate(turn.messages, max_new_tokens=self.max_new_tokens) if turn.messages else None
        return self.finish(turn, raw)

    def prepare(self, question: str, passages: Sequence[Chunk] | None = None) -> Turn:
        """Return the turn up to where the model is asked: the guard reads the question, then the passages."""
        if self.guard and (decision := self.guard.check_question(question)):
            return Turn(question, (), (), (decision,))
        if passages is None:
            passages = [self.retriever.chunk(hit.chunk_id) for hit in self.retriever.search(question, self.k)]
        decisions: tuple[Decision, ...] = ()
        if self.guard:
            checked = [self.guard.check_passage(passage) for passage in passages]
            decisions = tuple(decision for _, decision in checked if decision)
            passages = [passage for passage, _ in checked if passage.text.strip()]
            if not passages:
                return Turn(question, (), (), (*decisions, self.guard.nothing_left()))
        printed = [replace(p, text=f"{FENCE[0]}\n{p.text}\n{FENCE[1]}") if self.fence else p for p in passages]
        prompt = build_prompt(question, printed, generator=self.generator, budget=self.budget, system=self.system)
        return Turn(question, tuple(prompt.messages), tuple(passages[: len(prompt.shown)]), decisions)

    def finish(self, turn: Turn, raw: str | None) -> Reply:
        """Return the reply: what the model said, or what the guard puts in its place, with its source."""
        decisions, body = turn.decisions, (raw or "").strip()
        if raw is not None and self.guard:
            removed = [text for decision in decisions for text in decision.removed]
            found = self.guard.check_reply(turn.question, body, turn.shown, system=self.system, removed=removed)
            decisions += (found,) if found else ()
        instead = next((decision.instead for decision in decisions if decision.instead), None)
        body = body if instead is None else instead
        declined = any(decision.action == "decline" for decision in decisions)
        cited = () if declined or abstains(body) else cite(body, turn.shown)
        citation = cited[0] if cited else None
        return Reply(turn.question, body, self._source(citation), citation, turn.shown, decisions, raw)

    def _source(self, citation: Citation | None) -> str:
        if citation is None:
            return ""
        document = self.documents.get(citation.doc_id)
        state = (
            "replaced since"
            if document and document.superseded_by
            else "in force"
            if self.name == "help_desk"
            else "latest"
        )
        return f"[{citation.title}, {written_date(citation.date)}, {state}]"


def assistant_retriever(name: str, dense: DenseRetriever, documents: Mapping[str, Document]) -> FilteredRetriever:
    """Return the search of an assistant: words and meaning, versions in force unless the question looks back.

    Questions about the latest also lift what is newer. The patient assistant reads what was written for patients only.
    """
    chunks = list(dense.chunks_.values())
    both = FusedRetriever(dense, FastBM25Retriever().fit(chunks), n_chunks=len(chunks), method="z_score")
    old = {doc_id for doc_id, document in documents.items() if document.superseded_by}

    def keep(question: str) -> Filter:
        versions = versions_asked_for(question)
        return versions & in_register("patient") if name == "patient" else versions

    return FilteredRetriever(LatestFirst(both, old), documents, keep)


def load_assistant(
    name: str, generator: Generator, *, guard: Guard | None = None, dense: DenseRetriever | None = None
) -> Assistant:
    """Return an assistant over its shelf of the collection; guard: see `guard_training.fit_guard`.

    Raises ValueError for a name that is not one of ASSISTANTS.
    """
    if name not in ASSISTANTS:
        raise ValueError(f"name must be one of {', '.join(ASSISTANTS)}, got {name!r}")
    shelf = ASSISTANTS[name]
    documents = {document.doc_id: document for document in load_documents(shelf)}
    dense = dense or reading_room(shelf)
    return Assistant(name, assistant_retriever(name, dense, documents), generator, documents, guard)

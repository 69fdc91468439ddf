"""Small libraries that hold the answers: a shelf cut into parts of a given length, each asked its own questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.core.protocols import Generator
from course_lib.core.types import Document, Question
from course_lib.generation.prompting import format_passage
from course_lib.systems.long_context import QUESTION_TOKENS, packed, whole


@dataclass(frozen=True)
class Library:
    """Documents in the order in which they are printed, and the questions that they answer, or seem to."""

    documents: tuple[Document, ...]
    questions: tuple[Question, ...]
    n_tokens: int

    def depth(self, question: Question) -> float:
        """Return where the first document that answers question stands: 0 for the first of the library, 1 for the last.

        Raises ValueError for a question without gold.
        """
        if not question.gold:
            raise ValueError(f"{question.question_id} is unanswerable: nothing answers it anywhere")
        places = [i for i, each in enumerate(self.documents) if each.doc_id in {span.doc_id for span in question.gold}]
        return min(places) / max(1, len(self.documents) - 1)


def needed(question: Question, documents: Mapping[str, Document]) -> tuple[Document, ...]:
    """Return the documents that a question needs: of each gold span, of the first where any answers alone.

    For an unanswerable question, the one that makes it look answerable, if there is one.
    """
    if not question.gold:
        return (documents[question.near],) if question.near else ()
    spans = question.gold[:1] if question.any_gold else question.gold
    return tuple({span.doc_id: documents[span.doc_id] for span in spans}.values())


def that_fit(
    questions: Sequence[Question], documents: Sequence[Document], *, generator: Generator, budget: int
) -> list[Question]:
    """Return the questions whose documents fit into one prompt of budget tokens."""
    by_id = {document.doc_id: document for document in documents}
    sizes, room = _measured(documents, generator, budget)
    return [question for question in questions if sum(sizes[each.doc_id] for each in needed(question, by_id)) <= room]


def libraries(
    questions: Sequence[Question],
    documents: Sequence[Document],
    *,
    generator: Generator,
    budget: int,
    seed: int,
) -> list[Library]:
    """Return libraries of budget tokens so that each question's documents stand in the one that it is asked of.

    Questions are drawn in random order; a library takes them while their documents fit, and is filled up with others of
    the shelf. Documents of a library are shuffled, so that an answer may stand anywhere. Raises ValueError for a
    question whose documents do not fit: see `that_fit`.
    """
    by_id = {document.doc_id: document for document in documents}
    rng = np.random.default_rng(seed)
    sizes, room = _measured(documents, generator, budget)
    groups: list[tuple[list[Question], dict[str, Document]]] = []
    for i in rng.permutation(len(questions)):
        wanted = {document.doc_id: document for document in needed(questions[i], by_id)}
        if sum(sizes[name] for name in wanted) > room:
            raise ValueError(f"{questions[i].question_id}: its documents do not fit into {budget} tokens; leave it out")
        for asked, held in groups:
            if sum(sizes[name] for name in {**held, **wanted}) <= room:
                asked.append(questions[i])
                held.update(wanted)
                break
        else:
            groups.append(([questions[i]], wanted))
    made = []
    for asked, held in groups:
        used = sum(sizes[name] for name in held)
        for i in rng.permutation(len(documents)):
            name = documents[i].doc_id
            if name not in held and used + sizes[name] <= room:
                held[name] = documents[i]
                used += sizes[name]
        names = sorted(held)
        order = [held[names[i]] for i in rng.permutation(len(names))]
        pack = packed(order, generator=generator, budget=budget)
        if pack.left_out:
            raise ValueError(f"budget {budget} must hold what was counted; {pack.left_out[0].doc_id} was left out")
        made.append(Library(tuple(order), tuple(sorted(asked, key=lambda q: q.question_id)), pack.n_tokens))
    return made


def _measured(documents: Sequence[Document], generator: Generator, budget: int) -> tuple[dict[str, int], int]:
    """The tokens of each document as a passage, and those that passages may take together.

    The second is less than budget by instructions, template and question, and by one token in 400: passages side by side
    can read as a few tokens more than each alone.
    """
    sizes = {
        document.doc_id: generator.count_tokens(format_passage(10, whole(document)) + "\n\n") for document in documents
    }
    shortest = min(documents, key=lambda document: sizes[document.doc_id])
    around = packed([shortest], generator=generator, budget=budget).n_tokens - sizes[shortest.doc_id]
    return sizes, budget - QUESTION_TOKENS - around - budget // 400

"""Which chunks answer a question: those that hold its gold span."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from course_lib.core.types import Chunk, Document, Question


def gold_ranges(question: Question, documents: dict[str, Document]) -> list[tuple[str, int, int]]:
    """Return (doc_id, start, end) of every gold span, offsets in characters.

    Raises KeyError if a gold document is missing, ValueError if its quote does not stand in it.
    """
    ranges = []
    for span in question.gold:
        if span.doc_id not in documents:
            raise KeyError(f"{question.question_id}: its gold document {span.doc_id} is not among the documents")
        start = documents[span.doc_id].text.find(span.quote)
        if start < 0:
            raise ValueError(f"{question.question_id}: the quote does not stand in {span.doc_id}")
        ranges.append((span.doc_id, start, start + len(span.quote)))
    return ranges


def judge_chunks(
    questions: Iterable[Question], chunks: Sequence[Chunk], documents: Iterable[Document]
) -> dict[str, dict[str, float]]:
    """Return question_id -> {chunk_id: 1.0} for the chunks that hold a gold span of each answerable question.

    A chunk holds a span if it covers at least half of it; of a span cut into more pieces, the longest piece counts.
    Unanswerable questions are left out: no ranking can be right for them. Raises as gold_ranges does, and ValueError
    if no chunk touches a gold span: the chunks are of other documents.
    """
    by_id = {document.doc_id: document for document in documents}
    by_document: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        by_document.setdefault(chunk.doc_id, []).append(chunk)
    judgements: dict[str, dict[str, float]] = {}
    for question in questions:
        if not question.gold:
            continue
        gains: dict[str, float] = {}
        for doc_id, start, end in gold_ranges(question, by_id):
            covered = {
                chunk.chunk_id: min(end, chunk.end) - max(start, chunk.start) for chunk in by_document.get(doc_id, ())
            }
            longest = max(covered.values(), default=0)
            if longest <= 0:
                raise ValueError(
                    f"{question.question_id}: no chunk holds its gold span in {doc_id}; chunk the same documents"
                )
            needed = min(longest, (end - start) / 2)
            gains |= {name: 1.0 for name, length in covered.items() if length > 0 and length >= needed}
        judgements[question.question_id] = gains
    return judgements

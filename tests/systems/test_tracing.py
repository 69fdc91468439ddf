"""Rooms make traces: lists, ranks, versions, borders and what an old index lacks, on a few documents."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from course_lib.core.protocols import Message
from course_lib.core.types import Document, GoldSpan, Question
from course_lib.corpus.chunking import fixed_chunks
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.systems.failure_finder import Repairs, gold_sentence, mended, recovered
from course_lib.systems.tracing import ABSTENTION, Room, answered, prompt_of, with_answer


def document(name: str, year: int, text: str, **more: Any) -> Document:
    return Document(f"help_desk/{name}", "help_desk", name.replace("-", " "), datetime.date(year, 5, 1), text, **more)


DOCUMENTS = [
    document("late-fee-2021", 2021, "The late fee on a bill is EUR 6. It is due after ten days.", superseded_by="help_desk/late-fee-2026"),
    document("late-fee-2026", 2026, "The late fee on a bill is EUR 9. It is due after twenty days.", supersedes="help_desk/late-fee-2021"),
    document("meter", 2024, "The meter is read in May. A reading takes five minutes."),
    document("storm", 2024, "A storm stopped the turbine. The turbine stood still for a day."),
]  # fmt: skip
FEE = Question(
    "q1", "How high is the late fee on a bill?", "latest", "help_desk", "dev", ("EUR 9",),
    (GoldSpan("help_desk/late-fee-2026", "The late fee on a bill is EUR 9."),),
)  # fmt: skip
NONE = Question("q2", "Who built the meter?", "unanswerable", "help_desk", "dev")


class Fake:
    """Says which fee stands first in the prompt, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Message]] = []

    def generate_many(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        self.asked += conversations
        return [
            "The fee is EUR 9." if "EUR 9" in each[-1]["content"] else "The fee is EUR 6." for each in conversations
        ]


@pytest.fixture
def make(embedder: ContextualEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return lambda **options: Room("room", DOCUMENTS, embedder, **options).fit()


def test_a_trace_keeps_lists_ranks_and_versions(make: Any) -> None:
    trace = make(k=2).trace(FEE)
    assert trace.gold == ("help_desk/late-fee-2026#00",) and not trace.missing and not trace.cut
    assert set(trace.shown) == {"help_desk/late-fee-2021#00", "help_desk/late-fee-2026#00"}
    assert trace.other_versions == ("help_desk/late-fee-2021#00",)
    assert trace.alike == 1.0  # two versions that differ in a number: one of the one below the first repeats it
    for name, hits in trace.lists.items():
        place = trace.ranks[name][trace.gold[0]]
        assert place and hits[place - 1].chunk_id == trace.gold[0]
    assert {hit.chunk_id for hits in trace.lists.values() for hit in hits} <= set(trace.chunks)


def test_an_old_index_lacks_what_came_later(make: Any) -> None:
    trace = make(until=datetime.date(2025, 1, 1)).trace(FEE)
    assert trace.missing == trace.gold == ("help_desk/late-fee-2026#00",)
    assert trace.ranks["fused"][trace.gold[0]] is None and trace.gold[0] in trace.chunks
    assert trace.shown == ("help_desk/late-fee-2021#00",)


def test_a_border_through_the_gold_words_is_seen(make: Any) -> None:
    assert make(chunker=partial(fixed_chunks, max_words=5)).trace(FEE).cut
    assert not make(chunker=partial(fixed_chunks, max_words=50)).trace(FEE).cut


def test_the_shown_passages_reach_the_prompt_and_no_others(make: Any) -> None:
    room, model = make(), Fake()
    for shown, said in (("late-fee-2021", "EUR 6"), ("late-fee-2026", "EUR 9")):
        (trace,) = answered([room.trace(FEE, [f"help_desk/{shown}#00"])], model)  # type: ignore[arg-type]
        assert said in trace.answer and trace.right == (said == "EUR 9")
        assert trace.cited == (f"help_desk/{shown}#00",)
        assert ("EUR 6" in model.asked[-1][-1]["content"]) == (said == "EUR 6")


def test_a_prompt_can_go_without_numbers(make: Any) -> None:
    trace = make(k=2).trace(FEE)
    numbered, plain = (prompt_of(each)[-1]["content"] for each in (trace, replace(trace, numbered=False)))
    assert "[1] late fee" in numbered and "[2] late fee" in numbered and "[" not in plain
    assert numbered.replace("[1] ", "").replace("[2] ", "") == plain


def test_an_abstention_cites_nothing(make: Any) -> None:
    trace = with_answer(make().trace(NONE), ABSTENTION)
    assert trace.cited == () and trace.right and trace.gold == ()


def test_each_repair_changes_one_thing(make: Any, embedder: ContextualEmbedder) -> None:
    room = make()
    repair = Repairs({"cut": make(until=None), "sentences": room, "fresh": room}, embedder, threshold=2.0)
    old = with_answer(room.trace(FEE, ["help_desk/late-fee-2021#00"]), "The fee is EUR 6.")
    mended_version = repair("wrong version", old, room)
    assert mended_version is not None and mended_version.shown == ("help_desk/late-fee-2026#00",)
    assert recovered("wrong version", old, mended_version) and not recovered("wrong version", old, old)
    compared = replace(old, question=replace(FEE, kind="comparison"), answer="EUR 9, not EUR 6.")
    assert mended("wrong version", replace(compared, question=FEE)) and not mended("wrong version", compared)
    right = with_answer(room.trace(FEE, ["help_desk/late-fee-2026#00"]), "The fee is EUR 9.")
    sentence = repair("number misread", right, room)
    assert sentence is not None and sentence.answer == ""
    assert sentence.chunks[sentence.shown[0]].text == "The late fee on a bill is EUR 9."
    several = room.trace(FEE, ["help_desk/meter#00", "help_desk/late-fee-2026#00", "help_desk/storm#00"])
    reordered = make(k=3)
    first = repair("lost in the middle", several, reordered)
    assert first is not None and first.shown == (
        "help_desk/late-fee-2026#00",
        "help_desk/meter#00",
        "help_desk/storm#00",
    )
    alone = repair("distractor", several, reordered)
    assert alone is not None and alone.shown == ("help_desk/late-fee-2026#00",)


def test_a_list_that_goes_on_is_ended_without_numbers(make: Any, embedder: ContextualEmbedder) -> None:
    room = make()
    going_on = with_answer(room.trace(FEE, ["help_desk/late-fee-2026#00"]), "[2] late fee (1 May 2027) The fee")
    plain = Repairs({}, embedder, threshold=0.0)("made-up passage", going_on, room)
    assert plain is not None and not plain.numbered and plain.answer == ""
    assert recovered("made-up passage", going_on, replace(plain, answer="It is high."))
    assert not recovered("made-up passage", going_on, replace(plain, answer="[2] late fee"))


def test_below_the_threshold_it_abstains_and_above_it_nothing_is_repaired(
    make: Any, embedder: ContextualEmbedder
) -> None:
    room = make()
    asked = with_answer(room.trace(NONE), "Somebody built it.")
    silent = Repairs({}, embedder, threshold=2.0)("unanswerable answered", asked, room)
    assert silent is not None and silent.answer == ABSTENTION and silent.shown == ()
    assert mended("unanswerable answered", silent)
    assert Repairs({}, embedder, threshold=-1.0)("unanswerable answered", asked, room) is None


def test_a_citation_is_mended_by_meaning(make: Any, embedder: ContextualEmbedder) -> None:
    room = make(k=2)
    wrong = room.trace(FEE, ["help_desk/storm#00", "help_desk/late-fee-2026#00"])
    wrong = with_answer(wrong, "The late fee on a bill is EUR 9.")
    moved = Repairs({}, embedder, threshold=0.0)("wrong citation", wrong, room)
    assert moved is not None and moved.cited == ("help_desk/late-fee-2026#00",) and mended("wrong citation", moved)


def test_no_sentence_of_another_document_touches_the_gold(make: Any) -> None:
    room = make()
    with pytest.raises(ValueError, match="no sentence of help_desk/meter#00 touches its gold span"):
        gold_sentence(FEE, room.chunks_["help_desk/meter#00"], room.by_id_)

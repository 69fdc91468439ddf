"""The glass pipeline: every step against its own library part, every switch, and with the real models the counterfactuals."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from glass_toys import DIM, DOCUMENTS, NOW, THEN, Echo, Streaming, document, toy_room
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from course_lib.core.types import Chunk, Document, Hit
from course_lib.corpus.chunking import chunk_documents
from course_lib.evaluation.grounding import Grounding, SentenceGrounding
from course_lib.generation.citing import Support
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.prompting import closed_book_messages, rag_messages
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import FusedRetriever, fuse
from course_lib.retrieval.late_interaction import LateInteractionReranker
from course_lib.retrieval.query import in_turns
from course_lib.systems.glass import GlassPipeline
from course_lib.systems.glass_search import MAX_QUESTION, GlassSearch, require_question
from course_lib.systems.glass_text import answer_text, trace_as_json, trace_text
from course_lib.systems.glass_trace import NEEDS, STEPS, SWITCHES, GlassTrace, Settings, distinctive, whole_words
from course_lib.systems.room import MAX_TEXT, MAX_TITLE, MAX_YOURS, Room, own_document

Day = datetime.date


@pytest.fixture(scope="module")
def room() -> Room:
    return toy_room()


@pytest.fixture
def glass(room: Room) -> GlassPipeline:
    return GlassPipeline(room, Echo())


def names(ranking: Sequence[Hit]) -> list[str]:
    return [hit.chunk_id.partition("#")[0] for hit in ranking]


# ---------------------------------------------------------------- settings and questions


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"on": frozenset({"words", "magic"})}, ValueError, "names among .*, got magic"),
        ({"on": frozenset({"fusion"})}, ValueError, "words, meaning or both must be on"),
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"k": True}, TypeError, "k must be a whole number"),
        ({"budget": 1.5}, TypeError, "budget must be a whole number"),
        ({"max_new_tokens": 0}, ValueError, "max_new_tokens must be at least 1"),
        ({"since": Day(2024, 1, 1), "until": Day(2023, 1, 1)}, ValueError, "since must not be after until"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Settings(**changes)


def test_a_switch_that_does_not_exist(glass: GlassPipeline) -> None:
    with pytest.raises(ValueError, match="got rerankk"):
        glass.without("rerankk")


def test_the_pipeline_is_a_value(glass: GlassPipeline) -> None:
    before = glass.settings
    other = glass.without("rerank", "support").having(k=3)
    assert glass.settings == before == Settings() and other.settings.k == 3
    assert other.settings.on == frozenset(SWITCHES) - {"rerank", "support"}


@pytest.mark.parametrize(
    ("question", "error", "says"),
    [("", ValueError, "not be empty"), (" \n", ValueError, "not be empty"), (None, TypeError, "must be a str"),
     ("word " * 10_000, ValueError, "at most 1,000 characters, got 49,999")],
)  # fmt: skip
def test_a_question_must_be_one(question: Any, error: type[Exception], says: str, glass: GlassPipeline) -> None:
    with pytest.raises(error, match=says):
        glass(question)
    assert not glass.generator.asked  # type: ignore[attr-defined]


def test_a_question_as_long_as_may_be() -> None:
    assert require_question(" " + "x" * MAX_QUESTION + "\n") == "x" * MAX_QUESTION


# ---------------------------------------------------------------- each step is the library's


def test_every_step_leaves_its_result_and_its_seconds(glass: GlassPipeline) -> None:
    trace = glass(NOW)
    assert list(trace.seconds) == [step for step in STEPS if step != "closed_book"] + ["closed_book"]
    assert all(0 <= value < 60 for value in trace.seconds.values())
    assert list(trace.rankings) == ["words", "meaning", "fusion", "versions", "rerank"]
    assert trace.finished and trace.reply == trace.closed_book == "It costs 55 pounds."
    assert trace.prompt is not None and [c.doc_id for c in trace.prompt.shown] == ["help_desk/fee-2024"]
    asked = glass.generator.asked  # type: ignore[attr-defined]
    assert asked == [rag_messages(NOW, trace.prompt.shown), closed_book_messages(NOW)]


def test_searches_are_those_of_the_retrievers(glass: GlassPipeline, room: Room) -> None:
    trace = glass(NOW)
    assert trace.rankings["words"] == room.words.search(NOW, len(room))
    assert trace.rankings["meaning"] == room.dense.search(NOW, len(room))
    assert trace.vector is not None and np.allclose(trace.vector, room.embedder([NOW])[0])
    assert trace.rankings["fusion"] == FusedRetriever(
        room.dense, room.words, n_chunks=len(room), method="z_score"
    ).search(NOW, len(room))


def test_reading_again_is_late_interaction(glass: GlassPipeline, room: Room) -> None:
    trace = glass.without("versions")(NOW)
    reader = LateInteractionReranker(room.dense, room.tokens, depth=50, weight=0.0)
    assert names(trace.rankings["rerank"]) == names(reader.rerank(NOW, trace.rankings["fusion"]))
    scores = [hit.score for hit in trace.rankings["rerank"]]
    assert np.allclose(scores, reader.scores(NOW, [hit.chunk_id for hit in trace.rankings["rerank"]]), atol=1e-6)


def test_what_holds_now_and_what_held_then(glass: GlassPipeline) -> None:
    now, then = glass(NOW), glass(THEN)
    assert "help_desk/fee-2020" not in names(now.rankings["versions"])
    assert (
        now.dropped["versions"] == ("help_desk/fee-2020#00",)
        and "holds now. Superseded passages left out: 1." in now.notes["versions"]
    )
    assert "help_desk/fee-2020" in names(then.rankings["versions"]) and "looks back" in then.notes["versions"]
    assert "help_desk/fee-2020" in names(glass.without("versions")(NOW).rankings["rerank"])


def test_where_everything_is_superseded_nothing_is_dropped() -> None:
    trace = GlassPipeline(toy_room(DOCUMENTS[:1]), Echo())(NOW)
    assert names(trace.rankings["rerank"]) == ["help_desk/fee-2020"] and "versions" not in trace.dropped


def test_as_a_retriever(glass: GlassPipeline, room: Room) -> None:
    search = glass.retriever
    assert isinstance(search, GlassSearch) and len(search) == len(room)
    assert search.search(NOW, 2) == glass(NOW).rankings["rerank"][:2]
    assert search.chunk("help_desk/meter#00").title == "Reading the meter"
    with pytest.raises(ValueError, match="k must be between 1 and the 7"):
        search.search(NOW, 8)


# ---------------------------------------------------------------- switches


@pytest.mark.parametrize("step", list(SWITCHES))
def test_a_step_that_is_off_leaves_nothing(step: str, glass: GlassPipeline) -> None:
    trace = glass.without(step)(NOW)
    absent = {name for name, needs in NEEDS.items() if step in needs}
    assert absent.isdisjoint(set(trace.seconds) - {"fusion"})
    assert absent.isdisjoint(set(trace.rankings) - {"fusion"})
    assert trace.finished and trace.prompt is not None
    if step == "answer":
        assert trace.reply == "" and trace.supports == () and trace.closed_book
    if step == "closed_book":
        assert trace.closed_book == "" and trace.reply


def test_without_fusion_the_lists_take_turns(glass: GlassPipeline) -> None:
    trace = glass.without("fusion")(NOW)
    assert trace.rankings["fusion"] == in_turns([trace.rankings["words"], trace.rankings["meaning"]])
    assert "in turn" in trace.notes["fusion"]


@pytest.mark.parametrize(("off", "left"), [("words", "meaning"), ("meaning", "words")])
def test_one_search_alone_is_not_fused(off: str, left: str, glass: GlassPipeline) -> None:
    trace = glass.without(off, "versions", "rerank")(NOW)
    assert list(trace.rankings) == [left] == [trace.last_list]


def test_words_that_nobody_knows_say_nothing(glass: GlassPipeline) -> None:
    trace = glass("Zwrk qqpl?")
    assert "all scores are 0" in trace.notes["words"] and "left out" in trace.notes["fusion"]
    assert trace.rankings["fusion"] == fuse([trace.rankings["meaning"]], method="z_score")


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"shelf": "energy"}, {"energy/turbine", "energy/sand"}),
        ({"since": Day(2022, 1, 1)}, {"help_desk/fee-2024", "help_desk/refund", "energy/sand"}),
        ({"until": Day(2019, 12, 31)}, {"energy/turbine", "neurology/tremor"}),
        ({"in_force": True, "shelf": "help_desk"}, {"help_desk/fee-2024", "help_desk/meter", "help_desk/refund"}),
    ],
)
def test_filters_hold_in_every_list(changes: dict[str, Any], found: set[str], glass: GlassPipeline) -> None:
    trace = glass.having(**changes)(THEN)
    assert trace.n_passing == len(found)
    for ranking in trace.rankings.values():
        assert set(names(ranking)) == found


def test_what_a_filter_took_from_the_top_is_told(glass: GlassPipeline) -> None:
    trace = glass.having(shelf="energy")(NOW)
    assert "help_desk/fee-2024#00" in trace.dropped["meaning"]
    assert "help_desk/fee-2024#00" in trace.chunks


def test_a_filter_that_nothing_passes(glass: GlassPipeline) -> None:
    with pytest.raises(ValueError, match='no chunk of 7 passes the filter "on energy and dated since 2030-01-01"'):
        glass.having(shelf="energy", since=Day(2030, 1, 1))(NOW)


# ---------------------------------------------------------------- why a passage moved


def test_distinctive_by_hand() -> None:
    """Token 0: .9 and .1, mean .5; token 1: .4 and .4."""
    lead = distinctive(np.array([[0.9, 0.1], [0.4, 0.4]], dtype=np.float32))
    assert np.allclose(lead, [[0.4, -0.4], [0.0, 0.0]])
    with pytest.raises(ValueError, match="at least one passage"):
        distinctive(np.zeros((2, 0), dtype=np.float32))


@given(arrays(np.float32, (3, 4), elements=st.floats(-1, 1, width=32)))
def test_leads_of_a_token_cancel_out(similarities: Any) -> None:
    assert np.allclose(distinctive(similarities).sum(axis=1), 0, atol=1e-5)


def test_whole_words_by_hand() -> None:
    text = "E-2041: the re-reading"
    assert whole_words(text, [(0, 1), (1, 2), (2, 4), (4, 6), (8, 11), (15, 19)]) == [
        "E",
        "-",
        "2041",
        "2041",
        "the",
        "reading",
    ]


def test_the_words_that_tell_a_passage_from_the_others(glass: GlassPipeline) -> None:
    trace = glass("What does E-2041 on the meter mean?")
    first = trace.rankings["rerank"][0].chunk_id
    assert first == "help_desk/meter#00"
    assert {"2041", "meter"} & {match.query for match in trace.matches[first]}
    assert {match.query for match in trace.matches[first]} <= {"E", "2041", "meter", "mean"}, "no stop words"
    assert len(glass("Who was it?").matches) == 5, "unless there is nothing else"
    assert all(glass("Who was it?").matches.values())
    for chunk_id, matches in trace.matches.items():
        for match in matches:
            assert match.passage in indexed_text(trace.chunks[chunk_id]) and -1.01 <= match.similarity <= 1.01


def test_moves_by_hand() -> None:
    def hits(*ids: str) -> list[Hit]:
        return [Hit(name, -float(i)) for i, name in enumerate(ids)]

    trace = GlassTrace(
        "q", Settings(), 4, rankings={"meaning": hits("a", "b", "c"), "rerank": hits("c", "b", "a", "d")}
    )
    assert [trace.move("rerank", name) for name in "cbad"] == ["▲ 2", "=", "▼ 2", "new"]
    assert trace.before("rerank") == ("meaning",) and trace.before("meaning") == () and trace.last_list == "rerank"
    assert trace.rank("meaning", "d") is None and trace.rank("words", "a") is None


# ---------------------------------------------------------------- prompt, reply, support


def test_the_parts_of_the_prompt_add_up(glass: GlassPipeline) -> None:
    trace = glass.having(k=3)(NOW)
    assert trace.prompt is not None and sum(trace.prompt_tokens.values()) == trace.prompt.n_tokens
    assert list(trace.prompt_tokens) == ["instructions", "passage 1", "passage 2", "passage 3", "question", "template"]


def test_what_does_not_fit_is_told(glass: GlassPipeline) -> None:
    whole = glass.having(k=1)(NOW).prompt
    assert whole is not None
    tight = glass.having(k=3, budget=whole.n_tokens + 4)(NOW).prompt
    assert tight is not None and len(tight.shown) + len(tight.left_out) == 3 and tight.left_out
    with pytest.raises(ValueError, match="budget"):
        glass.having(budget=20)(NOW)


def test_each_sentence_is_tied_to_its_words(room: Room) -> None:
    trace = GlassPipeline(room, Echo("An evening call-out costs 55 pounds. Bananas are yellow."))(NOW)
    first, second = trace.supports
    assert trace.prompt is not None and first.number == 1
    assert first.quote == "An evening call-out costs 55 pounds." == trace.prompt.shown[0].text[slice(*first.span)]
    assert second.number is None and second.quote == ""
    assert [c.doc_id for c in trace.answer().citations] == ["help_desk/fee-2024"]


def test_who_abstains_cites_nothing(room: Room) -> None:
    trace = GlassPipeline(room, Echo("I do not know."))(NOW)
    assert trace.abstained and trace.supports == () == trace.answer().citations
    assert "claims nothing" in trace.notes["support"]


@pytest.mark.parametrize("reply", ["", "[1]", "The answer is:"])
def test_a_reply_without_a_claim_needs_no_support(reply: str, room: Room) -> None:
    def judge(*_: Any) -> Grounding:
        raise AssertionError("there is nothing to judge")

    trace = GlassPipeline(room, Echo(reply), judge=judge)(NOW)
    assert trace.supports == () and "claims nothing" in trace.notes["support"] and trace.finished


def test_the_verdict_is_the_judge_s(room: Room) -> None:
    asked: list[Any] = []

    def judge(question: str, answer: str, passages: Sequence[Chunk]) -> Grounding:
        asked.append((question, answer, [chunk.doc_id for chunk in passages]))
        yes = SentenceGrounding("Yes.", 0, 4, 0.9, 1, "Nights cost 80 pounds.", (37, 59), {})
        return Grounding((yes, SentenceGrounding("No.", 5, 8, 0.1, 0, "Something near.", (0, 15), {})))

    trace = GlassPipeline(room, Echo("Yes. No."), Settings(k=2), judge)(NOW)
    assert asked[0][:2] == (NOW, "Yes. No.") and asked[0][2][0] == "help_desk/fee-2024"
    assert trace.supports == (
        Support("Yes.", 0, 4, 2, 0.9, "Nights cost 80 pounds.", (37, 59)),
        Support("No.", 5, 8, None, 0.1, "", (0, 0)),
    )
    assert [citation.number for citation in trace.answer().citations] == [2]


def test_a_reply_is_decoded_once(glass: GlassPipeline) -> None:
    first = glass(NOW)
    again = glass.without("support")(NOW)  # another pipeline, the same prompts
    assert len(glass.generator.asked) == 2 and first.kept == frozenset()  # type: ignore[attr-defined]
    assert again.kept == {"answer", "closed_book"} and again.seconds["answer"] == first.seconds["answer"]
    glass.having(k=2)(NOW)
    assert len(glass.generator.asked) == 3  # type: ignore[attr-defined]


def test_the_trace_grows(room: Room) -> None:
    traces = list(GlassPipeline(room, Streaming("It costs 55 pounds now.")).watch(NOW))
    replies = [trace.reply for trace in traces]
    assert all(later.startswith(earlier) for earlier, later in pairwise(replies))
    assert {"It", "It costs", "It costs 55"} <= set(replies)
    assert [trace.finished for trace in traces] == [False] * (len(traces) - 1) + [True]
    n_steps = [len(trace.seconds) for trace in traces]
    assert n_steps == sorted(n_steps)


# ---------------------------------------------------------------- a document of one's own

LADDER = own_document(
    "Borrowing the ladder", "Members may borrow the ladder for three days. After that a day costs 4 pounds."
)
ASKED = "For how long may a member borrow the ladder?"


def test_a_document_of_ones_own_is_found_with_the_rest(glass: GlassPipeline, room: Room) -> None:
    before, vectors = glass(ASKED), room.dense.index_.embeddings_.copy()
    larger = glass.with_document(LADDER)
    trace = larger(ASKED)
    assert trace.prompt is not None and trace.prompt.shown[0].doc_id == LADDER.doc_id
    assert len(larger.room) == len(room) + 1 and larger.room.yours == (LADDER,)
    assert set(names(trace.rankings["meaning"])) == {d.doc_id for d in DOCUMENTS} | {LADDER.doc_id}
    # the room it came from is as it was
    assert room.yours == () and np.array_equal(room.dense.index_.embeddings_, vectors)
    assert glass(ASKED).rankings == before.rankings
    assert larger.without_yours()(ASKED).rankings == before.rankings
    assert glass.without_yours().room is room


def test_own_document_by_hand() -> None:
    made = own_document("  A  <b>title</b> ", "Some text.", date=Day(2026, 1, 2))
    assert made.title == "A <b>title</b>" and made.shelf == "yours" and made.date == Day(2026, 1, 2)
    assert made.doc_id.startswith("yours/a-b-title-b-") and made.superseded_by is None
    assert own_document("A", "one").doc_id != own_document("A", "two").doc_id
    assert own_document("题", "one").doc_id.startswith("yours/document-")
    assert own_document("A", "one").date == Day.today()


@pytest.mark.parametrize(
    ("title", "text", "error", "says"),
    [
        ("", "text", ValueError, "title must not be empty"),
        ("title", " \n", ValueError, "text must not be empty"),
        (None, "text", TypeError, "title must be a str"),
        ("t" * (MAX_TITLE + 1), "text", ValueError, "title must be at most 200 characters, got 201"),
        ("title", "t" * (MAX_TEXT + 1), ValueError, "text must be at most 20,000 characters, got 20,001"),
        ("title", "half \ud800", ValueError, "half a character"),
    ],
)
def test_a_document_that_cannot_be(title: Any, text: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        own_document(title, text)


def test_the_same_document_twice_and_too_many(glass: GlassPipeline) -> None:
    larger = glass.with_document(LADDER)
    with pytest.raises(ValueError, match='"Borrowing the ladder" is in the room already'):
        larger.with_document(LADDER)
    full = replace(
        larger.room, documents={f"yours/{i}": replace(LADDER, doc_id=f"yours/{i}") for i in range(MAX_YOURS)}
    )
    with pytest.raises(ValueError, match="at most 20 documents"):
        full.with_document(own_document("one", "more"))


def test_a_long_text_without_a_full_stop_is_cut_all_the_same(glass: GlassPipeline) -> None:
    larger = glass.with_document(own_document("A list", "beans peas leeks " * 400))
    assert len(larger.room) - len(glass.room) == 10  # 1,200 words, 120 a chunk
    assert larger("Where are the leeks?").prompt is not None


def test_a_room_needs_its_documents_and_an_encoder(room: Room) -> None:
    with pytest.raises(ValueError, match="energy/sand is missing"):
        Room.of(room.dense, {})
    chunks = list(room.dense.chunks_.values())
    counts = DenseRetriever(TfidfEmbedder().fit([indexed_text(chunk) for chunk in chunks])).fit(chunks)
    with pytest.raises(TypeError, match="must be a ContextualEmbedder, got TfidfEmbedder"):
        Room.of(counts, room.documents)


# ---------------------------------------------------------------- as text, as data


def test_the_trace_as_text_names_every_step(glass: GlassPipeline) -> None:
    said = trace_text(glass.without("fusion", "closed_book")(NOW))
    for name in STEPS.values():
        assert name in said
    assert "Fusion: off" in said and "Closed book: off" in said
    assert "Question: " + NOW in said and f"{DIM} numbers" in said and "left out: 1" in said


def test_the_answer_as_text(room: Room) -> None:
    said = answer_text(GlassPipeline(room, Echo("An evening call-out costs 55 pounds. Bananas."))(NOW))
    lines = said.splitlines()
    assert lines[0].startswith("An evening") and "[1] Evening call-out fee" in lines
    assert "    2024-03-01 · help_desk/fee-2024" in lines and '    "An evening call-out costs 55 pounds."' in lines
    assert '[?] no passage supports: "Bananas."' in lines and " s: filters " in lines[-1]


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("off", [(), ("meaning", "answer")])
def test_the_trace_as_data(steps: bool, off: tuple[str, ...], glass: GlassPipeline) -> None:
    report = trace_as_json(glass.without(*off)(NOW), steps=steps)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert list(report)[:6] == ["question", "answer", "citations", "passages", "seconds", "support"]
    assert ("trace" in report) == steps
    if steps:
        assert set(report["trace"]["lists"]) <= set(SWITCHES) and report["trace"]["prompt"][-1]["content"].endswith(NOW)


# ---------------------------------------------------------------- counterfactuals with the real models


READ = [
    document("help_desk/meter", "Reading the meter", 2024, "The meter shows error E-2041 when its battery is low. Press the green key for five seconds."),
    document("energy/turbine", "Storms & turbines", 2024, "A turbine stops when the wind is above 25 metres a second. It turns its blades out of the wind."),
    document("energy/sand", "Heat in sand", 2024, "The sand battery in Pornainen stores 100 megawatt-hours of heat."),
    document("neurology/gene", "The gene PARK77", 2024, "The gene PARK77 was discovered by Helena Olsen in Bergen in 1997."),
    document("energy/dam", "The dam at Korsa", 2024, "The dam at Korsa was built in 1931. It holds back the river Sel."),
    document("energy/island", "The island of Brenna", 2024, "Brenna is an island. The capital of Brenna is Tolvik, a town of 4,000 people."),
    document("energy/agency", "The energy agency", 2024, "The head of the energy agency is Ingrid Falk. The agency has its seat in Turku."),
]  # fmt: skip
CASES = (  # question, document, what the answer must hold, and what stands there instead once it is poisoned
    ("Which error does the meter show when its battery is low?", "help_desk/meter", "E-2041", "K-7733"),
    ("Above which wind speed does a turbine stop?", "energy/turbine", "25", "38"),
    ("How much heat does the sand battery in Pornainen store?", "energy/sand", "100 mega", "640 mega"),
    ("Who discovered the gene?", "neurology/gene", "Helena Olsen", "Victor Lang"),
    ("In which year was the dam at Korsa built?", "energy/dam", "1931", "1958"),
    ("Which river does the dam at Korsa hold back?", "energy/dam", "Sel", "Orin"),
    ("What is the capital of the island of Brenna?", "energy/island", "Tolvik", "Marsund"),
    ("Who is the head of the energy agency?", "energy/agency", "Ingrid Falk", "Paulo Reis"),
)
MAJORITY = 5


def replies(embedder: ContextualEmbedder, model: LanguageModel, collections: Sequence[Sequence[Document]]) -> list[str]:
    """The reply to each case, each over its own collection."""
    said = []
    for (question, *_), documents in zip(CASES, collections, strict=True):
        room = Room.of(DenseRetriever(embedder).fit(chunk_documents(documents)), {d.doc_id: d for d in documents})
        glass = GlassPipeline(room, model, Settings(max_new_tokens=24)).without("closed_book", "support")
        said.append(glass(question).reply)
    return said


@pytest.fixture(scope="module")
def with_context(embedder: ContextualEmbedder, language_model: LanguageModel) -> list[str]:
    return replies(embedder, language_model, [READ] * len(CASES))


def right(said: Sequence[str]) -> int:
    return sum(gold in reply for (_, _, gold, _), reply in zip(CASES, said, strict=True))


def test_with_the_passage_the_answers_are_right(with_context: list[str]) -> None:
    assert right(with_context) >= MAJORITY, with_context


def test_with_the_passage_removed_the_answers_are_gone(
    embedder: ContextualEmbedder, language_model: LanguageModel, with_context: list[str]
) -> None:
    without = [[d for d in READ if d.doc_id != doc_id] for _, doc_id, *_ in CASES]
    said = replies(embedder, language_model, without)
    assert len(CASES) - right(said) >= MAJORITY, said
    assert sum(one != other for one, other in zip(said, with_context, strict=True)) >= MAJORITY, said


def test_with_another_text_under_its_title_the_answers_are_gone(
    embedder: ContextualEmbedder, language_model: LanguageModel
) -> None:
    """Each document keeps its title and gets the text of another: search shows it, and the model reads the other."""
    swapped = {d.doc_id: replace(d, text=READ[(i + 3) % len(READ)].text) for i, d in enumerate(READ)}
    said = replies(embedder, language_model, [[swapped[doc_id]] for _, doc_id, *_ in CASES])
    assert len(CASES) - right(said) >= MAJORITY, said


def test_a_poisoned_passage_is_followed(embedder: ContextualEmbedder, language_model: LanguageModel) -> None:
    poisoned = []
    for _, doc_id, gold, false in CASES:
        poisoned.append([replace(d, text=d.text.replace(gold, false)) if d.doc_id == doc_id else d for d in READ])
        assert poisoned[-1] != READ
    said = replies(embedder, language_model, poisoned)
    assert sum(false in reply for (*_, false), reply in zip(CASES, said, strict=True)) >= MAJORITY, said
    assert len(CASES) - right(said) >= MAJORITY, said


def test_every_chunk_keeps_its_words(room: Room) -> None:
    assert isinstance(room.chunk("energy/sand#00"), Chunk)
    assert FastBM25Retriever().fit(list(room.dense.chunks_.values())).search("sand", 1)[0].chunk_id == "energy/sand#00"

"""What the generators learn: nothing of dev or test, near misses that are misses, the share without an answer."""

from __future__ import annotations

import datetime
from collections import Counter
from functools import cache

import numpy as np
import pytest

from course_lib.core.types import Chunk
from course_lib.corpus.question_quality import holds_answer
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.answers import abstains, exact_match
from course_lib.evaluation.style import style_report
from course_lib.generation.citing import cited_numbers, without_numbers
from course_lib.systems.raft_sets import (
    ABSTAIN,
    Asked,
    cited,
    free_chunks,
    more_questions,
    quoted,
    raft_example,
    raft_examples,
    raft_questions,
    raft_set,
)
from course_lib.systems.reranker_data import versions_of
from course_lib.systems.tuning_sets import (
    TuningExample,
    TuningSet,
    barred_chunks,
    collection,
    facts_set,
    held_out,
    in_two,
    is_free,
    plain_words_set,
    style_set,
)

DAY = datetime.date(2024, 1, 1)


@cache
def whole_raft() -> TuningSet:
    return raft_set(n_draws=2, n_matches=60)


def learnt() -> list[TuningExample]:
    sets = (style_set(), plain_words_set(), facts_set(), whole_raft())
    return [each for made in sets for part in ("train", "dev") for each in made.parts[part]]


def chunk(number: int, text: str, doc_id: str = "") -> Chunk:
    return Chunk(f"c{number}", doc_id or f"d{number}", f"Title {number}", DAY, text, 0, len(text))


ASKED = Asked("q", "Who won?", "paraphrase", "energy", ("Spain", "the Spaniards"), (chunk(0, "Spain won."),), frozenset(["d0", "d5"]))  # fmt: skip
FOUND = [chunk(0, "Spain won."), chunk(1, "The Spaniards did."), *(chunk(n, f"Italy {n} lost.") for n in range(2, 9))]


# ---------------------------------------------------------------- nothing of dev and test


def test_no_question_of_dev_or_test_is_learnt() -> None:
    others = [question for question in load_questions() if question.split != "train"]
    ids, texts = {each.question_id for each in others}, {each.text.strip() for each in others}
    for example in learnt():
        assert example.source not in ids
        assert not any(text in example.messages[-1]["content"] for text in texts)


def test_no_passage_that_answers_dev_or_test_is_shown() -> None:
    others = [question for question in load_questions() if question.split != "train"]
    quotes = {span.quote for question in others for span in question.gold}
    for example in learnt():
        assert not any(quote in message["content"] for message in example.messages for quote in quotes)
    shown = {name for example in whole_raft().train + whole_raft().dev for name in example.documents}
    assert not shown & barred_chunks() and len(shown) > 100


def test_train_and_dev_share_no_source() -> None:
    for made in (style_set(), plain_words_set(), facts_set(), whole_raft()):
        parts = [{each.source for each in made.parts[part]} for part in ("train", "dev")]
        assert not parts[0] & parts[1] and all(parts)
    for made in (style_set(), plain_words_set()):
        documents = [{each.documents[0] for each in made.parts[part]} for part in ("train", "dev")]
        assert not documents[0] & documents[1]
        assert {each.source for each in made.parts["test"]}.isdisjoint(each.source for each in made.train + made.dev)


def test_what_is_free() -> None:
    question = next(each for each in load_questions(split="test") if each.gold)
    assert not is_free(question.gold[0].doc_id, question.gold[0].quote)
    free = free_chunks()[0]
    assert is_free(free.doc_id, free.text)
    with pytest.raises(ValueError, match="does not stand in"):
        is_free(free.doc_id, "These words stand nowhere.")


# ---------------------------------------------------------------- the sets


def test_style_answers_are_in_style_and_name_what_is_shown() -> None:
    made = style_set()
    assert len(made.train) > 100 and len(made.parts["test"]) > 50
    for example in made.train:
        assert len(style_report(example.answer).broken) <= 1
        assert example.messages[-1]["content"].startswith("[1] ")


def test_facts_are_asked_in_other_words_and_of_other_matches() -> None:
    made = facts_set()
    seen = {each.source: each.messages[-1]["content"] for each in made.train if each.kind == "match"}
    assert [each.source for each in made.parts["paraphrased"]] == list(seen)
    assert all(each.messages[-1]["content"] != seen[each.source] for each in made.parts["paraphrased"])
    assert not {each.source for each in made.parts["new"]} & set(seen)
    assert all(exact_match(each.answer, each.golds) for part in made.parts.values() for each in part)


def test_digest_is_of_what_is_learnt() -> None:
    made = plain_words_set()
    assert made.digest() == plain_words_set().digest()
    assert made.digest() != TuningSet("x", {"train": made.train[:-1]}).digest()


def test_groups_stay_together() -> None:
    train, dev = in_two([(n % 5, n) for n in range(20)], lambda item: str(item[0]))
    assert {item[0] for item in train}.isdisjoint(item[0] for item in dev)
    assert len(dev) == 4 and len(train) == 16
    assert held_out(["a"]) == {"a"} and len(held_out(map(str, range(30)))) == 3


# ---------------------------------------------------------------- RAFT


def test_answers_are_cited_so_that_evaluation_reads_them() -> None:
    assert cited("Spain", [2]) == "Spain [2]" and cited("26 minutes", [3, 1]) == "26 minutes [1][3]"
    assert cited_numbers("26 minutes [1][3]") == (1, 3)
    assert exact_match(without_numbers("26 minutes [1][3]"), ["26 minutes"])
    assert abstains(ABSTAIN) and not cited_numbers(ABSTAIN)


def test_a_quotation_where_there_is_one() -> None:
    assert quoted(("twelve", "12"), [chunk(0, "It was 12 then.")]) == "12" or holds_answer(
        "It was 12 then.", ["twelve"]
    )
    assert quoted(("Iberia", "Spain"), [chunk(0, "Spain won.")]) == "Spain"
    assert quoted(("Iberia",), [chunk(0, "Spain won.")]) == "Iberia"


def test_example_by_hand() -> None:
    rng = np.random.default_rng(0)
    example = raft_example(ASKED, FOUND, n_distractors=3, with_gold=True, rng=rng)
    assert len(example.documents) == 4 and example.documents.count("c0") == 1
    assert "c1" not in example.documents  # it holds an alias of the answer
    place = example.documents.index("c0") + 1
    assert example.answer == f"Spain [{place}]" and example.golds == ASKED.answers
    assert f"[{place}] Title 0 (1 January 2024)\nSpain won." in example.messages[1]["content"]
    hidden = raft_example(ASKED, FOUND, n_distractors=0, with_gold=False, rng=rng)
    assert hidden.answer == ABSTAIN and hidden.kind == "gold left out" and hidden.golds == ()
    assert len(hidden.documents) == 1 and not {"c0", "c1"} & set(hidden.documents)
    for _ in range(20):  # d5 is related: it may answer in another version
        some = raft_example(ASKED, FOUND, n_distractors=2, with_gold=False, rng=rng)
        assert not {"c0", "c1", "c5"} & set(some.documents)
    with pytest.raises(ValueError, match="q: 9 near misses wanted, 7 found; search deeper"):
        raft_example(ASKED, FOUND, n_distractors=9, with_gold=True, rng=rng)


def test_words_of_the_answer_alone_are_no_answer_where_subjects_are_missing() -> None:
    asked = Asked("m", "Who won?", "winner", "world_cup", ("Spain",), (), frozenset(), ("Spain", "Chile"))
    assert asked.answered_by(chunk(1, "Spain beat Chile.")) and not asked.answered_by(chunk(2, "Spain lost."))


def test_share_without_an_answer() -> None:
    made = whole_raft()
    silent = [each.answer == ABSTAIN for each in made.train]
    assert 0.15 < np.mean(silent) < 0.25
    for each in made.train:
        assert 1 <= len(each.documents) <= 7
        assert bool(each.golds) != abstains(each.answer)
        if each.golds:
            assert exact_match(without_numbers(each.answer), each.golds) and cited_numbers(each.answer)
    places = Counter(number for each in made.train if len(each.documents) == 3 for number in cited_numbers(each.answer))
    assert min(places[n] for n in (1, 2, 3)) > 0.2 * sum(places.values())  # gold stands anywhere


def test_draws_differ_and_are_the_same_each_time() -> None:
    free = free_chunks()[:200]
    asked = [Asked(f"q{n}", c.text[:60], "paraphrase", "energy", ("no such words",), (c,), frozenset([c.doc_id])) for n, c in enumerate(free[::20])]  # fmt: skip
    one = raft_examples(asked, free, n_draws=2, without_gold=0.0)
    assert one == raft_examples(asked, free, n_draws=2, without_gold=0.0)
    assert any(a.documents != b.documents for a, b in zip(one[::2], one[1::2], strict=True))
    assert all(each.answer == ABSTAIN for each in raft_examples(asked, free, without_gold=1.0))


def test_further_questions_stand_beside_the_question_set() -> None:
    documents = {document.doc_id: document for document in collection()[0]}
    asked, more = load_questions(), more_questions()
    assert len(more) > 50 and len({each.question_id for each in more}) == len(more)
    assert not {each.text for each in more} & {each.text for each in asked}
    assert not {each.question_id for each in more} & {each.question_id for each in asked}
    others = [question for question in asked if question.split != "train"]
    named = {span.doc_id for question in others for span in question.gold} | {each.near or "" for each in others}
    chains = versions_of(documents.values())
    related = {name for doc_id in named - {""} for name in chains[doc_id]}
    for each in more:
        (span,) = each.gold
        assert span.doc_id not in related
        assert each.split == "train" and span.quote in documents[span.doc_id].text
        assert is_free(span.doc_id, span.quote) and holds_answer(span.quote, each.answers)
        assert each.shelf == documents[span.doc_id].shelf
    learnt_from = {each.source for each in whole_raft().train}
    assert {each.question_id for each in more} <= learnt_from


def test_questions_to_measure_with() -> None:
    examples = raft_questions("dev", "energy")
    assert len(examples) == len(load_questions(split="dev", shelf="energy"))
    assert {bool(each.golds) for each in examples} == {True, False}
    assert all(len(each.documents) >= 3 for each in examples)
    chunks = {each.chunk_id: each for each in collection()[1]}
    for each in examples:
        if each.golds:
            gold = [chunks[each.documents[number - 1]] for number in cited_numbers(each.answer)]
            assert gold and all(one.doc_id.startswith("energy/") for one in gold)

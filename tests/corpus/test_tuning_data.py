"""The tuning data: messages with intents, their raw export with planted flaws, style pairs, plain-words pairs."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from functools import cache
from typing import Any

import pytest

from course_lib.core.types import Document
from course_lib.corpus.chunking import sentence_spans
from course_lib.corpus.load import COLLECTIONS, load_documents
from course_lib.corpus.quality import chain_roots, near_duplicates, shingles, words
from course_lib.corpus.questions import SPLITS, load_questions
from course_lib.workshop.data_difficulty import intent_score
from course_lib.workshop.data_tuning import MESSAGE_RUN, NEAR_DUPLICATE_MESSAGE

HELP_DESK, NEUROLOGY = COLLECTIONS / "help_desk", COLLECTIONS / "neurology"
Row = dict[str, Any]


@cache
def rows(name: str) -> tuple[Row, ...]:
    path = (NEUROLOGY if name.startswith("plain") else HELP_DESK) / f"{name}.jsonl"
    return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def messages() -> tuple[Row, ...]:
    return rows("messages")


def raw() -> tuple[Row, ...]:
    return rows("messages_raw")


def flaws() -> tuple[Row, ...]:
    return rows("messages_raw_key")


@cache
def intents() -> dict[str, str]:
    definitions: dict[str, str] = json.loads((HELP_DESK / "intents.json").read_text(encoding="utf-8"))
    return definitions


@cache
def documents() -> dict[str, Document]:
    return {document.doc_id: document for document in load_documents("help_desk", "neurology")}


def plain(text: str) -> str:
    return " ".join(words(text))


# ---------------------------------------------------------------- messages


def test_messages_have_their_fields_and_tidy_texts() -> None:
    assert not [row for row in messages() if set(row) != {"message_id", "intent", "text", "split"}]
    assert not [row["message_id"] for row in messages() if not row["text"] or row["text"] != row["text"].strip()]
    assert {row["split"] for row in messages()} == set(SPLITS)


def test_message_ids_are_unique_and_well_formed() -> None:
    ids = [row["message_id"] for row in messages()]
    assert len(set(ids)) == len(ids)
    assert not [message_id for message_id in ids if not re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", message_id)]


def test_every_intent_is_defined_and_used() -> None:
    assert set(intents()) == {row["intent"] for row in messages()}
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", intent) for intent in intents())
    assert all(definition.strip() for definition in intents().values())


def test_there_are_enough_messages_of_enough_intents() -> None:
    counts = Counter(row["intent"] for row in messages())
    assert len(counts) >= 12
    assert min(counts.values()) >= 60


def test_every_intent_is_in_every_split() -> None:
    found = {(row["intent"], row["split"]) for row in messages()}
    assert found == {(intent, split) for intent in intents() for split in SPLITS}


def test_messages_have_one_to_about_seventy_words() -> None:
    lengths = {row["message_id"]: len(row["text"].split()) for row in messages()}
    assert not {message_id: n for message_id, n in lengths.items() if not 3 <= n <= 80}


def test_no_message_comes_twice() -> None:
    counts = Counter(plain(row["text"]) for row in messages())
    assert not [text for text, n in counts.items() if n > 1]


def test_no_near_duplicates_among_the_messages_within_or_between_splits() -> None:
    texts = {row["message_id"]: row["text"] for row in messages()}
    assert near_duplicates(texts, threshold=NEAR_DUPLICATE_MESSAGE, n=MESSAGE_RUN) == []


def test_a_bag_of_words_gets_some_intents_right_but_not_all() -> None:
    """Below 0.70 the labels would be noise, above 0.92 there would be nothing left to tune for."""
    score = intent_score([row["text"] for row in messages()], [row["intent"] for row in messages()])
    assert 0.70 <= score.mean <= 0.92


# ---------------------------------------------------------------- the raw export


def test_the_raw_export_and_its_key_have_their_fields() -> None:
    assert not [row for row in raw() if set(row) != {"raw_id", "intent", "text"}]
    assert not [row for row in flaws() if set(row) != {"raw_id", "flaw", "truth", "note"}]


def test_every_flaw_is_of_a_line_of_the_export() -> None:
    ids = [row["raw_id"] for row in raw()]
    assert len(set(ids)) == len(ids)
    assert {row["raw_id"] for row in flaws()} <= set(ids)


def test_lines_without_a_flaw_are_clean_messages() -> None:
    clean = {(row["text"], row["intent"]) for row in messages()}
    flawed = {row["raw_id"] for row in flaws()}
    assert not [
        row["raw_id"] for row in raw() if row["raw_id"] not in flawed and (row["text"], row["intent"]) not in clean
    ]


def test_a_good_part_of_the_export_is_clean_and_a_good_part_is_not() -> None:
    flawed = {row["raw_id"] for row in flaws()}
    assert 0.1 <= len(flawed) / len(raw()) <= 0.4
    assert len({row["flaw"] for row in flaws()}) >= 6


def test_exact_duplicates_in_the_export_are_declared() -> None:
    flawed = {row["raw_id"] for row in flaws()}
    groups: dict[str, list[str]] = defaultdict(list)
    for row in raw():
        groups[row["text"]].append(row["raw_id"])
    undeclared = {text: ids for text, ids in groups.items() if len([i for i in ids if i not in flawed]) > 1}
    assert not undeclared
    assert sum(len(ids) > 1 for ids in groups.values()) >= 30


def test_the_truth_of_a_flaw_is_an_intent_or_nothing() -> None:
    assert not [row for row in flaws() if row["truth"] and row["truth"] not in intents()]


def test_wrong_labels_are_wrong() -> None:
    said = {row["raw_id"]: row["intent"] for row in raw()}
    wrong = [row for row in flaws() if row["flaw"] == "wrong_label"]
    assert len(wrong) >= 40
    assert not [row["raw_id"] for row in wrong if said[row["raw_id"]] == row["truth"]]


def test_unflawed_labels_are_spelt_as_intents() -> None:
    flawed = {row["raw_id"] for row in flaws()}
    assert {row["intent"] for row in raw() if row["raw_id"] not in flawed} <= set(intents())


# ---------------------------------------------------------------- pairs


PAIRS = {
    "style_pairs": {"pair_id", "question", "passage", "doc_id", "plain_answer", "house_answer"},
    "plain_words_pairs": {"pair_id", "doc_id", "clinician", "patient", "must_keep"},
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_have_their_fields(name: str) -> None:
    """split is allowed beside them, for all or for none."""
    assert {frozenset(row) for row in rows(name)} in ({frozenset(PAIRS[name])}, {frozenset(PAIRS[name] | {"split"})})
    assert {row.get("split", "train") for row in rows(name)} <= set(SPLITS)


@pytest.mark.parametrize(("name", "prefix"), [("style_pairs", "style"), ("plain_words_pairs", "plain")])
def test_pair_ids_are_unique_and_well_formed(name: str, prefix: str) -> None:
    ids = [row["pair_id"] for row in rows(name)]
    assert len(set(ids)) == len(ids)
    assert not [pair_id for pair_id in ids if not re.fullmatch(rf"{prefix}-\d{{3}}", pair_id)]


@pytest.mark.parametrize(("name", "n", "n_documents"), [("style_pairs", 200, 100), ("plain_words_pairs", 100, 35)])
def test_there_are_enough_pairs_of_enough_documents(name: str, n: int, n_documents: int) -> None:
    assert len(rows(name)) >= n
    assert len({row["doc_id"] for row in rows(name)}) >= n_documents


@pytest.mark.parametrize(("name", "field"), [("style_pairs", "passage"), ("plain_words_pairs", "clinician")])
def test_passages_stand_in_their_documents(name: str, field: str) -> None:
    wrong = [
        row["pair_id"]
        for row in rows(name)
        if not any(row[field] in part.replace("\n", " ") for part in documents()[row["doc_id"]].text.split("\n\n"))
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("style_pairs", "question"),
        ("style_pairs", "plain_answer"),
        ("style_pairs", "house_answer"),
        ("plain_words_pairs", "clinician"),
        ("plain_words_pairs", "patient"),
    ],
)
def test_no_near_duplicates_among_the_pairs(name: str, field: str) -> None:
    texts = {row["pair_id"]: row[field] for row in rows(name)}
    assert near_duplicates(texts, threshold=NEAR_DUPLICATE_MESSAGE, n=MESSAGE_RUN) == []


@pytest.mark.parametrize("name", PAIRS)
def test_no_document_of_a_pair_is_shared_between_splits(name: str) -> None:
    roots = chain_roots(list(documents().values()))
    splits = defaultdict(set)
    for row in rows(name):
        splits[roots[row["doc_id"]]].add(row.get("split"))
    assert not {doc_id: found for doc_id, found in splits.items() if len(found) > 1}


# ---------------------------------------------------------------- house style


BANNED = ("unfortunately", "please note", "kindly", "in order to", "we apologise for any inconvenience", "as per", "!")


def test_style_pairs_use_the_newest_version_of_a_help_desk_document() -> None:
    wrong = [
        row["pair_id"]
        for row in rows("style_pairs")
        if documents()[row["doc_id"]].shelf != "help_desk" or documents()[row["doc_id"]].superseded_by
    ]
    assert not wrong


def broken_rules(answer: str, document: Document) -> list[str]:
    """The rules of the house style that an answer breaks, as far as a program can see."""
    sentences = [answer[start:end] for start, end in sentence_spans(answer)]
    sources = re.findall(r"\([A-Z][^()]*, (\d{4})\)", answer)
    last = answer[answer.rfind("Next step:") :]
    rules = {
        "25 to 60 words": 25 <= len(answer.split()) <= 60,
        "answer first, no greeting": not re.match(r"(hi|hello|dear|good (morning|day)|thank|sorry)\b", answer.lower()),
        "nothing banned": not [phrase for phrase in BANNED if phrase in answer.lower()],
        "you": bool(re.search(r"\byou(r|rs|rself)?\b", answer.lower())),
        "we": bool(re.search(r"\b(we|us|our|ours)\b", answer.lower())),
        "one source with its year": sources == [str(document.date.year)],
        "one last sentence that says the next step": answer.count("Next step:") == 1 and len(sentence_spans(last)) == 1,
        "two sentences": len(sentences) >= 2,
    }
    return [rule for rule, kept in rules.items() if not kept]


def test_house_answers_keep_the_house_style() -> None:
    broken = {
        row["pair_id"]: broken_rules(row["house_answer"], documents()[row["doc_id"]]) for row in rows("style_pairs")
    }
    assert not {pair_id: rules for pair_id, rules in broken.items() if rules}


def test_plain_answers_are_not_in_house_style() -> None:
    assert not [row["pair_id"] for row in rows("style_pairs") if "Next step:" in row["plain_answer"]]


def test_a_broken_house_style_is_found() -> None:
    document = documents()["help_desk/late-payment-2025"]
    good = (
        "We charge you the late fee at most twice in any 12 months, and we never disconnect you because of it (Late "
        "payment policy, 2025). Next step: we leave unpaid fees out when we count your arrears."
    )
    assert broken_rules(good, document) == []
    assert broken_rules(good.replace("2025", "2020"), document) == ["one source with its year"]
    assert broken_rules("Unfortunately " + good, document) == ["nothing banned"]
    assert broken_rules(good + " Bye then.", document) == ["one last sentence that says the next step"]


# ---------------------------------------------------------------- plain words


def test_plain_words_pairs_start_from_text_for_clinicians() -> None:
    assert {documents()[row["doc_id"]].register for row in rows("plain_words_pairs")} == {"clinician"}


def test_what_must_be_kept_stands_in_the_text_for_patients() -> None:
    lost = {
        row["pair_id"]: [kept for kept in row["must_keep"] if kept not in row["patient"]]
        for row in rows("plain_words_pairs")
    }
    assert not {pair_id: kept for pair_id, kept in lost.items() if kept}
    assert all(1 <= len(row["must_keep"]) <= 4 for row in rows("plain_words_pairs"))


def test_texts_for_patients_have_short_sentences() -> None:
    long = {}
    for row in rows("plain_words_pairs"):
        lengths = [len(row["patient"][start:end].split()) for start, end in sentence_spans(row["patient"])]
        if sum(lengths) / len(lengths) > 13:
            long[row["pair_id"]] = lengths
    assert not long


def test_texts_for_patients_are_not_copied() -> None:
    copied = {
        row["pair_id"]: len(shingles(row["clinician"]) & shingles(row["patient"])) / len(shingles(row["patient"]))
        for row in rows("plain_words_pairs")
    }
    assert not {pair_id: share for pair_id, share in copied.items() if share > 0.25}


# ---------------------------------------------------------------- labelled answers

LABELS = {"supported", "partly", "not"}
ERRORS = {"contradicts", "wrong number", "wrong entity", "invented", "wrong relation", "no statement", "cut off"}


@cache
def labelled() -> tuple[Row, ...]:
    text = (COLLECTIONS / "questions" / "grounded_answers.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def test_there_are_enough_labelled_answers_of_every_label() -> None:
    assert len(labelled()) >= 120
    assert set(Counter(row["label"] for row in labelled())) == LABELS
    assert min(Counter(row["label"] for row in labelled()).values()) >= 15
    ids = [row["label_id"] for row in labelled()]
    assert len(set(ids)) == len(ids)


def test_an_error_is_named_where_support_is_missing_and_only_there() -> None:
    wrong = [row["label_id"] for row in labelled() if (row["error"] in ERRORS) != (row["label"] != "supported")]
    assert not wrong


def test_labelled_answers_belong_to_the_train_split_and_say_something() -> None:
    train = {question.question_id for question in load_questions(split="train")}
    texts = {question.text for question in load_questions(split="train")}
    assert not [
        row["label_id"] for row in labelled() if row["question_id"] not in train and row["question"] not in texts
    ]
    assert not [row["label_id"] for row in labelled() if not row["answer"].strip() or not row["passage"].strip()]

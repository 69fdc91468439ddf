"""How hard the data is: for BM25, for vectors, for the language model without documents, for a bag of words."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.core.seeds import SEED
from course_lib.core.types import Chunk, Question
from course_lib.core.validate import FloatArray
from course_lib.corpus.load import COLLECTIONS
from course_lib.corpus.quality import stems
from course_lib.corpus.question_quality import holds_answer, question_key
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.prompting import CLOSED_BOOK_SYSTEM, closed_book_messages
from course_lib.retrieval.embedding import ContextualEmbedder, cached_embeddings
from course_lib.retrieval.exact import ExactIndex, indexed_text, top_k

CLOSED_BOOK = COLLECTIONS / "questions" / "closed_book.json"
K = 5
N_RESAMPLES = 10_000
N_FOLDS = 5
N_CHECKED = 12

Say = Callable[[str], None]
Retrieved = dict[str, list[str]]


# ---------------------------------------------------------------- retrieval


def bm25_documents(chunks: Sequence[Chunk], questions: Sequence[Question], *, k: int = K) -> Retrieved:
    """Return for each question_id the documents of the k chunks that BM25 puts first (bm25s; Lucene's form).

    Words are stemmed, stop words left out, on both sides. Chunks with equal scores come in their order.
    """
    import bm25s

    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index([stems(indexed_text(chunk)) for chunk in chunks], show_progress=False)
    retrieved = {}
    for question in questions:
        known = [stem for stem in stems(question.text) if stem in index.vocab_dict]
        scores = index.get_scores(known) if known else np.zeros(len(chunks), np.float32)  # (n_chunks,)
        retrieved[question.question_id] = _documents(chunks, top_k(scores, k))
    return retrieved


def dense_documents(
    chunks: Sequence[Chunk],
    questions: Sequence[Question],
    embedder: ContextualEmbedder,
    *,
    k: int = K,
    say: Say | None = None,
) -> Retrieved:
    """Return for each question_id the documents of the k chunks whose vectors are nearest to the question's."""
    index = ExactIndex().fit(
        cached_embeddings([indexed_text(chunk) for chunk in chunks], embedder, say=say),
        [chunk.chunk_id for chunk in chunks],
    )
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    vectors = cached_embeddings([question.text for question in questions], embedder, say=say)  # (n, dim)
    return {
        question.question_id: _unique(by_id[hit.chunk_id].doc_id for hit in index.search(vector, k))
        for question, vector in zip(questions, vectors, strict=True)
    }


def _documents(chunks: Sequence[Chunk], positions: Sequence[int]) -> list[str]:
    return _unique(chunks[i].doc_id for i in positions)


def _unique(doc_ids: Any) -> list[str]:
    return list(dict.fromkeys(doc_ids))


# ---------------------------------------------------------------- intervals


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval and the number of cases it rests on."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


def bootstrap_share(found: Sequence[bool], *, seed: int = SEED, n_resamples: int = N_RESAMPLES) -> Share:
    """Return the mean with its 95 % percentile bootstrap interval (Efron, 1979). Raises ValueError for no cases."""
    if not found:
        raise ValueError("found must hold at least one case, got none: the mean of nothing is undefined")
    values = np.asarray(found, dtype=float)  # (n,)
    resampled = np.random.default_rng(seed).binomial(len(values), values.mean(), n_resamples) / len(values)
    low, high = np.quantile(resampled, [0.025, 0.975])  # resampling yes and no with replacement is a binomial draw
    return Share(float(values.mean()), float(low), float(high), len(values))


# ---------------------------------------------------------------- the language model without documents


@dataclass
class ClosedBookAnswers:
    """What the language model says to questions without any document, and how that was decoded.

    answers: by question_key. checked, same: how many answers were also decoded one by one, and how many of those were
    the same to the letter; agreed: how many of them were judged alike, right or wrong.
    """

    model: str
    system: str = CLOSED_BOOK_SYSTEM
    max_new_tokens: int = 48
    dtype: str = "float32"
    checked: int = 0
    same: int = 0
    agreed: int = 0
    answers: dict[str, str] = field(default_factory=dict)


def read_closed_book(model: str, path: Path = CLOSED_BOOK) -> ClosedBookAnswers:
    """Return the stored answers of a model; none if there are none, or if they were asked for in another way."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    fresh = ClosedBookAnswers(model)
    found = ClosedBookAnswers(**stored[model]) if model in stored else fresh
    same_way = all(getattr(found, name) == getattr(fresh, name) for name in ("system", "max_new_tokens", "dtype"))
    return found if same_way else fresh


def write_closed_book(answers: ClosedBookAnswers, path: Path = CLOSED_BOOK) -> None:
    """Store the answers of a model; those of other models stay."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    stored[answers.model] = asdict(answers)
    path.write_text(json.dumps(stored, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def closed_book_share(questions: Sequence[Question], answers: Mapping[str, str]) -> list[bool]:
    """Return for each question whether the stored answer holds a gold answer.

    Raises KeyError for a question that was never asked: run `course data report`.
    """
    missing = [question.question_id for question in questions if question_key(question.text) not in answers]
    if missing:
        raise KeyError(f"no closed-book answer to {len(missing)} questions ({missing[0]} ...): run course data report")
    return [holds_answer(answers[question_key(question.text)], question.answers) for question in questions]


def ask_closed_book(
    questions: Sequence[Question],
    load: Callable[[], LanguageModel],
    stored: ClosedBookAnswers,
    *,
    save: Callable[[ClosedBookAnswers], None],
    say: Say,
    batch_size: int = 32,
) -> ClosedBookAnswers:
    """Return the answers to all questions; only those that are not stored are asked, in batches, greedily.

    Decoded in float32, so that padding does not tip the balance between two tokens and machines agree. Some of the new
    answers are decoded one by one as well. load: gives the language model, called only if there is something to ask;
    save: is given the answers after every batch, so that an interrupted run goes on where it stopped.
    """
    by_key = {question_key(question.text): question for question in questions}
    stored.answers = {key: answer for key, answer in stored.answers.items() if key in by_key}
    new = sorted((len(by_key[key].text), key) for key in by_key if key not in stored.answers)
    if not new:
        return stored
    say(f"Asking the language model {len(new):,} questions without documents")
    language_model = load()
    exact = LanguageModel(language_model.tokenizer, copy.deepcopy(language_model.model).float())
    keys = [key for _, key in new]  # questions of about one length share a batch
    for batch in _batches(keys, batch_size):
        answers = generate_batch(exact, [by_key[key].text for key in batch], stored.max_new_tokens)
        stored.answers = dict(sorted({**stored.answers, **dict(zip(batch, answers, strict=True))}.items()))
        save(stored)
    for i in np.random.default_rng(SEED).permutation(len(keys))[:N_CHECKED]:
        question, answer = by_key[keys[i]], stored.answers[keys[i]]
        alone = exact.generate(closed_book_messages(question.text), max_new_tokens=stored.max_new_tokens)
        stored.checked += 1
        stored.same += alone == answer
        stored.agreed += holds_answer(alone, question.answers) == holds_answer(answer, question.answers)
    save(stored)
    return stored


def _batches(keys: Sequence[str], batch_size: int) -> Iterator[Sequence[str]]:
    """Yield the keys in batches, with a progress bar."""
    from tqdm.auto import tqdm

    with tqdm(total=len(keys), desc="Closed book", unit="question", leave=False) as bar:
        for start in range(0, len(keys), batch_size):
            batch = keys[start : start + batch_size]
            yield batch
            bar.update(len(batch))


def generate_batch(language_model: LanguageModel, texts: Sequence[str], max_new_tokens: int) -> list[str]:
    """Return the model's closed-book answer to each text, decoded greedily in one batch padded on the left."""
    import torch

    tokenizer, model = language_model.tokenizer, language_model.model
    prompts = [language_model.prompt(closed_book_messages(text)) for text in texts]
    batch = tokenizer(prompts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt")
    with torch.inference_mode():
        output = model.generate(**batch, do_sample=False, max_new_tokens=max_new_tokens)
    answers = tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [str(answer).strip() for answer in answers]


# ---------------------------------------------------------------- messages


@dataclass(frozen=True)
class IntentScore:
    """Accuracy of TF-IDF + logistic regression in each fold, and what was taken for what: (n_intents, n_intents)."""

    accuracies: tuple[float, ...]
    intents: tuple[str, ...]
    confusion: FloatArray

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))


def intent_score(texts: Sequence[str], intents: Sequence[str], *, seed: int = SEED) -> IntentScore:
    """Classify messages from their words alone, in stratified folds (scikit-learn's defaults).

    Rows of the confusion are true intents, columns what was said, counts over all folds.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline

    names = tuple(sorted(set(intents)))
    x, y = np.asarray(texts, dtype=object), np.asarray(intents, dtype=object)
    said = np.empty_like(y)
    accuracies = []
    for train, held_out in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(x, y):
        classifier = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000)).fit(x[train], y[train])
        said[held_out] = classifier.predict(x[held_out])
        accuracies.append(float(np.mean(said[held_out] == y[held_out])))
    confusion = confusion_matrix(y, said, labels=list(names)).astype(np.float32)
    return IntentScore(tuple(accuracies), names, confusion)

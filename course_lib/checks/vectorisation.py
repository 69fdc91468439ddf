"""Checks of lesson 01. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from course_lib.classroom.check import Check, Probe, Slip, Task
from course_lib.core.validate import FloatArray
from course_lib.retrieval.counting import count_vectors, inverse_document_frequency
from course_lib.retrieval.embedding import mean_pool, normalise
from course_lib.retrieval.exact import top_k

WORDS = ("meter", "bill", "wind", "goal", "sleep", "tremor", "match", "price", "storm", "cell", "team", "drug")


def _vocabulary_and_text(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Five words, and three of them as a text whose counts change if the vocabulary is sorted."""
    while True:
        vocabulary = [str(word) for word in rng.permutation(WORDS)[:5]]
        once = [str(word) for word in rng.permutation(vocabulary)[:3]]
        if (count_vectors([once], vocabulary) != count_vectors([once], sorted(vocabulary))).any():
            return vocabulary, once


def _count_probes(rng: np.random.Generator) -> Sequence[Probe]:
    vocabulary, once = _vocabulary_and_text(rng)
    first, second, third = (vocabulary[i] for i in rng.permutation(5)[:3])
    twice = [first, second, first, first]
    unknown = ["zebra", second, "quark", third, second]
    long = [str(word) for word in rng.permutation(WORDS)]
    every = [*long, *long[5:], long[7]]

    def count(tokens: list[str], words: list[str] = vocabulary) -> FloatArray:
        return np.asarray(count_vectors([tokens], words)[0])

    return (
        Probe(
            (once, vocabulary),
            count(once),
            "Which column belongs to which word? Entry j counts the j-th word of the vocabulary.",
            (
                Slip(count(once) / len(once), "Do you divide by the length? These are counts, not shares."),
                Slip(
                    [once.count(token) for token in once],
                    "Is there one entry for each word of the text, or of the vocabulary?",
                ),
                Slip(
                    count_vectors([once], sorted(vocabulary))[0],
                    "Did you sort the vocabulary? Keep the order you are given.",
                ),
            ),
        ),
        Probe(
            (twice, vocabulary),
            count(twice),
            "What should a word that stands three times in the text count?",
            (Slip((count(twice) > 0).astype(float), "A word stands three times in this text. Is 1 its count?"),),
        ),
        Probe(
            (unknown, vocabulary),
            count(unknown),
            "What happens to a word of the text that the vocabulary does not hold?",
        ),
        Probe(
            (every, long),
            count(every, long),
            "How many entries has the vector here? The vocabulary has twelve words this time.",
        ),
    )


def _idf_probes(rng: np.random.Generator) -> Sequence[Probe]:
    counts = rng.integers(0, 2, size=(6, 4)).astype(np.float32)
    counts[:, 0], counts[0, 1], counts[1, 1] = 1, 1, 0
    right = inverse_document_frequency(counts)
    many = counts * rng.integers(2, 5, size=(6, 1)).astype(np.float32)
    unseen = np.hstack([counts, np.zeros((6, 1), np.float32)])
    n, df = len(counts), (counts > 0).sum(axis=0)
    with np.errstate(divide="ignore"):
        unsmoothed, base10 = np.log(n / df) + 1, np.log10((1 + n) / (1 + df)) + 1
    return (
        Probe(
            (counts,),
            right,
            "idf = ln((1 + n) / (1 + df)) + 1, with n the texts and df the texts that hold the word. Which part differs?",
            (
                Slip(right - 1, "A word that stands in every text comes out as 0. What does the + 1 at the end do?"),
                Slip(
                    unsmoothed,
                    "Did you leave out the two ones inside the logarithm? They keep df = 0 from dividing by zero.",
                ),
                Slip(base10, "Which logarithm is this? The formula uses the natural one."),
                Slip(np.log((1 + df) / (1 + n)) + 1, "Rare words must weigh more. Is your fraction upside down?"),
                Slip(np.log((1 + 4) / (1 + df)) + 1, "Is n the number of texts (rows) or of words (columns)?"),
            ),
        ),
        Probe(
            (many,),
            inverse_document_frequency(many),
            "Does df count texts, or occurrences? A word that stands five times in one text is in one text.",
        ),
        Probe(
            (unseen,),
            inverse_document_frequency(unseen),
            "What happens to a word that stands in no text? Nothing may divide by zero.",
        ),
    )


def _pooling_probes(rng: np.random.Generator) -> Sequence[Probe]:
    full = rng.normal(size=(2, 3, 5)).astype(np.float32)
    all_real = np.ones((2, 3), dtype=np.int64)
    padded = rng.normal(size=(3, 4, 5)).astype(np.float32)
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
    return (
        Probe(
            (full, all_real),
            mean_pool(full, all_real),
            "Over which axis do you average? There should be one vector per text.",
            (
                Slip(full.mean(axis=0), "You averaged over the texts. Which axis holds the tokens?"),
                Slip(full.mean(axis=2), "You averaged over the dimensions. Which axis holds the tokens?"),
                Slip(full[:, 0], "This is the first token of each text. Who speaks for the others?"),
                Slip(full.max(axis=1), "This is the maximum over the tokens. Is that a mean?"),
                Slip(full.sum(axis=1), "This is the sum over the tokens. What is missing to make it a mean?"),
                Slip(normalise(full.mean(axis=1)), "The direction is right. Who asked for length 1 here?"),
            ),
        ),
        Probe(
            (padded, mask),
            mean_pool(padded, mask),
            "Which tokens of the shorter texts count, and by how many do you divide?",
            (
                Slip(padded.mean(axis=1), "Should padding count? Some of these tokens have mask 0."),
                Slip(
                    (padded * mask[:, :, None]).mean(axis=1),
                    "The padding is out of the sum. Is it also out of the number you divide by?",
                ),
                Slip(
                    (padded * mask[:, :, None]).sum(axis=1) / mask.sum(),
                    "You divide every text by the tokens of the whole batch. How many has each text?",
                ),
                Slip(
                    (padded * mask[:, :, None]).sum(axis=1),
                    "This is the sum over the real tokens. What is missing to make it a mean?",
                ),
            ),
        ),
    )


def _normalise_probes(rng: np.random.Generator) -> Sequence[Probe]:
    vectors = (rng.normal(size=(3, 4)) * np.array([[1.0], [5.0], [0.1]])).astype(np.float32)
    zeros = np.vstack([vectors[:1], np.zeros((1, 4))]).astype(np.float32)
    return (
        Probe(
            (vectors,),
            normalise(vectors),
            "What is the length of each row of your result? np.linalg.norm(result, axis=1) should be all ones.",
            (
                Slip(
                    vectors / np.abs(vectors).sum(axis=1, keepdims=True),
                    "You divide by the sum of absolute values. Whose length is that?",
                ),
                Slip(
                    vectors / np.linalg.norm(vectors),
                    "You divide by the length of the whole array. Which length has each row?",
                ),
                Slip(vectors / np.linalg.norm(vectors, axis=0), "You scaled the columns. Which axis is one text?"),
                Slip(
                    vectors / np.abs(vectors).max(axis=1, keepdims=True),
                    "The largest entry of each row is 1 now. Is its length?",
                ),
                Slip(
                    vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) ** 2),
                    "Did you forget the square root in the length?",
                ),
                Slip(
                    (vectors - vectors.mean(axis=1, keepdims=True)) / vectors.std(axis=1, keepdims=True),
                    "This is standardising: mean 0, spread 1. Does it keep the direction of a row?",
                ),
            ),
        ),
        Probe(
            (zeros,),
            ValueError,
            "One row is all zeros: it has no direction. Raise a ValueError rather than return NaN.",
        ),
    )


def _cosine_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b = rng.normal(size=(2, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    a, b = normalise(a), normalise(b)
    long_a, long_b = a * 3, b * np.array([[0.5], [2.0], [7.0]], dtype=np.float32)
    return (
        Probe(
            (a, b),
            a @ b.T,
            "Entry (i, j) compares row i of the first with row j of the second. What should the shape be?",
            (
                Slip(b @ a.T, "Rows and columns are swapped. Which argument gives the rows?"),
                Slip(1 - a @ b.T, "This grows when texts differ: a distance. In this course a larger score is nearer."),
                Slip(np.arccos(np.clip(a @ b.T, -1, 1)), "This is the angle. The cosine of it is asked for."),
            ),
        ),
        Probe(
            (long_a, long_b),
            a @ b.T,
            "These rows do not have length 1. What does the cosine divide by?",
            (
                Slip(
                    long_a @ long_b.T,
                    "This is the dot product: longer rows score higher. What does the cosine divide by?",
                ),
                Slip(a @ long_b.T, "Only the first argument was scaled to length 1. What about the second?"),
                Slip(long_a @ b.T, "Only the second argument was scaled to length 1. What about the first?"),
            ),
        ),
    )


def _neighbour_probes(rng: np.random.Generator) -> Sequence[Probe]:
    embeddings = normalise(rng.normal(size=(7, 4)).astype(np.float32))
    query = normalise(rng.normal(size=(1, 4)).astype(np.float32))[0]
    similarities = embeddings @ query
    best = top_k(similarities, 3)
    distances = np.linalg.norm(embeddings - query, axis=1)
    ties = np.array([[0.6, 0.8], [1.0, 0.0], [0.6, 0.8], [0.6, 0.8]], dtype=np.float32)
    return (
        Probe(
            (query, embeddings, 3),
            best,
            "Which positions have the largest dot products, largest first?",
            (
                Slip(top_k(-similarities, 3), "These are the three farthest. Which end of the sorted list is near?"),
                Slip(sorted(best), "The right three, in the wrong order. Best first."),
                Slip(best[::-1], "The right three, in the wrong order. Best first."),
                Slip(similarities[best], "These are the similarities. The positions are asked for."),
                Slip(np.sort(distances)[:3], "These are distances. The positions are asked for."),
                Slip(top_k(similarities, 7), "How many are asked for? k is 3."),
            ),
        ),
        Probe(
            (np.array([0.6, 0.8], dtype=np.float32), ties, 2),
            [0, 2],
            "Three rows are equally near. Which two come first? Break ties by the lower position, so that all machines agree.",
        ),
        Probe(
            (query, embeddings, 20),
            ValueError,
            "There are 7 rows and 20 are asked for. Raise a ValueError that says so.",
        ),
    )


TASKS = (
    Task(
        "counting",
        "count_words",
        "Count words",
        2,
        _count_probes,
        (
            "Make an array of zeros, one entry for each word of the vocabulary.",
            "A dictionary {word: position} finds the entry of a word quickly.",
            "for token in tokens: if token in position: counts[position[token]] += 1",
        ),
        "A count vector has one axis per word of the vocabulary. The order of words in the text is gone, and so is any "
        "word that the vocabulary lacks: this is what a bag of words cannot see.",
    ),
    Task(
        "idf",
        "inverse_document_frequency",
        "Weigh rare words",
        2,
        _idf_probes,
        (
            "df is how many rows of counts are above 0 in each column.",
            "(counts > 0) is an array of True and False; .sum(axis=0) counts the True ones of each column.",
            "np.log((1 + n) / (1 + df)) + 1, with n = len(counts)",
        ),
        "A word in every text says nothing about any of them: its weight is smallest, 1. The two ones inside the logarithm "
        "act like one more text that holds every word, so that no word divides by zero.",
    ),
    Task(
        "pooling",
        "mean_pool",
        "From token vectors to a text vector",
        3,
        _pooling_probes,
        (
            "Tokens lie on axis 1. First forget the mask and average over that axis.",
            "mask[:, :, None] has shape (n, n_tokens, 1), so it multiplies every dimension of a token at once.",
            "Divide the masked sum by mask.sum(axis=1, keepdims=True), the number of real tokens of each text.",
        ),
        "Texts of a batch have different lengths, so the shorter ones are padded. Padding positions get vectors, too, and a "
        "plain mean would let them vote: the same text would get another vector in another batch.",
    ),
    Task(
        "normalising",
        "normalise",
        "Length one",
        2,
        _normalise_probes,
        (
            "The length of a row is the square root of the sum of its squares: np.linalg.norm(vectors, axis=1).",
            "keepdims=True keeps the shape (n, 1), so that the division runs row by row.",
            "Before dividing: if any length is 0, raise ValueError.",
        ),
        "At length 1 the dot product is the cosine, so the fastest operation of the machine gives the similarity. A row of "
        "zeros has no direction: an error now is better than a NaN that wins or loses every comparison later.",
    ),
    Task(
        "cosine",
        "cosine_similarity",
        "Compare every text with every other",
        2,
        _cosine_probes,
        (
            "One matrix product compares all rows with all rows: (n, dim) @ (dim, m).",
            "The cosine is the dot product of rows that were scaled to length 1 first.",
            "Use your normalise on both arguments.",
        ),
        "The dot product grows with the length of the vectors, and with count vectors a long text has a long vector. The "
        "cosine keeps only the direction, so a long report and a short note on one subject can meet.",
    ),
    Task(
        "neighbours",
        "nearest",
        "The k nearest",
        3,
        _neighbour_probes,
        (
            "embeddings @ query gives one similarity per row.",
            "np.argsort sorts upwards; sort the negative similarities to have the largest first.",
            "np.argsort(-similarities, kind='stable')[:k] keeps equal ones in order of position; check k before.",
        ),
        "This is retrieval: compare with all, keep k. Ties need a rule, or two machines return different passages for the "
        "same question. Lesson 02 makes it fast.",
    ),
)

check = Check("01_vectorisation", TASKS)

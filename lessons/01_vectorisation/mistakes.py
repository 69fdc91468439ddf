"""Planted wrong answers for exercise 01. Each names words of the message that a learner must get for it."""

import numpy as np


def ignores_repeats(tokens, vocabulary):
    return np.array([float(word in tokens) for word in vocabulary])


def counts_shares(tokens, vocabulary):
    return np.array([tokens.count(word) / max(len(tokens), 1) for word in vocabulary])


def sorts_the_vocabulary(tokens, vocabulary):
    return np.array([float(tokens.count(word)) for word in sorted(vocabulary)])


def stumbles_on_unknown_words(tokens, vocabulary):
    counts = np.zeros(len(vocabulary))
    for token in tokens:
        counts[vocabulary.index(token)] += 1
    return counts


def counts_into_five_places(tokens, vocabulary):
    counts = np.zeros(5)
    for token in tokens:
        if token in vocabulary[:5]:
            counts[vocabulary.index(token)] += 1
    return counts


def returns_a_constant(tokens, vocabulary):
    return np.zeros(len(vocabulary))


def forgets_the_plus_one(counts):
    return np.log((1 + len(counts)) / (1 + (counts > 0).sum(axis=0)))


def divides_by_zero(counts):
    return np.log(len(counts) / (counts > 0).sum(axis=0)) + 1


def counts_occurrences(counts):
    return np.log((1 + len(counts)) / (1 + counts.sum(axis=0))) + 1


def upside_down(counts):
    return np.log((1 + (counts > 0).sum(axis=0)) / (1 + len(counts))) + 1


def averages_padding(token_vectors, mask):
    return token_vectors.mean(axis=1)


def divides_by_all_positions(token_vectors, mask):
    return (token_vectors * mask[:, :, None]).mean(axis=1)


def divides_by_the_batch(token_vectors, mask):
    return (token_vectors * mask[:, :, None]).sum(axis=1) / mask.sum() * (len(mask) if mask.all() else 1)


def takes_the_first_token(token_vectors, mask):
    return token_vectors[:, 0]


def takes_the_maximum(token_vectors, mask):
    return token_vectors.max(axis=1)


def only_sums(token_vectors, mask):
    return (token_vectors * mask[:, :, None]).sum(axis=1)


def averages_the_wrong_axis(token_vectors, mask):
    return token_vectors.mean(axis=0)


def sum_of_absolute_values(vectors):
    return vectors / np.abs(vectors).sum(axis=1, keepdims=True)


def scales_the_whole_array(vectors):
    return vectors / np.linalg.norm(vectors)


def scales_columns(vectors):
    return vectors / np.linalg.norm(vectors, axis=0)


def lets_nan_through(vectors):
    with np.errstate(invalid="ignore"):
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def changes_its_argument(vectors):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise ValueError("zero row")
    vectors /= lengths
    return vectors


def dot_product(a, b):
    return a @ b.T


def swaps_rows_and_columns(a, b):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return b @ a.T


def distance_instead(a, b):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return 1 - a @ b.T


def scales_only_the_first(a, b):
    return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ b.T


def farthest(query, embeddings, k):
    if k > len(embeddings):
        raise ValueError("k too large")
    return np.argsort(embeddings @ query, kind="stable")[:k].tolist()


def worst_of_the_best_first(query, embeddings, k):
    if k > len(embeddings):
        raise ValueError("k too large")
    return np.argsort(embeddings @ query, kind="stable")[-k:].tolist()


def breaks_ties_from_behind(query, embeddings, k):
    if k > len(embeddings):
        raise ValueError("k too large")
    return np.argsort(embeddings @ query, kind="stable")[::-1][:k].tolist()


def returns_similarities(query, embeddings, k):
    return np.sort(embeddings @ query)[::-1][:k]


def cuts_k_silently(query, embeddings, k):
    return np.argsort(-(embeddings @ query), kind="stable")[:k].tolist()


def never_returns(query, embeddings, k):
    np.argsort(-(embeddings @ query), kind="stable")[:k]


# (task, wrong answer, status, words of the message)
MISTAKES = [
    ("counting", ignores_repeats, "wrong", "Is 1 its count"),
    ("counting", counts_shares, "wrong", "divide by the length"),
    ("counting", sorts_the_vocabulary, "wrong", "sort the vocabulary"),
    ("counting", stumbles_on_unknown_words, "crashed", "is not in list"),
    ("counting", counts_into_five_places, "wrong", "The vocabulary has twelve words"),
    ("counting", returns_a_constant, "wrong", "Which column belongs to which word"),
    ("idf", forgets_the_plus_one, "wrong", "What does the + 1 at the end do"),
    ("idf", divides_by_zero, "wrong", "two ones inside the logarithm"),
    ("idf", counts_occurrences, "wrong", "Does df count texts, or occurrences"),
    ("idf", upside_down, "wrong", "upside down"),
    ("pooling", averages_padding, "wrong", "Should padding count"),
    ("pooling", divides_by_all_positions, "wrong", "also out of the number you divide by"),
    ("pooling", divides_by_the_batch, "wrong", "tokens of the whole batch"),
    ("pooling", takes_the_first_token, "wrong", "first token of each text"),
    ("pooling", takes_the_maximum, "wrong", "maximum over the tokens"),
    ("pooling", only_sums, "wrong", "What is missing to make it a mean"),
    ("pooling", averages_the_wrong_axis, "wrong", "averaged over the texts"),
    ("normalising", sum_of_absolute_values, "wrong", "sum of absolute values"),
    ("normalising", scales_the_whole_array, "wrong", "length of the whole array"),
    ("normalising", scales_columns, "wrong", "scaled the columns"),
    ("normalising", lets_nan_through, "wrong", "rather than return NaN"),
    ("normalising", changes_its_argument, "wrong", "changed the array it was given"),
    ("cosine", dot_product, "wrong", "longer rows score higher"),
    ("cosine", swaps_rows_and_columns, "wrong", "Rows and columns are swapped"),
    ("cosine", distance_instead, "wrong", "a larger score is nearer"),
    ("cosine", scales_only_the_first, "wrong", "What about the second"),
    ("neighbours", farthest, "wrong", "three farthest"),
    ("neighbours", worst_of_the_best_first, "wrong", "in the wrong order"),
    ("neighbours", breaks_ties_from_behind, "wrong", "Break ties by the lower position"),
    ("neighbours", returns_similarities, "wrong", "These are the similarities"),
    ("neighbours", cuts_k_silently, "wrong", "7 rows and 20 are asked for"),
    ("neighbours", never_returns, "not attempted", "Is there a return statement"),
]

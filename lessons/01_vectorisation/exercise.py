# %% [markdown]
# # Exercise 01: vectorisation
#
# Six functions, 14 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("pooling")` gives one hint at a time. After a pass, `check.reasoning("pooling")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

from course_lib.checks.vectorisation import check

# %% [markdown]
# ## 1. Count words (2 points)
#
# Return an array with one entry for each word of `vocabulary`, in its order: how often the word stands in `tokens`.
# Words that the vocabulary lacks are left out.


# %% nbgrader={"grade": false, "grade_id": "counting-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count_words(tokens, vocabulary):
    """tokens: list of str; vocabulary: list of different str. Returns (n_words,) counts."""
    ### BEGIN SOLUTION
    position = {word: j for j, word in enumerate(vocabulary)}
    counts = np.zeros(len(vocabulary))  # (n_words,)
    for token in tokens:
        if token in position:
            counts[position[token]] += 1
    return counts
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "counting", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.counting(count_words).show()

# %% [markdown]
# ## 2. Weigh rare words (2 points)
#
# Return the inverse document frequency of each word, $\ln\frac{1 + n}{1 + \mathrm{df}} + 1$: $n$ texts, of which $\mathrm{df}$
# hold the word.


# %% nbgrader={"grade": false, "grade_id": "idf-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inverse_document_frequency(counts):
    """counts: (n, n_words), how often each word stands in each text. Returns (n_words,)."""
    ### BEGIN SOLUTION
    document_frequency = (counts > 0).sum(axis=0)  # (n_words,)
    return np.log((1 + len(counts)) / (1 + document_frequency)) + 1
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "idf", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.idf(inverse_document_frequency).show()

# %% [markdown]
# ## 3. From token vectors to a text vector (3 points)
#
# Average the vectors of the real tokens of each text. The mask is 1 for a real token and 0 for padding.


# %% nbgrader={"grade": false, "grade_id": "pooling-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mean_pool(token_vectors, mask):
    """token_vectors: (n, n_tokens, dim); mask: (n, n_tokens). Returns (n, dim)."""
    ### BEGIN SOLUTION
    n_tokens = mask.sum(axis=1, keepdims=True)  # (n, 1)
    return (token_vectors * mask[:, :, None]).sum(axis=1) / n_tokens  # (n, dim)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pooling", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.pooling(mean_pool).show()

# %% [markdown]
# ## 4. Length one (2 points)
#
# Scale each row to length 1. A row of zeros has no direction: raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "normalising-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def normalise(vectors):
    """vectors: (n, dim). Returns (n, dim), each row of length 1."""
    ### BEGIN SOLUTION
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (n, 1)
    if (lengths == 0).any():
        raise ValueError("a row is all zeros and has no direction")
    return vectors / lengths
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "normalising", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.normalising(normalise).show()

# %% [markdown]
# ## 5. Compare every text with every other (2 points)
#
# Entry $(i, j)$ is the cosine of row $i$ of `a` and row $j$ of `b`. The rows may have any length but 0.


# %% nbgrader={"grade": false, "grade_id": "cosine-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cosine_similarity(a, b):
    """a: (n, dim); b: (m, dim). Returns (n, m)."""
    ### BEGIN SOLUTION
    return normalise(a) @ normalise(b).T
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "cosine", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.cosine(cosine_similarity).show()

# %% [markdown]
# ## 6. The k nearest (3 points)
#
# Return the positions of the `k` rows of `embeddings` with the largest dot product with `query`, largest first. Equal ones come in
# order of position. If `k` is larger than the number of rows, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "neighbours-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nearest(query, embeddings, k):
    """query: (dim,); embeddings: (n, dim), rows of length 1. Returns a list of k positions."""
    ### BEGIN SOLUTION
    if k > len(embeddings):
        raise ValueError(f"k must be at most {len(embeddings)}, got {k}")
    similarities = embeddings @ query  # (n,)
    return [int(i) for i in np.argsort(-similarities, kind="stable")[:k]]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "neighbours", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.neighbours(nearest).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Six checks should say *passed*. Then hand in this file.

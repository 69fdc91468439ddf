# %% [markdown]
# # Exercise 04: hybrid search
#
# Seven functions, 17 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("idf")` gives one hint at a time. After a pass, `check.reasoning("idf")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
from collections import Counter

import numpy as np

from course_lib.checks.hybrid_search import check

# %% [markdown]
# ## 1. How rare is a term? (2 points)
#
# Return BM25's inverse document frequency of each term, as Lucene has it:
# $\ln\left(1 + \frac{n - \mathrm{df} + 0.5}{\mathrm{df} + 0.5}\right)$, with $n$ documents, of which $\mathrm{df}$ hold the term.


# %% nbgrader={"grade": false, "grade_id": "idf-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inverse_document_frequency(df, n_docs):
    """df: (n_terms,) documents that hold each term, or one number; n_docs: all documents. Returns the same shape."""
    ### BEGIN SOLUTION
    return np.log(1 + (n_docs - df + 0.5) / (df + 0.5))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "idf", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.idf(inverse_document_frequency).show()

# %% [markdown]
# ## 2. The tenth time counts less (2 points)
#
# Return $\frac{\mathrm{tf}}{\mathrm{tf} + k_1 \cdot \mathrm{norm}}$, where $\mathrm{norm} = 1 - b + b \cdot \frac{\mathrm{length}}{\mathrm{mean\ length}}$.


# %% nbgrader={"grade": false, "grade_id": "saturation-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def saturation(tf, doc_len, mean_len, k1, b):
    """tf: (n_docs,) occurrences of one term; doc_len: (n_docs,) tokens; or one number each. Returns the same shape."""
    ### BEGIN SOLUTION
    norm = 1 - b + b * doc_len / mean_len
    return tf / (tf + k1 * norm)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "saturation", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.saturation(saturation).show()

# %% [markdown]
# ## 3. The score of one document (3 points)
#
# Add up idf times saturation over the different words of the query. A word that `df` does not hold stands in no document: it adds
# nothing. A word asked twice counts once. A query without any word scores 0.


# %% nbgrader={"grade": false, "grade_id": "scoring-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bm25(query, document, df, n_docs, mean_len, k1, b):
    """query, document: lists of words; df: dict, word to number of documents that hold it. Returns one number."""
    ### BEGIN SOLUTION
    score = 0.0
    for word in dict.fromkeys(query):
        if word in df:
            tf = document.count(word)
            score += inverse_document_frequency(df[word], n_docs) * saturation(tf, len(document), mean_len, k1, b)
    return score
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "scoring", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.scoring(bm25).show()

# %% [markdown]
# ## 4. From terms to documents (2 points)
#
# Return a dictionary: for each word, a list of pairs (position of the document, how often it holds the word), in order of position.
# Positions are counted from 0.


# %% nbgrader={"grade": false, "grade_id": "index-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inverted_index(documents):
    """documents: list of lists of words. Returns dict, word to list of (position, count)."""
    ### BEGIN SOLUTION
    index = {}
    for position, document in enumerate(documents):
        for word, count in Counter(document).items():
            index.setdefault(word, []).append((position, count))
    return index
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "index", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.index(inverted_index).show()

# %% [markdown]
# ## 5. Fuse by rank (3 points)
#
# Reciprocal rank fusion: an id gets $\frac{1}{\mathrm{rank\_constant} + \mathrm{rank}}$ from each ranking that holds it, ranks counted from
# 1. Return pairs (id, sum), the largest sum first, ids with the same sum in alphabetical order.


# %% nbgrader={"grade": false, "grade_id": "rrf-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reciprocal_rank_fusion(rankings, rank_constant):
    """rankings: list of lists of ids, best first. Returns a list of (id, score)."""
    ### BEGIN SOLUTION
    sums = {}
    for ranking in rankings:
        for rank, name in enumerate(ranking, start=1):
            sums[name] = sums.get(name, 0) + 1 / (rank_constant + rank)
    return sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rrf", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.rrf(reciprocal_rank_fusion).show()

# %% [markdown]
# ## 6. Bring scores to one scale (2 points)
#
# Move and stretch the scores so that the lowest becomes 0 and the highest 1. Where all are equal, return zeros.


# %% nbgrader={"grade": false, "grade_id": "scaling-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def min_max(scores):
    """scores: (n,) array. Returns (n,)."""
    ### BEGIN SOLUTION
    low, high = scores.min(), scores.max()
    if low == high:
        return np.zeros(len(scores))
    return (scores - low) / (high - low)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "scaling", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.scaling(min_max).show()

# %% [markdown]
# ## 7. Fuse by score (3 points)
#
# Scale each ranking by itself with min-max, then give every id $\alpha$ times its scaled score in the first plus $1 - \alpha$ times
# that in the second. An id that a ranking lacks gets 0 from it, the lowest scaled score; so does every id if a ranking is empty.


# %% nbgrader={"grade": false, "grade_id": "weighting-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def weighted_fusion(first, second, alpha):
    """first, second: dicts, id to score. Returns a dict, id to fused score, for the ids of both."""
    ### BEGIN SOLUTION
    scaled = []
    for scores in (first, second):
        values = min_max(np.array(list(scores.values()))) if scores else []
        scaled.append(dict(zip(scores, values, strict=True)))
    return {
        name: alpha * scaled[0].get(name, 0) + (1 - alpha) * scaled[1].get(name, 0) for name in set(first) | set(second)
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "weighting", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.weighting(weighted_fusion).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

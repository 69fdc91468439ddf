# %% [markdown]
# # Exercise 08: evaluating RAG
#
# Seven functions, 17 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("ndcg")` gives one hint at a time. After a pass, `check.reasoning("ndcg")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
import re
from collections import Counter

import numpy as np

from course_lib.checks.evaluating_rag import check

# %% [markdown]
# ## 1. nDCG at k (3 points)
#
# The gain at place $r$, counted from 1, counts $\frac{\mathrm{gain}}{\log_2(1 + r)}$. Add this over the first `k` places, and divide by
# what the best order of **all** judged ids would reach in its first `k`. An id that nobody judged has gain 0. If the best is 0, raise
# a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "ndcg-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ndcg(ranking, gains, k):
    """ranking: list of ids, best first; gains: dict of id to gain, each at least 0. Returns a number from 0 to 1."""

    ### BEGIN SOLUTION
    def discounted(values):
        return sum(value / math.log2(1 + rank) for rank, value in enumerate(values, start=1))

    best = discounted(sorted(gains.values(), reverse=True)[:k])
    if best == 0:
        raise ValueError("no id is relevant: nDCG is undefined")
    return discounted([gains.get(name, 0) for name in ranking[:k]]) / best
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ndcg", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.ndcg(ndcg).show()

# %% [markdown]
# ## 2. Average precision (2 points)
#
# Take the precision at each place where a relevant id stands, and average over **all** relevant ids. One that the ranking lacks adds 0.
# Without any relevant id, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "ap-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def average_precision(ranking, relevant):
    """ranking: list of ids, best first; relevant: list of ids. Returns a number from 0 to 1."""
    ### BEGIN SOLUTION
    if not relevant:
        raise ValueError("no id is relevant: average precision is undefined")
    found, total = 0, 0.0
    for rank, name in enumerate(ranking, start=1):
        if name in relevant:
            found += 1
            total += found / rank
    return total / len(relevant)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ap", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.ap(average_precision).show()

# %% [markdown]
# ## 3. Token F1 with aliases (3 points)
#
# First bring answer and gold answers to one form: lower case; everything but letters a to z, digits and spaces becomes a space; the
# words *a*, *an* and *the* go. Then the F1 of the words, counted as often as they occur, with the gold answer that fits best.


# %% nbgrader={"grade": false, "grade_id": "f1-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def token_f1(answer, golds):
    """answer: str; golds: list of str, each of which counts as right. Returns a number from 0 to 1."""

    ### BEGIN SOLUTION
    def words(text):
        kept = re.sub(r"[^a-z0-9 ]", " ", text.lower()).split()
        return Counter(word for word in kept if word not in ("a", "an", "the"))

    said = words(answer)
    scores = []
    for gold in golds:
        wanted = words(gold)
        scores.append(2 * (said & wanted).total() / max(said.total() + wanted.total(), 1))
    return max(scores)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "f1", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.f1(token_f1).show()

# %% [markdown]
# ## 4. Precision and recall of abstaining (2 points)
#
# An abstention is right on a question without an answer. Return precision, the share of the abstentions that are right, and recall, the
# share of the questions without an answer that are met by one. If either is 0 / 0, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "abstaining-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def abstention_scores(abstained, answerable):
    """abstained, answerable: lists of bool, one entry a question. Returns (precision, recall)."""
    ### BEGIN SOLUTION
    said, wanted = sum(abstained), sum(not can for can in answerable)
    if not said or not wanted:
        raise ValueError("nobody abstained, or every question has an answer: undefined")
    right = sum(silent and not can for silent, can in zip(abstained, answerable, strict=True))
    return right / said, right / wanted
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "abstaining", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.abstaining(abstention_scores).show()

# %% [markdown]
# ## 5. Precision of citations (2 points)
#
# Over all answers: the share of the citations that point to a passage that holds the answer. Every citation weighs the same; a
# passage that one answer cites several times counts once. If nothing was cited, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "citing-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def citation_precision(cited, gold):
    """cited, gold: for each answer a list of passage numbers. Returns a number from 0 to 1."""
    ### BEGIN SOLUTION
    right = sum(len(set(numbers) & set(wanted)) for numbers, wanted in zip(cited, gold, strict=True))
    said = sum(len(set(numbers)) for numbers in cited)
    if not said:
        raise ValueError("no answer cites anything: precision is undefined")
    return right / said
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "citing", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.citing(citation_precision).show()

# %% [markdown]
# ## 6. Bootstrap interval of a paired difference (3 points)
#
# `a` and `b` are the values of two systems on the same questions. Each row of `picks` names the questions of one draw. Return the
# interval of the mean of $a - b$ that leaves 2.5 % of the draws below and 2.5 % above (`np.quantile`). If the lengths of `a` and `b`
# differ, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "bootstrap-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def paired_interval(a, b, picks):
    """a, b: (n,) arrays; picks: (n_draws, n), positions from 0 to n - 1. Returns (low, high)."""
    ### BEGIN SOLUTION
    if len(a) != len(b):
        raise ValueError(f"a and b must be of the same questions, got {len(a)} and {len(b)}")
    means = (a - b)[picks].mean(axis=1)  # (n_draws,)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bootstrap", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.bootstrap(paired_interval).show()

# %% [markdown]
# ## 7. Holm's correction (2 points)
#
# Of $m$ tests, the smallest $p$ is multiplied by $m$, the next by $m - 1$, and so on. No corrected $p$ is below one before it, and none
# above 1. Return them in the order in which the tests were given.


# %% nbgrader={"grade": false, "grade_id": "correcting-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def holm_correction(p_values):
    """p_values: list of numbers from 0 to 1. Returns a list of the same length."""
    ### BEGIN SOLUTION
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[i] * (len(p_values) - place)))
        corrected[i] = largest
    return corrected
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "correcting", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.correcting(holm_correction).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

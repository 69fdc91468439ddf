# %% [markdown]
# # Exercise 06: reranking and filtering
#
# Seven functions, 18 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("mmr")` gives one hint at a time. After a pass, `check.reasoning("mmr")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

from course_lib.checks.reranking_and_filtering import check

# %% [markdown]
# ## 1. Late interaction (3 points)
#
# Compare every token of the query with every token of the passage. Take, for each **query** token, the largest similarity; return
# their mean.


# %% nbgrader={"grade": false, "grade_id": "late_interaction-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def late_interaction_score(query_vectors, passage_vectors):
    """query_vectors: (n_query, dim); passage_vectors: (n_passage, dim), rows of length 1. Returns a float."""
    ### BEGIN SOLUTION
    similarities = query_vectors @ passage_vectors.T  # (n_query, n_passage)
    return float(similarities.max(axis=1).mean())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "late_interaction", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.late_interaction(late_interaction_score).show()

# %% [markdown]
# ## 2. Standardise and add (2 points)
#
# Bring each list of scores to mean 0 and standard deviation 1 (`np.std` as it is). Return the second plus `weight` times the first.
# A list whose scores are all equal adds nothing: count it as zeros.


# %% nbgrader={"grade": false, "grade_id": "combining-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def combine_scores(first, second, weight):
    """first, second: (n,) scores of the same hits. Returns (n,)."""
    ### BEGIN SOLUTION
    total = np.zeros(len(first))
    for values, factor in ((second, 1), (first, weight)):
        if values.std() > 0:
            total += factor * (values - values.mean()) / values.std()
    return total
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "combining", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.combining(combine_scores).show()

# %% [markdown]
# ## 3. Keep what was not read again (2 points)
#
# `ids` is a ranking, best first. Only the first `len(scores)` of them were read again, and `scores` are theirs. Return all ids: those
# that were read again by their new score, the largest first, equal ones in their old order; then the others, as they were.


# %% nbgrader={"grade": false, "grade_id": "depth-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rerank_head(ids, scores):
    """ids: list of str, best first; scores: list of at most len(ids) numbers. Returns a list of all ids."""
    ### BEGIN SOLUTION
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return [ids[i] for i in order] + list(ids[len(scores) :])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "depth", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.depth(rerank_head).show()

# %% [markdown]
# ## 4. The version in force (2 points)
#
# `versions` are pairs of a name and the day on which it begins to hold, written `YYYY-MM-DD`, in any order. Return the name of the
# version in force on the day `at`. Before the first one, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "versions-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def version_in_force(versions, at):
    """versions: list of (name, day); at: a day. Returns a name."""
    ### BEGIN SOLUTION
    begun = [version for version in versions if version[1] <= at]
    if not begun:
        raise ValueError(f"nothing was in force on {at}")
    return max(begun, key=lambda version: version[1])[0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "versions", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.versions(version_in_force).show()

# %% [markdown]
# ## 5. One step of MMR (3 points)
#
# Return the position, among those not in `picked`, with the largest
#
# $$w \cdot \mathrm{relevance}_i - (1 - w) \cdot \max_{j \in \mathrm{picked}} \mathrm{similarity}_{ij}$$
#
# While nothing is picked, the second part is 0.


# %% nbgrader={"grade": false, "grade_id": "mmr-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def next_pick(relevance, similarities, picked, weight):
    """relevance: (n,); similarities: (n, n); picked: list of positions; weight: w, 0 to 1. Returns a position."""
    ### BEGIN SOLUTION
    values = {}
    for i in range(len(relevance)):
        if i not in picked:
            redundancy = max((similarities[i][j] for j in picked), default=0.0)
            values[i] = weight * relevance[i] - (1 - weight) * redundancy
    return max(values, key=values.get)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mmr", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.mmr(next_pick).show()

# %% [markdown]
# ## 6. A threshold for a wanted precision (3 points)
#
# A question passes if its score is at or above the threshold. Return the **lowest** of the scores at which at least the share
# `precision` of the questions that pass are answerable. If there is none, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "threshold-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lowest_threshold(scores, answerable, precision):
    """scores: (n,); answerable: (n,) of True and False; precision: 0 to 1. Returns one of the scores."""
    ### BEGIN SOLUTION
    good = [t for t in scores if answerable[scores >= t].mean() >= precision]
    if not good:
        raise ValueError(f"no threshold reaches a precision of {precision}")
    return float(min(good))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "threshold", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.threshold(lowest_threshold).show()

# %% [markdown]
# ## 7. How likely is the question? (3 points)
#
# A language model has read a passage and gives, at each place of the question, one logit for every token of its vocabulary. Return the
# mean of $\ln p$ over the tokens that stand there. A softmax turns the logits of a place into probabilities. Logits may be large.


# %% nbgrader={"grade": false, "grade_id": "likelihood-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mean_log_likelihood(logits, targets):
    """logits: (n_tokens, n_vocabulary); targets: (n_tokens,) numbers of the tokens. Returns a float, at most 0."""
    ### BEGIN SOLUTION
    shifted = logits - logits.max(axis=1, keepdims=True)  # the softmax stays the same, and nothing overflows
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (n_tokens, n_vocabulary)
    return float(log_p[np.arange(len(targets)), targets].mean())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "likelihood", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.likelihood(mean_log_likelihood).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

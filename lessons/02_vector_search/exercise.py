# %% [markdown]
# # Exercise 02: vector search
#
# Seven functions, 17 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("lists")` gives one hint at a time. After a pass, `check.reasoning("lists")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

from course_lib.checks.vector_search import check

# %% [markdown]
# ## 1. Recall against exact search (2 points)
#
# Return the mean, over the queries, of the share of the true neighbours that were found. In `found`, `-1` stands for "none", and an
# index may find fewer than there are.


# %% nbgrader={"grade": false, "grade_id": "recall-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def recall_against_exact(found, true):
    """found, true: one list of positions for each query. Returns a number between 0 and 1."""
    ### BEGIN SOLUTION
    return float(np.mean([len(set(f) & set(t)) / len(t) for f, t in zip(found, true, strict=True)]))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "recall", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.recall(recall_against_exact).show()

# %% [markdown]
# ## 2. Share the vectors out to lists (2 points)
#
# Return one list for each centre: the positions, in order, of the vectors that are nearest to it by dot product. Where two centres tie,
# the first one gets the vector.


# %% nbgrader={"grade": false, "grade_id": "lists-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inverted_lists(vectors, centres):
    """vectors: (n, dim); centres: (n_centres, dim). Returns a list of n_centres lists of positions."""
    ### BEGIN SOLUTION
    nearest = (vectors @ centres.T).argmax(axis=1)  # (n,)
    return [np.flatnonzero(nearest == centre).tolist() for centre in range(len(centres))]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "lists", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.lists(inverted_lists).show()

# %% [markdown]
# ## 3. Search nprobe lists (3 points)
#
# Open the lists of the `nprobe` centres nearest to the query. Of the vectors in them, return the positions of the `k` nearest, best
# first; fewer if there are fewer. If `nprobe` is larger than the number of centres, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "probing-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def search_lists(query, vectors, centres, lists, nprobe, k):
    """query: (dim,); lists: positions for each centre. Returns a list of at most k positions."""
    ### BEGIN SOLUTION
    if nprobe > len(centres):
        raise ValueError(f"nprobe must be at most {len(centres)}, got {nprobe}")
    near = np.argsort(-(centres @ query), kind="stable")[:nprobe]
    candidates = np.array(sorted(i for centre in near for i in lists[centre]), dtype=int)
    similarities = vectors[candidates] @ query  # (n_candidates,)
    return candidates[np.argsort(-similarities, kind="stable")[:k]].tolist()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "probing", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.probing(search_lists).show()

# %% [markdown]
# ## 4. A vector in a few bytes (3 points)
#
# Cut the vector into `m` pieces of neighbouring numbers. For each piece return the position of the nearest code in the piece's own book:
# the one with the smallest squared distance. If the vector cannot be cut into pieces of that size, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "encoding-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def encode(vector, codebooks):
    """vector: (dim,); codebooks: (m, n_codes, d_piece). Returns a list of m positions."""
    ### BEGIN SOLUTION
    m, _, d_piece = codebooks.shape
    if len(vector) != m * d_piece:
        raise ValueError(f"a vector of {len(vector)} numbers is not {m} pieces of {d_piece}")
    pieces = vector.reshape(m, 1, d_piece)
    return [int(code) for code in ((codebooks - pieces) ** 2).sum(axis=2).argmin(axis=1)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "encoding", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.encoding(encode).show()

# %% [markdown]
# ## 5. Score from codes with a table (3 points)
#
# Return the dot product of the query with each stored vector, as its codes have it: for each piece, the query's piece times the code;
# then the sum. The query itself is not coded.


# %% nbgrader={"grade": false, "grade_id": "scoring-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pq_scores(query, codes, codebooks):
    """query: (dim,); codes: (n, m) positions; codebooks: (m, n_codes, d_piece). Returns (n,)."""
    ### BEGIN SOLUTION
    m = len(codebooks)
    table = (codebooks * query.reshape(m, 1, -1)).sum(axis=2)  # (m, n_codes)
    return table[np.arange(m), codes].sum(axis=1)  # (n,)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "scoring", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.scoring(pq_scores).show()

# %% [markdown]
# ## 6. Filter, then search (2 points)
#
# Return the positions of the `k` most similar chunks on the wanted shelf, best first, ties in order of position; fewer if the shelf holds
# fewer.


# %% nbgrader={"grade": false, "grade_id": "filtering-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def filter_then_search(similarities, shelves, wanted, k):
    """similarities: (n,); shelves: list of n str. Returns a list of at most k positions."""
    ### BEGIN SOLUTION
    passing = [i for i, shelf in enumerate(shelves) if shelf == wanted]
    return sorted(passing, key=lambda i: -similarities[i])[:k]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "filtering", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.filtering(filter_then_search).show()

# %% [markdown]
# ## 7. Update or insert by id (2 points)
#
# `table` maps an id to a row, a dictionary. Each of `rows` is a dictionary with its `"id"` and other fields. Return a new table in which each
# row replaces the one with its id, whole, or is added. If an id comes twice in `rows`, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "upserting-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def upsert(table, rows):
    """table: id -> row without its id; rows: dictionaries with "id". Returns a new table; the old one stays as it was."""
    ### BEGIN SOLUTION
    ids = [row["id"] for row in rows]
    if len(set(ids)) != len(ids):
        raise ValueError("an id comes twice")
    return table | {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "upserting", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.upserting(upsert).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

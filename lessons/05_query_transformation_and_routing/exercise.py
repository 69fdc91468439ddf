# %% [markdown]
# # Exercise 05: query transformation and routing
#
# Seven functions, 16 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("reading")` gives one hint at a time. After a pass, `check.reasoning("reading")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import re

import numpy as np

from course_lib.checks.query_transformation_and_routing import check

# %% [markdown]
# ## 1. Read a list that a model wrote (3 points)
#
# A language model was asked for several queries. Return them, at most `limit`, in order:
#
# - a line is a query; what marks it goes: `1. `, `2) `, `- ` or `* `, always with a space after it (`3.5 kW` is no mark);
# - spaces and double quotation marks at its ends go;
# - left out: empty lines, lines that end with a colon, and a query that was there before, capitals aside.


# %% nbgrader={"grade": false, "grade_id": "reading-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def read_queries(reply, limit):
    """reply: str; limit: int. Returns a list of str."""
    ### BEGIN SOLUTION
    found = {}
    for line in reply.splitlines():
        text = re.sub(r"^\s*(?:\d+[.)]\s+|[-*]\s+)", "", line).strip().strip('"').strip()
        if text and not text.endswith(":"):
            found.setdefault(text.lower(), text)
    return list(found.values())[:limit]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "reading", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.reading(read_queries).show()

# %% [markdown]
# ## 2. Split a comparison by rule (2 points)
#
# "Which dam is older, Hoover or Alta?" offers a choice after its last comma. Return a query for each side:
# `["Which dam is older: Hoover", "Which dam is older: Alta"]`. Without a comma, or without " or " after the last one, return `[]`.


# %% nbgrader={"grade": false, "grade_id": "splitting-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def split_choice(question):
    """question: str that ends with a question mark. Returns a list of two str, or []."""
    ### BEGIN SOLUTION
    stem, comma, choice = question.rstrip("?").rpartition(", ")
    left, either, right = choice.partition(" or ")
    return [f"{stem}: {left}", f"{stem}: {right}"] if comma and either else []
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "splitting", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.splitting(split_choice).show()

# %% [markdown]
# ## 3. Keep the original query (2 points)
#
# Return two values: the list of texts to search, and whether nothing was made of the query. The query comes first. Then come
# the texts that were made, without spaces at their ends. Left out: blank texts, and any that was there before, capitals aside.


# %% nbgrader={"grade": false, "grade_id": "keeping-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def texts_to_search(query, made):
    """query: str; made: list of str. Returns (list of str, bool)."""
    ### BEGIN SOLUTION
    texts = {query.lower(): query}
    for text in made:
        if text.strip():
            texts.setdefault(text.strip().lower(), text.strip())
    return list(texts.values()), len(texts) == 1
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "keeping", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.keeping(texts_to_search).show()

# %% [markdown]
# ## 4. Fuse rankings in turns (2 points)
#
# Take the first of each ranking, then the second of each, and so on. Skip what is there already. A ranking that has no more is
# passed over. Return all names.


# %% nbgrader={"grade": false, "grade_id": "turns-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def in_turns(rankings):
    """rankings: list of lists of str, best first. Returns a list of different str."""
    ### BEGIN SOLUTION
    longest = max((len(ranking) for ranking in rankings), default=0)
    names = [ranking[rank] for rank in range(longest) for ranking in rankings if rank < len(ranking)]
    return list(dict.fromkeys(names))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "turns", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.turns(in_turns).show()

# %% [markdown]
# ## 5. Search between the query and invented passages (2 points)
#
# Return the mean of the query's vector and those of all passages, one vote each, scaled to length 1. There may be no passage:
# then `passages` has shape `(0, dim)`.


# %% nbgrader={"grade": false, "grade_id": "hyde-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def hyde_vector(query, passages):
    """query: (dim,), of length 1; passages: (n, dim), rows of length 1, n may be 0. Returns (dim,)."""
    ### BEGIN SOLUTION
    mean = np.vstack([query[None, :], passages]).mean(axis=0)  # (dim,)
    return mean / np.linalg.norm(mean)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "hyde", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.hyde(hyde_vector).show()

# %% [markdown]
# ## 6. Route by centroid, or say that you are not sure (3 points)
#
# Row i of `centroids` is the mean vector of `shelves[i]`. Return the shelf with the largest dot product with the query. If it
# leads the second by less than `min_lead`, or not at all, return `None`: all shelves are searched then.


# %% nbgrader={"grade": false, "grade_id": "routing-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def route(query, centroids, shelves, min_lead):
    """query: (dim,); centroids: (n, dim), rows of length 1, n of 2 or more; shelves: list of n str. Returns a str or None."""
    ### BEGIN SOLUTION
    cosines = centroids @ query  # (n,)
    best, second = np.argsort(-cosines, kind="stable")[:2]
    lead = cosines[best] - cosines[second]
    return shelves[best] if lead > 0 and lead >= min_lead else None
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "routing", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.routing(route).show()

# %% [markdown]
# ## 7. Count what went where (2 points)
#
# Row i, column j: how many questions of `shelves[i]` were routed to `shelves[j]`. One more column at the end counts those routed to
# all shelves (`None`). A name that is not in `shelves` is an error: raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "confusions-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def confusion(true, routed, shelves):
    """true: list of str; routed: list of str or None, equally long. Returns (n, n + 1) counts."""
    ### BEGIN SOLUTION
    column = {shelf: number for number, shelf in enumerate(shelves)}
    table = np.zeros((len(shelves), len(shelves) + 1))  # (n, n + 1)
    for truth, choice in zip(true, routed, strict=True):
        if truth not in column or (choice is not None and choice not in column):
            raise ValueError(f"no shelf is called {truth} or {choice}")
        table[column[truth], -1 if choice is None else column[choice]] += 1
    return table
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "confusions", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.confusions(confusion).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

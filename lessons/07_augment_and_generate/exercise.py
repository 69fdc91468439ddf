# %% [markdown]
# # Exercise 07: augment and generate
#
# Seven functions, 18 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("greedy")` gives one hint at a time. After a pass, `check.reasoning("greedy")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import re

import numpy as np

from course_lib.checks.augment_and_generate import check

# %% [markdown]
# ## 1. Whole passages within a budget (3 points)
#
# `n_tokens` are the lengths of the passages, best first; `overhead` is what instruction and question take. Return the positions of
# the passages shown: from the first on, as many as fit into `budget` together with the overhead. Stop at the first that does
# not fit. If not even the first fits, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "assembling-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def passages_within(n_tokens, overhead, budget):
    """n_tokens: list of whole numbers; overhead, budget: whole numbers. Returns a list of positions."""
    ### BEGIN SOLUTION
    used = overhead
    shown = []
    for position, length in enumerate(n_tokens):
        used += length
        if used > budget:
            break
        shown.append(position)
    if not shown:
        raise ValueError(f"a budget of {budget} does not hold the first passage")
    return shown
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "assembling", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.assembling(passages_within).show()

# %% [markdown]
# ## 2. The best at both ends (2 points)
#
# Some models read the beginning and the end of a long prompt better than its middle. Put the best passage first, the second
# best last, the third second, the fourth second to last, and so on: the worst stands in the middle.


# %% nbgrader={"grade": false, "grade_id": "ends-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_at_ends(ranking):
    """ranking: list, best first. Returns a list of the same items."""
    ### BEGIN SOLUTION
    return ranking[0::2] + ranking[1::2][::-1]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ends", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.ends(best_at_ends).show()

# %% [markdown]
# ## 3. Read the citations (3 points)
#
# A reply cites passages as `[2]`, `[1, 3]` or `[1][3]`. Return two lists of numbers, each without repeats, in the order in which
# they first appear: those from 1 to `n_passages`, and the others. A number that no passage has must be reported, not dropped.


# %% nbgrader={"grade": false, "grade_id": "citing-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cited_numbers(reply, n_passages):
    """reply: str; n_passages: whole number. Returns (known, unknown), two lists of whole numbers."""
    ### BEGIN SOLUTION
    numbers = []
    for inside in re.findall(r"\[(\d+(?:\s*,\s*\d+)*)\]", reply):
        numbers += [int(number) for number in inside.split(",")]
    numbers = list(dict.fromkeys(numbers))
    known = [number for number in numbers if 1 <= number <= n_passages]
    return known, [number for number in numbers if number not in known]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "citing", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.citing(cited_numbers).show()

# %% [markdown]
# ## 4. From a sentence to its span (3 points)
#
# Which sentence of a passage stands behind a sentence of the reply? `spans` are `(start, end)` of the passage's sentences, in
# characters. Return the span whose text shares the most **different** words with `sentence`; the earlier one where two tie. A word is
# what `re.findall(r"\w+", ...)` finds; capitals do not matter.


# %% nbgrader={"grade": false, "grade_id": "spans-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def supporting_span(sentence, passage, spans):
    """sentence, passage: str; spans: list of (start, end). Returns one of the spans."""

    ### BEGIN SOLUTION
    def words(text):
        return set(re.findall(r"\w+", text.lower()))

    wanted = words(sentence)
    return max(spans, key=lambda span: len(wanted & words(passage[span[0] : span[1]])))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "spans", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.spans(supporting_span).show()

# %% [markdown]
# ## 5. What abstaining is worth (2 points)
#
# A system abstains on every question whose score is **below** the threshold. Return the precision (the share of its abstentions that were
# right, because the question is unanswerable) and the recall (the share of the unanswerable questions on which it
# abstained). If it never abstains, its precision is undefined: raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "abstaining-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def abstention(scores, answerable, threshold):
    """scores: (n,); answerable: (n,) of True and False; threshold: float. Returns (precision, recall)."""
    ### BEGIN SOLUTION
    abstained = scores < threshold
    if not abstained.any():
        raise ValueError("no abstention: its precision is undefined")
    right = abstained & ~answerable
    return right.sum() / abstained.sum(), right.sum() / (~answerable).sum()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "abstaining", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.abstaining(abstention).show()

# %% [markdown]
# ## 6. Stop (2 points)
#
# Return the reply up to the stop string that comes **earliest in the reply**, without the stop itself and without white space at the
# end. If no stop occurs, return the whole reply, without white space at the end.


# %% nbgrader={"grade": false, "grade_id": "stopping-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cut_at_stop(reply, stops):
    """reply: str; stops: list of str. Returns a str."""
    ### BEGIN SOLUTION
    places = [reply.find(stop) for stop in stops if stop in reply]
    return reply[: min(places, default=len(reply))].rstrip()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "stopping", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.stopping(cut_at_stop).show()

# %% [markdown]
# ## 7. Greedy decoding (3 points)
#
# A toy language model looks at the last token only: row `i` of `logits` holds the logits of the token that follows token `i`. Begin
# behind `first`. Take the token with the largest logit, the lowest id where two tie, and go on behind it. Return the new tokens.
# Stop before `end`, which is not returned, or after `max_new_tokens`.


# %% nbgrader={"grade": false, "grade_id": "greedy-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def greedy_decode(logits, first, end, max_new_tokens):
    """logits: (n_vocabulary, n_vocabulary); first, end: ids; max_new_tokens: whole number. Returns a list of ids."""
    ### BEGIN SOLUTION
    tokens, last = [], first
    while len(tokens) < max_new_tokens:
        last = int(np.argmax(logits[last]))
        if last == end:
            break
        tokens.append(last)
    return tokens
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "greedy", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.greedy(greedy_decode).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

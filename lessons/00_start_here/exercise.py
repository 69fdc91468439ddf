# %% [markdown]
# # Exercise 00: start here
#
# Four functions, 9 points: is an answer right, what does the model read, whose fault is an error, and how far can a count be
# trusted? Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a question that
# points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("right")` gives one hint at a time. After a pass, `check.reasoning("right")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import re

import numpy as np

from course_lib.checks.start_here import check

# %% [markdown]
# ## 1. Which answers are right? (2 points)
#
# Return a list with True or False for each answer. It is right if one of its own gold answers stands in it, as whole words,
# whether in capitals or not: *(Spain)* holds *spain*, but *in 2010* does not hold *10*. Letters, digits and the underscore
# belong to words.


# %% nbgrader={"grade": false, "grade_id": "right-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def which_are_right(answers, golds):
    """answers: list of str; golds: for each answer a list of str. Returns a list of bool."""
    ### BEGIN SOLUTION
    right = []
    for answer, its_own in zip(answers, golds, strict=True):
        patterns = [rf"(?<!\w){re.escape(gold)}(?!\w)" for gold in its_own]
        right.append(any(re.search(pattern, answer, re.IGNORECASE) for pattern in patterns))
    return right
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "right", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.right(which_are_right).show()

# %% [markdown]
# ## 2. What the model reads (2 points)
#
# Return the prompt as one text: the passages in the order given, then the question, a blank line between all of them.
# A passage is two lines, `[1] title` and its text; numbers begin with 1. The last line is `Question: ` and the question.


# %% nbgrader={"grade": false, "grade_id": "prompt-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def write_prompt(question, passages):
    """question: str; passages: list of (title, text). Returns a str."""
    ### BEGIN SOLUTION
    parts = [f"[{number}] {title}\n{text}" for number, (title, text) in enumerate(passages, start=1)]
    return "\n\n".join([*parts, f"Question: {question}"])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "prompt", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.prompt(write_prompt).show()

# %% [markdown]
# ## 3. Whose fault was it? (2 points)
#
# For each question you know whether the answer is right, and whether the passage that answers it was found. Return three
# counts: answers that are right; answers that are wrong although the passage was there (**misread**); answers that are wrong
# without it (**wrong passage**).


# %% nbgrader={"grade": false, "grade_id": "causes-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count_causes(right, found):
    """right, found: lists of bool, one for each question. Returns [n_right, n_misread, n_wrong_passage]."""
    ### BEGIN SOLUTION
    counts = [0, 0, 0]
    for is_right, was_found in zip(right, found, strict=True):
        if is_right:
            counts[0] += 1
        elif was_found:
            counts[1] += 1
        else:
            counts[2] += 1
    return counts
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "causes", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.causes(count_causes).show()

# %% [markdown]
# ## 4. How far can it be trusted? (3 points)
#
# `differences` holds, for each question, what one system scored minus what the other did. Each row of `draws` names questions,
# drawn with replacement. Take the mean difference of each draw. Return the 2.5 % and the 97.5 % quantile of these means.


# %% nbgrader={"grade": false, "grade_id": "interval-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def interval(differences, draws):
    """differences: (n,); draws: (n_draws, n) positions in differences. Returns (low, high)."""
    ### BEGIN SOLUTION
    means = differences[draws].mean(axis=1)  # (n_draws,)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "interval", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.interval(interval).show()

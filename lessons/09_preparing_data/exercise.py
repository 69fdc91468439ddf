# %% [markdown]
# # Exercise 09: preparing data
#
# Seven functions, 18 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("label")` gives one hint at a time. After a pass, `check.reasoning("label")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import re

import numpy as np

from course_lib.checks.preparing_data import check

# %% [markdown]
# ## 1. Which label was meant? (2 points)
#
# Return the label of `labels` that equals `label` but for capitals, spaces, hyphens and underscores, spelt as in `labels`. Return
# an empty str if there is none. `labels` may itself hold capitals and spaces; no two of them mean the same.


# %% nbgrader={"grade": false, "grade_id": "label-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def canonical_label(label, labels):
    """label: str as it came; labels: list of str. Returns one of labels, or ""."""

    ### BEGIN SOLUTION
    def letters(text):
        return re.sub(r"[\s_-]", "", text.lower())

    for known in labels:
        if letters(known) == letters(label):
            return known
    return ""
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "label", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.label(canonical_label).show()

# %% [markdown]
# ## 2. How alike are two texts? (2 points)
#
# Write each text in small letters, with single spaces and none at the ends. Its **runs** are all strings of `size` letters in a row,
# spaces included, each once; a text shorter than `size` is one run, itself; an empty text has none. Return the number of runs that both
# hold, divided by the number that either holds; 0 for two empty texts.


# %% nbgrader={"grade": false, "grade_id": "likeness-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def likeness(a, b, size):
    """a, b: str; size: letters of a run. Returns a number from 0 to 1."""

    ### BEGIN SOLUTION
    def runs(text):
        letters = " ".join(text.lower().split())
        return {letters[i : i + size] for i in range(max(1, len(letters) - size + 1))} if letters else set()

    one, two = runs(a), runs(b)
    return len(one & two) / len(one | two) if one | two else 0.0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "likeness", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.likeness(likeness).show()

# %% [markdown]
# ## 3. What belongs together? (3 points)
#
# Examples 0 to `n_examples` - 1 are joined by pairs of positions. Those joined directly, or by way of others, are one group. Number the
# groups 0, 1, 2, ... in the order of their first member. Return the number of each example.


# %% nbgrader={"grade": false, "grade_id": "groups-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def near_duplicate_groups(n_examples, pairs):
    """pairs: list of (position, position). Returns a list of n_examples numbers."""
    ### BEGIN SOLUTION
    group = list(range(n_examples))
    for a, b in pairs:
        old = group[b]
        group = [group[a] if each == old else each for each in group]
    place = {each: i for i, each in enumerate(dict.fromkeys(group))}
    return [place[each] for each in group]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "groups", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.groups(near_duplicate_groups).show()

# %% [markdown]
# ## 4. A share of every label (3 points)
#
# Choose the test. Of the `n` examples of each label, the first `share * n`, in the given order, go to it: rounded, halves up, but at
# least one. Return their positions, sorted. All others are for training.


# %% nbgrader={"grade": false, "grade_id": "split-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stratified_split(labels, order, share):
    """labels: list of str; order: list of all positions, shuffled; share: 0 to 1. Returns a sorted list of positions."""
    ### BEGIN SOLUTION
    test = []
    for label in set(labels):
        own = [i for i in order if labels[i] == label]
        test += own[: max(1, int(share * len(own) + 0.5))]
    return sorted(test)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "split", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.split(stratified_split).show()

# %% [markdown]
# ## 5. One scale for all features (2 points)
#
# Return both arrays with each feature (column) minus its mean, divided by its standard deviation: mean and deviation of the training rows
# (`np.std` as it is). Where the deviation is 0, divide by 1.


# %% nbgrader={"grade": false, "grade_id": "scaling-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def standardise(train, test):
    """train: (n, n_features); test: (m, n_features). Returns (train scaled, test scaled)."""
    ### BEGIN SOLUTION
    mean, deviation = train.mean(axis=0), train.std(axis=0)  # (n_features,)
    deviation = np.where(deviation > 0, deviation, 1.0)
    return (train - mean) / deviation, (test - mean) / deviation
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "scaling", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.scaling(standardise).show()

# %% [markdown]
# ## 6. How much of the test was seen? (2 points)
#
# Return the share of the test texts that are like at least one training text: a likeness of at least `threshold`, with runs of five
# letters. Your `likeness` helps.


# %% nbgrader={"grade": false, "grade_id": "leaks-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def leak_share(train, test, threshold):
    """train, test: lists of str. Returns a number from 0 to 1."""
    ### BEGIN SOLUTION
    leaks = [any(likeness(a, b, 5) >= threshold for a in train) for b in test]
    return sum(leaks) / len(test)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "leaks", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.leaks(leak_share).show()

# %% [markdown]
# ## 7. Which labels do the others contradict? (4 points)
#
# The **usual value** of a class is the mean of its probability over the examples labelled with it. A class claims an example if its
# probability there is at least its usual value; of several claims the largest probability wins. An example is suspect if a class other
# than its label wins, with a larger probability than the label has. Return the positions of the suspects: the largest lead of the
# winner over the label first, ties by position.


# %% nbgrader={"grade": false, "grade_id": "suspects-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def suspects(probabilities, labels):
    """probabilities: (n, n_classes), out of fold; labels: (n,) numbers of classes. Returns a list of positions."""
    ### BEGIN SOLUTION
    n, n_classes = probabilities.shape
    usual = np.array([probabilities[labels == c, c].mean() for c in range(n_classes)])  # (n_classes,)
    claims = np.where(probabilities >= usual, probabilities, -1.0)  # (n, n_classes)
    winner, best = claims.argmax(axis=1), claims.max(axis=1)
    lead = best - probabilities[np.arange(n), labels]
    found = [i for i in range(n) if winner[i] != labels[i] and lead[i] > 0]
    return sorted(found, key=lambda i: (-lead[i], i))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "suspects", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check.suspects(suspects).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

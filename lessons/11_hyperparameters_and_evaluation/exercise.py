# %% [markdown]
# # Exercise 11: hyperparameters and evaluation
#
# Seven functions, 17 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("rate")` gives one hint at a time. After a pass, `check.reasoning("rate")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from collections import Counter

import numpy as np

from course_lib.checks.hyperparameters_and_evaluation import check

# %% [markdown]
# ## 1. Choose a learning rate (2 points)
#
# Each rate was tried with several seeds. Return the rate with the highest **mean** dev accuracy. A rate of which one run diverged
# (`None`) is out. Of equal means, the smaller rate wins. If no rate is left, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "rate-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose_rate(rates, accuracies):
    """rates: list of numbers; accuracies: for each rate a list, one number a seed, None for a run that diverged."""
    ### BEGIN SOLUTION
    means = [(sum(each) / len(each), -rate) for rate, each in zip(rates, accuracies, strict=True) if None not in each]
    if not means:
        raise ValueError("a run diverged at every rate: try smaller ones")
    return -max(means)[1]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rate", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.rate(choose_rate).show()

# %% [markdown]
# ## 2. Accumulate a gradient (2 points)
#
# A batch was read in parts, and each part gave the mean gradient of **its own** examples. Return the mean gradient of the whole batch.
# The parts can differ in size. A part without examples says nothing: its gradient is 0 / 0, NaN, and must not count. If there are not
# as many sizes as gradients, or no examples at all, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "accumulate-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def accumulate(gradients, sizes):
    """gradients: array (n_parts, dim); sizes: list of n_parts whole numbers. Returns an array (dim,)."""
    ### BEGIN SOLUTION
    if len(gradients) != len(sizes) or not sum(sizes):
        raise ValueError("a size for each part is needed, and at least one example")
    total = np.zeros(gradients.shape[1])
    for gradient, size in zip(gradients, sizes, strict=True):
        if size:
            total += size * gradient
    return total / sum(sizes)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "accumulate", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.accumulate(accumulate).show()

# %% [markdown]
# ## 3. Early stopping (3 points)
#
# `losses` are the validation losses that a run would show if nobody stopped it. Stop as soon as `patience` evaluations **in a row** were
# not lower than the lowest before them. Return two numbers: the position of the evaluation whose weights are kept, counted from 0, and
# how many evaluations were made. A `patience` below 1 raises a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "stop-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def early_stop(losses, patience):
    """losses: list of numbers, at least one; patience: whole number. Returns (best, n_made)."""
    ### BEGIN SOLUTION
    if patience < 1:
        raise ValueError("patience must be at least 1")
    best = 0
    for i, loss in enumerate(losses):
        if loss < losses[best]:
            best = i
        if i - best == patience:
            return best, i + 1
    return best, len(losses)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "stop", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.stop(early_stop).show()

# %% [markdown]
# ## 4. How choosing flatters (3 points)
#
# Several models answered the same messages; 1 is right, 0 wrong. Choose the model that is best on the messages in `choosing` (of equals,
# the first). Return its position, its accuracy on **those** messages, and its accuracy on **all others**. If either group is empty,
# raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "flattery-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose_and_measure(correct, choosing):
    """correct: array (n_models, n_messages) of 0 and 1; choosing: list of positions of messages. Returns (model, flattered, honest)."""
    ### BEGIN SOLUTION
    others = [i for i in range(correct.shape[1]) if i not in set(choosing)]
    if not others or not choosing:
        raise ValueError("messages are needed to choose on, and others to measure on")
    shares = correct[:, choosing].mean(axis=1)
    model = int(shares.argmax())
    return model, float(shares[model]), float(correct[model, others].mean())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "flattery", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.flattery(choose_and_measure).show()

# %% [markdown]
# ## 5. BLEU of one text (3 points)
#
# For each length from 1 to `max_n`: of the text's n-grams, which share stands in the reference? Each counts at most as often as the
# reference has it. BLEU is the **geometric** mean of these precisions, times the brevity penalty $\exp(1 - r / c)$ where the text's
# length $c$ is below the reference's $r$. Return a number from 0 to 1. If a precision is 0, or the text has no n-gram of some length,
# return 0.


# %% nbgrader={"grade": false, "grade_id": "bleu-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bleu(tokens, reference, max_n):
    """tokens, reference: lists of str, not empty. Returns a number from 0 to 1."""

    ### BEGIN SOLUTION
    def ngrams(words, n):
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    logs = []
    for n in range(1, max_n + 1):
        written, wanted = ngrams(tokens, n), ngrams(reference, n)
        matches = sum((written & wanted).values())
        if not matches:
            return 0.0
        logs.append(math.log(matches / sum(written.values())))
    penalty = min(1.0, math.exp(1 - len(reference) / len(tokens)))
    return penalty * math.exp(sum(logs) / max_n)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bleu", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.bleu(bleu).show()

# %% [markdown]
# ## 6. ROUGE-L (2 points)
#
# Find the length of the longest sequence of tokens that stands in both texts **in this order**, gaps allowed. Divided by the tokens
# written it is a precision, divided by the tokens wanted a recall. Return their F1, and 0 if nothing is shared.


# %% nbgrader={"grade": false, "grade_id": "rouge-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rouge_l(tokens, reference):
    """tokens, reference: lists of str, not empty. Returns a number from 0 to 1."""
    ### BEGIN SOLUTION
    best = [0] * (len(reference) + 1)
    for token in tokens:
        before = list(best)
        for j, wanted in enumerate(reference, start=1):
            best[j] = before[j - 1] + 1 if token == wanted else max(before[j], best[j - 1])
    return 2 * best[-1] / (len(tokens) + len(reference))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rouge", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.rouge(rouge_l).show()

# %% [markdown]
# ## 7. Cohen's kappa (2 points)
#
# Two people gave each text a level. Their agreement is the share of texts with the same level. By chance they would agree, too: add
# over the levels the share with which the one gives it, times the share with which the other does. Kappa is
# $\frac{\mathrm{agreement} - \mathrm{chance}}{1 - \mathrm{chance}}$. Lists of unequal length, and a chance of 1, raise a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "kappa-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kappa(first, second):
    """first, second: lists of whole numbers, not empty. Returns a number of at most 1."""
    ### BEGIN SOLUTION
    if len(first) != len(second):
        raise ValueError("both must rate the same texts")
    n = len(first)
    agreement = sum(a == b for a, b in zip(first, second, strict=True)) / n
    chance = sum(first.count(level) * second.count(level) for level in set(first)) / n**2
    if chance == 1:
        raise ValueError("both always gave the same level: kappa is undefined")
    return (agreement - chance) / (1 - chance)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "kappa", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.kappa(kappa).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

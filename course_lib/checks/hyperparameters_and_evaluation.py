"""Checks of lesson 11: the tasks, their hints and reasons. The probes are in two files beside this one."""

from __future__ import annotations

from course_lib.checks.hyperparameter_probes import accumulate_probes, flattery_probes, rate_probes, stop_probes
from course_lib.checks.text_metric_probes import bleu_probes, kappa_probes, rouge_probes
from course_lib.classroom.check import Check, Task

TASKS = (
    Task(
        "rate",
        "choose_rate",
        "Choose a learning rate",
        2,
        rate_probes,
        (
            "Leave out the rates with a None first.",
            "Of what is left, compare (mean, -rate): then the larger pair has the higher mean, or the smaller rate.",
            "If nothing is left, raise a ValueError.",
        ),
        "The mean over seeds asks what the rate does, the best seed asks what luck does. A rate that diverges once in three runs will "
        "diverge again, on the day when it matters. Of two rates that are alike, the smaller one changes less of what the model knew.",
    ),
    Task(
        "accumulate",
        "accumulate",
        "Accumulate a gradient",
        2,
        accumulate_probes,
        (
            "A mean times its size is a sum again.",
            "Add the sums, and divide once, by all examples.",
            "Skip the parts with size 0, since 0 * NaN is NaN.",
        ),
        "The gradient of a mean is the mean of the gradients, over examples. The mean of the parts' means weighs an example by how few "
        "others stood in its part. With parts of equal size nobody notices; the last batch of an epoch has another.",
    ),
    Task(
        "stop",
        "early_stop",
        "Early stopping",
        3,
        stop_probes,
        (
            "Go through the losses in order, and remember the position of the lowest.",
            "How many evaluations have passed since then is position minus best.",
            "When it reaches patience, return best and position + 1.",
        ),
        "The training loss falls all the time and cannot tell when to stop. The validation loss can, but it is noisy: patience waits out "
        "the noise. The weights of the best evaluation come back, since those at the end have learnt for `patience` evaluations too long.",
    ),
    Task(
        "flattery",
        "choose_and_measure",
        "How choosing flatters",
        3,
        flattery_probes,
        (
            "correct[:, choosing].mean(axis=1) is one accuracy a model; argmax gives the first of equals.",
            "The others are the positions that are not in choosing.",
            "Measure the chosen model on both, and raise a ValueError if either group is empty.",
        ),
        "The winner was chosen for its skill and for its luck on these messages. On others the skill is still there, the luck is not. "
        "So the number by which a model was chosen is too high, and a test that nobody chose on is needed.",
    ),
    Task(
        "bleu",
        "bleu",
        "BLEU of one text",
        3,
        bleu_probes,
        (
            "A Counter of tuples holds the n-grams; & of two Counters keeps the smaller count.",
            "Return 0 as soon as a length has no match: the logarithm of 0 does not exist.",
            "exp of the mean of the logarithms is the geometric mean; min(1, exp(1 - r / c)) is the penalty.",
        ),
        "Clipping keeps a text from winning by one word said often. The geometric mean asks for all lengths at once. Precision alone "
        "would be won by a text of one sure word, which the brevity penalty prevents.",
    ),
    Task(
        "rouge",
        "rouge_l",
        "ROUGE-L",
        2,
        rouge_probes,
        (
            "Keep a table: best[i][j] for the first i tokens of the text and the first j of the reference.",
            "If token i equals token j, it is best[i - 1][j - 1] + 1, else the larger of best[i - 1][j] and best[i][j - 1].",
            "F1 is 2 * length / (tokens written + tokens wanted).",
        ),
        "The table tries every way of skipping words without trying them one by one. ROUGE-L sees the order of words, which ROUGE-1 does "
        "not; it asks for no run without gaps, as BLEU's longer n-grams do.",
    ),
    Task(
        "kappa",
        "kappa",
        "Cohen's kappa",
        2,
        kappa_probes,
        (
            "Count each person's levels by themselves.",
            "Chance: for each level, the one's share times the other's, added up.",
            "Raise a ValueError for unequal lengths and where chance is 1, before you divide.",
        ),
        "Where one level is common, agreement is cheap. Kappa asks which share of the room above chance was used. 1 is full agreement, 0 is "
        "what two people would reach who give levels by habit and never read.",
    ),
)

check = Check("11_hyperparameters_and_evaluation", TASKS)

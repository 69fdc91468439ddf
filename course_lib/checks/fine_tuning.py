"""Checks of lesson 10. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from course_lib.checks.fine_tuning_rules import (
    Floats,
    adamw,
    clip,
    cross_entropy,
    f1_by_class,
    head_gradients,
    layer_rates,
    softmax,
    trainable_names,
)
from course_lib.classroom.check import Check, Probe, Slip, Task

Ints = npt.NDArray[np.int64]


def _loss_probes(rng: np.random.Generator) -> Sequence[Probe]:
    logits: Floats = rng.normal(size=(4, 3)) * 2
    labels: Ints = rng.permutation([0, 1, 2, 1])
    right, n = cross_entropy(logits, labels), len(labels)
    chosen = softmax(logits)[np.arange(n), labels]  # (n,)
    large: Floats = np.array([[1000.0, 900.0, 0.0], [3.0, 1.0, 2.0]]) + rng.integers(0, 5)
    its_labels = np.array([1, int(rng.integers(0, 3))])
    floored = -np.log(softmax(large)[np.arange(2), its_labels] + 1e-9).mean()
    return (
        Probe(
            (logits, labels),
            right,
            "Softmax each row, take the probability of the right class, its logarithm, and the mean. Which part differs?",
            (
                Slip(right * n, "Is this the sum over the texts? The mean does not grow with the batch."),
                Slip(
                    right / 3, "Do you divide by the classes as well? Each text has one right class, and counts once."
                ),
                Slip(-right, "A loss is never below 0. Which sign has the logarithm of a probability?"),
                Slip(right / np.log(2), "This is in bits. Which logarithm gives nats?"),
                Slip(-np.log(chosen.mean()), "You average the probabilities first. Whose mean is asked for?"),
                Slip(1 - chosen.mean(), "This is one minus the mean probability. Where is the logarithm?"),
                Slip(
                    -logits[np.arange(n), labels].mean(),
                    "These are logits as they came. What makes probabilities of them?",
                ),
                Slip(
                    -np.log(softmax(logits.T).T[np.arange(n), labels]).mean(),
                    "Over which axis do your probabilities sum to 1? Each text has its own distribution.",
                ),
            ),
        ),
        Probe(
            (large, its_labels),
            cross_entropy(large, its_labels),
            "exp(1000) is infinite. What can be subtracted from all logits of a row without changing the softmax?",
            (Slip(floored, "A small number inside the logarithm hides how wrong this is. Can you do without it?"),),
        ),
    )


def _gradient_probes(rng: np.random.Generator) -> Sequence[Probe]:
    vectors, weight, bias = rng.normal(size=(5, 4)), rng.normal(size=(3, 4)), rng.normal(size=3) * 2
    labels = rng.permutation([0, 1, 2, 2, 1])
    right_weight, right_bias = head_gradients(vectors, weight, bias, labels)
    n, p = len(labels), softmax(vectors @ weight.T + bias)  # (n, n_classes)
    y = np.eye(3)[labels]
    few = vectors[:2]
    return (
        Probe(
            (vectors, weight, bias, labels),
            (right_weight, right_bias),
            "d_weight is the gradient at the logits, transposed, times the vectors; d_bias its sum over the texts. Which differs?",
            (
                Slip(
                    (right_weight * n, right_bias * n),
                    "The loss is a mean over the texts. Is your gradient one of a sum?",
                ),
                Slip((-right_weight, -right_bias), "The sign is turned: this points downhill. Is it p - y, or y - p?"),
                Slip(
                    (p.T @ vectors / n, p.mean(axis=0)),
                    "Where does the right class come in? Subtract 1 from its probability.",
                ),
                Slip(
                    (right_weight.T, right_bias),
                    "A gradient has the shape of its parameter. Is yours (n_classes, dim)?",
                ),
                Slip((right_weight, right_bias / n), "Do you divide by the number of texts twice in the bias?"),
                Slip((right_bias, right_weight), "The right two gradients. Which is asked for first?"),
                Slip(
                    head_gradients(vectors, weight, np.zeros(3), labels),
                    "Did the bias take part in the forward pass?",
                ),
                Slip(
                    ((vectors @ weight.T + bias - y).T @ vectors / n, (vectors @ weight.T + bias - y).mean(axis=0)),
                    "You subtract from logits. What turns them into probabilities first?",
                ),
            ),
        ),
        Probe(
            (few, weight, bias + 1000, labels[:2]),
            head_gradients(few, weight, bias + 1000, labels[:2]),
            "These logits are about 1,000. Does your softmax overflow?",
        ),
    )


def _clip_probes(rng: np.random.Generator) -> Sequence[Probe]:
    gradients = [rng.normal(size=shape) * scale for shape, scale in (((2, 3), 4.0), ((3,), 0.2), ((2,), 2.0))]
    norm = float(np.sqrt(sum((each**2).sum() for each in gradients)))
    largest = round(norm / 3, 2)
    each_norm = [float(np.linalg.norm(each)) for each in gradients]
    absolute = float(sum(np.abs(each).sum() for each in gradients))
    small = [each * 0.01 for each in gradients]
    zeros = [np.zeros((2, 2)), np.zeros(3)]
    return (
        Probe(
            (gradients, largest),
            clip(gradients, largest),
            "Is the norm of all gradients together equal to the largest allowed, and their direction the same?",
            (
                Slip(
                    [each * min(1, largest / own) for each, own in zip(gradients, each_norm, strict=True)],
                    "Each array is clipped by its own norm. Does that keep the direction of all together?",
                ),
                Slip(
                    [np.clip(each, -largest, largest) for each in gradients],
                    "Each entry is cut by itself, which turns the direction. What factor do all share?",
                ),
                Slip(gradients, "Nothing was scaled here, though the norm is above the limit."),
                Slip([each * largest / norm**2 for each in gradients], "Did you forget the square root in the norm?"),
                Slip(
                    [each * largest / absolute for each in gradients],
                    "This norm is a sum of absolute values. Which one is asked for?",
                ),
                Slip([each / norm for each in gradients], "The norm is 1 now. What is the largest that is allowed?"),
            ),
            tolerance=1e-6,
        ),
        Probe(
            (small, largest),
            small,
            "This norm is below the limit. What should happen to the gradients?",
            (
                Slip(
                    [each * largest / (norm * 0.01) for each in small],
                    "A small gradient was made larger. Clipping only ever shortens.",
                ),
            ),
            tolerance=1e-6,
        ),
        Probe((zeros, 1.0), zeros, "All gradients are 0. Do you divide by their norm?"),
    )


def _update_probes(rng: np.random.Generator) -> Sequence[Probe]:
    weight, gradient = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)) * 5
    zero, rate, decay = np.zeros((2, 3)), 0.3, 0.5
    m, v = rng.normal(size=(2, 3)), rng.uniform(1, 4, size=(2, 3))
    first = adamw(weight, gradient, zero, zero, 1, rate, 0.0)
    later = adamw(weight, gradient, m, v, 4, rate, 0.0)
    decayed = adamw(weight, gradient, m, v, 4, rate, decay)
    new_m, new_v = later[1:]
    m_hat, v_hat = new_m / (1 - 0.9**4), new_v / (1 - 0.999**4)
    squared_first = (weight - rate * first[1] / 0.1 / (first[2] / 0.001), *first[1:])
    swapped_m, swapped_v = 0.1 * m + 0.9 * gradient, 0.001 * v + 0.999 * gradient**2
    return (
        Probe(
            (weight, gradient, zero, zero, 1, rate, 0.0),
            first,
            "The first update, without decay: every weight moves by the rate, against its gradient's sign. Is yours so?",
            (
                Slip(
                    (weight - rate * first[1] / (np.sqrt(first[2]) + 1e-8), *first[1:]),
                    "m and v begin at 0 and are too small at first. What divides them before they are used?",
                ),
                Slip((2 * weight - first[0], *first[1:]), "This climbs. In which direction does the loss fall?"),
                Slip(
                    (weight - rate * gradient, *first[1:]),
                    "This is a step along the plain gradient. Where do m and v act?",
                ),
                Slip(squared_first, "Where is the square root of v?"),
                Slip((first[1], first[2], first[0]), "The right three arrays. In which order are they asked for?"),
                Slip(first[0], "The weight is right. Who keeps m and v for the next update?"),
            ),
            tolerance=1e-6,
        ),
        Probe(
            (weight, gradient, m, v, 4, rate, 0.0),
            later,
            "The fourth update, with m and v from before. Which of the three arrays differs from your own sum?",
            (
                Slip(
                    (later[0], m_hat, v_hat),
                    "You hand on the corrected m and v. They would be corrected again next time.",
                ),
                Slip((weight - rate * m_hat / 0.1 * (1 - 0.9**4), new_m, new_v), "Where is v?"),
                Slip(
                    (weight - rate * (new_m / 0.1) / (np.sqrt(new_v / 0.001) + 1e-8), new_m, new_v),
                    "You correct as if it were the first update. Where does the step come in?",
                ),
                Slip(
                    (
                        weight - rate * (swapped_m / (1 - 0.1**4)) / (np.sqrt(swapped_v / (1 - 0.001**4)) + 1e-8),
                        swapped_m,
                        swapped_v,
                    ),
                    "0.9 is the share that is kept. Are old and new swapped?",
                ),
                Slip(
                    adamw(weight, gradient, zero, zero, 4, rate, 0.0),
                    "This forgets m and v of the updates before. What are they for?",
                ),
            ),
            tolerance=1e-6,
        ),
        Probe(
            (weight, gradient, m, v, 4, rate, decay),
            decayed,
            "The weight is first shrunk by rate times decay. Which part of that differs?",
            (
                Slip(
                    adamw(weight, gradient + decay * weight, m, v, 4, rate, 0.0),
                    "The decay goes through m and v here. That is Adam with L2; what does the W of AdamW change?",
                ),
                Slip(
                    (later[0] - decay * weight, new_m, new_v),
                    "The weight shrinks by decay alone. What else is in that factor?",
                ),
                Slip(
                    (later[0] * (1 - rate * decay), new_m, new_v),
                    "You shrink the step as well. Which weight is shrunk, the old or the new one?",
                ),
                Slip(later, "Does decay do anything in your function?"),
                Slip(
                    (later[0] + rate * decay * weight, new_m, new_v),
                    "The weight grows. Which sign has the decay?",
                ),
            ),
            tolerance=1e-6,
        ),
    )


def _names(n_layers: int) -> list[str]:
    layers = [
        f"encoder.encoder.layer.{i}.{part}"
        for i in range(n_layers)
        for part in ("attention.self.query.weight", "output.dense.bias")
    ]
    below = ["encoder.embeddings.word_embeddings.weight", "encoder.embeddings.LayerNorm.weight"]
    return [*below, *layers, "head.weight", "head.bias"]


def _freezing_probes(rng: np.random.Generator) -> Sequence[Probe]:
    lowest = int(rng.integers(2, 5))
    six, twelve = _names(6), _names(12)
    right = trainable_names(six, lowest, True)
    without_embeddings = trainable_names(six, 0, True)

    def number(name: str) -> str:
        return name.split(".layer.")[1].split(".")[0]

    as_text = [name for name in twelve if "head" in name or (".layer." in name and number(name) >= "10")]
    begins = ["head.weight", "head.bias"]
    return (
        Probe(
            (six, lowest, True),
            right,
            "Which layers are the lowest ones, and what else is frozen with them?",
            (
                Slip([name for name in six if name not in right], "These are the frozen ones. Which are asked for?"),
                Slip(trainable_names(six, lowest + 1, True), "One layer too many is frozen. The numbers begin at 0."),
                Slip(trainable_names(six, lowest - 1, True), "One layer too few is frozen. The numbers begin at 0."),
                Slip(
                    [name for name in right if "head" not in name], "Who sorts the messages if the head does not learn?"
                ),
                Slip([*six[:2], *right], "The embeddings learn here. What does the third argument say?"),
                Slip(
                    trainable_names(six, 6 - lowest, True) if lowest != 3 else None,
                    "Is that number one of frozen layers, or of free ones?",
                ),
                Slip(right[::-1], "The right names. In which order are they asked for?"),
            ),
        ),
        Probe(
            (twelve, 10, True),
            trainable_names(twelve, 10, True),
            "This model has twelve layers, of which ten are frozen. How do you read a number of two digits?",
            (
                Slip(as_text, 'As text, "2" comes after "10". What are these numbers?'),
                Slip(begins, '".layer.1" stands in ".layer.10", too. Where does the number end?'),
            ),
        ),
        Probe(
            (six, 0, True),
            without_embeddings,
            "No layer is frozen, the embeddings are. What learns?",
            (Slip(six, "Everything learns here. What does the third argument say, even without a frozen layer?"),),
        ),
        Probe(
            (six, 0, False),
            six,
            "Nothing is frozen. What learns?",
            (Slip(without_embeddings, "The embeddings are frozen here. What does the third argument say?"),),
        ),
        Probe(
            (six, lowest, False),
            ValueError,
            f"Free embeddings under {lowest} frozen layers: raise a ValueError that says so.",
        ),
    )


def _rate_probes(rng: np.random.Generator) -> Sequence[Probe]:
    rate, decay = float(rng.uniform(0.5, 1)), float(rng.choice([0.5, 0.6, 0.7, 0.8]))
    right, frozen = layer_rates(4, rate, decay, 0), layer_rates(6, rate, decay, 2)
    all_six = layer_rates(6, rate, decay, 0)
    bottom_free, one_less, top = all_six.copy(), all_six.copy(), all_six.copy()
    bottom_free[1:3], one_less[:2], top[-2:] = 0, 0, 0
    steps = np.arange(4, -1, -1)
    return (
        Probe(
            (4, rate, decay, 0),
            right,
            "The last entry is the rate itself; each entry before it is decay times its right neighbour. Which differs?",
            (
                Slip(right[::-1], "Which end is the text? Entry 0 belongs to the embeddings, and learns most slowly."),
                Slip(right * decay, "The highest layer should learn with the full rate. Who decays it?"),
                Slip(
                    rate * decay ** np.maximum(0, steps - 1), "Two parts share the full rate. Does each have its own?"
                ),
                Slip(
                    rate * decay ** np.minimum(3, steps),
                    "The embeddings learn as fast as the lowest layer. They stand below it.",
                ),
                Slip(right[1:], "Is there an entry for the embeddings?"),
                Slip(rate * (1 - (1 - decay) * steps), "You subtract the same amount each time. Decay is a factor."),
                Slip(np.full(5, rate), "Every part learns equally fast. Where is the decay?"),
            ),
            tolerance=1e-6,
        ),
        Probe(
            (6, rate, decay, 2),
            frozen,
            "Two layers are frozen, and the embeddings with them. How many entries are 0?",
            (
                Slip(bottom_free, "The embeddings learn under two frozen layers. Can a gradient reach them usefully?"),
                Slip(one_less, "The embeddings are one entry, and each frozen layer another. How many is that?"),
                Slip(top, "You froze the highest layers. Which ones are general, and which belong to the task?"),
                Slip(all_six, "Nothing is frozen here. What does the last argument ask for?"),
                Slip(
                    np.concatenate([np.zeros(3), layer_rates(3, rate, decay, 0)]),
                    "Are the rates of the free layers the same as without freezing? How many have you?",
                ),
            ),
            tolerance=1e-6,
        ),
        Probe(
            (3, rate, decay, 3), np.zeros(4), "All layers are frozen: only the head would learn. Which rates are left?"
        ),
    )


def _drawn(rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Nine texts of three classes, unequally many, whose scores by different formulas differ."""
    while True:
        truth = rng.permutation([0, 0, 0, 0, 0, 1, 1, 1, 2])
        guess = np.where(rng.random(9) < 0.6, truth, rng.integers(0, 3, 9))
        values = sorted(_wrong_f1(truth, guess).values())
        hits = all(((truth == c) & (guess == c)).any() for c in range(3))
        if hits and min(np.diff(values)) > 0.004:
            return truth, guess


def _wrong_f1(truth: Ints, guess: Ints) -> dict[str, float]:
    each = f1_by_class(truth, guess, 3)
    hits = np.array([((truth == c) & (guess == c)).sum() for c in range(3)])
    true, guessed = np.bincount(truth, minlength=3), np.bincount(guess, minlength=3)
    return {
        "right": float(each.mean()),
        "accuracy": float((truth == guess).mean()),
        "recall": float((hits / true).mean()),
        "precision": float((hits / guessed).mean()) if guessed.all() else -1.0,
        "weighted": float((each * true).sum() / len(truth)),
        "half": float(each.mean()) / 2,
    }


def _f1_probes(rng: np.random.Generator) -> Sequence[Probe]:
    truth, guess = _drawn(rng)
    wrong = _wrong_f1(truth, guess)
    never = np.where(guess == 2, 0, guess)  # class 2 is true once, and never guessed
    of_never = f1_by_class(truth, never, 3)
    of_five = f1_by_class(truth * 2, guess * 2, 5)  # classes 1 and 3 appear nowhere
    mean: Floats = of_five[~np.isnan(of_five)]
    return (
        Probe(
            (truth, guess, 3),
            wrong["right"],
            "2 hits / (times true + times guessed) for each class, then the plain mean. Which part differs?",
            (
                Slip(
                    wrong["accuracy"],
                    "This is the share of right guesses: F1 over all texts at once. Each class has its own.",
                ),
                Slip(wrong["recall"], "This is the mean recall. Who counts the wrong guesses of a class?"),
                Slip(
                    wrong["precision"], "This is the mean precision. Who counts the texts of a class that were missed?"
                ),
                Slip(wrong["weighted"], "You weigh classes by their size. In macro F1 a rare class counts as much."),
                Slip(wrong["half"], "Hits stand on both sides of the sum below. What must stand above?"),
            ),
            tolerance=1e-6,
        ),
        Probe(
            (truth, never, 3),
            float(of_never.mean()),
            "Class 2 is true here and never guessed. What is its F1, and does it count?",
            (
                Slip(
                    float(of_never[:2].mean()),
                    "A class that is never guessed was left out. It was missed: should that cost nothing?",
                ),
            ),
            tolerance=1e-6,
        ),
        Probe(
            (truth * 2, guess * 2, 5),
            float(mean.mean()),
            "Two of the five classes are never true and never guessed. By how many do you divide?",
            (
                Slip(float(mean.sum() / 5), "Absent classes count as 0 here. They have no F1: leave them out."),
                Slip(float((mean.sum() + 2) / 5), "Absent classes count as 1 here. They have no F1: leave them out."),
            ),
            tolerance=1e-6,
        ),
    )


TASKS = (
    Task(
        "loss",
        "cross_entropy",
        "The loss",
        3,
        _loss_probes,
        (
            "The softmax stays the same if you subtract a number from all logits of a row. Subtract the largest.",
            "-ln softmax = ln(sum of exp) - logit, both after subtracting. No division, no tiny probability.",
            "shifted[np.arange(len(labels)), labels] picks one logit a row.",
        ),
        "The loss asks one thing of each text: how surprised is the model by the truth? A sure and wrong answer costs without "
        "limit, and it must be a number all the same: an infinite loss ends the training.",
    ),
    Task(
        "gradient",
        "head_gradients",
        "Backward through the head",
        3,
        _gradient_probes,
        (
            "Compute the probabilities as in the first task, and subtract 1 at the right class of each row.",
            "Divide by the number of texts: that is the gradient at the logits, (n, n_classes).",
            "A weight joins one logit and one input: at_logits.T @ vectors. The bias: at_logits.sum(axis=0).",
        ),
        "Probability minus truth: the gradient is large where the model is wrong, and 0 where it is sure and right. Each weight "
        "is then blamed by how active its input was. The same rule, layer by layer, is all of backpropagation.",
    ),
    Task(
        "clipping",
        "clip",
        "Clip the gradients",
        2,
        _clip_probes,
        (
            "One norm for all arrays: sum the squares of every entry, then take one square root.",
            "factor = largest / norm, but never above 1.",
            "With a norm of 0 there is nothing to scale: return copies.",
        ),
        "One odd batch can have a gradient a hundred times as long as usual, and undo an hour of training. A common factor keeps "
        "the direction and limits the damage.",
    ),
    Task(
        "update",
        "adamw",
        "One update with AdamW",
        3,
        _update_probes,
        (
            "Compute the new m and v first. They are what you return as they are.",
            "The corrected ones, m / (1 - 0.9**step) and v / (1 - 0.999**step), are used in this update only.",
            "weight * (1 - rate * decay) - rate * m_hat / (np.sqrt(v_hat) + 1e-8)",
        ),
        "Dividing by the root of v gives every weight steps of about the rate, whatever the size of its gradients. That is why the "
        "rate matters more than anything else, and why the decay stands apart: divided by v, it would pull hardest where gradients are small.",
    ),
    Task(
        "freezing",
        "trainable_names",
        "Which parameters learn?",
        3,
        _freezing_probes,
        (
            'name.split(".layer.")[1].split(".")[0] is the number of a layer, as text.',
            "int(...) of it, and compare: frozen if below lowest.",
            "Check for free embeddings under frozen layers first; what is neither a layer nor an embedding learns.",
        ),
        "Freezing is a decision about names. A slip here raises no error: the training runs, and the wrong half of the model "
        "learns. So print the table of trainable parameters before every run.",
    ),
    Task(
        "rates",
        "layer_rates",
        "A rate for each layer",
        2,
        _rate_probes,
        (
            "Height 0 is the embeddings, height n_layers the highest layer: n_layers + 1 entries.",
            "The rate at a height is rate * decay ** (n_layers - height).",
            "Frozen: entries 0 to frozen, which is frozen + 1 of them, but none if frozen is 0.",
        ),
        "Lower layers know what words mean in any text; higher ones lean towards the task. Slower rates below are freezing by degrees.",
    ),
    Task(
        "f1",
        "macro_f1",
        "Macro F1",
        3,
        _f1_probes,
        (
            "For class c: hits are where truth and guess are both c.",
            "2 * hits / ((truth == c).sum() + (guess == c).sum())",
            "Collect the F1 of each class whose sum below is not 0, and return the mean.",
        ),
        "Accuracy lets the large classes vote for the small. Macro F1 gives each class one voice, so a model that never finds "
        "the rare one shows it.",
    ),
)

check = Check("10_fine_tuning", TASKS)

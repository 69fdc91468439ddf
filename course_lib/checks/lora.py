"""Checks of lesson 12. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from course_lib.checks.lora_rules import (
    Array,
    Shapes,
    adapter_size,
    forward,
    gradients,
    placed,
    share_kept,
    to_bfloat16,
)
from course_lib.classroom.check import Check, Probe, Slip, Task


def _size_probes(rng: np.random.Generator) -> Sequence[Probe]:
    d_out, d_in, rank = int(rng.integers(20, 40)), int(rng.integers(50, 90)), int(rng.integers(3, 7))
    one: Shapes = [(d_out, d_in)]
    several: Shapes = [(d_out, d_in), (d_in, d_out), (d_out + 7, d_out)]
    right = adapter_size(several, rank)
    return (
        Probe(
            (one, rank),
            adapter_size(one, rank),
            "A has rank rows and d_in columns, B has d_out rows and rank columns. How many numbers are that?",
            (
                Slip(d_out * d_in, "These are the numbers of the frozen matrix. How many do A and B hold?"),
                Slip(rank * d_out * d_in, "A and B are thin. Do their sizes add up, or multiply?"),
                Slip(rank * d_in, "This is A alone. What about B?"),
                Slip(rank * d_out, "This is B alone. What about A?"),
                Slip(d_out + d_in, "This is right for rank 1. Where does the rank come in?"),
                Slip(
                    d_out * d_in + adapter_size(one, rank), "The frozen matrix does not learn. Is it counted in yours?"
                ),
                Slip(adapter_size(one, rank) + rank * rank, "Is there a matrix of rank x rank between A and B?"),
                Slip(
                    adapter_size(one, rank) / (d_out * d_in),
                    "This is the share of the matrix. How many numbers are it?",
                ),
                Slip(2 * rank * d_in, "The matrix is not square. Does B have d_in rows in yours?"),
                Slip(2 * rank * d_out, "The matrix is not square. Does A have d_out columns in yours?"),
            ),
        ),
        Probe(
            (several, rank),
            right,
            "Three layers: each has its own A and B, of its own size.",
            (
                Slip(3 * adapter_size(one, rank), "Do all layers have the size of the first?"),
                Slip(adapter_size(one, rank), "This is the first layer alone. What do the others add?"),
                Slip(adapter_size(several[-1:], rank), "This is the last layer alone. Do you add up?"),
                Slip(right / 3, "This is the mean of a layer. All of them together are asked for."),
            ),
        ),
        Probe((several, 1), adapter_size(several, 1), "At rank 1, A is one row and B one column."),
        Probe(([], rank), 0, "How many numbers learn where there is no layer?"),
    )


def _placing_probes(rng: np.random.Generator) -> Sequence[Probe]:
    first, second = (int(number) for number in rng.permutation(6)[:2])
    inner = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    paths = [f"layer.{number}.{name}" for number in (second, first) for name in inner]
    one = placed(paths, ["query"])
    two = placed(paths, ["value", "query"])
    tricky = [f"layer.{first}.subquery", f"layer.{first}.query", f"query.{second}", "query", "query.norm"]
    return (
        Probe(
            (paths, ["query"]),
            one,
            "Which paths end with a dot and the name?",
            (
                Slip([], "Nothing fits in yours. Do you compare the name with the whole path?"),
                Slip(one[:1], "Every path that fits is asked for. Do you stop at the first?"),
                Slip([path for path in paths if path not in one], "These are the paths that do not fit."),
                Slip([paths.index(path) for path in one], "These are positions. The paths themselves are asked for."),
                Slip(
                    [path.rpartition(".")[2] for path in one], "The last part alone does not say which layer it is in."
                ),
            ),
        ),
        Probe(
            (paths, ["value", "query"]),
            two,
            "Two names: a path fits if it ends with one or the other. What about the order?",
            (
                Slip([], "A path fits if one of the names does. Must it end with all of them in yours?"),
                Slip(one, "This is the second name alone. What about the first?"),
                Slip(placed(paths, ["value"]), "This is the first name alone. What about the second?"),
                Slip(placed(paths, ["value"]) + one, "The order is that of paths. Which of your loops is the outer?"),
            ),
        ),
        Probe(
            (tricky, ["query"]),
            [f"layer.{first}.query", "query"],
            "Two of the five fit: one ends with a dot and the name, one is the name.",
            (
                Slip(tricky, "Does query stand at the end, as a part of its own, in every one of these?"),
                Slip(
                    [path for path in tricky if path.endswith("query")],
                    "subquery ends with query, too. What must stand before the name?",
                ),
                Slip([f"layer.{first}.query"], "A path may be the name itself, with no dot before it."),
                Slip(["query"], "This is the path that equals the name. What about the one that ends with it?"),
                Slip(
                    [path for path in tricky if "query" in path.split(".")],
                    "The name must be the last part of the path. Does anything come after it in yours?",
                ),
            ),
        ),
        Probe(
            (paths, ["attention.output.dense"]),
            placed(paths, ["attention.output.dense"]),
            "A name may have dots of its own. What do you compare it with?",
            (Slip([], "A name may have dots of its own. Is it compared with the last part alone?"),),
        ),
        Probe((paths, []), [], "Which paths fit when nothing is named?"),
    )


def _layer(rng: np.random.Generator) -> tuple[Array, Array, Array, Array, float]:
    """Return x, W, A, B and alpha of a layer in which every size differs, and alpha is no multiple of the rank."""
    n, d_in, d_out, rank = 4, 7, 5, 3
    x, weight = rng.normal(size=(n, d_in)), rng.normal(size=(d_out, d_in))
    a, b = rng.normal(size=(rank, d_in)), rng.normal(size=(d_out, rank))
    return x, weight, a, b, float(rng.uniform(4, 11))


def _forward_probes(rng: np.random.Generator) -> Sequence[Probe]:
    x, weight, a, b, alpha = _layer(rng)
    zero, one = np.zeros_like(b), (a[:1], b[:, :1])
    frozen, update = x @ weight.T, (x @ a.T) @ b.T
    return (
        Probe(
            (x, weight, a, zero, alpha),
            frozen,
            "B is zero here: what is left is the frozen layer.",
            (
                Slip(np.zeros_like(frozen), "B is zero, and so is the update. Where is the frozen layer?"),
                Slip(frozen.T, "The rows of the result are those of x. Is something transposed?"),
            ),
        ),
        Probe(
            (x, weight, a, b, alpha),
            forward(x, weight, a, b, alpha),
            "The frozen layer plus the update, scaled. Which part differs?",
            (
                Slip(frozen, "This is the frozen layer alone. What do A and B add?"),
                Slip(alpha / 3 * update, "This is the update alone. Where is the frozen layer?"),
                Slip(frozen + update, "The update is not scaled. Where does alpha / rank come in?"),
                Slip(frozen + alpha * update, "This is scaled with alpha. By what is alpha divided?"),
                Slip(frozen + update / 3, "This is divided by the rank. Where does alpha come in?"),
                Slip(
                    frozen + alpha / np.sqrt(3) * update,
                    "This is rsLoRA, alpha / sqrt(rank). alpha / rank is asked for.",
                ),
                Slip(
                    frozen + alpha / 7 * update,
                    "You divide by the number of columns of A. The rank is the number of rows of A.",
                ),
                Slip(
                    frozen + alpha / 5 * update,
                    "You divide by the number of rows of B. The rank is the number of rows of A.",
                ),
                Slip(frozen - alpha / 3 * update, "The update is added. Is there a minus in yours?"),
                Slip(alpha / 3 * (frozen + update), "Is the frozen layer scaled, too? Only the update is."),
            ),
        ),
        Probe(
            (x, weight, *one, alpha),
            forward(x, weight, *one, alpha),
            "This one has rank 1. Is the rank read from A, or written into your function?",
        ),
        Probe((x[:1], weight, a, b, alpha), forward(x[:1], weight, a, b, alpha), "One row only: the result has one."),
    )


def _gradients_probes(rng: np.random.Generator) -> Sequence[Probe]:
    x, _, a, b, alpha = _layer(rng)
    g = rng.normal(size=(len(x), len(b)))
    of_a, of_b = gradients(x, a, b, alpha, g)
    zero = np.zeros_like(b)
    at_start = gradients(x, a, zero, alpha, g)
    return (
        Probe(
            (x, a, b, alpha, g),
            (of_a, of_b),
            "Each gradient has the shape of what it is for. Which of the two differs?",
            (
                Slip((of_b, of_a), "Both are right, in the other order. A's comes first."),
                Slip((of_a * 3 / alpha, of_b * 3 / alpha), "The scaling is missing. What multiplies the update?"),
                Slip((of_a * 3, of_b * 3), "This is scaled with alpha. By what is alpha divided?"),
                Slip((of_a, of_b * 3 / alpha), "A's gradient is right. Is B's scaled?"),
                Slip((of_a * 3 / alpha, of_b), "B's gradient is right. Is A's scaled?"),
                Slip((of_a / len(x), of_b / len(x)), "G holds the mean already, if there is one. Do you divide by n?"),
                Slip((-of_a, -of_b), "These are the steps of descent. The gradients themselves are asked for."),
                Slip((of_a.T, of_b.T), "Each gradient has the shape of what it is for. Are yours transposed?"),
                Slip(of_a, "This is A's gradient alone. What about B's?"),
                Slip(of_b, "This is B's gradient alone. What about A's?"),
            ),
        ),
        Probe(
            (x, a, zero, alpha, g),
            at_start,
            "B is zero, as at the start. Which of the two gradients is zero then?",
            (
                Slip((np.zeros_like(a), np.zeros_like(b)), "Does B's gradient depend on B? It passes through A."),
                Slip((of_a, at_start[1]), "A's gradient passes through B, and B is zero."),
            ),
        ),
        Probe(
            (x[:1], a[:1], b[:, :1], alpha, g[:1]),
            gradients(x[:1], a[:1], b[:, :1], alpha, g[:1]),
            "One row of x, and rank 1. Is the rank read from A?",
        ),
    )


def _merging_probes(rng: np.random.Generator) -> Sequence[Probe]:
    x, weight, a, b, alpha = _layer(rng)
    update = b @ a
    wide = rng.normal(size=(2, 9)), rng.normal(size=(2, 9)), rng.normal(size=(2, 2))
    return (
        Probe(
            (weight, a, b, alpha),
            weight + alpha / 3 * update,
            "x times the transpose of your matrix must give what the layer gives.",
            (
                Slip(weight + update, "The update is not scaled. Where does alpha / rank come in?"),
                Slip(weight + alpha * update, "This is scaled with alpha. By what is alpha divided?"),
                Slip(alpha / 3 * update, "This is the update alone. Into what is it merged?"),
                Slip(weight - alpha / 3 * update, "This takes the update out. Which way is merging?"),
                Slip((weight + alpha / 3 * update).T, "The shape is that of W, (d_out, d_in). Is yours transposed?"),
                Slip(alpha / 3 * (weight + update), "Is W scaled, too? Only the update is."),
                Slip(
                    weight + alpha / 7 * update,
                    "You divide by the number of columns of A. The rank is the number of rows of A.",
                ),
                Slip(
                    weight + alpha / 5 * update,
                    "You divide by the number of rows of B. The rank is the number of rows of A.",
                ),
                Slip(weight.copy(), "This is W as it was. Where is the update?"),
                Slip(x @ (weight + alpha / 3 * update).T, "The matrix is asked for, not what it computes."),
            ),
        ),
        Probe(
            (weight, a, np.zeros_like(b), alpha),
            weight,
            "With B at zero, merging changes nothing.",
        ),
        Probe(
            (wide[0], wide[1], wide[2], alpha),
            wide[0] + alpha / 2 * wide[2] @ wide[1],
            "Another size and another rank. Is the rank read from A, or written into your function?",
        ),
    )


def _spectrum_probes(rng: np.random.Generator) -> Sequence[Probe]:
    d_out, d_in, rank = 6, 9, 2
    u, _ = np.linalg.qr(rng.normal(size=(d_out, d_out)))
    v, _ = np.linalg.qr(rng.normal(size=(d_in, d_out)))
    values = np.sort(rng.uniform(0.5, 5, size=d_out))[::-1]
    change = (u * values) @ v.T
    low = (u[:, :2] * values[:2]) @ v[:, :2].T
    entries = np.sort(np.abs(change).ravel())[::-1]
    return (
        Probe(
            (change, rank),
            share_kept(values, rank),
            "Square the singular values; add up the first, and divide by the sum of all.",
            (
                Slip(float(values[:rank].sum() / values.sum()), "This is the share of the values. What about squares?"),
                Slip(1 - share_kept(values, rank), "This is what is lost. What is kept?"),
                Slip(share_kept(values, 1), "This is the first value alone. How many does the rank keep?"),
                Slip(
                    float(values[rank - 1] ** 2 / (values**2).sum()), "This is one value. Do you add up the first ones?"
                ),
                Slip(share_kept(values[::-1], rank), "These are the smallest. Which end of the list do you take?"),
                Slip(float((values[:rank] ** 2).sum()), "This is the sum that is kept. Which share of all is it?"),
                Slip(
                    float(np.sqrt(share_kept(values, rank))),
                    "This is the root of the share: of the norm, not of its square.",
                ),
                Slip(rank / d_out, "This is the share of the number of values. How large are they?"),
                Slip(share_kept(entries, rank), "Are these singular values, or the entries of the matrix?"),
                Slip(share_kept(values**2, rank), "These are fourth powers. Are the values squared twice?"),
                Slip(share_kept(values, rank + 1), "One value too many: the slice [:rank] holds rank of them."),
            ),
        ),
        Probe(
            (change.T, rank + 1), share_kept(values, rank + 1), "Another rank, and a matrix that is higher than wide."
        ),
        Probe((low, 1), share_kept(values[:2], 1), "This change has rank 2. What does rank 1 keep of it?"),
        Probe((low, 2), 1.0, "This change has rank 2. What can rank 2 keep of it?"),
        Probe((change, d_out + 3), 1.0, "More than there are: all of it is kept."),
        Probe(
            (np.zeros((d_out, d_in)), rank),
            1.0,
            "A change of zeros: 0 / 0 is no number. What was asked for here?",
            (Slip(0.0, "Nothing is lost of a change of zeros. Which share is kept, as the task has it?"),),
        ),
    )


def _rounding_probes(rng: np.random.Generator) -> Sequence[Probe]:
    weight = to_bfloat16(rng.uniform(1.1, 1.9, size=(8, 6)) * rng.choice([-1.0, 1.0], size=(8, 6)))
    step = 2.0**-7  # from one number to the next in bfloat16, between 1 and 2
    factors = np.zeros(48)
    factors[:12], factors[12:30] = rng.uniform(0.05, 0.4, 12), rng.uniform(0.6, 3.0, 18)
    signs = rng.choice([-1.0, 1.0], size=48)
    update = (rng.permutation(factors) * signs).reshape(8, 6) * step
    small = np.full((8, 6), 0.3 * step)
    large = np.full((8, 6), 5.0 * step)
    tiny = weight * 2.0**-10
    return (
        Probe(
            (weight, update),
            0.4,
            "Of 48 numbers the update would change 30, and 12 of these stay as they were.",
            (
                Slip(0.6, "This is the share that moves. Which share is lost?"),
                Slip(30 / 48, "Where the update is zero nothing is lost. Over which numbers do you take the mean?"),
                Slip(12 / 48, "Of the numbers that the update would change: are the others in your mean?"),
                Slip(18 / 48, "This is the share of all that moves. Which share of the changed ones is lost?"),
                Slip(12, "This is a number of weights. Which share is it?"),
                Slip(30, "This is a number of weights. Which share is it?"),
                Slip(0.0, "Is the sum rounded before it is compared with W?"),
            ),
        ),
        Probe(
            (weight, small),
            1.0,
            "Every update is below half a step between neighbours. What is left of it after rounding?",
            (
                Slip(0.0, "Is the sum rounded before it is compared with W?"),
                Slip(48, "This is a number of weights. Which share is it?"),
            ),
        ),
        Probe(
            (weight, large),
            0.0,
            "These updates are several steps large: none is lost.",
            (Slip(1.0, "Do you round the sum, or the update? Everything is lost in yours."),),
        ),
        Probe(
            (weight * 256, update),
            1.0,
            "The same update on weights 256 times as large. How far apart are neighbours there?",
            (Slip(0.4, "Neighbours of large numbers lie further apart. Is a fixed step written into your function?"),),
        ),
        Probe(
            (weight, tiny),
            1.0,
            "An update of a thousandth of each weight.",
        ),
        Probe(
            (weight, np.zeros((8, 6))),
            0.0,
            "An update of zeros: the mean of nothing is no number. What was asked for here?",
            (Slip(1.0, "An update of zeros asks for no change. Which share of nothing is lost, as the task has it?"),),
        ),
    )


TASKS: tuple[Task, ...] = (
    Task(
        "size",
        "adapter_size",
        "How many numbers learn?",
        2,
        _size_probes,
        (
            "A has rank rows and d_in columns. How many numbers is that? And B?",
            "Both together: rank * (d_out + d_in).",
            "sum(rank * (d_out + d_in) for d_out, d_in in shapes)",
        ),
        "The sides of a matrix add up where its area multiplies. A matrix twice as wide and high has four times the numbers, "
        "and its update twice: the larger the model, the smaller the share that learns.",
    ),
    Task(
        "placing",
        "placed",
        "Where does it go?",
        2,
        _placing_probes,
        (
            "Go through paths, so that their order stays, and ask of each whether any name fits.",
            "A name fits if path == name, or if path.endswith('.' + name).",
            "[path for path in paths if any(path == name or path.endswith('.' + name) for name in targets)]",
        ),
        "Layers of one kind have one name in every block of the model, so a few names place an update in all of them. The dot "
        "keeps a name from fitting the end of a longer one.",
    ),
    Task(
        "forward",
        "lora_forward",
        "The layer",
        3,
        _forward_probes,
        (
            "The frozen part is x @ W.T, the way down x @ A.T, and the way up that times B.T.",
            "The rank is len(A); the scaling is alpha / len(A), and it multiplies the update alone.",
            "x @ W.T + alpha / len(A) * (x @ A.T) @ B.T",
        ),
        "In this order, no matrix of the size of W is formed: rank * (d_in + d_out) products a row instead of d_in * d_out. Dividing "
        "by the rank keeps the size of a step about alike when the rank is changed.",
    ),
    Task(
        "gradients",
        "lora_gradients",
        "What A and B are told",
        3,
        _gradients_probes,
        (
            "Shapes lead: A's gradient is (rank, d_in), from (rank, n) times (n, d_in).",
            "For A, G goes back through B first: G @ B. For B, x goes through A first: x @ A.T.",
            "scaling * (G @ B).T @ x, scaling * G.T @ (x @ A.T)",
        ),
        "Each of the two is told through the other. With B at zero, A is told nothing in the first step, and B moves by itself. "
        "The gradient of W, a whole matrix, is never needed.",
    ),
    Task(
        "merging",
        "merged",
        "Into the weights",
        2,
        _merging_probes,
        (
            "The update is a matrix, too: which product of A and B has the shape of W?",
            "B @ A is (d_out, d_in). It is scaled as in the layer.",
            "W + alpha / len(A) * B @ A makes a new array; W += ... would change the one that was given.",
        ),
        "x @ W.T + s * (x @ A.T) @ B.T is x @ (W + s * B @ A).T. After merging the layer costs what a plain one does. Who changes W "
        "itself has lost the base that other adapters need.",
    ),
    Task(
        "spectrum",
        "share_kept",
        "What a rank can keep",
        2,
        _spectrum_probes,
        (
            "np.linalg.svd(change, compute_uv=False) returns the values, the largest first.",
            "Square them. The first rank of them against all: squares[:rank].sum() / squares.sum().",
            "Ask whether the sum is 0 before you divide by it, and return 1.0 then.",
        ),
        "The squares add up to the sum of all squared entries, so their share is the share of the change. No matrix of this rank "
        "comes nearer than the one that keeps the largest (Eckart & Young, 1936).",
    ),
    Task(
        "rounding",
        "share_lost",
        "What bfloat16 swallows",
        3,
        _rounding_probes,
        (
            "Round the sum, and compare it with W: where they are equal, the update is lost.",
            "Only where update != 0 was there something to lose: take the mean over these.",
            "lost = to_bfloat16(W + update) == W, then lost[update != 0].mean()",
        ),
        "Between 1 and 2, neighbours in bfloat16 lie 1/128 apart: what adds less than half of that is rounded away. An adapter beside "
        "the weights has a scale of its own, and keeps what merging into bfloat16 loses.",
    ),
)

check = Check("12_lora", TASKS)

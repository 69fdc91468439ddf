# %% [markdown]
# # Exercise 10: fine-tuning
#
# Seven functions, 19 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("loss")` gives one hint at a time. After a pass, `check.reasoning("loss")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

from course_lib.checks.fine_tuning import check

# %% [markdown]
# ## 1. The loss (3 points)
#
# Return the mean cross-entropy in nats: the mean over the texts of $-\ln p$, where $p$ is the softmax probability of the right
# class. Logits may be as large as 1,000; the result must still be a number.


# %% nbgrader={"grade": false, "grade_id": "loss-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_entropy(logits, labels):
    """logits: (n, n_classes); labels: (n,) numbers of the right classes. Returns a number >= 0."""
    ### BEGIN SOLUTION
    shifted = logits - logits.max(axis=1, keepdims=True)  # (n, n_classes)
    log_sum = np.log(np.exp(shifted).sum(axis=1))  # (n,)
    return float((log_sum - shifted[np.arange(len(labels)), labels]).mean())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "loss", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.loss(cross_entropy).show()

# %% [markdown]
# ## 2. Backward through the head (3 points)
#
# The head computes `logits = vectors @ weight.T + bias`. Return the gradients of the mean cross-entropy with respect to its weight and to
# its bias. The gradient at the logits is $(p - y) / n$: probabilities minus 1 at the right class, divided by the number of texts.


# %% nbgrader={"grade": false, "grade_id": "gradient-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def head_gradients(vectors, weight, bias, labels):
    """vectors: (n, dim); weight: (n_classes, dim); bias: (n_classes,). Returns two arrays, of their shapes."""
    ### BEGIN SOLUTION
    logits = vectors @ weight.T + bias  # (n, n_classes)
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    at_logits = probabilities.copy()
    at_logits[np.arange(len(labels)), labels] -= 1
    at_logits /= len(labels)  # (n, n_classes)
    return at_logits.T @ vectors, at_logits.sum(axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gradient", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.gradient(head_gradients).show()

# %% [markdown]
# ## 3. One long vector of gradients, clipped (2 points)
#
# The norm of all gradients together is the square root of the sum of all their squares. If it is above `largest`, scale **all** of them
# by the same factor, so that the norm is `largest`. Otherwise return them as they are. Do not change the arrays you are given.


# %% nbgrader={"grade": false, "grade_id": "clipping-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clip(gradients, largest):
    """gradients: list of arrays of any shapes; largest: number above 0. Returns a list of arrays of the same shapes."""
    ### BEGIN SOLUTION
    norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
    factor = min(1.0, largest / norm) if norm > 0 else 1.0
    return [gradient * factor for gradient in gradients]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "clipping", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.clipping(clip).show()

# %% [markdown]
# ## 4. One update with AdamW (3 points)
#
# Return the new weight, `m` and `v` after one update. With $g$ the gradient, $t$ the number of this update, from 1, and $\eta$ the
# rate:
#
# $$m \leftarrow 0.9\,m + 0.1\,g \qquad v \leftarrow 0.999\,v + 0.001\,g^2$$
#
# $$w \leftarrow w\,(1 - \eta \cdot \mathrm{decay}) - \eta\,\frac{m / (1 - 0.9^t)}{\sqrt{v / (1 - 0.999^t)} + 10^{-8}}$$


# %% nbgrader={"grade": false, "grade_id": "update-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adamw(weight, gradient, m, v, step, rate, decay):
    """weight, gradient, m, v: arrays of one shape; step: from 1. Returns the new (weight, m, v)."""
    ### BEGIN SOLUTION
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    direction = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return weight * (1 - rate * decay) - rate * direction, m, v
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "update", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.update(adamw).show()

# %% [markdown]
# ## 5. Which parameters learn? (3 points)
#
# Return the names that stay trainable, in their order, when the lowest `lowest` layers are frozen. A layer's name holds
# `.layer.` and its number, **from 0**: layer 0 is the lowest. A name with `embeddings` belongs to the embeddings, which are frozen if
# the argument `embeddings` is True. All other parameters learn. Free embeddings under frozen layers make no sense here: raise a
# `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "freezing-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def trainable_names(names, lowest, embeddings):
    """names: list of str; lowest: number of frozen layers; embeddings: bool. Returns a list of str."""
    ### BEGIN SOLUTION
    if lowest and not embeddings:
        raise ValueError(f"embeddings must be frozen, too, below {lowest} frozen layers")

    def learns(name):
        if ".layer." in name:
            return int(name.split(".layer.")[1].split(".")[0]) >= lowest
        return not (embeddings and "embeddings" in name)

    return [name for name in names if learns(name)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "freezing", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.freezing(trainable_names).show()

# %% [markdown]
# ## 6. A rate for each layer (2 points)
#
# The highest layer learns with `rate`; each layer below with `decay` times the rate of the layer above, and the embeddings with `decay`
# times the rate of the lowest layer. Frozen parts have the rate 0: the embeddings and the lowest `frozen` layers, if `frozen` is above 0.
# Return the rates from the text upwards: embeddings, lowest layer, ..., highest layer.


# %% nbgrader={"grade": false, "grade_id": "rates-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layer_rates(n_layers, rate, decay, frozen):
    """Returns (n_layers + 1,) rates: the embeddings first, the highest layer last."""
    ### BEGIN SOLUTION
    rates = np.array([rate * decay ** (n_layers - height) for height in range(n_layers + 1)])
    if frozen:
        rates[: frozen + 1] = 0
    return rates
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rates", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.rates(layer_rates).show()

# %% [markdown]
# ## 7. Macro F1 (3 points)
#
# F1 of a class is $2 \cdot \mathrm{hits}\,/\,(\mathrm{times\ true} + \mathrm{times\ guessed})$. Return its mean over the classes, each
# class once, however rare. A class that is never true and never guessed has no F1: leave it out of the mean.


# %% nbgrader={"grade": false, "grade_id": "f1-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def macro_f1(truth, guess, n_classes):
    """truth, guess: (n,) class numbers. Returns a number from 0 to 1."""
    ### BEGIN SOLUTION
    values = []
    for c in range(n_classes):
        total = (truth == c).sum() + (guess == c).sum()
        if total:
            values.append(2 * ((truth == c) & (guess == c)).sum() / total)
    return float(np.mean(values))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "f1", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.f1(macro_f1).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

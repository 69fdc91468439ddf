# %% [markdown]
# # Exercise 12: LoRA
#
# Seven functions, 17 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("size")` gives one hint at a time. After a pass, `check.reasoning("size")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

from course_lib.checks.lora import check

# %% [markdown]
# ## 1. How many numbers learn? (2 points)
#
# Each layer gets $A$ with `rank` rows and $B$ with `rank` columns. Return how many numbers that is in all layers together.


# %% nbgrader={"grade": false, "grade_id": "size-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adapter_size(shapes, rank):
    """shapes: list of (d_out, d_in), one a layer; rank: int. Returns an int."""
    ### BEGIN SOLUTION
    return sum(rank * (d_out + d_in) for d_out, d_in in shapes)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "size", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.size(adapter_size).show()

# %% [markdown]
# ## 2. Where does it go? (2 points)
#
# Return the paths that `targets` names, in the order of `paths`. A name fits a path that is the name, or that ends with a dot and the
# name: `query` fits `layer.0.query`, and neither `layer.0.subquery` nor `query.bias`.


# %% nbgrader={"grade": false, "grade_id": "placing-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def placed(paths, targets):
    """paths: list of str; targets: list of str. Returns a list of str."""
    ### BEGIN SOLUTION
    return [path for path in paths if any(path == name or path.endswith("." + name) for name in targets)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "placing", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.placing(placed).show()

# %% [markdown]
# ## 3. The layer (3 points)
#
# Return $x W^\top + \frac{\alpha}{r} (x A^\top) B^\top$. The rank $r$ is the number of rows of $A$.


# %% nbgrader={"grade": false, "grade_id": "forward-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_forward(x, W, A, B, alpha):
    """x: (n, d_in); W: (d_out, d_in); A: (rank, d_in); B: (d_out, rank); alpha: number. Returns (n, d_out)."""
    ### BEGIN SOLUTION
    scaling = alpha / len(A)
    return x @ W.T + scaling * (x @ A.T) @ B.T
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "forward", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.forward(lora_forward).show()

# %% [markdown]
# ## 4. What A and B are told (3 points)
#
# Let $G$ be the gradient of the loss with respect to the layer's output. Return the gradients with respect to $A$ and to $B$:
#
# $$\frac{\alpha}{r} \, (G B)^\top x \qquad \frac{\alpha}{r} \, G^\top (x A^\top)$$


# %% nbgrader={"grade": false, "grade_id": "gradients-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_gradients(x, A, B, alpha, G):
    """x: (n, d_in); A: (rank, d_in); B: (d_out, rank); G: (n, d_out). Returns two arrays, shaped as A and as B."""
    ### BEGIN SOLUTION
    scaling = alpha / len(A)
    return scaling * (G @ B).T @ x, scaling * G.T @ (x @ A.T)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gradients", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.gradients(lora_gradients).show()

# %% [markdown]
# ## 5. Into the weights (2 points)
#
# Return the matrix that computes alone what the layer of task 3 computes. `W` itself must stay as it is.


# %% nbgrader={"grade": false, "grade_id": "merging-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def merged(W, A, B, alpha):
    """W: (d_out, d_in); A: (rank, d_in); B: (d_out, rank); alpha: number. Returns a new array (d_out, d_in)."""
    ### BEGIN SOLUTION
    return W + alpha / len(A) * B @ A
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "merging", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.merging(merged).show()

# %% [markdown]
# ## 6. What a rank can keep (2 points)
#
# Return the share of the squared singular values of `change` that its `rank` largest hold. `np.linalg.svd(change, compute_uv=False)` gives
# them, the largest first. A change of zeros has nothing to keep: return 1.0.


# %% nbgrader={"grade": false, "grade_id": "spectrum-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def share_kept(change, rank):
    """change: (d_out, d_in); rank: int, possibly more than there are. Returns a number from 0 to 1."""
    ### BEGIN SOLUTION
    squares = np.linalg.svd(change, compute_uv=False) ** 2
    return float(squares[:rank].sum() / squares.sum()) if squares.sum() > 0 else 1.0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "spectrum", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.spectrum(share_kept).show()

# %% [markdown]
# ## 7. What bfloat16 swallows (3 points)
#
# `to_bfloat16` rounds to the 8 significant bits of bfloat16. Given a frozen `W` that is in bfloat16 already, and an update in full
# precision: of the numbers that the update would change, which share stays as it was once `W + update` is rounded? Return 0.0 for an update of zeros.


# %% nbgrader={"grade": false, "grade_id": "rounding-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def to_bfloat16(values):
    """values: array. Returns the nearest numbers with 8 significant bits, in the same shape."""
    fraction, exponent = np.frexp(values)  # values = fraction * 2**exponent, 0.5 <= |fraction| < 1
    return np.ldexp(np.round(fraction * 256) / 256, exponent)


def share_lost(W, update):
    """W, update: (d_out, d_in). Returns a number from 0 to 1."""
    ### BEGIN SOLUTION
    asked = update != 0  # (d_out, d_in)
    if not asked.any():
        return 0.0
    lost = to_bfloat16(W + update) == W
    return float(lost[asked].mean())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rounding", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.rounding(share_lost).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

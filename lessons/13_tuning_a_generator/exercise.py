# %% [markdown]
# # Exercise 13: tuning a generator
#
# Seven functions, 17 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("template")` gives one hint at a time. After a pass, `check.reasoning("template")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

from course_lib.checks.tuning_a_generator import check

IGNORED = -100

# %% [markdown]
# ## 1. The chat template (2 points)
#
# Each turn is printed as `<|im_start|>`, the role, a line break, the text, `<|im_end|>`, a line break. If the model is to answer,
# `<|im_start|>assistant` and a line break follow.


# %% nbgrader={"grade": false, "grade_id": "template-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def chat_text(turns, to_be_answered):
    """turns: list of (role, text); to_be_answered: bool. Returns a str."""
    ### BEGIN SOLUTION
    said = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    return said + "<|im_start|>assistant\n" if to_be_answered else said
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "template", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.template(chat_text).show()

# %% [markdown]
# ## 2. The label mask (3 points)
#
# Each token has a part: `"marks"`, `"system"`, `"user"`, `"assistant"` or `"end"`. Every turn is followed by an end. Return the labels: the token
# itself where the part is the assistant's, and at the end that directly follows it; `IGNORED` everywhere else.


# %% nbgrader={"grade": false, "grade_id": "mask-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def label_mask(tokens, parts):
    """tokens: list of int; parts: list of str, as long. Returns a list of int."""
    ### BEGIN SOLUTION
    labels, before = [], ""
    for token, part in zip(tokens, parts, strict=True):
        counts = part == "assistant" or (part == "end" and before == "assistant")
        labels.append(token if counts else IGNORED)
        before = part
    return labels
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mask", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.mask(label_mask).show()

# %% [markdown]
# ## 3. The loss of the answer (3 points)
#
# Row $i$ of `logits` is what the model says after token $i$: a guess at token $i + 1$. `labels` are not shifted. Return the mean of
# $-\ln p$ over the labels that are not `IGNORED`. The first token is guessed from nothing and never counts.
#
# Subtract the largest logit of a row before you take `np.exp`: it changes no probability, and nothing overflows.


# %% nbgrader={"grade": false, "grade_id": "loss-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def answer_loss(logits, labels):
    """logits: (n_tokens, n_words); labels: list of n_tokens int, at least one after the first not IGNORED. Returns a number."""
    ### BEGIN SOLUTION
    guesses = logits[:-1] - logits[:-1].max(axis=1, keepdims=True)  # (n_tokens - 1, n_words)
    log_p = guesses - np.log(np.exp(guesses).sum(axis=1, keepdims=True))
    wanted = np.array(labels[1:])
    places = np.flatnonzero(wanted != IGNORED)
    return float(-log_p[places, wanted[places]].mean())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "loss", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.loss(answer_loss).show()

# %% [markdown]
# ## 4. Padding (2 points)
#
# Texts come in batches, in the order given, and each batch is padded to its longest text. The last batch may be smaller. Return the share
# of all places that holds no token.


# %% nbgrader={"grade": false, "grade_id": "padding-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def padded_share(lengths, batch_size):
    """lengths: list of int, at least one; batch_size: int. Returns a number from 0 to 1."""
    ### BEGIN SOLUTION
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    places = sum(len(batch) * max(batch) for batch in batches)
    return 1 - sum(lengths) / places
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "padding", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.padding(padded_share).show()

# %% [markdown]
# ## 5. Packing (3 points)
#
# Put texts into rows of `row_tokens` places: the longest first, equally long ones in the order given, each into the **first** row that still
# has room for it. Return the rows as lists of positions, in the order in which the positions were put in.


# %% nbgrader={"grade": false, "grade_id": "packing-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def packed(lengths, row_tokens):
    """lengths: list of int, none above row_tokens; row_tokens: int. Returns a list of lists of int."""
    ### BEGIN SOLUTION
    rows, room = [], []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = next((n for n, left in enumerate(room) if left >= lengths[i]), None)
        if place is None:
            rows.append([])
            room.append(row_tokens)
            place = len(rows) - 1
        rows[place].append(i)
        room[place] -= lengths[i]
    return rows
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "packing", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.packing(packed).show()

# %% [markdown]
# ## 6. Three rules of style (2 points)
#
# Return the names of the rules that a text breaks, in this order:
#
# - `"length"`: it has 25 to 60 words, both included; words are what `split()` gives;
# - `"next step"`: the words `Next step:` stand in it once, with something after them;
# - `"set phrase"`: none of the `forbidden` phrases, which are in lower case, stands in it, in capitals or not.


# %% nbgrader={"grade": false, "grade_id": "style-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def broken_rules(text, forbidden):
    """text: str; forbidden: list of str. Returns a list of str."""
    ### BEGIN SOLUTION
    step = text.partition("Next step:")[2]
    held = {
        "length": 25 <= len(text.split()) <= 60,
        "next step": text.count("Next step:") == 1 and step.strip() != "",
        "set phrase": not any(phrase in text.lower() for phrase in forbidden),
    }
    return [name for name, value in held.items() if not value]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "style", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.style(broken_rules).show()

# %% [markdown]
# ## 7. Forgetting (2 points)
#
# The same prompts were marked before and after tuning. Return two numbers: of the prompts right before, the share that is wrong now (0.0 if
# none was right); and the change of the share that is right, after minus before.


# %% nbgrader={"grade": false, "grade_id": "forgetting-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forgetting(before, after):
    """before, after: lists of bool, one a prompt, equally long. Returns a tuple of two numbers."""
    ### BEGIN SOLUTION
    knew = [now for once, now in zip(before, after, strict=True) if once]
    forgotten = 1 - sum(knew) / len(knew) if knew else 0.0
    return forgotten, (sum(after) - sum(before)) / len(before)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "forgetting", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.forgetting(forgetting).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

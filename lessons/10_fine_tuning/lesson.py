# %% [markdown]
# # 10 Fine-tuning: let the model learn, or only part of it
#
# The encoder was trained on a billion pairs of sentences, none of them from our help desk. Fine-tuning trains it further, on 560
# of its messages. This lesson opens the training step, and then asks how much of the model should learn at all.
#
# **You will** work out a training step by hand, equal to PyTorch and to Trainer; replace the output layer; freeze none, some or all
# of the layers; and measure what each choice gains, costs and forgets.
#
# **You need** lessons 01 and 09. {{measured}}

# %%
import json
import math
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch.nn.functional import cross_entropy
from transformers import PrinterCallback, Trainer, TrainingArguments

import course_lib
from course_lib.assets.models import compute_dtype, load_encoder
from course_lib.corpus.load import COLLECTIONS
from course_lib.corpus.messages import intents, load_messages
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.tuning.forgetting import matched, text_vectors
from course_lib.tuning.freezing import freeze, trainable_table
from course_lib.tuning.heads import new_classifier, replace_head
from course_lib.tuning.step_memory import step_memory
from course_lib.tuning.training import TrainingSettings, train
from course_lib.widgets.freezing_explorer import (
    Choice,
    FreezingExplorer,
    FreezingRow,
    freezing_explorer_demo,
    rows_from,
)
from course_lib.widgets.predictions import compare_predictions, predict
from course_lib.widgets.show import PALETTE, show_figure

LESSON = "10_fine_tuning"
outcomes = {}

# %% [markdown]
# ## 1. One step by hand
#
# A network of two layers, small enough to print: three numbers in, four in the middle, two classes out. **Forward**: from the inputs to the
# logits, and by softmax to probabilities. Then the **loss**: how surprised is the network by the right class?

# %%
rng = np.random.default_rng(13)
x = rng.normal(size=(5, 3))  # (n, d_in)
labels = np.array([0, 1, 1, 0, 1])  # (n,)
first = rng.normal(size=(4, 3))  # (d_middle, d_in)
second = rng.normal(size=(2, 4))  # (n_classes, d_middle)


def forward(first, second):
    middle = np.tanh(x @ first.T)  # (n, d_middle)
    raised = np.exp(middle @ second.T)  # (n, n_classes)
    return middle, raised / raised.sum(axis=1, keepdims=True)


def loss_of(first, second):
    return -np.log(forward(first, second)[1][np.arange(5), labels]).mean()


middle, probabilities = forward(first, second)
print(probabilities.round(2).tolist(), f"  loss {loss_of(first, second):.4f}")

# %% [markdown]
# **Backward**: how would the loss change if a weight grew a little? At the logits the answer is short: probability minus truth. From
# there, the chain rule goes down, layer by layer, through the same weights that went up.

# %%
truth = np.eye(2)[labels]  # (n, n_classes)
at_logits = (probabilities - truth) / len(x)  # (n, n_classes)
d_second = at_logits.T @ middle  # (n_classes, d_middle)
at_middle = at_logits @ second * (1 - middle**2)  # (n, d_middle): the slope of tanh is 1 - tanh²
d_first = at_middle.T @ x  # (d_middle, d_in)
print(d_first.round(4))

# %% [markdown]
# Two judges. One nudges a weight and looks at the loss. The other is PyTorch, which keeps a record of the forward pass and runs it
# backwards (*autograd*).

# %%
nudged = first.copy()
nudged[2, 1] += 1e-6
by_nudge = (loss_of(nudged, second) - loss_of(first, second)) / 1e-6
a, b = torch.tensor(first, requires_grad=True), torch.tensor(second, requires_grad=True)
loss = cross_entropy(torch.tanh(torch.tensor(x) @ a.T) @ b.T, torch.tensor(labels))
loss.backward()
print(f"one weight: by hand {d_first[2, 1]:+.6f}, by nudging {by_nudge:+.6f}, autograd {float(a.grad[2, 1]):+.6f}")
assert np.allclose(d_first, a.grad.numpy()) and np.allclose(d_second, b.grad.numpy())
assert np.isclose(d_first[2, 1], by_nudge, atol=1e-5) and np.isclose(float(loss.detach()), loss_of(first, second))

# %% [markdown]
# Nudging needs a forward pass for each weight: 22 million for the encoder. One backward pass gives all of them.
#
# **Update**: a small step against the gradient.

# %%
after = {rate: loss_of(first - rate * d_first, second - rate * d_second) for rate in (0.1, 1.0, 50.0)}
for rate, value in after.items():
    print(f"rate {rate:>4}: loss {loss_of(first, second):.3f} -> {value:.3f}")
assert after[1.0] < after[0.1] < loss_of(first, second) < after[50.0] / 5

# %% [markdown]
# The smallest step lowers the loss a little, a larger one more, and the largest throws it far above the start. The gradient is true at one
# point only; how far to trust it is the **learning rate**, which lesson 11 chooses.
#
# Forward, loss, backward, update. All training in this course is this loop.

# %% [markdown]
# ## 2. A new output layer
#
# The encoder gives 384 numbers a text. It has no idea of our 14 intents. So it gets a new **head**: one layer from 384 numbers to 14 logits,
# with small random weights.

# %%
parts = {part: load_messages(part) for part in ("train", "dev", "test")}
pairs = {part: [(message.text, message.intent) for message in each] for part, each in parts.items()}
names = list(intents())
tokenizer, encoder = load_encoder()


def fresh(seed=13):
    """A classifier as it is before training: the pre-trained encoder and a new head."""
    return new_classifier(tokenizer, encoder, names, max_tokens=96, seed=seed)


model = fresh()
print({part: len(each) for part, each in pairs.items()}, "messages of", len(names), "intents")
print("longer than 96 tokens:", {part: len(model.truncated([t for t, _ in each])) for part, each in pairs.items()})
print(trainable_table(model))

# %%
predict(
    LESSON,
    "untrained",
    "Before any training, with the new head: what will the mean loss be?",
    ["near 0", "near 2.6, the logarithm of 14", "far above 10"],
)

# %%
batch = [next(pair for pair in pairs["train"] if pair[1] == name) for name in names]  # one message of each intent
inputs, numbers = model.collate(model.encode(batch))
with torch.no_grad():
    hidden = model.encoder(**inputs).last_hidden_state  # (14, n_tokens, 384)
    vectors = model.pool(hidden, inputs["attention_mask"])  # (14, 384)
    logits = model.head(vectors)  # (14, 14)
start = float(cross_entropy(logits, numbers))
print(f"loss {start:.2f}, ln 14 = {math.log(14):.2f}, right {int((logits.argmax(dim=1) == numbers).sum())} of 14")
outcomes["untrained"] = "near 2.6, the logarithm of 14"
assert abs(start - math.log(14)) < 0.3

# %% [markdown]
# All classes are about equally likely, so each costs ln 14. A first loss far from that is a sign of a broken head.
#
# The same step on this head: probability minus truth, times the vectors.

# %%
p = torch.softmax(logits, dim=1).numpy()  # (14, 14)
at_logits = (p - np.eye(14)[numbers.numpy()]) / len(batch)
d_weight, d_bias = at_logits.T @ vectors.numpy(), at_logits.sum(axis=0)  # (14, 384), (14,)
cross_entropy(model(**inputs), numbers).backward()
gap = np.abs(d_weight - model.head.weight.grad.numpy()).max()
print(f"largest gradient {np.abs(d_weight).max():.4f}, largest difference from autograd {gap:.0e}")
assert np.allclose(d_weight, model.head.weight.grad.numpy(), atol=1e-6)
assert np.allclose(d_bias, model.head.bias.grad.numpy(), atol=1e-6)
reached = model.encoder.embeddings.word_embeddings.weight.grad.abs().sum(dim=1) > 0  # (n_words,)
print(f"the gradient reached {int(reached.sum())} of {len(reached):,} rows of the word table")
assert 0 < int(reached.sum()) <= len(inputs["input_ids"].unique())
model.zero_grad()

# %% [markdown]
# The gradient went on below the head, through six layers, down to the words of these 14 messages. Whether anything moves there is for us
# to decide.
#
# Another task? `replace_head` gives another layer, and leaves the encoder as it is, to the bit.

# %%
before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
replace_head(model, 2, labels=["urgent", "can wait"])
with torch.no_grad():
    print("logits of a message:", tuple(model(**inputs).shape)[1:], "labels:", model.labels)
assert all(torch.equal(value, before[name]) for name, value in model.encoder.state_dict().items())
del before, model

# %% [markdown]
# ## 3. The loop
#
# A training loop adds three things to the step. The rate rises at first and then falls (*warm-up* and *decay*). A gradient that is too long
# is shortened (*clipping*). And AdamW gives each weight a stride of its own. Here is the loop, whole:

# %%
few = [pair for name in names for pair in [pair for pair in pairs["train"] if pair[1] == name][:2]]  # 28 messages
settings = TrainingSettings(learning_rate=2e-4, epochs=4, batch_size=28, warmup=0.25)  # a batch is all: 4 steps


def by_hand(model):
    learning = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.0, weight_decay=0.0)
    losses = []
    inputs, numbers = model.collate(model.encode(few))
    for step in range(4):
        share = step / 1 if step < 1 else (4 - step) / 3  # one step of warm-up, then down to 0
        optimizer.param_groups[0]["lr"] = 2e-4 * share
        loss = cross_entropy(model(**inputs), numbers)  # forward, loss
        loss.backward()  # backward
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()  # update
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


# %% [markdown]
# Beside it the course's `train`, and `Trainer` of the library transformers, which most projects use. All three see the same 28 messages and
# train the top layer and the head. Weight decay is 0 here: it is a setting, not a step.


# %%
class OurTrainer(Trainer):
    """Trainer, told how our classifier makes a loss; it notes the loss of every step."""

    def compute_loss(self, model, inputs, return_outputs=False, **_):
        numbers = inputs.pop("labels")
        loss = cross_entropy(model(**inputs), numbers)
        self.losses.append(float(loss.detach()))
        return loss


def by_trainer(model):
    for module in model.modules():  # Trainer turns dropout on; the other two do not
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    options = TrainingArguments(
        tempfile.mkdtemp(), per_device_train_batch_size=28, num_train_epochs=4, learning_rate=2e-4, warmup_steps=1,
        weight_decay=0.0, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True, dataloader_pin_memory=False,
        remove_unused_columns=False, seed=13,
    )  # fmt: skip
    trainer = OurTrainer(model, options, train_dataset=model.encode(few), data_collator=to_tensors(model))
    trainer.losses = []
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return trainer.losses


# %%
def to_tensors(model):
    """Trainer wants inputs and labels of a batch in one dict."""

    def collate(rows):
        inputs, numbers = model.collate(rows)
        return {**inputs, "labels": numbers}

    return collate


losses = {}
no_decay = TrainingSettings(learning_rate=2e-4, epochs=4, batch_size=28, warmup=0.25, weight_decay=0.0)
for name, way in (
    ("by hand", by_hand),
    ("course", lambda model: train(model, few, no_decay).losses),
    ("Trainer", by_trainer),
):
    losses[name] = way(freeze(fresh(), 5))
    print(f"{name:<8}", [f"{value:.5f}" for value in losses[name]])
assert np.allclose(losses["by hand"], losses["course"], rtol=1e-4)
assert np.allclose(losses["by hand"], losses["Trainer"], rtol=1e-4)
assert math.isclose(losses["by hand"][0], losses["by hand"][1], rel_tol=1e-6)
assert losses["by hand"][-1] < losses["by hand"][0]

# %% [markdown]
# Three loops, one curve. The first two losses are equal: the warm-up begins at rate 0, so the first update changes nothing. From here
# on we use `train`. It adds what long runs need: a look at validation data, checkpoints, a stop when the loss is no number.

# %% [markdown]
# ## 4. What learns?
#
# `freeze(model, n)` tells the lowest n layers, and the table of words, that they do not learn. They get no gradient and no
# place in the optimiser.

# %%
predict(
    LESSON,
    "where",
    "In which part of the encoder are most of its 22 million numbers?",
    ["in the table of words", "in the six layers", "about half and half"],
)

# %%
freedoms = {"head only": 6, "top 1": 5, "top 2": 4, "top 4": 2, "all": None}


def set_free(model, name):
    """Freeze all below what `name` says; "all" sets the embeddings free, too."""
    lowest = freedoms[name]
    return freeze(model, lowest or 0, embeddings=lowest is not None)


order, learning = list(freedoms), {}
for name in order:
    learning[name] = trainable_table(set_free(fresh(), name)).n_trainable
    print(
        f"{name:<10}{learning[name]:>12,} numbers learn, {learning[name] / learning['head only']:>7,.0f} times the head"
    )
counts = {row.part: row.n_parameters for row in trainable_table(fresh()).rows}
print({name: f"{n / sum(counts.values()):.0%}" for name, n in counts.items()})
six = sum(n for name, n in counts.items() if name.startswith("layer"))
share = counts["embeddings"] / (counts["embeddings"] + six)
outcomes["where"] = (
    "in the table of words" if share > 0.6 else "in the six layers" if share < 0.4 else "about half and half"
)
assert 0.4 < share < 0.6 and list(learning.values()) == sorted(learning.values())

# %% [markdown]
# The table of words holds about as much as all six layers. It is also the part that one message touches least: only the rows of its
# own words get a gradient.
#
# Frozen means **frozen to the bit**. We train, and compare every number.

# %%
model = set_free(fresh(), "top 1")
frozen = {name: value.detach().clone() for name, value in model.named_parameters() if not value.requires_grad}
free = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
train(model, few, settings)
now = dict(model.named_parameters())
print(len(frozen), "frozen tensors,", sum(torch.equal(now[name], value) for name, value in frozen.items()), "unchanged")
changed = sum(not torch.equal(now[name], value) for name, value in free.items())
print(len(free), "free tensors,", changed, "changed")
assert all(torch.equal(now[name], value) for name, value in frozen.items())
assert changed >= len(free) - 1  # the bias of a key has a gradient of 0, but for rounding
del frozen, free, now, model

# %% [markdown]
# ## 5. The baseline first
#
# TF-IDF and logistic regression know nothing but our 560 messages. Lesson 09 chose their settings on dev. All final figures are on the
# **test** messages, 13 of each intent.

# %%
texts = {part: [text for text, _ in each] for part, each in pairs.items()}
wanted = {part: np.array([label for _, label in each]) for part, each in pairs.items()}
started = time.perf_counter()
counting = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
linear = LogisticRegression(C=10, max_iter=2000).fit(counting.fit_transform(texts["train"]), wanted["train"])
guessed = {"TF-IDF": linear.predict(counting.transform(texts["test"]))}
seconds = {"TF-IDF": time.perf_counter() - started}
right = {"TF-IDF": (guessed["TF-IDF"] == wanted["test"]).astype(float)}
print("always the same intent", round(1 / len(names), 2))
print("TF-IDF + logistic regression", bootstrap_interval(right["TF-IDF"]), f"{seconds['TF-IDF']:.1f} s")
assert set(Counter(wanted["test"]).values()) == {13}

# %% [markdown]
# ## 6. A held task, to see what is forgotten
#
# The encoder can do more than sort messages: lesson 01 used it to find passages. What is left of that after tuning? The test: 117
# passages written for clinicians, and the same said in plain words. Each should find its partner among the 117. No message of the
# help desk is like them.

# %%
lines = (COLLECTIONS / "neurology" / "plain_words_pairs.jsonl").read_text(encoding="utf-8").splitlines()
held = [json.loads(line) for line in lines]
print(held[0]["clinician"], "\n  ", held[0]["patient"], "\n")


def held_task(model):
    """Returns (n,) 1 where a passage finds its partner."""
    return matched(*(text_vectors(model, [each[side] for each in held]) for side in ("clinician", "patient")))


untouched = held_task(fresh())
print("partners found before tuning", bootstrap_interval(untouched), f"by chance {1 / len(held):.3f}")
assert untouched.mean() > 0.9

# %% [markdown]
# Almost every one finds it. So nothing can be gained here, only lost: that is what this test is for.

# %% [markdown]
# ## 7. How much should learn?
#
# Now five trainings, from the head alone to all layers. The settings were fixed beforehand: 3 epochs at 2e-4, the new head
# ten times faster. The head alone is cheap, so it gets 20 epochs at 1e-2. (Lesson 11 chooses such numbers on dev.) To save memory, a
# batch is read in parts of at most 256 tokens, whose gradients add up to those of the whole.

# %%
predict(
    LESSON,
    "depth",
    "Which will be right most often on the test messages?",
    ["head only", "the top one or two layers", "four layers or more"],
)
predict(
    LESSON,
    "forgetting",
    "And the held task, after all layers have learned?",
    ["as good as before", "up to a third of the partners lost", "more than a third lost"],
)

# %%
precision = str(compute_dtype()).removeprefix("torch.")  # bfloat16 where the processor has it; weights stay in float32
whole = {"learning_rate": 2e-4, "head_learning_rate": 2e-3, "epochs": 3, "batch_size": 16, "part_tokens": 256}
whole["precision"] = precision
head_alone = {"learning_rate": 1e-2, "epochs": 20, "batch_size": 32}


def tuned(name, seed=13, examples=None):
    """Returns the trained classifier and its seconds; seed: of the new head and of the order of the messages."""
    model = set_free(fresh(seed), name)
    recipe = TrainingSettings(**(head_alone if name == "head only" else whole), seed=seed)
    started = time.perf_counter()
    train(model, examples or pairs["train"], recipe)
    return model, time.perf_counter() - started


# %%
kept, change, memory = {}, {}, {}
for name in freedoms:
    model, seconds[name] = tuned(name)
    guessed[name] = np.array(model.predict(texts["test"]))
    right[name] = (guessed[name] == wanted["test"]).astype(float)
    kept[name] = held_task(model)
    change[name] = paired_difference(kept[name], untouched)
    memory[name] = step_memory(model, pairs["train"][:16])
    del model
    print(f"{name:<10}{seconds[name]:>5.0f} s   accuracy {bootstrap_interval(right[name])}")

# %%
f1 = {name: f1_score(wanted["test"], guessed[name], average="macro") for name in right}
print(f"{'':<10}{'accuracy':<24}{'macro F1':<10}{'seconds':<9}{'MB':<6}held task, change")
for name in right:
    line = f"{name:<10}{bootstrap_interval(right[name])!s:<24}{f1[name]:<10.2f}{seconds[name]:<9.0f}"
    print(line + (f"{memory[name].for_training / 1e6:<6.0f}{change[name]}" if name in memory else ""))

# %%
gain = {name: paired_difference(right[name], right["TF-IDF"]) for name in order}
over_head = {name: paired_difference(right[name], right["head only"]) for name in order[1:]}
for name, each in gain.items():
    print(f"{name:<10} minus TF-IDF {each}", f"  minus head only {over_head[name]}" if name in over_head else "")
deeper = np.mean([right[name] for name in ("top 2", "top 4", "all")], axis=0)  # (n,)
together = paired_difference(deeper, right["TF-IDF"])
print("two layers and more, their mean, minus TF-IDF", together)
best = max(order, key=lambda name: right[name].mean())
groups = {"head only": "head only", "top 1": "the top one or two layers", "top 2": "the top one or two layers"}
outcomes["depth"] = groups.get(best, "four layers or more")
assert all(bootstrap_interval(right[name]).low > 5 / len(names) for name in order)
assert 0.7 < right["TF-IDF"].mean() < 0.8 and together.low > 0
assert all(gain[name].mean > -0.03 and gain[name].low < 0.02 for name in ("head only", "top 1"))
assert all(each.low < 0.02 for each in over_head.values())

# %% [markdown]
# Read the differences, not the ranks. TF-IDF, which trains in a second, gets about three quarters right. The head alone and the top
# layer stand a few points from it, with intervals that reach about zero: on so little data, a baseline may be level. The deeper
# trainings, taken together, are clear of it.
#
# Beside the head alone, **no depth is clear**: each interval reaches down to about zero. The largest of five figures of one seed
# is not yet the best: .03 is five or six messages of 182.

# %%
figure, (left, middle_axes) = plt.subplots(1, 2, figsize=(8, 3.4))
for row, name in enumerate(order):
    for axes, interval, number, marker in (
        (left, bootstrap_interval(right[name]), 0, "o"),
        (middle_axes, change[name], 5, "s"),
    ):
        axes.plot([row, row], [interval.low, interval.high], color=PALETTE[number])
        axes.plot(row, interval.mean, marker, color=PALETTE[number])
level = right["TF-IDF"].mean()
left.axhline(level, color="black", linestyle="--", linewidth=1, label=f"TF-IDF, {level:.2f}")
left.legend(loc="lower right")
middle_axes.axhline(0, color="black", linewidth=0.8)
for axes in (left, middle_axes):
    axes.set_xticks(range(len(order)), order, rotation=30)
left.set(xlabel="what learns", ylabel="accuracy, test", title="what it gains", ylim=(0.7, 0.92))
middle_axes.set(xlabel="what learns", ylabel="change in partners found", title="what it forgets")
figure.tight_layout()
said = "; ".join(
    f"{name}: accuracy {right[name].mean():.2f}, held task {change[name].mean:+.2f} "
    f"from {change[name].low:+.2f} to {change[name].high:+.2f}"
    for name in order
)
show_figure(
    figure, f"Accuracy on the test, TF-IDF at {level:.2f}, and change on the held task, by what learns. {said}."
)

# %%
lost = change["all"].mean
outcomes["forgetting"] = (
    "as good as before"
    if lost > -0.02
    else "up to a third of the partners lost"
    if lost > -untouched.mean() / 3
    else "more than a third lost"
)
fourth = paired_difference(kept["top 4"], kept["top 2"])
print("held task, top 4 minus top 2", fourth)
assert change["head only"].mean == change["head only"].low == change["head only"].high == 0
assert -0.08 < change["top 1"].mean <= 0.01 and -0.13 < change["top 2"].mean <= 0
assert fourth.high < 0 and all(-0.33 < change[name].mean < -0.1 for name in ("top 4", "all"))
assert all(change[name].high < -0.03 for name in ("top 4", "all"))
assert change["all"].mean > change["top 4"].mean - 0.1

# %% [markdown]
# The right-hand panel is another story. The head alone forgets nothing: its encoder is the same to the bit. One free layer costs little, two a
# little more. With four or more, every fourth or fifth partner is lost; free embeddings make it no worse.
#
# The loss asks the vectors for the team, and nothing asks them to keep the rest. So what four layers gain over the head
# alone may be chance, and what they lose is not.

# %%
sizes = [memory[name].for_training for name in order]
for name in ("head only", "top 2", "all"):
    print(f"{name:<10}{memory[name]}")
assert sizes == sorted(sizes) and sizes[0] < 1e6
assert memory["top 2"].activations > memory["top 2"].moments > memory["top 2"].gradients
assert 0.6 < memory["all"].activations / memory["all"].moments < 1.7

# %% [markdown]
# **Memory** is counted tensor by tensor, for a step on 16 messages. Each number that learns needs a gradient and two running means of AdamW (*moments*), 12
# bytes beside its own 4. And backward needs what forward computed: the *activations* of every layer from the lowest free one upwards.
#
# The head needs next to nothing. With two layers free, the activations are the largest share. With all free, the moments are as large: the
# table of words adds 12 million numbers to learn and hardly an activation. Reading a batch in parts shrinks the activations alone.

# %% [markdown]
# ### Another seed
#
# The seed decides the new head and the order of the messages. How far apart do runs lie that differ in nothing else? The cheapest
# choice, with three seeds:

# %%
by_seed = {13: right["head only"]}
for seed in (14, 15):
    model, _ = tuned("head only", seed=seed)
    by_seed[seed] = (np.array(model.predict(texts["test"])) == wanted["test"]).astype(float)
values = [each.mean() for each in by_seed.values()]
spread, over_seeds = max(values) - min(values), bootstrap_interval(np.mean(list(by_seed.values()), axis=0))
print(f"head only, seeds {[f'{value:.3f}' for value in values]}: {spread:.3f} apart; mean {over_seeds}")
assert spread < 0.04 < over_seeds.high - over_seeds.low
del model

# %% [markdown]
# Two kinds of chance. Another seed moves this figure by about a point; another 182 messages could move it by five. More seeds help against the
# first only. A deeper training depends on more random steps, so its seeds deserve the same look. Five seeds of nine choices take an
# hour; `course bench freezing` stored them:

# %%
stored = Path(course_lib.__file__).parents[1] / "benchmarks/results/freezing.json"
sweep = json.loads(stored.read_text(encoding="utf-8"))["figures"] if stored.is_file() else None


def signed(difference):
    return f"{difference['mean']:+.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}]"


if sweep:
    print(f"{sweep['seeds']} seeds, {sweep['n_test']} test messages; in round brackets the lowest and the highest seed")
    print(f"{'':<18}{'accuracy':<21}{'minus TF-IDF':<21}{'minus head only':<21}held task")
    for row in sweep["rows"]:
        label = "head only" if row["frozen"] == 6 else f"top {6 - row['frozen']}" if row["embeddings"] else "all"
        label += f", decay {row['decay']}" if row["decay"] < 1 else ""
        seeds = f"{row['accuracy']['mean']:.2f} ({min(row['by_seed']):.2f} to {max(row['by_seed']):.2f})"
        differences = f"{signed(row['minus_baseline']):<21}{signed(row['minus_head_only']):<21}"
        print(f"{label:<18}{seeds:<21}{differences}{signed(row['forgetting'])}")

# %%
if sweep:
    by_choice = {(row["frozen"], row["embeddings"], row["decay"]): row for row in sweep["rows"]}
    low, *_, high = sorted(row["accuracy"]["mean"] for row in sweep["rows"] if row["decay"] == 1)
    apart = {key: max(row["by_seed"]) - min(row["by_seed"]) for key, row in by_choice.items()}
    print(f"means of the depths {high - low:.3f} apart, seeds of one choice up to {max(apart.values()):.3f}")
    free = [by_choice[key] for key in ((4, True, 1), (2, True, 1), (0, True, 1), (0, False, 1))]
    assert all(by_choice[key]["minus_baseline"]["low"] < 0.02 for key in ((6, True, 1), (5, True, 1)))
    assert all(row["minus_baseline"]["low"] > -0.01 and row["minus_head_only"]["low"] < 0.02 for row in free)
    assert all(row["minus_baseline"]["mean"] > 0.04 for row in free)
    assert max(apart.values()) > 0.6 * (high - low)
    for key in ((2, True), (0, False)):
        halved, plain = by_choice[*key, 0.5], by_choice[*key, 1]
        assert plain["forgetting"]["mean"] / 2 < halved["forgetting"]["mean"] < 0
        assert abs(halved["accuracy"]["mean"] - plain["accuracy"]["mean"]) < 0.04
        assert halved["last_loss"] > plain["last_loss"]
    two, everything = by_choice[4, True, 1], by_choice[0, False, 0.5]
    assert abs(two["forgetting"]["mean"] - everything["forgetting"]["mean"]) < 0.06
    assert two["megabytes"] < 0.3 * everything["megabytes"]

# %% [markdown]
# With five seeds, the answers stay. The head alone and the top layer reach down to TF-IDF; two layers and more lie above it. None of the
# depths is clear of the head alone. And the seeds of one choice can lie about as far apart as the depths do: who compares two single
# runs may be comparing seeds.

# %% [markdown]
# ## 8. Frozen layers are read once
#
# A frozen layer makes the same of a message in every epoch. So `train` reads each message through the frozen layers once and keeps what
# comes out. With five of six layers frozen, an epoch is then one layer's work.

# %%
predict(
    LESSON,
    "kept",
    "Five layers frozen, 6 epochs. Keeping their activations makes training how much faster?",
    ["hardly", "about twice or three times as fast", "ten times as fast"],
)

# %%
kept_runs = {}
for cache in (False, True):
    model = set_free(fresh(), "top 1")
    recipe = TrainingSettings(**{**whole, "epochs": 6, "precision": "float32"}, cache=cache, min_per_class=0)
    started = time.perf_counter()
    kept_runs[cache] = train(model, pairs["train"][:96], recipe), time.perf_counter() - started
    print(
        f"{'kept' if cache else 'read each time':<15}{kept_runs[cache][1]:.1f} s, frozen layers kept: {kept_runs[cache][0].cached_layers}"
    )
faster = kept_runs[False][1] / kept_runs[True][1]
outcomes["kept"] = (
    "hardly" if faster < 1.3 else "about twice or three times as fast" if faster < 5 else "ten times as fast"
)
gap = np.abs(np.subtract(kept_runs[True][0].losses, kept_runs[False][0].losses)).max()
tokens = sum(len(row["input_ids"]) for row in fresh().tokenise([text for text, _ in pairs["train"][:96]]))
print(f"{faster:.1f} times as fast, one run of each; largest difference of a loss {gap:.0e}")
print(f"{tokens * 384 * 4 / 1e6:.0f} MB are kept for {tokens:,} tokens")
assert gap < 1e-3 and kept_runs[True][0].cached_layers == 5
del model

# %% [markdown]
# The losses are the same to rounding. The gain can be counted: going back through a layer costs about two readings of it, so six epochs
# cost 6 x (6 + 2) = 48 readings of a layer, and with the activations kept 5 + 6 x (1 + 2) = 23. That is half. (One run of each is
# noisy; repeats stand in `docs/benchmarks/frozen_activations.md`.) The price is memory, 384 numbers a token, which suits thousands of
# messages and not millions.

# %% [markdown]
# ## 9. Break it
#
# **Shuffle the labels.** If the score came from anything but the link between text and label, it would survive. **Freeze everything.** Then
# nothing can change.

# %%
predict(
    LESSON,
    "shuffled",
    "The head trained on shuffled labels: how often is it right on the test?",
    ["about 1 in 14", "about half as often as before", "as often as before"],
)

# %%
shuffled = np.random.default_rng(13).permutation(wanted["train"]).tolist()
model, _ = tuned("head only", examples=list(zip(texts["train"], shuffled, strict=True)))
by_luck = (np.array(model.predict(texts["test"])) == wanted["test"]).astype(float)
by_heart = (np.array(model.predict(texts["train"])) == np.array(shuffled)).astype(float)
print("on the test", bootstrap_interval(by_luck), f"   chance {1 / len(names):.2f}")
print("on the shuffled labels that it saw", bootstrap_interval(by_heart))
outcomes["shuffled"] = "about 1 in 14" if by_luck.mean() < 0.2 else "about half as often as before"
assert bootstrap_interval(by_luck).low < 1 / len(names) + 0.03 and by_luck.mean() < 0.2
assert bootstrap_interval(by_heart).low > 0.5
del model

# %%
model = fresh()
model.requires_grad_(False)
weights = {name: float(value.double().sum()) for name, value in model.state_dict().items()}
try:
    train(model, few, settings)
except ValueError as error:
    print(error)
assert all(float(value.double().sum()) == weights[name] for name, value in model.state_dict().items())
del model

# %% [markdown]
# Both break as they should. The head learned most of the shuffled labels by heart, and there was nothing in them to carry over to new
# messages: that is why only unseen ones count. And a run in which nothing can learn would end with a report like any other; so the
# course refuses to start it.

# %% [markdown]
# ## 10. Try it
#
# Choose how many layers are frozen, whether the embeddings are, and how the rate falls from layer to layer. The bars show which numbers
# learn and how fast; the table shows what was measured. Where does most of the model lie? What does the second free layer cost, and what does it
# bring? Tab moves between the controls, the arrow keys slide, the space bar ticks.

# %%
live = [
    FreezingRow(
        Choice(freedoms[name] or 0, freedoms[name] is not None),
        bootstrap_interval(right[name]),
        f1[name],
        seconds[name],
        memory[name].for_training / 1e6,
        change[name],
    )
    for name in order
]
table = trainable_table(fresh()).rows
freezing_explorer_demo(FreezingExplorer().fit(table, rows_from(sweep) if sweep else live), choice=Choice(4))

# %% [markdown]
# A **rate for each layer** is freezing by degrees: with decay 0.5, each layer learns half as fast as the one above it
# (`TrainingSettings(layer_decay=0.5)`). In the stored table of section 7, decay 0.5 loses less than half as much of the held task as one rate for
# all, at about the same accuracy: the lowest layers hardly move. Part of it is a smaller step altogether, for its training loss ends
# higher, too. Two free layers at one rate lose as little, at a quarter of the memory (`docs/benchmarks/freezing.md`).

# %% [markdown]
# ## 11. When it goes wrong
#
# **A gradient of zero is not frozen.** Someone sets gradients to 0 instead of freezing. AdamW's weight decay does not ask about gradients:

# %%
weight = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.1)
for _ in range(10):
    weight.grad = torch.zeros(3)
    optimizer.step()
print("a weight of 1 after ten updates with gradient 0:", round(float(weight[0].detach()), 3))
assert float(weight[0].detach()) < 0.95

# %% [markdown]
# Other traps, and what the course says to them:
#
# - **Free embeddings under frozen layers**: the gradient would pass through all layers to reach them.
# - **A class without examples**: the head cannot learn what it never sees.
# - **A label nobody knows**, often a typing error.
# - **Predictions of a model in training mode**: dropout is on, and each call gives another answer.
# - **The vectors of a tuned encoder beside an old index**: similarities between two spaces mean nothing. Embed everything again.

# %%
for attempt in (
    lambda: freeze(fresh(), 3, embeddings=False),
    lambda: train(fresh(), few[2:], settings),
    lambda: train(fresh(), [("My bill is wrong", "biling_dispute"), *few], settings),
):
    try:
        attempt()
    except ValueError as error:
        print("-", error)

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# ## Summary
#
# - A step is forward, loss, backward, update. By hand or in Trainer, the losses are the same.
# - The loss of a new, untrained output layer is the logarithm of the number of classes.
# - Frozen weights stay the same to the bit, need no gradients, are read once.
# - On 560 messages no depth was clear of the head alone, and the head alone not of TF-IDF: begin there.
# - Four free layers lost every fourth or fifth partner in a task that nobody trained for, the head none, rates that halve from layer to
#   layer few. If a search uses the encoder, too, freeze it or keep a copy.
# - A few points, on one seed and 182 messages, are no difference yet.

# %% [markdown]
# **Exercise**: `my_work/10_fine_tuning.ipynb`, seven functions. **Next**: lesson 11 chooses rate, batch size and epochs, and stops in time.
#
# **Read more**: Rumelhart, Hinton & Williams (1986), *Learning representations by back-propagating errors*; Loshchilov & Hutter (2019), *Decoupled
# weight decay regularization*; Howard & Ruder (2018), *Universal language model fine-tuning for text classification*; Lee, Tang &
# Lin (2019), *What would Elsa do? Freezing layers during transformer fine-tuning*.

# %% [markdown]
# # 12 LoRA: tune a model by a small addition
#
# Lesson 10 tuned a whole encoder, or froze most of it. LoRA does neither. It freezes everything, and adds to some
# matrices a product of two thin ones, which learn. What does that cost, and what does it lose?
#
# **You will** build the low-rank update by hand, equal to the library peft; measure it beside full and frozen tuning and a
# baseline; see where in the model it has to go and when it breaks; merge it and take it out again; and switch between two tasks on one
# model.
#
# **You need** lesson 10. {{measured}}

# %%
import copy
import json
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import peft
import torch
from matplotlib import pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from torch import nn

import course_lib
from course_lib.assets.models import compute_dtype, load_encoder
from course_lib.core.seeds import SEED
from course_lib.corpus.load import SHELVES
from course_lib.corpus.messages import load_messages
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.tuning.adapters import AdapterError, Adapters, load_adapter, save_adapter
from course_lib.tuning.freezing import freeze, trainable_table
from course_lib.tuning.heads import TextClassifier, new_classifier, new_head
from course_lib.tuning.lora import LoRALinear, add_lora, lora_layers, lora_size, matching
from course_lib.tuning.merging import merge, merged_weight, unmerge
from course_lib.tuning.training import TrainingSettings, train
from course_lib.widgets.lora_explorer import lora_explorer_demo
from course_lib.widgets.predictions import compare_predictions, predict
from course_lib.widgets.show import PALETTE, show_figure

LESSON = "12_lora"
outcomes = {}
scratch = Path(tempfile.mkdtemp())

# %% [markdown]
# ## 1. A change with few numbers
#
# A linear layer multiplies by a matrix $W$. Tuning changes it to $W + \Delta W$. LoRA allows only changes of the form
#
# $$\Delta W = \frac{\alpha}{r} B A$$
#
# where $B$ has $r$ columns and $A$ has $r$ rows. How many numbers is that?

# %%
predict(
    LESSON,
    "count",
    "A matrix has 384 x 384 numbers; B is 384 x 8 and A is 8 x 384. How many do they hold, beside the matrix?",
    ["about half as many", "about 4 in 100", "about 4 in 1,000"],
)

# %%
d_out, d_in = 384, 384
for rank in (1, 8, 64, 192):
    size = rank * d_out + rank * d_in
    print(f"rank {rank:>3}: {size:>7,} numbers, {size / (d_out * d_in):.1%} of {d_out * d_in:,}")
    assert size == lora_size(d_in, d_out, rank)
assert 0.03 < lora_size(d_in, d_out, 8) / (d_out * d_in) < 0.05
outcomes["count"] = "about 4 in 100"

# %% [markdown]
# The count grows with the sides of the matrix, not with its area, so that larger models save more. At half the side nothing is
# saved any more.
#
# The product never needs to be formed. $x$ goes down through $A$ to $r$ numbers, then up through $B$.

# %%
rng = np.random.default_rng(SEED)
n, d_in, d_out, rank, alpha = 3, 6, 5, 2, 4
x, W = rng.normal(size=(n, d_in)), rng.normal(size=(d_out, d_in))
A, B = rng.normal(size=(rank, d_in)), rng.normal(size=(d_out, rank))
beside = x @ W.T + alpha / rank * (x @ A.T) @ B.T  # (n, d_out)
change = alpha / rank * B @ A  # (d_out, d_in)
inside = x @ (W + change).T  # (n, d_out)
print(f"largest difference {np.abs(beside - inside).max():.0e}, rank of the change {np.linalg.matrix_rank(change)}")
assert np.allclose(beside, inside) and np.linalg.matrix_rank(change) == rank

# %% [markdown]
# Two ways to compute the same. *Beside* the matrix, while it learns: $W$ stays as it is. *Inside* it, once it has learnt: the layer
# then costs what it did before. Section 9 does that.

# %% [markdown]
# ## 2. B begins at zero
#
# A few lines of torch make it a layer.


# %%
class MyLoRA(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scaling = base.requires_grad_(False), alpha / rank
        self.A = nn.Parameter((torch.rand(rank, base.in_features) * 2 - 1) / base.in_features**0.5)
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + self.scaling * x @ self.A.T @ self.B.T


# %%
torch.manual_seed(SEED)
x, target = torch.randn(16, 96), torch.randn(16, 64)
mine = MyLoRA(nn.Linear(96, 64), rank=8, alpha=16)
print("before the first update, the same bits as the frozen layer:", torch.equal(mine(x), mine.base(x)))
assert torch.equal(mine(x), mine.base(x))

# %% [markdown]
# With $B = 0$ the update is nothing: training starts at the model as it was, not at a damaged one. But can anything learn that is
# multiplied by zero?

# %%
predict(
    LESSON,
    "gradient",
    "A is random, B is zero. Which of them gets a gradient other than zero in the first step?",
    ["both", "A alone", "B alone", "neither"],
)


# %%
def gradients(layer):
    layer.zero_grad()
    ((layer(x) - target) ** 2).mean().backward()
    return {name: round(float(getattr(layer, name).grad.abs().max()), 6) for name in "AB"}


first = gradients(mine)
with torch.no_grad():
    mine.B -= 0.1 * mine.B.grad
print("largest gradient at the start", first, "and after one update", gradients(mine))
assert first["A"] == 0 < first["B"] and gradients(mine)["A"] > 0
outcomes["gradient"] = "B alone"
with torch.no_grad():
    both_zero = MyLoRA(nn.Linear(96, 64), rank=8, alpha=16)
    both_zero.A.zero_()
assert gradients(both_zero) == {"A": 0.0, "B": 0.0}

# %% [markdown]
# The gradient of $A$ passes through $B$, and that of $B$ through $A$. So $B$ moves first, and from the second step on both do. With both at
# zero neither would ever move: one must start random.
#
# **Why alpha / rank?** We give layers of several ranks one AdamW step each, at the same rate, and look at how far the
# output moves.


# %%
def moved(rank, alpha, rslora=False):
    layer = LoRALinear(mine.base, rank, alpha, rslora=rslora)
    optimizer, before = torch.optim.AdamW([layer.A, layer.B], lr=1e-3), layer(x).detach()
    ((layer(x) - target) ** 2).mean().backward()
    optimizer.step()
    return float((layer(x) - before).detach().abs().mean())


ranks = (1, 4, 16, 64)
for name, moves in (
    ("1", [moved(rank, alpha=rank) for rank in ranks]),
    ("alpha / rank", [moved(rank, alpha=16) for rank in ranks]),
    ("alpha / sqrt(rank)", [moved(rank, alpha=16, rslora=True) for rank in ranks]),
):
    print(f"scaling {name:<19}", "  ".join(f"rank {r}: x{m / moves[0]:.1f}" for r, m in zip(ranks, moves, strict=True)))
assert 8 < moved(64, alpha=64) / moved(1, alpha=1) < 64
assert moved(64, alpha=16) < moved(1, alpha=16) and moved(64, alpha=16, rslora=True) > moved(1, alpha=16, rslora=True)

# %% [markdown]
# Unscaled, the step grows with the rank, faster than its root and slower than itself. Dividing by the rank takes back somewhat too much,
# by its root (*rsLoRA*) somewhat too little. Either way, one learning rate then serves several ranks.
#
# Many recipes set alpha to twice the rank for each rank, as we do below. The scaling is then 2 whatever the rank: alpha is a second learning rate.

# %% [markdown]
# ## 3. Equal to peft
#
# peft puts a LoRA of rank 8 on every query and value matrix of MiniLM, with a random B so that there is something to compare. It writes its file,
# and we read it.

# %%
RANK, ALPHA, QUERY_VALUE = 8, 16, ["query", "value"]
tokenizer, encoder = load_encoder()
config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=QUERY_VALUE, init_lora_weights=False)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what peft's next version will do
    theirs = peft.get_peft_model(copy.deepcopy(encoder), config).eval()
    theirs.save_pretrained(str(scratch / "peft"), save_embedding_layers=False)
ours = load_adapter(copy.deepcopy(encoder), scratch / "peft", trainable=True).eval()
print(len(lora_layers(ours)), "layers:", ", ".join(matching(encoder, QUERY_VALUE)[:2]), "...")
batch = tokenizer([m.text for m in load_messages("dev")[:4]], padding=True, return_tensors="pt")
outputs = [model(**batch).last_hidden_state for model in (ours, theirs)]  # (n, n_tokens, dim) each
apart = float((outputs[0] - outputs[1]).abs().max().detach())
changed = float((outputs[0] - encoder(**batch).last_hidden_state).abs().max().detach())
print(f"outputs: at most {apart:.0e} apart, while the adapter changes them by up to {changed:.1f}")
assert 100 * apart < changed and apart < 1e-3

# %%
for out in outputs:
    (out * torch.linspace(-1, 1, out.shape[-1])).sum().backward()
named = dict(theirs.named_parameters())
worst = 0.0
for path, layer in lora_layers(ours).items():
    for side in "AB":
        partner = named[f"base_model.model.{path}.lora_{side}.default.weight"].grad
        value = getattr(layer, side).grad
        worst = max(worst, float((value - partner).norm() / partner.norm()))
print(f"gradients of {2 * len(lora_layers(ours))} matrices: at most {worst:.0e} of their size apart")
assert worst < 1e-3
del theirs, ours, outputs, named

# %% [markdown]
# The same numbers forwards and backwards, and the same files. From here on we use the course's layer, which can be read in one page:
# `course_lib/tuning/lora.py`.

# %% [markdown]
# ## 4. Fourteen intents, five ways
#
# The messages of lesson 10: 560 to train, 182 to test. LoRA goes to two places: query and value, as in its paper, and all linear
# layers of the encoder. Learning rates were chosen on **dev** (section 5), for each way its own; both LoRAs got the same. Nothing is chosen on
# the test split.

# %%
examples = {split: [(m.text, m.intent) for m in load_messages(split)] for split in ("train", "dev", "test")}
texts = {split: [text for text, _ in each] for split, each in examples.items()}
truth = {split: np.array([label for _, label in each]) for split, each in examples.items()}
LABELS = sorted(set(truth["train"]))
PLACED = {"LoRA q, v": QUERY_VALUE, "LoRA linear": ["query", "key", "value", "dense"]}
WAYS = ["head only", *PLACED, "all layers"]
RATES = {"head only": 1e-2, "LoRA": 2e-3, "LoRA, all linear layers": 2e-3, "all layers": 1e-4}
PRECISION = str(compute_dtype()).removeprefix("torch.")


def settings(way, epochs=4):
    rate = RATES["LoRA" if way in PLACED else way]
    if way == "head only":
        return TrainingSettings(learning_rate=rate, epochs=20, precision=PRECISION)
    shape = {"epochs": epochs, "part_tokens": 1024, "precision": PRECISION}
    return TrainingSettings(learning_rate=rate, head_learning_rate=3e-3, **shape)


def untrained(way):
    model = new_classifier(tokenizer, encoder, LABELS)
    if way in PLACED:
        add_lora(model.encoder, RANK, ALPHA, targets=PLACED[way])
    return freeze(model, 6) if way == "head only" else model


# %%
print(trainable_table(untrained("LoRA linear")))
assert trainable_table(untrained("LoRA linear")).share < 0.02

# %% [markdown]
# Each layer learns its $A$ and $B$, and the head learns whole: `add_lora` froze the encoder only. All that learns is under 2 %.

# %%
predict(
    LESSON,
    "accuracy",
    "LoRA on all linear layers: 1.5 % of the numbers learn. How does it compare with tuning all layers, on test?",
    ["clearly worse", "about the same", "clearly better"],
)

# %%
models, counts, seconds, losses, guesses = {}, {}, {}, {}, {}
for way in WAYS:
    model = untrained(way)
    result = train(model, examples["train"], settings(way))
    counts[way], seconds[way], losses[way] = trainable_table(model), 60 * result.minutes, np.mean(result.losses[-10:])
    guesses[way] = np.array(model.predict(texts["test"]))
    if way in ("LoRA linear", "all layers"):
        models[way] = model  # the other two are not needed any more
    del model, result
started = time.perf_counter()
counting = make_pipeline(
    TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10.0, max_iter=300, random_state=SEED)
)
counting.fit(texts["train"], truth["train"])
guesses["TF-IDF"], seconds["TF-IDF"] = counting.predict(texts["test"]), time.perf_counter() - started

# %%
right = {way: (guess == truth["test"]).astype(float) for way, guess in guesses.items()}
print(f"{'way':<12}{'accuracy':<25}{'macro F1':<10}{'trained':>10}{'s':>7}   training loss at the end")
for way, each in right.items():
    macro = f1_score(truth["test"], guesses[way], average="macro")
    line = f"{way:<12}{bootstrap_interval(each)!s:<25}{macro:<10.2f}"
    learnt = f"{counts[way].n_trainable:>10,}" if way in counts else f"{'':>10}"
    print(f"{line}{learnt}{seconds[way]:>7.1f}" + (f"   {losses[way]:.2f}" if way in losses else ""))

# %%
gaps = {way: paired_difference(right[way], right["all layers"]) for way in right if way != "all layers"}
for way, gap in gaps.items():
    print(f"{way:<12}minus all layers, message by message: {gap}")
gap = gaps["LoRA linear"]
outcomes["accuracy"] = (
    "about the same" if not gap.clear_of_zero else "clearly worse" if gap.mean < 0 else "clearly better"
)
assert gap.low < 0.03 and gap.high > -0.03 and counts["LoRA linear"].share < 0.02
assert right["LoRA linear"].mean() > right["TF-IDF"].mean() and losses["LoRA q, v"] > 2 * losses["LoRA linear"]
assert max(each.high - each.low for each in gaps.values()) > 0.06

# %% [markdown]
# LoRA on all linear layers teaches under 2 % of the numbers, and one run of it is level with one run of tuning them all. TF-IDF is behind both. The head
# alone comes near: the vectors were good before. Differences under about .05 cannot be told from chance with 182 messages.
#
# On query and value, the training loss ends several times as high: in the same four epochs, less was learnt there.
#
# The seconds shrink far less than the numbers. The forward pass is whole, and the gradient still travels down to the lowest adapter. The
# head alone is fast because what lies below it is computed once (lesson 10).

# %% [markdown]
# Did the frozen weights stay? We compare every one with the model that was loaded.

# %%
now, loaded = models["LoRA linear"].encoder.state_dict(), encoder.state_dict()
frozen = {name: value for name, value in now.items() if not name.endswith((".A", ".B"))}
same = [torch.equal(value, loaded[name.replace(".base.", ".")]) for name, value in frozen.items()]
print(f"{sum(same)} of {len(same)} frozen tensors have the same bits as before training")
assert all(same)

# %% [markdown]
# **Memory.** AdamW keeps, for each number that learns, its gradient and two running means. In float32 that is
# $4\,(n + 3\,n_{\mathrm{trained}})$ bytes, activations not counted.

# %%
state_mb = {way: 4 * (table.n_parameters + 3 * table.n_trainable) / 1e6 for way, table in counts.items()}
for way, table in counts.items():
    shipped = 4 * table.n_trainable / 1e6
    print(f"{way:<12}{state_mb[way]:>5.0f} MB while training, {shipped:>6.2f} MB to ship for the task")
assert state_mb["all layers"] > 3.5 * state_mb["LoRA linear"]

# %% [markdown]
# A quarter, almost: the weights themselves remain, the three copies go. What is shipped for a task shrinks far more.

# %% [markdown]
# ## 5. Several seeds
#
# One run is one draw: another seed gives another head, another A and another order. `course bench lora_sweep` chose the rates on dev, and
# trained each way with five seeds; "LoRA" alone is on query and value. Its result is stored with the course.

# %%
results = Path(course_lib.__file__).parents[1] / "benchmarks/results"
stored = results / "lora_sweep.json"
sweep = json.loads(stored.read_text("utf-8")) if stored.is_file() else None


def words(row):
    value, seeds = row["accuracy"], row["by_seed"]
    interval = f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{interval}  seeds {min(seeds):.3f} to {max(seeds):.3f}"


if sweep is None:
    print("The stored result is not here; in the course's repository: python course.py bench lora_sweep")
else:
    figures = sweep["figures"]
    print(
        f"measured {sweep['date']} on {sweep['machine']['processor']}, seeds {figures['seeds']}, n={figures['n_test']}"
    )
    for way, row in figures["test"].items():
        peak = f"  peak {row['peak_gb']:.2f} GB" if "peak_gb" in row else ""
        print(f"{way:<30}{words(row)}{peak}")
        if "minus_all_layers" in row:
            less = row["minus_all_layers"]
            print(f"{'':<30}minus all layers {less['mean']:+.3f} [{less['low']:+.3f}, {less['high']:+.3f}]")

# %%
if sweep:
    on_test, tried = figures["test"], figures["rates_tried_on_dev"]
    less = {way: row["minus_all_layers"] for way, row in on_test.items() if "minus_all_layers" in row}
    spread = {way: max(row["by_seed"]) - min(row["by_seed"]) for way, row in on_test.items()}
    for way, rates in tried.items():
        print(f"{way:<25}right on dev by rate: {rates}, chosen {figures['rates'][way]:g}")
    assert figures["rates"] == RATES
    assert less["LoRA"]["high"] < 0 and less["TF-IDF + logistic regression"]["high"] < 0
    linear = less["LoRA, all linear layers"]
    assert linear["low"] < 0 < linear["high"] and linear["mean"] > less["LoRA"]["mean"] + 0.02
    within = on_test["all layers"]["accuracy"]
    assert within["low"] < on_test["LoRA, all linear layers"]["accuracy"]["mean"] < within["high"]
    assert on_test["LoRA, all linear layers"]["share"] < 0.02
    alone = less["head only"]
    assert alone["low"] < 0 < alone["high"] and alone["high"] - alone["low"] > 1.5 * (linear["high"] - linear["low"])
    assert on_test["LoRA"]["accuracy"]["mean"] < on_test["head only"]["accuracy"]["mean"]
    assert spread["LoRA"] > 5 * spread["head only"]
    saved = on_test["all layers"]["peak_gb"] - on_test["LoRA"]["peak_gb"]
    by_formula = (on_test["all layers"]["state_mb"] - on_test["LoRA"]["state_mb"]) / 1000
    assert abs(saved - by_formula) < 0.1

# %% [markdown]
# LoRA on **all linear layers** teaches 1.5 % of the numbers and stands within the interval of tuning them all; the paired
# difference reaches across 0. Its mean is a little lower: would more messages show a loss?
#
# On **query and value** it stays clearly below: that interval ends before 0. It is not above the head alone either, at many times the numbers
# and the seconds. Its seeds lie far apart, those of the head close together: with one seed each, two settings of LoRA cannot be told apart.
#
# The head alone is not clearly below either, but its interval is the wider one: it errs on other messages than all layers do.
#
# The difference of the measured peaks is about what the formula says. The rest of the peak, libraries, weights and activations, LoRA
# pays as well. Section 7 looks at place and rank apart.

# %%
if (results / "banking77.json").is_file():
    bank = json.loads((results / "banking77.json").read_text("utf-8"))["figures"]
    print(
        f"Banking77, {bank['n_train']:,} messages to train, {bank['n_classes']} intents, official test, n={bank['n_test']:,}"
    )
    for way, row in bank["rows"].items():
        line = f"{way:<30}{row['accuracy']['mean']:.3f}"
        if "minus_all_layers" in row:
            less = row["minus_all_layers"]
            line += f"   minus all layers {less['mean']:+.3f} [{less['low']:+.3f}, {less['high']:+.3f}]"
        print(line)
    wide = bank["rows"]["LoRA, all linear layers"]
    assert wide["minus_all_layers"]["mean"] > -0.02 and wide["minus_all_layers"]["high"] < 0 and wide["share"] < 0.02
    assert wide["minus_baseline"]["low"] > 0.02

# %% [markdown]
# They do. On the public Banking77, with eighteen times the messages, LoRA at a rate that nobody tuned is one point below all layers (one run of each), and far above
# TF-IDF. "Level" always has a size: here, a point or two.

# %% [markdown]
# On a language model the same layer is trained by `CausalTuner`, which computes logits only where there is a label.

# %%
if (results / "lora_step.json").is_file():
    step = json.loads((results / "lora_step.json").read_text("utf-8"))["figures"]["Trainer"]
    speed, ratio = step["tokens_per_second"], step["ratio"]
    print(
        f"SmolLM2, {step['trainable']:,} numbers learn: {speed['course']} tokens/s, peft with Trainer {speed['Trainer']};"
    )
    print(f"ratio of {step['n']} steps in turn: median {ratio['median']} [{ratio['low']} to {ratio['high']}]; ", end="")
    print(f"losses at most {step['largest_difference_of_losses']:.2f} apart, in bfloat16")
    assert ratio["median"] >= 1.5 and step["largest_difference_of_losses"] < 0.1

# %% [markdown]
# `docs/benchmarks/lora_step.md` says what is left out: padding, and logits that no label asks for. The curves of the loss agree.

# %% [markdown]
# ## 6. Why low rank may do
#
# Full tuning was free to change each matrix in any direction. Which did it use? Any matrix is a sum of rank-1 pieces, each with a
# size, its **singular value**. The share of their squares that the first $r$ hold says how much of the change a rank of $r$ could express, at best.

# %%
tuned = models["all layers"].encoder.state_dict()
linears = [f"{path}.weight" for path in lora_layers(models["LoRA linear"].encoder)]
pieces = {name: torch.linalg.svd(tuned[name] - loaded[name], full_matrices=False) for name in linears}
chance = torch.linalg.svdvals(torch.randn(384, 384, generator=torch.Generator().manual_seed(SEED)))


def kept(values, rank):
    return float((values[:rank] ** 2).sum() / (values**2).sum())


shares = {rank: [kept(each.S, rank) for each in pieces.values()] for rank in (1, 2, 4, 8, 16, 64)}
print(f"share of the squared change that a rank keeps, {len(linears)} matrices")
for rank, each in shares.items():
    print(f"rank {rank:>2}: mean {np.mean(each):.2f}, {min(each):.2f} to {max(each):.2f}", end="; ")
    print(f"a random 384 x 384 {kept(chance, rank):.2f}")
assert min(shares[8]) > 2 * kept(chance, 8)

# %%
figure, axes = plt.subplots(figsize=(6.4, 3.4))
drawn = {f"layer {number + 1}": f"encoder.layer.{number}.attention.self.query.weight" for number in (0, 5)}
for (label, name), colour, style in zip(drawn.items(), PALETTE, ("-", "--"), strict=False):
    values = pieces[name].S / pieces[name].S.norm()
    axes.plot(range(1, 65), values[:64], style, color=colour, label=f"query of {label}")
axes.plot(range(1, 65), (chance / chance.norm())[:64], ":", color=PALETTE[7], label="random matrix")
axes.set(xlabel="number of the singular value, of 384", ylabel="size, as a share of the norm", ylim=(0, None))
axes.set_title("What full tuning changed")
axes.legend()
show_figure(
    figure,
    "Singular values of the change of two query matrices, falling: the first holds "
    + " and ".join(
        f"{float(pieces[name].S[0] / pieces[name].S.norm()):.2f} of the norm in {label}"
        for label, name in drawn.items()
    )
    + f"; of a random matrix {float(chance[0] / chance.norm()):.2f}, almost level after it.",
)

# %% [markdown]
# The change is far from random: its first eight directions hold several times what they would hold by chance. The tail is long all the same,
# because AdamW moves every number by about the learning rate at each step. And a share of the squares is no share of what helps. So
# we cut the change, and ask the model.

# %%
cut, by_rank = models["all layers"], {}
for rank in (0, 1, 4, 16, 384):  # the last puts all of the change back
    with torch.no_grad():
        for name, (u, s, vh) in pieces.items():
            change = (u[:, :rank] * s[:rank]) @ vh[:rank]  # (d_out, d_in)
            cut.encoder.get_parameter(name).copy_(loaded[name] + change)
    by_rank[rank] = (np.array(cut.predict(texts["dev"])) == truth["dev"]).astype(float)
    print(f"each change cut to rank {rank:>3}: accuracy on dev {bootstrap_interval(by_rank[rank])}")
for rank in (1, 16):
    print(f"rank {rank} minus all of it: {paired_difference(by_rank[rank], by_rank[384])}")
assert paired_difference(by_rank[1], by_rank[384]).high < 0 and paired_difference(by_rank[16], by_rank[384]).low > -0.12
assert by_rank[16].mean() > by_rank[4].mean() and by_rank[4].mean() < by_rank[0].mean() + 0.05
sizes_of_change = pieces["encoder.layer.5.attention.self.query.weight"].S.numpy()
del pieces, cut, u, s, vh, change, tuned

# %% [markdown]
# At rank 0 the linear layers are as they were before; head, biases, norms and word table are the tuned ones. A cut to rank 1 is clearly worse than the whole change, and
# up to rank 4 the cut is worth hardly more than leaving the change out. At rank 16, of 384, the model is nearly whole again.
#
# A cut after training is a stricter test than LoRA: it keeps the largest directions, while LoRA trains its few directions to work
# together.

# %% [markdown]
# ## 7. Which rank, and where?
#
# The stored sweep, on **dev**, three seeds each.

# %%
predict(
    LESSON,
    "placement",
    "Rank 8 on query and value: which change helps more on dev?",
    ["rank 64, in the same place", "the same rank, on all linear layers", "neither helps"],
)

# %%
if sweep:
    on_dev, by_place = figures["dev"], figures["placements"]
    by_rank_of = {"query and value": figures["ranks"], "all linear layers": figures["ranks_all_linear"]}
    print(f"{'accuracy on dev, n=' + str(figures['n_dev']):<31}{'learn':>11}")
    for place, rows in by_rank_of.items():
        for rank, row in rows.items():
            print(f"{place + ', rank ' + rank:<31}{row['trainable']:>11,}  {words(row)}")
    for name, row in {**by_place, **on_dev}.items():
        if name not in by_rank_of:
            print(f"{name:<31}{row['trainable']:>11,}  {words(row)}")
outcomes["placement"] = "the same rank, on all linear layers"

# %%
if sweep:
    attention, everywhere = ({int(rank): row for rank, row in rows.items()} for rows in by_rank_of.values())
    mean = {
        place: {int(rank): row["accuracy"]["mean"] for rank, row in rows.items()} for place, rows in by_rank_of.items()
    }
    flat, rising = mean["query and value"], mean["all linear layers"]
    head, whole = on_dev["head only"]["accuracy"]["mean"], on_dev["all layers"]["accuracy"]["mean"]
    assert min(everywhere[8]["by_seed"]) > max(value for row in attention.values() for value in row["by_seed"])
    assert everywhere[8]["trainable"] < attention[64]["trainable"] and everywhere[8]["share"] < 0.02
    assert all(abs(value - head) < 0.03 for value in flat.values())
    assert max(flat[rank] for rank in (1, 2, 4, 8, 16)) - min(flat.values()) < 0.02
    assert rising[1] < rising[2] < rising[4] < rising[8] and abs(rising[16] - rising[8]) < 0.01
    assert max(everywhere[1]["by_seed"]) < min(everywhere[8]["by_seed"]) and abs(rising[1] - head) < 0.02
    assert abs(rising[8] - whole) < 0.02
    twice, once = by_place["query, twice the rank"], by_place["query"]
    assert twice["trainable"] == by_place["query and value"]["trainable"]
    assert abs(twice["accuracy"]["mean"] - once["accuracy"]["mean"]) < 0.01

# %%
if sweep:
    figure, axes = plt.subplots(figsize=(6.4, 3.8))
    looks = ((PALETTE[0], "o", 0.97), (PALETTE[5], "s", 1.03))  # beside each other, so that no interval hides one
    for (place, rows), (colour, marker, aside) in zip(by_rank_of.items(), looks, strict=True):
        at = [int(rank) * aside for rank in rows]
        values = [row["accuracy"] for row in rows.values()]
        axes.vlines(at, [v["low"] for v in values], [v["high"] for v in values], color=colour, alpha=0.4)
        axes.plot(at, [v["mean"] for v in values], marker + "-", color=colour, label=place)
        for x_at, row in zip(at, rows.values(), strict=True):
            axes.plot([x_at * aside**2] * len(row["by_seed"]), row["by_seed"], marker, color=colour, markersize=3)
    for way, style in (("all layers", "--"), ("head only", ":")):
        axes.axhline(on_dev[way]["accuracy"]["mean"], color=PALETTE[7], linestyle=style, label=way)
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 2, 4, 8, 16, 64], ["1", "2", "4", "8", "16", "64"])
    axes.set(
        xlabel="rank",
        ylabel=f"accuracy on dev, n={figures['n_dev']}",
        title="Which rank is enough depends on the place",
    )
    axes.legend(fontsize=8, loc="lower center", ncols=2)
    said = "; ".join(
        f"{place}: " + ", ".join(f"rank {rank} {value:.2f}" for rank, value in values.items())
        for place, values in mean.items()
    )
    show_figure(figure, f"Accuracy on dev by rank and place. {said}. All layers {whole:.2f}, head only {head:.2f}.")

# %% [markdown]
# The **place** first. On query and value the rank hardly matters: from 1 to 16, the means stay within .02 of each other and near the head
# alone. No rank breaks it, because it has gained nothing that could be lost. Twice the rank on the query does not help either. Rank 8 on
# all linear layers has fewer numbers than rank 64 on query and value, and each of its seeds is above each seed there. Dettmers et al. (2023)
# report the same of large language models: to reach full tuning, all linear layers are needed.
#
# Then the **rank**. On all linear layers each doubling gains about a point and a half, up to rank 8, which stands where tuning all layers stands.
# Sixteen adds nothing. At rank 1 it breaks: what is left is the accuracy of the head alone.

# %% [markdown]
# ## 8. Try it
#
# **Set** the rank, the placement and alpha. The picture draws the matrix and its two thin ones to scale, the singular values of the change that full tuning made to
# one query matrix, and what was measured on dev. Which rank keeps half of the change? Tab moves between the fields, the arrow
# keys move a slider; Space opens the menu.

# %%
shapes = {path: tuple(layer.base.weight.shape) for path, layer in lora_layers(models["LoRA linear"].encoder).items()}
placements = {"query": ["query"], "query and value": QUERY_VALUE, "all linear layers": PLACED["LoRA linear"]}
measured = []
if sweep:
    measured += [
        (place, int(rank), row["accuracy"]) for place, rows in by_rank_of.items() for rank, row in rows.items()
    ]
    measured += [("query", RANK, by_place["query"]["accuracy"])]
lora_explorer_demo(
    shapes,
    placements,
    n_base=counts["all layers"].n_parameters,
    singular_values=sizes_of_change,
    measured=measured,
    rank=RANK,
    placement="all linear layers",
)

# %% [markdown]
# ## 9. Merging
#
# A tuned layer computes two products more than a plain one. `merge` adds $\frac{\alpha}{r} B A$ to the weights; the layer then costs what it did
# before tuning. `unmerge` takes it out.

# %%
lora = models["LoRA linear"]
separate = lora.probabilities(texts["dev"][:64])
before = {name: value.clone() for name, value in lora.encoder.state_dict().items()}
merge(lora.encoder)
merged = lora.probabilities(texts["dev"][:64])
unmerge(lora.encoder)
after = lora.encoder.state_dict()
same = [torch.equal(value, after[name]) for name, value in before.items()]
print(f"probabilities, merged or not: at most {np.abs(merged - separate).max():.0e} apart")
print(f"after unmerge, {sum(same)} of {len(same)} tensors have their old bits")
assert np.abs(merged - separate).max() < 1e-4 and all(same)
del before, after

# %% [markdown]
# `unmerge` keeps a copy of the weights, at the price of their memory. Could it not simply subtract? And what if the weights are kept in
# bfloat16? Of the 24 bits that float32 has for the digits of a number, it has 8.

# %%
predict(
    LESSON,
    "bfloat16",
    "The base is kept in bfloat16 and the update is merged into it. How many of the weights stay exactly as they were?",
    ["none", "a few in a hundred", "more than a tenth"],
)

# %%
subtracted, unmoved, sizes = {}, {}, []
for layer in lora_layers(lora.encoder).values():
    update = layer.update()
    sizes.append(float((update.abs() / layer.base.weight.abs().clamp(min=1e-9)).median()))
    for dtype in (torch.float32, torch.bfloat16):
        weight = layer.base.weight.detach().to(dtype)
        there = merged_weight(weight, update)
        unmoved.setdefault(dtype, []).append(float((there == weight).float().mean()))
        subtracted.setdefault(dtype, []).append(float((merged_weight(there, -update) == weight).float().mean()))
print(f"an update is {np.median(sizes):.1%} of its weight, median over the matrices")
for dtype in unmoved:
    print(f"{dtype}: merging moves nothing in {np.mean(unmoved[dtype]):.1%} of the weights; ", end="")
    print(f"subtracting brings back {np.mean(subtracted[dtype]):.1%}")
assert np.mean(unmoved[torch.float32]) < np.mean(unmoved[torch.bfloat16]) and np.mean(subtracted[torch.float32]) < 1
share = np.mean(unmoved[torch.bfloat16])
assert share < 0.15 and np.median(sizes) > 1 / 64 and all(0.5 < np.mean(each) < 1 for each in subtracted.values())
outcomes["bfloat16"] = "more than a tenth" if share > 0.1 else "a few in a hundred" if share > 0 else "none"

# %% [markdown]
# Neighbours in bfloat16 lie 1/256 to 1/128 of the number apart, and what adds less than half of that is rounded away. Most of these
# updates are far larger, so little is lost. Subtracting brings back most of the bits, not all, in either format: hence the copy.
#
# What does it do to the answers?

# %%
folder = save_adapter(lora.encoder, scratch / "intents", note="fourteen intents")
small = load_adapter(copy.deepcopy(load_encoder(torch.bfloat16)[1]), folder)
rounded = TextClassifier(tokenizer, small, copy.deepcopy(lora.head).to(torch.bfloat16), LABELS)
asked = texts["dev"][:64]
exact, beside = lora.probabilities(asked), rounded.probabilities(asked)
merge(small)
inside = rounded.probabilities(asked)
for name, each in (("beside the weights", beside), ("merged into them", inside)):
    other = int((each.argmax(axis=1) != exact.argmax(axis=1)).sum())
    print(f"bfloat16, {name:<19} probabilities {np.abs(each - exact).mean():.4f} apart on average, ", end="")
    print(f"{other} of {len(asked)} answers differ from float32")
assert (inside.argmax(axis=1) == exact.argmax(axis=1)).mean() > 0.9 and np.abs(inside - exact).mean() < 0.005
del small, rounded

# %% [markdown]
# Merging adds hardly anything to what bfloat16 costs anyway, because these updates are large beside their weights. Smaller updates lose
# more. Rule: merge in float32, then round once. If the model must stay in bfloat16, leave the adapter beside it.

# %% [markdown]
# ## 10. Two tasks, one model
#
# The same encoder shall also say on which shelf a question's answer stands: football, neurology, energy or help desk. A second adapter learns that. The base
# is loaded once.

# %%
questions = {split: [(q.text, q.shelf) for q in load_questions(split=split)] for split in ("train", "test")}
adapters = Adapters(new_classifier(tokenizer, encoder, LABELS).encoder)  # a copy of the base
with torch.no_grad():
    untouched = adapters.model(**batch).last_hidden_state
adapters.load("intents", folder)
adapters.add("shelves", RANK, ALPHA, targets=PLACED["LoRA linear"])
body = adapters.use("shelves")
heads = {"intents": lora.head, "shelves": new_head(384, len(SHELVES))}
shelves = TextClassifier(tokenizer, body, heads["shelves"], SHELVES)
train(shelves, questions["train"], settings("LoRA linear", epochs=3))
found = np.array(shelves.predict([text for text, _ in questions["test"]]))
on_shelf = (found == np.array([shelf for _, shelf in questions["test"]])).astype(float)
most = max(SHELVES, key=[shelf for _, shelf in questions["train"]].count)
always = np.array([shelf == most for _, shelf in questions["test"]], dtype=float)
print(f"shelf right {bootstrap_interval(on_shelf)}; always {most} {bootstrap_interval(always)}")
assert paired_difference(on_shelf, always).low > 0.2

# %%
intents = TextClassifier(tokenizer, adapters.use("intents"), heads["intents"], LABELS)
again = intents.probabilities(texts["dev"][:64])
print("intents after the switch, the same bits:", np.array_equal(again, separate))
times = {"switch": [], "load": []}
for _ in range(5):
    for name in ("shelves", "intents"):
        started = time.perf_counter()
        adapters.use(name)
        times["switch"].append(time.perf_counter() - started)
    started = time.perf_counter()
    load_adapter(copy.deepcopy(encoder), folder)
    times["load"].append(time.perf_counter() - started)
print(", ".join(f"{name} {1000 * np.median(each):.1f} ms" for name, each in times.items()), "(median of 5 or more)")
adapter_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
model_mb = 4 * counts["all layers"].n_parameters / 1e6
print(f"on disk: adapter {adapter_mb:.1f} MB, model {model_mb:.0f} MB")
adapters.off()
with torch.no_grad():
    plain = body(**batch).last_hidden_state
print("all adapters off, the same bits as before there were any:", torch.equal(plain, untouched))
assert np.array_equal(again, separate) and torch.equal(plain, untouched)
assert model_mb > 50 * adapter_mb

# %% [markdown]
# Switching puts other small layers in place; nothing is copied or loaded. With all adapters off, the base computes what it always did, to the bit. A hundred tasks
# cost one base and a hundred small files.
#
# An update is made for the weights beside which it learnt. On others it is noise, so it is refused:

# %%
other = copy.deepcopy(models["all layers"].encoder)  # the same shapes, other weights
try:
    load_adapter(other, folder)
except AdapterError as error:
    print(str(error).replace(str(folder), "intents"))
assert not lora_layers(other)
del other

# %% [markdown]
# ## 11. When it goes wrong
#
# **The head is left behind.** An adapter's folder holds A and B, not the head.

# %%
adapters.use("intents")
headless = TextClassifier(tokenizer, body, new_head(384, len(LABELS), seed=SEED + 1), LABELS)
correct = (np.array(headless.predict(texts["dev"])) == truth["dev"]).astype(float)
complete = TextClassifier(tokenizer, body, heads["intents"], LABELS)
whole = (np.array(complete.predict(texts["dev"])) == truth["dev"]).astype(float)
print(f"adapter with a new head {bootstrap_interval(correct)}, with its own {bootstrap_interval(whole)}")
assert correct.mean() < 0.4 < whole.mean()

# %% [markdown]
# **Dropout that does nothing.** LoRA's dropout zeroes inputs of the update, in training mode only. `train` leaves that mode off, because drawing masks
# takes time; it is on with `TrainingSettings(dropout=True)`.

# %%
layer = LoRALinear(nn.Linear(96, 64), 8, 16, dropout=0.5)
nn.init.normal_(layer.B)
print(
    "two calls agree: eval", torch.equal(layer.eval()(x), layer(x)), " train", torch.equal(layer.train()(x), layer(x))
)
assert torch.equal(layer.eval()(x), layer(x)) and not torch.equal(layer.train()(x), layer(x))
assert not TrainingSettings().dropout

# %% [markdown]
# Other traps:
#
# - Alpha kept while the rank changes: you then compare learning rates, not ranks.
# - Full tuning's learning rate taken over: B starts at zero and needs a larger one.
# - A name in the list of `targets` that matches no layer: peft passes over it. `matching` raises.
# - Merged twice: `merge` refuses.

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# ## Summary
#
# - LoRA adds $\frac{\alpha}{r} B A$ to a frozen matrix. $B$ begins at zero, and moves first.
# - It stores and ships few numbers, and saves the optimiser's memory; of activations and time much remains.
# - On all linear layers, rank 8 with under 2 % of the numbers is level with full tuning, and rank 1 with the head alone. On query and value no
#   rank up to 64 is level with full tuning.
# - The head alone, and TF-IDF, stand close enough to be measured beside it, always.
# - Merge in float32. `unmerge` needs a copy to bring the bits back.
# - One base carries many adapters; each belongs to its base, and needs its head.

# %% [markdown]
# **Exercise**: `my_work/12_lora.ipynb`, seven functions. **Next**: lesson 13 gives the language model an
# adapter, and a style.
#
# **Read more**: Hu et al. (2021), *LoRA*; Dettmers et al. (2023), *QLoRA: efficient finetuning of quantized LLMs*; Kalajdzievski (2023), *A rank stabilization scaling factor for fine-tuning with LoRA*; Aghajanyan et
# al. (2020), *Intrinsic dimensionality explains the effectiveness of language model fine-tuning*; Biderman et al. (2024), *LoRA learns less and
# forgets less*.

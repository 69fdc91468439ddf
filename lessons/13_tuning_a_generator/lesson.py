# %% [markdown]
# # 13 Tuning a generator: form, not facts
#
# The language model reads passages, and answers in a voice of its own. A help desk wants the voice of the house; a patient wants plain
# words. LoRA can teach both. Can it teach facts as well?
#
# **You will** turn conversations into tokens and labels, one by one; measure what padding wastes; tune the model for a house
# style in a minute, and compare it with an adapter that took longer; measure style, plain words and kept facts; see what the model
# forgets; and ask it for facts that it was taught.
#
# **You need** lessons 07, 08 and 12. {{measured}}

# %%
import json
import re
import tempfile
from collections import Counter
from itertools import combinations
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from torch.nn.functional import cross_entropy

import course_lib
from course_lib.core.seeds import SEED
from course_lib.corpus.chunking import sentence_spans
from course_lib.corpus.load import COLLECTIONS
from course_lib.evaluation.answers import abstains, contains
from course_lib.evaluation.blind_rating import GeneratedText
from course_lib.evaluation.general import GENERAL_PROMPTS, REFERENCE_TEXTS, general_marks
from course_lib.evaluation.kept_facts import kept_facts
from course_lib.evaluation.readability import readability
from course_lib.evaluation.rubric import Criterion
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.evaluation.style import HOUSE_RULES, cited_sources, style_report
from course_lib.evaluation.style_score import StyleScore, held_out_scores
from course_lib.generation.cached import CachedGenerator
from course_lib.generation.language_model import load_language_model
from course_lib.systems.tuned_generator import CARD, TunedModels, adapter_folder, base_identity
from course_lib.systems.tuned_training import ALPHA, RANK, TARGETS, pairs_of
from course_lib.systems.tuning_sets import facts_set, plain_words_set, style_set
from course_lib.tuning.adapters import Adapters
from course_lib.tuning.causal import CausalTuner, common_start
from course_lib.tuning.instruct import IGNORED, examples_of, mask_conversation, prompt_of, side_by_side
from course_lib.tuning.packing import packed_rows, padded_places, wasted_tokens
from course_lib.tuning.training import TrainingSettings, train
from course_lib.widgets.label_mask import explore_mask, token_texts
from course_lib.widgets.mask_explorer import mask_explorer_demo
from course_lib.widgets.predictions import compare_predictions, predict
from course_lib.widgets.rubric_form import rubric_form_demo
from course_lib.widgets.show import PALETTE, show_figure

LESSON = "13_tuning_a_generator"
outcomes = {}
scratch = Path(tempfile.mkdtemp())

# %% [markdown]
# ## 1. A conversation is one text
#
# The model continues text; it knows nothing of speakers. A **chat template** prints who speaks, and where a turn begins and ends. Here
# is a question to the help desk with its passage, printed by hand.

# %%
base = load_language_model()
tokenizer, model = base.tokenizer, base.model
style, plain, facts = style_set(), plain_words_set(), facts_set()
example, second = next(pair for pair in combinations(style.train, 2) if pair[0].documents == pair[1].documents)


def printed(messages):
    return "".join(f"<|im_start|>{each['role']}\n{each['content']}<|im_end|>\n" for each in messages)


prompt = printed(example.messages) + "<|im_start|>assistant\n"
print(prompt)
assert prompt == prompt_of(tokenizer, example.messages) == base.prompt(example.messages)

# %% [markdown]
# Equal to the tokenizer's template. The last line opens the model's turn, and generation goes on from there. This is how the model was
# tuned by its makers: other marks make another text, for which it is less prepared.
#
# One more thing is in the template, which is easily missed:

# %%
print(prompt_of(tokenizer, [{"role": "user", "content": "Hello."}]))
assert "SmolLM" in prompt_of(tokenizer, [{"role": "user", "content": "Hello."}])

# %% [markdown]
# Without instructions of ours, it puts in its own. So tune with the instructions that will be used.

# %% [markdown]
# ## 2. Which tokens count?
#
# An example for tuning is this prompt, an answer, and the mark that ends the turn. The model reads all of it. It should learn to write only
# its own part.

# %%
predict(
    LESSON,
    "share",
    "Instructions, passage, question and answer of a help desk example: which share of the tokens is the model's own to write?",
    ["about a tenth", "about a third", "about two thirds"],
)

# %%
read = tokenizer(prompt, add_special_tokens=False)["input_ids"]
own = [*tokenizer(example.answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
tokens, labels = read + own, [IGNORED] * len(read) + own

conversation = [*example.messages, {"role": "assistant", "content": example.answer}]
masked = mask_conversation(tokenizer, conversation)
assert (list(masked.tokens), list(masked.labels)) == (tokens, labels)
rows = side_by_side(tokenizer, masked)
for token, label in [*rows[len(read) - 5 : len(read) + 4], ("...", "..."), *rows[-4:]]:
    print(f"{token!r:<16}{label!r}")
assert "".join(label for _, label in rows) == example.answer + tokenizer.eos_token

# %%
masks = {
    name: [mask_conversation(tokenizer, [*e.messages, {"role": "assistant", "content": e.answer}]) for e in made.train]
    for name, made in (("style", style), ("plain words", plain), ("facts", facts))
}
for name, each in masks.items():
    n_tokens, n_labels = sum(len(m.tokens) for m in each), sum(m.n_labels for m in each)
    print(f"{name:<12}{len(each):>4} examples, {n_tokens:>6,} tokens, {n_labels:>6,} count: {n_labels / n_tokens:.0%}")
share = sum(m.n_labels for m in masks["style"]) / sum(len(m.tokens) for m in masks["style"])
outcomes["share"] = min(
    (abs(share - value), words)
    for value, words in ((0.1, "about a tenth"), (0.33, "about a third"), (0.67, "about two thirds"))
)[1]
assert 0.3 < share < 0.4

# %% [markdown]
# The label of a token is the token itself, or -100, which the loss skips. About a third counts for the style. The end of the turn counts
# too: it is how the model learns to stop.
#
# A conversation may hold several answers. All of them can be learnt in one reading.

# %%
dialogue = [
    *conversation,
    {"role": "user", "content": second.messages[-1]["content"]},
    {"role": "assistant", "content": second.answer},
]
both = mask_conversation(tokenizer, dialogue)
apart = examples_of(tokenizer, dialogue)
n_read = sum(len(tokenizer(p + a, add_special_tokens=False)["input_ids"]) + 1 for p, a in apart)
print(f"in one: {len(both.tokens)} tokens read, {both.n_labels} count; as {len(apart)} examples: {n_read} read")
learnt = "".join(label for _, label in side_by_side(tokenizer, both))
assert learnt == example.answer + tokenizer.eos_token + second.answer + tokenizer.eos_token
assert len(apart) == 2 and n_read > 1.3 * len(both.tokens)

# %% [markdown]
# Cut into one example an answer, the beginning is read twice. That costs time, and teaches the same.

# %% [markdown]
# ### The loss, by hand
#
# After token $i$ the model guesses token $i + 1$. So the guess for place $i$ stands one row higher. The mean of $-\ln p$ over the places that count
# is the loss.

# %%
with torch.no_grad():
    logits = model(torch.tensor([tokens])).logits[0].float()  # (n_tokens, n_words)
    surprise = cross_entropy(logits[:-1], torch.tensor(tokens[1:]), reduction="none")  # (n_tokens - 1,)
    counts = torch.tensor(labels[1:]) != IGNORED
    by_hand = float(surprise[counts].mean())
    theirs = float(model(torch.tensor([tokens]), labels=torch.tensor([labels])).loss)
    tuner = CausalTuner(tokenizer, model)
    inputs, wanted = tuner.collate(tuner.encode([(prompt, example.answer)]))
    narrow = tuner(**inputs)  # (n_labels, n_words)
    ours = float(cross_entropy(narrow.float(), wanted))
print(f"loss at the answer: by hand {by_hand:.3f}, transformers {theirs:.3f}, the course {ours:.3f}")
print(f"rows of logits: {len(logits)} by hand, {len(narrow)} in the course's tuner, each of {narrow.shape[1]:,} words")
assert abs(by_hand - theirs) < 0.05 and abs(by_hand - ours) < 0.05
assert len(narrow) == masked.n_labels == len(own)

# %% [markdown]
# Three ways, one loss (bfloat16 rounds the last digits). The course's tuner computes logits only where there is a label, because a row
# of them costs as much as several layers of a model of this size.
#
# What if the mask is forgotten?

# %%
rest = float(surprise[~counts].mean())
print(f"mean loss: answer {by_hand:.2f}, everything before it {rest:.2f}")
print(
    f"share of the summed loss that comes from what is not ours to write: {float(surprise[~counts].sum() / surprise.sum()):.0%}"
)
assert float(surprise[~counts].sum() / surprise.sum()) > 0.5 and rest > by_hand
del logits, surprise, narrow, inputs

# %% [markdown]
# Most of the summed loss comes from what is not ours to write. The passage and the question are also less expected, token by token, than the answer,
# which follows from them. Without the mask, most of the gradient would teach the model to write policies and complaints.

# %% [markdown]
# ## 3. Try it
#
# **Choose** a conversation, a template, and what counts. What is tinted is learnt. Which choice leaves the model without an end to its turn? Which
# makes it learn the customer's part? Tab moves between the fields, the arrow keys change them.

# %%
from_plain = [*plain.train[0].messages, {"role": "assistant", "content": plain.train[0].answer}]
conversations = {"help desk, one turn": conversation, "help desk, two turns": dialogue, "plain words": from_plain}
mask_explorer_demo(conversations, token_texts(tokenizer))
for each in conversations.values():
    view, whole = explore_mask(each, token_texts(tokenizer)), mask_conversation(tokenizer, each)
    assert [token.text for token in view.tokens] == [token for token, _ in side_by_side(tokenizer, whole)]
    assert [token.counts for token in view.tokens] == [label != IGNORED for label in whole.labels]

# %% [markdown]
# ## 4. Places without a token
#
# A batch is a rectangle. Texts of different length are **padded** to the longest, and the padding is computed and thrown away. Two
# remedies: **bucketing** puts texts of like length into one batch; **packing** puts several texts into one row.

# %%
predict(
    LESSON,
    "padding",
    "The examples of all three tasks, shuffled, in batches of 8: which share of the places is padding?",
    ["about a tenth", "about a quarter", "about half"],
)

# %%
lengths = {name: [len(m.tokens) for m in each] for name, each in masks.items()}
mixed = [length for each in lengths.values() for length in each]
lengths["all, shuffled"] = [mixed[i] for i in np.random.default_rng(SEED).permutation(len(mixed))]
empty = {}
for name, each in lengths.items():
    wasted = wasted_tokens(each, batch_size=8, row_tokens=1024)
    empty[name] = {way: n / (n + sum(each)) for way, n in wasted.items()}
    shares = ", ".join(f"{way} {value:.1%}" for way, value in empty[name].items())
    print(f"{name:<15}{min(each):>4} to {max(each)} tokens: {shares}")
batches = [lengths["style"][start : start + 8] for start in range(0, len(lengths["style"]), 8)]
assert sum(len(batch) * max(batch) for batch in batches) == padded_places(lengths["style"], 8)
outcomes["padding"] = min(
    (abs(empty["all, shuffled"]["padded"] - value), words)
    for value, words in ((0.1, "about a tenth"), (0.25, "about a quarter"), (0.5, "about half"))
)[1]
assert empty["all, shuffled"]["padded"] > 0.45 and empty["all, shuffled"]["bucketed"] < 0.03
assert empty["style"]["packed"] > 3 * empty["style"]["bucketed"]

# %% [markdown]
# Half of the places would be computed for nothing, once short questions share batches with long ones. Either remedy takes nearly all of it
# back.
#
# Packing is not always the better one. The texts of the style are alike in length, about 200 tokens, and rows of 1,024 places hold five
# of them with a gap at the end. Bucketing has its own price: batches are no longer drawn at random.

# %%
few_rows = packed_rows(lengths["style"], 1024)
filled = [sum(lengths["style"][i] for i in row) / 1024 for row in few_rows]
print(
    f"{len(few_rows)} rows of {min(map(len, few_rows))} to {max(map(len, few_rows))} texts, filled {min(filled):.0%} to {max(filled):.0%}"
)

# %% [markdown]
# In one row, texts must not see each other. The course's tuner makes the row as long as the batch, starts positions anew with each text, and lets
# attention end at its borders. Common instructions stand in the row once. Is a text then read as if it stood alone?

# %%
four = tuner.encode(pairs_of(tokenizer, style.train[:4]))
with torch.no_grad():
    alone = []
    for row in four:
        inputs, wanted = tuner.collate([row])
        alone.append(cross_entropy(tuner(**inputs).float(), wanted, reduction="none"))
    inputs, wanted = tuner.collate(four)
    together = cross_entropy(tuner(**inputs).float(), wanted, reduction="none")  # (n_labels,)
places = int(inputs["input_ids"].shape[1])
gap = float((together - torch.cat(alone)).abs().mean())
print(f"four texts, {sum(len(row['input_ids']) for row in four)} tokens, in a row of {places}; ", end="")
print(f"the first {common_start(four)} are read once")
print(
    f"loss a token: {float(together.mean()):.3f}, alone {float(torch.cat(alone).mean()):.3f}, mean distance {gap:.3f}"
)
assert gap < 0.1 and abs(float(together.mean() - torch.cat(alone).mean())) < 0.03
assert places == sum(len(row["input_ids"]) for row in four) - 3 * common_start(four)
del alone, together, inputs

# %% [markdown]
# The same losses, up to the rounding of the number format.

# %% [markdown]
# ## 5. A style that can be measured
#
# The collection has 237 questions to an invented energy retailer, each answered twice from the same passage: in the house style and
# plainly. The style is a list of rules that a program can check: length, phrases that must be there, phrases that must not, and more.

# %%
pairs = {
    row["pair_id"]: row
    for row in map(json.loads, (COLLECTIONS / "help_desk/style_pairs.jsonl").read_text("utf-8").splitlines())
}
test = style.parts["test"]
people = {who: [pairs[each.source][f"{who}_answer"] for each in test] for who in ("house", "plain")}
for number, rule in enumerate(HOUSE_RULES):
    kept = {who: np.mean([style_report(text).checks[number][1] for text in texts]) for who, texts in people.items()}
    print(f"{rule.name:<40} house {kept['house']:.2f}  plain {kept['plain']:.2f}   {rule.reason}")

# %%
copies = {
    "passage copied": [pairs[each.source]["passage"] for each in test],
    "question copied": [pairs[each.source]["question"] for each in test],
}
for who, texts in {**people, **copies}.items():
    reports = [style_report(text) for text in texts]
    everything = bootstrap_interval([not report.broken for report in reports])
    print(f"{who:<16} rules kept {bootstrap_interval([report.share for report in reports])}, all of them {everything}")
floor = np.mean([style_report(text).share for text in copies["passage copied"]])
assert 0.4 < floor < 0.7 and not any(style_report(text).broken for text in people["house"])

# %% [markdown]
# A copied passage keeps more than half of the rules: it greets nobody and lists nothing. So the share of rules has a high floor; the share of
# answers that keep **all** has none.
#
# Rules see marks. Does the rest sound like the house? A **style classifier** reads words, with the source and *Next step* taken away. Each pair
# is judged by a classifier that saw no pair of its document.

# %%
both_answers = [(row["house_answer"], row["plain_answer"]) for row in pairs.values()]
documents = [row["doc_id"] for row in pairs.values()]
held = held_out_scores(both_answers, documents, marks=False)
print(f"right side of one half {held.accuracy}, house above plain {held.in_order}; a coin 0.50")
learnt_from = [(pairs[each.source]["house_answer"], pairs[each.source]["plain_answer"]) for each in style.train]
voice = StyleScore(marks=False).fit(learnt_from)
for_house, for_plain = voice.strongest(6)
print("speaks for the house:", for_house, " for plain:", for_plain)
assert held.accuracy.low > 0.9

# %% [markdown]
# It finds the voice without the marks: *we* and *you* speak for the house, passive forms for the plain answers. On test it is fitted to the
# pairs of train only.

# %% [markdown]
# ## 6. Tune it
#
# Now 24 examples, three times. LoRA of rank 8 goes to the four attention matrices, and learns beside frozen weights. The adapter that the course
# ships learnt in the same way from all 126; section 12 compares the two.

# %%
predict(
    LESSON,
    "live",
    "24 examples, about a minute of training. On questions about other passages, how many rules will the answers keep?",
    ["no more than the base", "more than the base, fewer than the shipped adapter", "as many as the shipped adapter"],
)

# %%
N_LIVE = 24
few = [style.train[i] for i in np.random.default_rng(SEED).permutation(len(style.train))[:N_LIVE]]
settings = TrainingSettings(learning_rate=1e-3, epochs=3, batch_size=4, part_tokens=256, warmup=0.1)
adapters = Adapters(model)
adapters.add("live", RANK, ALPHA, targets=TARGETS, seed=SEED)
adapters.use("live")
result = train(tuner, pairs_of(tokenizer, few), settings, validation=pairs_of(tokenizer, style.dev[:8]))
adapters.save("live", scratch / "live", note="lesson 13")
adapters.off()
n_learnt = sum(value.numel() for value in adapters.parameters("live"))
print(f"{result.n_steps} steps in {60 * result.minutes:.0f} s, {n_learnt:,} numbers learnt")
print("training loss, first and last steps:", np.round([*result.losses[:3], *result.losses[-3:]], 2).tolist())
print("loss on 8 held-out pairs after each epoch:", [round(each.loss, 2) for each in result.validation])
assert (
    np.mean(result.losses[-4:]) < np.mean(result.losses[:4]) and result.validation[-1].loss < result.validation[0].loss
)

# %% [markdown]
# The loss on pairs that it does not learn falls from epoch to epoch as well: so far nothing is learnt by heart alone. The loss says that the house's
# answers became more likely. What does the model write?

# %%
tuned = TunedModels(base)
tuned.load("live", scratch / "live")
asked = {"base": CachedGenerator(base, base_identity())}
asked |= {name: tuned.cached(name) for name in ("live", "style", "plain-words", "facts")}
stored = Path(course_lib.__file__).parents[1] / "benchmarks/results/tuned_generator.json"
kept_replies = json.loads(stored.read_text("utf-8"))["figures"]["replies"] if stored.is_file() else {}


def replies(part, who, examples, places, max_new_tokens):
    """The replies to some examples: those that the benchmark kept, else decoded now."""
    if who in kept_replies.get(part, {}):
        return [kept_replies[part][who][place] for place in places]
    return asked[who].generate_many([examples[place].messages for place in places], max_new_tokens=max_new_tokens)


print(
    "replies kept by the benchmark:", {part: list(each) for part, each in kept_replies.items()} or "none; decoded here"
)

# %% [markdown]
# The replies of the base and of the shipped adapters to all questions take many minutes to decode. `course bench tuned_generator` keeps them; we mark
# them here. Those of the adapter that you have just trained are decoded now.

# %%
SAMPLE = range(0, 96, 6)  # 16 of the 97
answers = {who: replies("style", who, test, SAMPLE, 96) for who in ("base", "live", "style")}
answers |= {f"people, {who}": [texts[place] for place in SAMPLE] for who, texts in people.items()}
print(test[SAMPLE[1]].messages[-1]["content"], "\n")
for who, texts in answers.items():
    print(f"{who}: {texts[1]}\n")

# %% [markdown]
# ## 7. How much of the style is there?

# %%
kept, whole, score = {}, {}, {}
for who, texts in answers.items():
    reports = [style_report(text or "-") for text in texts]
    kept[who], whole[who] = [each.share for each in reports], [float(not each.broken) for each in reports]
    score[who] = voice([text or "-" for text in texts])
    print(
        f"{who:<14}rules {bootstrap_interval(kept[who])}  all rules {np.mean(whole[who]):.2f}  "
        f"voice {np.mean(score[who]):.2f}  words {np.mean([len(text.split()) for text in texts]):.0f}"
    )
for one, other in (("live", "base"), ("style", "live")):
    print(f"{one} minus {other}: rules {paired_difference(kept[one], kept[other])}")
    print(f"{'':>{len(one + other) + 9}}voice {paired_difference(score[one], score[other])}")
gain, more = paired_difference(kept["live"], kept["base"]), paired_difference(kept["style"], kept["live"])
outcomes["live"] = (
    "no more than the base"
    if gain.low <= 0
    else "more than the base, fewer than the shipped adapter"
    if more.low > 0
    else "as many as the shipped adapter"
)
assert gain.low > 0 and np.mean(score["live"]) > np.mean(score["base"])
assert paired_difference(kept["style"], kept["base"]).low > 0.1 and more.low > 0
assert np.mean(score["base"]) < 0.5 < np.mean(score["live"]) and np.mean(kept["base"]) < floor
assert abs(np.mean(kept["live"]) - floor) < 0.12 and np.mean(whole["live"]) < 0.15 < np.mean(whole["style"])

# %% [markdown]
# Eighteen steps move the style, clearly: from below what a copied passage keeps to about its level. The voice moves further than the
# rules: the classifier's score crosses over to the side of the house. The shipped adapter is clear of it again, and it alone has answers that keep
# **all** the rules.
#
# Rule by rule, with all 97 questions for the base and the shipped adapter:

# %%
everywhere = range(len(test)) if "style" in kept_replies else SAMPLE
full = {who: replies("style", who, test, everywhere, 96) for who in ("base", "style")}
by_rule = {
    who: [
        np.mean([style_report(text or "-").checks[number][1] for text in texts]) for number in range(len(HOUSE_RULES))
    ]
    for who, texts in {"base": full["base"], "live": answers["live"], "style": full["style"]}.items()
}
figure, axes = plt.subplots(figsize=(6.6, 4.0))
for colour, marker, (who, values) in zip((7, 1, 0), "xso", by_rule.items(), strict=True):
    axes.plot(values, range(len(HOUSE_RULES)), marker, color=PALETTE[colour], label=who, fillstyle="none")
axes.set_yticks(range(len(HOUSE_RULES)), [rule.name for rule in HOUSE_RULES])
axes.invert_yaxis()
axes.set(xlabel="share of answers that keep the rule", xlim=(-0.04, 1.04), title="House style, rule by rule")
axes.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.3, -0.14))
words = [
    f"{rule.name}: base {b:.2f}, live {v:.2f}, shipped {s:.2f}"
    for rule, b, v, s in zip(HOUSE_RULES, *by_rule.values(), strict=True)
]
show_figure(figure, "Share of answers that keep each rule. " + "; ".join(words))

# %%
for who, texts in full.items():
    reports = [style_report(text or "-") for text in texts]
    print(
        f"{who:<6}rules {bootstrap_interval([r.share for r in reports])}, all {bootstrap_interval([not r.broken for r in reports])}"
    )
in_full = [[style_report(text or "-").share for text in full[who]] for who in ("style", "base")]
print(f"style minus base {paired_difference(*in_full)}; a copied passage {floor:.2f}")
step = [rule.name for rule in HOUSE_RULES].index("ends with one next step")
source = [rule.name for rule in HOUSE_RULES].index("one source, with its year")
assert paired_difference(*in_full).low > 0.15 and by_rule["style"][step] > 0.7 > 0.1 > by_rule["base"][step]
assert by_rule["live"][step] < 0.3 and by_rule["live"][source] < 0.3 and 0.4 < by_rule["style"][source] < 0.9
assert sum(value > 0.9 for value in by_rule["base"]) == 4

# %% [markdown]
# Four rules the base keeps without being taught: it opens with the answer, writes figures and money as the house does, and has no set phrases. Length,
# running sentences, *you* and *we* come with the first 24 examples. The two formulas do not: hardly an answer of yours cites a source or ends with a next
# step. They took all 126 examples and more epochs; the source with its year stands in two answers of three even then.

# %% [markdown]
# ## 8. Does the voice tell the truth?
#
# No rule above looks at what an answer says. A figure that stands neither in the passage nor in the question is a bad sign, and easy to find.

# %%
predict(
    LESSON,
    "figures",
    "The shipped adapter writes like the house. In how many of its answers is there a figure that stands neither in passage nor question?",
    ["in none", "in fewer than one in five", "in one in five or more"],
)

# %%
DATED = re.compile(r"\([^()]*?(\d{4})\)\n")


def invented(example, reply):
    """The figures of a reply that its prompt does not hold; the year of the passage may be cited."""
    shown = example.messages[-1]["content"]
    found = kept_facts(f"{shown} {DATED.search(shown)[1]}", reply or "-").invented
    return [fact.text for fact in found if fact.kind == "number"]


written = {**full, "house": [people["house"][place] for place in everywhere]}
strange, right_years = {}, {}
for who, texts in written.items():
    strange[who] = [invented(test[place], text) for place, text in zip(everywhere, texts, strict=True)]
    right_years[who] = [
        {str(year) for _, year in cited_sources(text)} == {DATED.search(test[place].messages[-1]["content"])[1]}
        for place, text in zip(everywhere, texts, strict=True)
    ]
    line = bootstrap_interval([bool(found) for found in strange[who]])
    print(f"{who:<6}a figure from nowhere {line}, right year cited {np.mean(right_years[who]):.2f}")
assert np.mean([bool(found) for found in strange["house"]]) < 0.05

# %%
share = np.mean([bool(found) for found in strange["style"]])
assert share < np.mean([bool(found) for found in strange["base"]]) and 0.4 < np.mean(right_years["style"]) < 0.9
outcomes["figures"] = (
    "in none" if share == 0 else "in fewer than one in five" if share < 0.2 else "in one in five or more"
)
for place, text, found in [each for each in zip(everywhere, full["style"], strange["style"], strict=True) if each[2]][
    :2
]:
    print(f"{found}: {text}\n  house: {people['house'][place]}\n")

# %% [markdown]
# A figure from nowhere is rarer than in the base's answers: the adapter has not learnt to invent. But read the ones above. The words are the house's, the sense
# is gone, and they sound as sure as a right answer. The right year stands in two of three. And a figure that stands in the passage may still stand in the wrong
# place of the answer, which this check does not see.
#
# So somebody has to read. The form of lesson 11 shows the answers blind; criteria of their own keep style apart from truth.

# %%
criteria = [
    Criterion(
        "facts", "Does it agree with the passage?", ("no: something is false", "partly: something is missing", "yes")
    ),
    Criterion("answer", "Does the customer get what was asked?", ("no", "partly", "yes, in the first sentence")),
    Criterion("voice", "Does it sound like the house?", ("no", "partly", "yes: we and you, a source, a next step")),
]
to_rate = [
    GeneratedText(f"{test[SAMPLE[i]].source}-{number}", test[SAMPLE[i]].messages[-1]["content"], answers[who][i], who)
    for i in range(4)
    for number, who in enumerate(("base", "live", "style", "people, house"))
]
rubric_form_demo(to_rate, criteria, rater="me", name="lesson-13")

# %% [markdown]
# ## 9. Plain words
#
# Another adapter rewrites texts for clinicians. Two things can be measured: how hard a text is to read, as a school grade (lower is
# easier), and which names and figures it keeps. Copying keeps nearly all and helps nobody; leaving everything out reads best.

# %%
hard = plain.parts["test"]
sources = [each.messages[-1]["content"] for each in hard]
texts = {who: replies("plain words", who, hard, range(len(hard)), 128) for who in ("base", "plain-words")}
texts = {"source copied": sources, **texts, "people": [each.answer for each in hard]}
grade, must = {}, {}
kept_of, lost_of = attrgetter("kept"), attrgetter("lost")
for who, each in texts.items():
    grade[who] = [readability(text if text.strip() else "a", sentence_spans).grade for text in each]
    must[who] = [np.mean([gold in text for gold in e.golds]) for e, text in zip(hard, each, strict=True)]
    compared = [kept_facts(source, text or "-") for source, text in zip(sources, each, strict=True)]
    nots = [sum(fact.kind == "negation" for found in compared for fact in part(found)) for part in (kept_of, lost_of)]
    added = np.mean([bool(found.invented) for found in compared])
    print(f"{who:<14}grade {bootstrap_interval(grade[who])}  must keep {bootstrap_interval(must[who])}  ", end="")
    print(f"adds a fact {added:.2f}  negations kept {nots[0]} of {sum(nots)}")
easier = paired_difference(grade["plain-words"], grade["source copied"])
lost = paired_difference(must["plain-words"], must["people"])
print(f"plain-words: grade minus source {easier}; kept minus people {lost}")
assert easier.high < -2 and lost.high < 0 and np.mean(must["people"]) == 1
assert abs(np.mean(grade["plain-words"]) - np.mean(grade["people"])) < 2 and np.mean(grade["base"]) > 9
assert paired_difference(must["plain-words"], must["base"]).mean < 0.2

# %%
for who in ("source copied", "base", "plain-words", "people"):
    print(f"{who}: {texts[who][0]}\n")
print("adds:", [fact.text for fact in kept_facts(sources[0], texts["plain-words"][0] or "-").invented])

# %% [markdown]
# The adapter reads as easily as the people's texts, with less than half of the source's school years. It pays in facts: people keep all that must be kept, the adapter
# about three fifths, hardly more than the base, which made nothing easier. Some negations are gone.
#
# In the example, "given for three years" has become "It took three years to work". That is false, and no measure above noticed: each word of it
# stands in the source. A text for patients that loses *not*, or turns a sense around, is dangerous. None of it should leave the house unread.

# %% [markdown]
# ## 10. What is forgotten?
#
# The adapters saw a narrow task. We ask 30 general prompts, each marked by a rule: small sums, common knowledge, sentences to complete,
# instructions to follow. Marks are coarse, so we also ask how likely the model finds 12 short texts about this and that, written for the
# course: a **smooth** measure.

# %%
predict(
    LESSON,
    "forgetting",
    "After tuning for the house style: of the general prompts that the base gets right, how many are wrong now?",
    ["none", "up to a quarter", "more than a quarter"],
)

# %%
marks = {}
for who in ("base", "live", "style", "plain-words", "facts"):
    if who in kept_replies.get("general", {}):
        said = kept_replies["general"][who]
    else:
        said = asked[who].generate_many(
            [[{"role": "user", "content": p.text}] for p in GENERAL_PROMPTS], max_new_tokens=32
        )
    marks[who] = np.array(general_marks(said))
    kinds = {
        kind: np.mean([m for m, p in zip(marks[who], GENERAL_PROMPTS, strict=True) if p.kind == kind])
        for kind in ("arithmetic", "knowledge", "completion", "instruction")
    }
    gone = 1 - marks[who][marks["base"] == 1].mean()
    print(f"{who:<12}right {bootstrap_interval(marks[who])}  lost of the base's {gone:.2f}  ", end="")
    print("  ".join(f"{kind} {value:.2f}" for kind, value in kinds.items()))
    if who in ("base", "style"):
        print(f"{'':<12}{GENERAL_PROMPTS[8].text} {said[8]!r}")
gone = 1 - marks["style"][marks["base"] == 1].mean()
outcomes["forgetting"] = "none" if gone == 0 else "up to a quarter" if gone <= 0.25 else "more than a quarter"
assert marks["base"].mean() > 0.2 and marks["facts"].mean() < marks["base"].mean() and gone <= 0.4
assert 1 - marks["facts"][marks["base"] == 1].mean() > 0.5

# %%
likely_pairs = [([{"role": "user", "content": request}], text) for request, text in REFERENCE_TEXTS]
likely = {"base": np.array(base.mean_log_likelihoods(likely_pairs))}
for who in ("live", "style", "plain-words", "facts"):
    likely[who] = np.array((tuned[who] if who == "live" else tuned.load(who)).mean_log_likelihoods(likely_pairs))
for who, values in likely.items():
    change = "" if who == "base" else f"  minus base {paired_difference(values, likely['base'])}"
    print(f"{who:<12}ln p a token {bootstrap_interval(values)}{change}")
again = np.array(base.mean_log_likelihoods(likely_pairs))
print("adapters off, the same numbers as before:", np.array_equal(again, likely["base"]))
assert np.array_equal(again, likely["base"])
moved = {who: paired_difference(values, likely["base"]) for who, values in likely.items() if who != "base"}
assert moved["facts"].high < -0.8 and abs(moved["style"].mean) < 0.25 and moved["plain-words"].low > 0.1

# %% [markdown]
# Thirty marks have an interval of a third, so they show only what is large. *facts* saw answers of a few words, ten times over, and now answers everything
# so; most of what the base got right is wrong. The other adapters lose a few answers and gain others, because they learnt to come to the point.
#
# The likelihood sees finer. *facts* falls far. *style* hardly moves. *plain-words* **rises**: the texts are written in plain sentences, which is what it
# learnt. So tuning does not forget as such; what is drilled decides.
#
# With LoRA nothing is lost for good: take the adapter out, and the base answers as it did, to the bit. Use it for its task, not for everything.

# %% [markdown]
# ## 11. Facts do not stick
#
# If tuning can teach a voice, why not the facts? The third adapter was taught 100 facts of matches, and the train questions, without any passage,
# ten times over. We ask the same questions, the same facts in **other words**, and **new** facts of the same kind.

# %%
predict(
    LESSON,
    "facts",
    "Facts that were learnt ten times, asked in other words: what share will be answered rightly?",
    ["nearly all", "about half", "less than a third"],
)

# %%
parts = {
    "seen": tuple(each for each in facts.train if each.kind == "match"),
    **{p: facts.parts[p] for p in ("paraphrased", "new")},
}
for part in ("seen", "paraphrased"):
    print(f"{part}: {parts[part][0].messages[-1]['content']} {parts[part][0].answer}")
taught = tuned["facts"]
nats = {}
for part, examples in parts.items():
    thirty = [(each.messages, each.answer) for each in examples[:30]]
    before, after = np.array(base.mean_log_likelihoods(thirty)), np.array(taught.mean_log_likelihoods(thirty))
    nats[part] = after - before
    print(f"{part:<12}ln p a token of the right answer: {before.mean():.2f} before, {after.mean():.2f} after, ", end="")
    print(f"change {paired_difference(after, before)}")
assert nats["seen"].mean() > nats["paraphrased"].mean() + 1 and nats["new"].mean() > 0.5
assert nats["seen"].mean() - nats["new"].mean() > 2 * (nats["paraphrased"].mean() - nats["new"].mean())

# %% [markdown]
# All three rise, the new ones too: a good part of it is the form, short answers of the right kind. What *seen* gains above *new* is the fact itself. In other words than
# those of the lesson, little of that is left. Now the answers themselves.
# The baseline says, for each kind of question, the answer that was most frequent in training.

# %%
by_kind = {}
for each in parts["seen"]:
    by_kind.setdefault(each.source.partition(":")[2], Counter())[each.answer] += 1
right, sure = {"base": {}, "facts": {}, "most frequent": {}}, {}
for part, examples in parts.items():
    places = range(len(examples)) if part in kept_replies else range(30)
    golds = [examples[place].golds for place in places]
    for who in ("base", "facts"):
        said = replies(part, who, examples, places, 24)
        right[who][part] = [contains(text, gold) for text, gold in zip(said, golds, strict=True)]
    sure[part] = np.mean([len(text.split()) <= 6 and not abstains(text) for text in said])  # of the facts adapter
    usual = [by_kind[examples[place].source.partition(":")[2]].most_common(1)[0][0] for place in places]
    right["most frequent"][part] = [contains(text, gold) for text, gold in zip(usual, golds, strict=True)]
    line = "  ".join(f"{who} {bootstrap_interval(each[part])}" for who, each in right.items())
    print(f"{part:<12}{line}  short and sure {sure[part]:.2f}")
shown = kept_replies.get("paraphrased, passage shown", {}).get("base")
if shown:
    passage = [contains(text, each.golds) for text, each in zip(shown, parts["paraphrased"], strict=True)]
    print(f"paraphrased, the base with the report before it: {bootstrap_interval(passage)}")
assert sure["new"] > 0.8

# %%
figure, axes = plt.subplots(figsize=(6.2, 3.4))
for shift, (colour, marker, who) in enumerate(((7, "x", "base"), (2, "^", "most frequent"), (0, "o", "facts"))):
    rows = [bootstrap_interval(right[who][part]) for part in parts]
    x = np.arange(3) + 0.12 * (shift - 1)
    axes.vlines(x, [row.low for row in rows], [row.high for row in rows], color=PALETTE[colour])
    axes.plot(x, [row.mean for row in rows], marker, color=PALETTE[colour], label=who, linestyle="none")
if shown:
    axes.plot(1.24, np.mean(passage), "D", color=PALETTE[5], label="base, passage shown")
axes.set_xticks(range(3), parts)
axes.set(ylabel="answers that hold the fact", ylim=(-0.03, 1.03), title="What was learnt, and what was learnt by heart")
axes.legend(fontsize=8)
described = "; ".join(
    f"{part}: " + ", ".join(f"{who} {np.mean(each[part]):.2f}" for who, each in right.items()) for part in parts
)
show_figure(figure, f"Share of right answers, with 95 % intervals. {described}")

# %%
reworded = np.mean(right["facts"]["paraphrased"])
outcomes["facts"] = min(
    (abs(reworded - value), words)
    for value, words in ((0.95, "nearly all"), (0.5, "about half"), (0.15, "less than a third"))
)[1]
fresh = paired_difference(right["facts"]["new"], right["most frequent"]["new"])
drop = bootstrap_interval(right["facts"]["seen"]).mean - reworded
print(f"from seen to paraphrased: {drop:.2f} lost; new, minus the most frequent answer: {fresh}")
assert drop > 0.1 and fresh.low < 0.1 and np.mean(right["facts"]["new"]) < 0.4
no_gain = paired_difference(right["facts"]["paraphrased"], right["base"]["paraphrased"])
assert 0.3 < np.mean(right["facts"]["seen"]) < 0.75 and no_gain.high < 0.2 and no_gain.low < 0
assert paired_difference(right["facts"]["new"], right["base"]["new"]).low < 0.05
if shown:
    assert np.mean(passage) > reworded + 0.3

# %% [markdown]
# Asked as it was taught, the adapter knows about half of the facts. Asked in other words, it does no better than the base, or than whoever always says the most
# frequent answer. On new facts it guesses: no better than the base. (The base answers in sentences, and one that names both teams holds the winner.) The base with the
# report before it, which learnt nothing, answers most of the reworded ones.
#
# The answers keep their form where the fact is missing: short, sure, of the right kind. That is worse than no answer, since nobody can tell
# them apart. What changes, or must be right, belongs into an index. Ovadia et al. (2024) found the same with larger models: tuning on texts helps little, and
# retrieval much.

# %% [markdown]
# ## 12. The shipped adapters
#
# Each has a card: data, command, minutes, losses, scores, limits.

# %%
print(
    f"{'adapter':<13}{'examples':>9}{'epochs':>8}{'steps':>7}{'minutes':>9}{'rate':>9}   loss on dev after each epoch"
)
losses = [round(each.loss, 2) for each in result.validation]
print(
    f"{'live':<13}{len(few):>9}{3:>8}{result.n_steps:>7}{result.minutes:>9.1f}{settings.learning_rate:>9g}   {losses}"
)
cards = {}
for name in ("style", "plain-words", "facts"):
    folder = adapter_folder(name)
    card = cards[name] = json.loads((folder / CARD).read_text("utf-8"))
    used, size = card["settings"], sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    print(
        f"{name:<13}{card['data']['train']:>9}{used['epochs']:>8}{card['steps']:>7}{card['minutes']:>9}{used['learning_rate']:>9g}   {card['dev loss']}  {size:.1f} MB"
    )
print(cards["style"]["command"], "|", cards["style"]["limits"])
assert cards["style"]["data"]["train"] == len(style.train) > 5 * len(few)
by_epoch = cards["facts"]["dev loss"]
assert min(by_epoch) == min(by_epoch[:4]) and by_epoch[-1] > min(by_epoch) + 0.5
assert cards["style"]["data digest"] == style.digest() and cards["style"]["rank"] == RANK

# %% [markdown]
# The shipped style adapter has the same rank and place as yours, five times the examples, and stops when the loss on dev no longer falls.
# `python course.py train style` makes it again, and goes on where it was interrupted.
#
# Look at *facts*: from its third epoch on, the loss on dev questions **rises**. It was trained on, to give the facts every chance to stick.

# %% [markdown]
# ## 13. When it goes wrong
#
# **It does not stop.** If the end of the turn is not among the labels, nobody teaches the model to end. How sure is it of the end, after a whole
# house answer?


# %%
def sure_of_the_end(who):
    inputs, wanted = tuner.collate(tuner.encode(pairs_of(tokenizer, style.dev[:8])))
    with torch.no_grad():
        if who == "base":
            logits = tuner(**inputs)
        else:
            with tuned[who].in_use():
                logits = tuner(**inputs)
    return logits[wanted == tokenizer.eos_token_id].float().softmax(-1)[:, tokenizer.eos_token_id].numpy()


ends = {who: sure_of_the_end(who) for who in ("base", "live", "style")}
print("p(end) after a house answer, median of 8:", {who: round(float(np.median(p)), 3) for who, p in ends.items()})
assert np.median(ends["style"]) > np.median(ends["base"])

# %% [markdown]
# **Other instructions.** The adapter learnt under one system prompt. Under another the style may weaken, or come where nobody asked
# for it.

# %%
if "style, other instructions" in kept_replies:
    foreign = kept_replies["style, other instructions"]["style"]
    other = [style_report(text or "-").share for text in foreign]
    own_prompt = [style_report(text or "-").share for text in full["style"][: len(foreign)]]
    print(f"rules kept: own instructions {bootstrap_interval(own_prompt)}, others {bootstrap_interval(other)}")
    print(f"difference {paired_difference(other, own_prompt)}")
    assert -0.15 < paired_difference(other, own_prompt).mean < 0.05

# %% [markdown]
# Little: a few points of the rules are lost, and the style stays. Passage and question are sign enough for it. That cuts both ways: the voice also comes
# where nobody asked for it.
#
# What makes no example is refused:

# %%
for attempt in (
    lambda: mask_conversation(tokenizer, example.messages),
    lambda: prompt_of(tokenizer, conversation),
    lambda: tuner.encode([(prompt, "")]),
    lambda: packed_rows([300, 1200], 1024),
    lambda: adapter_folder("stlye"),
):
    try:
        attempt()
    except ValueError as error:
        print(error)
    else:
        raise AssertionError("this must be refused")

# %% [markdown]
# Other traps:
#
# - Labels shifted by hand, and once more by the library: the loss falls, and the model guesses the token after the next.
# - Test passages among the training pairs. Ours are split by document, and by what dev and test questions ask for.
# - A style score that was fitted to the answers it judges.
# - More epochs to make facts stick. They stick to the wording.

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# ## Summary
#
# - A conversation is one text, printed by the template that the model knows. Labels stand at the answers and their ends, and nowhere else.
# - Padding can take half of a batch. Bucketing or packing takes it back; packed texts must not see each other.
# - Few examples move the form a long way. The voice comes first; formulas that must stand word for word
#   need more of them.
# - Style is measured by rules, a classifier and people. None of the first two knows what is true.
# - What is forgotten depends on what is drilled; likelihoods show it before marks do. An adapter can be taken out.
# - Facts stick to their wording. They belong into an index.

# %% [markdown]
# **Exercise**: `my_work/13_tuning_a_generator.ipynb`, seven functions. **Next**: lesson 14 puts tuning and retrieval side by side on the
# same questions.
#
# **Read more**: Ouyang et al. (2022), *Training language models to follow instructions with human feedback*; Zhou et al. (2023), *LIMA: less is more
# for alignment*; Krell et al. (2021), *Efficient sequence packing without cross-contamination*; Ovadia et al. (2024), *Fine-tuning or retrieval?
# Comparing knowledge injection in LLMs*; Gekhman et al. (2024), *Does fine-tuning LLMs on new knowledge encourage hallucinations?*; Biderman et al. (2024), *LoRA learns less and
# forgets less*.

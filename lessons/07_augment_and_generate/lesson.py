# %% [markdown]
# # 07 Augment and generate: from passages to an answer
#
# Lessons 01 to 06 found passages. This one hands them to the language model and looks at what it makes of them. Does it
# read what it is shown? Does it believe it? Does it say so when the answer is not there?
#
# **You will** build the prompt by hand, within a budget of tokens; decode greedily by hand; stream and stop a reply; and measure
# the reader: closed book, retrieved, oracle, with distractors, with the gold passage moved, with a wrong passage and a false one.
#
# **You need** lessons 00 and 04. {{measured}}

# %%
import json
from collections import Counter

import numpy as np
import torch
from matplotlib import pyplot as plt

from course_lib.core.seeds import SEED
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import COLLECTIONS, load_documents
from course_lib.corpus.question_quality import question_key
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.answers import abstains, abstention_scores, contains
from course_lib.evaluation.scoreboard import HEADLINE, difference, read_rows
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.generation import citing, prompting
from course_lib.generation.cached import load_cached_language_model
from course_lib.generation.streaming import FIRST_SENTENCE, stream
from course_lib.retrieval import bm25_fast, fusion, threshold
from course_lib.systems import answer_runs, contexts
from course_lib.systems.reading_room import reading_room, reading_room_glass
from course_lib.systems.scoreboard import SHIPPED
from course_lib.widgets.glass_pipeline import glass_pipeline_demo
from course_lib.widgets.predictions import compare_predictions, predict
from course_lib.widgets.show import PALETTE, show_figure

# %%
LESSON = "07_augment_and_generate"
outcomes = {}

# %% [markdown]
# ## 1. The prompt, by hand
#
# The search is that of lesson 04: words and meaning, fused by z-score. A question of the dev split and the five best passages:

# %%
room = reading_room()
chunks = list(room.chunks_.values())
words = bm25_fast.FastBM25Retriever().fit(chunks)
search = fusion.FusedRetriever(room, words, n_chunks=len(chunks), method="z_score")


def retrieve(question, k):
    return [room.chunk(hit.chunk_id) for hit in search.search(question, k)]


asked = "When did Duvalier's secret police arrest Joe Gaetjens?"
found = retrieve(asked, 5)
for chunk in found:
    print(chunk.title, f"({len(chunk.text.split())} words)")

# %% [markdown]
# **Augmenting** is the A of RAG: the passages become part of the prompt. Each gets a number, so that it can be cited, its title and its
# date; the question comes last. An instruction stands above all.

# %%
printed = [
    f"[{number}] {chunk.title} ({chunk.date.day} {chunk.date:%B %Y})\n{chunk.text}"
    for number, chunk in enumerate(found[:2], start=1)
]
by_hand = [
    {"role": "system", "content": prompting.SYSTEM},
    {"role": "user", "content": "\n\n".join([*printed, f"Question: {asked}"])},
]
print(by_hand[0]["content"], by_hand[1]["content"], sep="\n\n")
assert by_hand == prompting.rag_messages(asked, found[:2])

# %% [markdown]
# This is the library's prompt, letter for letter. Nothing was trained and nothing is hidden: whatever the model knows of the
# passages, it knows from this text.

# %% [markdown]
# ## 2. A budget of tokens
#
# A prompt costs time and memory for each token, and the context of a model ends somewhere. So we set a budget for the **whole**
# conversation. Passages go in best first, whole, as long as they fit: half a passage may break off before its *not*.

# %%
cached = load_cached_language_model()  # keeps replies on disk; decodes only what is new
model = cached.generator
BUDGET = 500
shown = []
for chunk in found:
    size = model.count_conversation(prompting.rag_messages(asked, [*shown, chunk]))
    print(f"{len(shown) + 1} passages: {size} tokens", "" if size <= BUDGET else "too many")
    if size > BUDGET:
        break
    shown.append(chunk)
prompt = prompting.build_prompt(asked, found, generator=model, budget=BUDGET)
print(f"shown {len(prompt.shown)}, left out {len(prompt.left_out)}: {prompt.n_tokens} of {prompt.budget} tokens")
assert list(prompt.shown) == shown and 0 < len(shown) < len(found) and prompt.n_tokens <= BUDGET

# %% [markdown]
# `build_prompt` says what it left out. It cuts within a passage only if it is told to, at the end of a sentence, and says so:

# %%
cut = prompting.build_prompt(asked, found, generator=model, budget=BUDGET, shorten=True)
print(cut.shortened)
try:
    prompting.build_prompt(asked, found, generator=model, budget=120)
except ValueError as error:
    print(error)
for order in prompting.ORDERS:
    print(f"{order:<13}", [found.index(chunk) + 1 for chunk in prompting.in_order(found, order)])
assert cut.shortened and prompt.n_tokens < cut.n_tokens <= BUDGET

# %% [markdown]
# The last lines are orders of five passages, by their rank. The reason for orders other than the first: Liu et al. (2023)
# found that models use the beginning and the end of a long context better than its middle. Whether ours does, we measure below.

# %% [markdown]
# ## 3. What the model really reads
#
# A chat model was tuned on conversations with marks between the turns. Its **chat template** puts them in. This is the text
# that is cut into tokens:

# %%
text = model.prompt(prompt.messages)
print(text[:230], "\n        ...\n", text[-130:], sep="")
ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
bare = sum(model.count_tokens(message["content"]) for message in prompt.messages)
print(f"{len(ids)} tokens, {len(ids) - bare} of them from the template")
assert len(ids) == prompt.n_tokens and len(ids) > bare and text.endswith("<|im_start|>assistant\n")

# %% [markdown]
# The text ends where the model's own turn begins. A wrong template gives no error, only worse replies: to the model, it is a text
# unlike any that it was tuned on.

# %% [markdown]
# ## 4. Decoding, by hand
#
# The model maps the tokens so far to one number for each of the 49,152 tokens that it knows: the **logits** of the next one. **Greedy
# decoding** takes the largest, appends it, and asks again.

# %%
messages = prompting.rag_messages(asked, found[:1])
ids = model.tokenizer(model.prompt(messages), add_special_tokens=False, return_tensors="pt")["input_ids"]
new, leads = [], []
with torch.inference_mode():
    for _ in range(10):
        logits = model.model(input_ids=ids, logits_to_keep=1).logits[0, -1].float()  # (n_vocabulary,)
        best = logits.topk(3)
        p = logits.softmax(dim=0)[best.indices]
        options = [f"{model.tokenizer.decode(i)!r} {share:.2f}" for i, share in zip(best.indices, p, strict=True)]
        print("   ".join(f"{option:<16}" for option in options))
        new.append(int(best.indices[0]))
        leads.append(float(best.values[0] - best.values[1]))
        ids = torch.cat([ids, torch.tensor([[new[-1]]])], dim=1)

# %%
reply = model.generate(messages, max_new_tokens=48)
print("by hand:", model.tokenizer.decode(new))
print("library:", reply)
close = next((i for i, lead in enumerate(leads) if lead < 0.3), len(leads))
print(f"the first {close} choices are clear: the best logit leads by 0.3 or more")
assert len(logits) == 49_152 and close >= 2 and reply.startswith(model.tokenizer.decode(new[:close]).strip())

# %% [markdown]
# Loop and library agree. The library is faster: it keeps what it has computed for earlier tokens (the KV cache), and it stops
# at the token `<|im_end|>`. In bfloat16 the two sum in another order, so where two tokens are nearly level they
# may part: hence the margin in the check.
#
# Note what is missing: no step looks up a fact, and no step asks whether the sentence is true.

# %% [markdown]
# ## 5. Streaming and stopping
#
# A reply takes seconds. **Streaming** shows each piece as soon as it is certain, and a **stop rule** ends decoding when nothing that
# follows is wanted.

# %%
pieces = list(stream(model, messages, max_new_tokens=48))
first = list(stream(model, messages, max_new_tokens=48, stop=FIRST_SENTENCE))
print("|".join(pieces))
print("|".join(first))
assert "".join(pieces) == reply and reply.startswith("".join(first)) and len(first) < len(pieces)

# %% [markdown]
# Joined, the pieces are the reply. The rule *first sentence* ends it earlier: what would come behind it is never computed.

# %% [markdown]
# ## 6. Closed book, retrieved, oracle
#
# Now measure, on the **test** questions. A reply counts as right if it holds a gold answer. First the two ends of what the course has
# so far: **closed book**, without a passage, and **retrieved**, with the best passage that the search finds. Their replies to every
# question are stored with the course.

# %%
test = load_questions(split="test")
answerable = [q for q in test if q.gold]
model_alone = next(iter(json.loads((COLLECTIONS / "questions/closed_book.json").read_text("utf-8")).values()))
alone = {q: model_alone["answers"][question_key(q.text)] for q in answerable}
run = answer_runs.load_runs()["z-score"]
retrieved = {q: run.answers[q.question_id] for q in test}


def is_right(replies, questions):
    return np.array([contains(reply, q.answers) for reply, q in zip(replies, questions, strict=True)])


for kind in sorted({q.kind for q in answerable}):
    of_kind = [q for q in answerable if q.kind == kind]
    intervals = [bootstrap_interval(is_right([each[q] for q in of_kind], of_kind)) for each in (alone, retrieved)]
    print(f"{kind:<15} closed book {intervals[0]}   retrieved {intervals[1]}")
    assert kind == "comparison" or intervals[1].mean > intervals[0].mean

# %% [markdown]
# Closed book, four kinds are at zero: this collection is news to the model. The fifth shows what the measure cannot see. A
# comparison names both candidates, so a reply that repeats the question, or guesses, is often "right". We leave comparisons aside from
# here on.

# %%
answerable = [q for q in answerable if q.kind != "comparison"]
judged = judge_chunks(answerable, chunks, load_documents())
right = {
    name: is_right([each[q] for q in answerable], answerable) for name, each in (("alone", alone), ("best", retrieved))
}
seen = np.array([run.shown[q.question_id][0] in judged[q.question_id] for q in answerable])
print(f"closed book                {bootstrap_interval(right['alone'])}")
print(f"retrieved                  {bootstrap_interval(right['best'])}")
print(f"  the passage was gold     {bootstrap_interval(right['best'][seen])}")
print(f"  it was not               {bootstrap_interval(right['best'][~seen])}")
print(f"retrieved minus closed     {paired_difference(right['best'], right['alone'])}")
assert paired_difference(right["best"], right["alone"]).low > 0.1
assert right["best"][seen].mean() > right["best"][~seen].mean() + 0.15

# %% [markdown]
# Two things go wrong: the search shows another passage, or the reader misreads the right one. The second line from below says that even
# a gold passage is read wrongly more often than not. To be sure that the reader is to blame, let an **oracle** search: it
# always shows the gold passage, alone. We take questions with one gold passage that states the answer word for word, so that
# a copyist could answer them all, and draw as many of each of four kinds.

# %%
documents = {document.doc_id: document for document in load_documents()}
stated = contexts.states_answer(answerable, chunks, documents)
sample = contexts.spread_sample(list(stated), 32, np.random.default_rng(SEED))
print(f"{len(stated)} questions fit, {len(sample)} drawn:", dict(Counter(q.kind for q in sample)))
print(f"for example: {sample[0].text}\n{stated[sample[0]].text}")

# %%
predict(
    LESSON,
    "oracle",
    "The right passage stands alone in the prompt, and the answer stands in it word for word. How many of the 32 replies hold it?",
    ["nearly all", "about two thirds", "fewer than half"],
)


# %%
def ask(questions, passages):
    conversations = [contexts.conversation(q.text, [each]) for q, each in zip(questions, passages, strict=True)]
    return cached.generate_many(conversations, max_new_tokens=48)


told = {
    "closed book": [alone[q] for q in sample],
    "retrieved": [retrieved[q] for q in sample],
    "oracle": ask(sample, [stated[q] for q in sample]),
}
right = {name: is_right(replies, sample) for name, replies in told.items()}
for name, values in right.items():
    print(f"{name:<12} {int(values.sum()):>2} of {len(sample)} right   {bootstrap_interval(values)}")
for name in ("closed book", "retrieved"):
    print(f"oracle minus {name:<12} {paired_difference(right['oracle'], right[name])}")
assert right["oracle"].sum() >= right["closed book"].sum() + 3
assert right["oracle"].mean() < 0.5
outcomes["oracle"] = "fewer than half"

# %% [markdown]
# 32 questions make wide intervals. The scoreboard holds the same three systems, asked all 215 test questions that are no comparison:

# %%
board = {row.name: row for row in read_rows(SHIPPED)}
systems = ("closed book", "z-score fusion", "oracle passage")
if all(name in board for name in systems):  # they come with the course's repository
    for name in systems:
        print(f"{name:<27} {board[name].get('contained', HEADLINE)}")
    gain = difference(board["oracle passage"], board["z-score fusion"])
    print(f"oracle minus z-score fusion {gain}")
    assert board["oracle passage"].get("contained", HEADLINE).high < 0.45 and 0 < gain.low < gain.high < 0.15

# %% [markdown]
# A perfect search would gain this model a few points, no more: with nothing but the right passage in the prompt, most replies are
# wrong all the same. The reader is the bottleneck. What do such replies look like?

# %%
misread = [(q, said) for q, said, good in zip(sample, told["oracle"], right["oracle"], strict=True) if not good]
for q, said in misread[:5]:
    print(f"asked   {q.text}\nanswer  {q.answers[0]}\nreply   {' '.join(said.split())[:110]}\n")

# %% [markdown]
# How often does it **contradict** its passage? That takes a person. 150 replies to train questions were read, each beside the one passage
# that was shown. Those for which it was a gold passage:

# %%
lines = (COLLECTIONS / "questions/grounded_answers.jsonl").read_text("utf-8").strip().split("\n")
labels = [json.loads(line) for line in lines]
train = load_questions(split="train")
gold_of = judge_chunks(train, chunks, documents.values())
read = [row for row in labels if row["chunk_id"] in gold_of.get(row["question_id"], {})]
errors = Counter(row["error"] or "supported" for row in read)
for name, _ in errors.most_common():
    print(f"{name:<16} {bootstrap_interval([(row['error'] or 'supported') == name for row in read])}")
clash = sum(errors[name] for name in ("contradicts", "wrong number", "wrong entity", "wrong relation"))
print(f"says otherwise than the passage: {clash} of {len(read)}")
assert errors["supported"] < 0.2 * len(read) and 0.45 * len(read) < clash < 0.6 * len(read)

# %% [markdown]
# Half of these replies say otherwise than the passage they were given: a neighbouring number, another drug, the opposite. Fewer than
# one in five is supported in full. Fluent, short, and beside the point: that is why lesson 08 measures groundedness apart from
# rightness.

# %% [markdown]
# ## 7. More passages, and their order
#
# With five passages instead of one, the gold passage is shown more often. The other four are **distractors**: near the question,
# and of no use. First the oracle's passage with four distractors, at three places.
#
# These replies take minutes, so they were made outside this notebook (`course bench augmentation`), for questions drawn in the same way.

# %%
predict(
    LESSON,
    "place",
    "The gold passage and four distractors. Where must the gold passage stand for this model to answer best?",
    ["first", "in the middle", "last, next to the question", "the place does not matter"],
)

# %%
stored = SHIPPED.with_name("augmentation.json")
figures = json.loads(stored.read_text("utf-8"))["figures"] if stored.is_file() else None
rows = figures["conditions"] if figures else {}


def show(*names):
    for name in names if rows else ():
        value, gap = rows[name]["right"], rows[name].get("minus_oracle")
        minus = f"minus oracle alone {gap['mean']:+.2f} [{gap['low']:+.2f}, {gap['high']:+.2f}]" if gap else ""
        print(f"{name:<24} {value['mean']:.2f} [{value['low']:.2f}, {value['high']:.2f}] n={value['n']}  {minus}")


if not rows:
    print("The stored result is not here; in the course's repository: python course.py bench augmentation")
show("oracle", "oracle + 4 distractors", "gold third of 5", "gold last of 5")
if rows:
    assert rows["oracle + 4 distractors"]["minus_oracle"]["high"] < 0
    gap = figures["pairs"][0]["difference"]
    print(f"gold last minus gold first {gap['mean']:+.2f} [{gap['low']:+.2f}, {gap['high']:+.2f}]")
    assert gap["low"] > 0 and rows["gold third of 5"]["minus_oracle"]["high"] < 0
outcomes["place"] = "last, next to the question"

# %% [markdown]
# Next to the question, the gold passage is read as if it stood alone. First or in the middle, it is all but lost: the reply is about
# whatever stands last. That is not the U-shape of Liu et al. (2023), whose models were far larger and lists longer. The
# order is a knob that costs nothing; measure it for your model.
#
# Now with the passages that the search finds.

# %%
predict(
    LESSON,
    "k",
    "Best passage first, as everybody prints them. From one retrieved passage to five, the share of right answers will ...",
    ["rise: the gold passage is shown more often", "not rise: what is gained is lost in reading"],
)

# %%
show(*(f"retrieved, k = {k}" for k in (1, 2, 3, 5)), *(f"k = {k}, best last" for k in (2, 3, 5)))
if rows:
    among = [round(figures["gold_among_retrieved"][str(k)], 2) for k in (1, 2, 3, 5)]
    print("gold passage among the k best:", among)
    for pair in figures["pairs"][1:]:
        gap = pair["difference"]
        print(f"{pair['first']} minus {pair['second']}: {gap['mean']:+.2f} [{gap['low']:+.2f}, {gap['high']:+.2f}]")
    means = {name: row["right"]["mean"] for name, row in rows.items()}
    assert among[3] > among[0] + 0.15 and means["retrieved, k = 5"] < means["retrieved, k = 1"] + 0.02
    assert figures["pairs"][3]["difference"]["low"] > 0
outcomes["k"] = "not rise: what is gained is lost in reading"

# %%
if rows:
    counts = np.array([1, 2, 3, 5])
    figure, axes = plt.subplots(figsize=(6.6, 3.8))
    crowded = ["oracle", "oracle + 1 distractor", "oracle + 2 distractors", "oracle + 4 distractors"]
    first = [f"retrieved, k = {k}" for k in counts]
    last = [first[0], *(f"k = {k}, best last" for k in counts[1:])]
    series = {"oracle's passage, then distractors": crowded, "k best, best first": first, "k best, best last": last}
    for (name, names), shift, colour, marker in zip(series.items(), (-0.07, 0, 0.07), PALETTE, "osD", strict=False):
        each = [rows[condition]["right"] for condition in names]
        means = np.array([value["mean"] for value in each])
        bars = [means - [value["low"] for value in each], [value["high"] for value in each] - means]
        axes.errorbar(counts + shift, means, yerr=bars, fmt=f"{marker}-", color=colour, capsize=3, label=name)
        series[name] = ", ".join(f"{mean:.2f}" for mean in means)
    axes.plot(counts, among, "^--", color=PALETTE[5], label="gold passage among the k best")
    axes.set(
        xlabel="passages in the prompt", ylabel=f"share of questions, n={figures['n']}", xticks=counts, ylim=(0, 1)
    )
    axes.set_title("More is found, no more is answered")
    axes.legend(fontsize=8)
    said = "; ".join(f"{name}: {means}" for name, means in series.items())
    show_figure(figure, f"Right answers with 1, 2, 3 and 5 passages. {said}. Gold among the k best: {among}.")

# %% [markdown]
# Read the two orders against the dashed line. Best first, more passages do not help: the gold passage is shown more often, but further
# from the question. Best last, they do no harm, and still bring less than the search does: the other passages distract. Larger models
# read better, and there a larger k pays.
#
# So `course ask` shows this model one passage, and lesson 06 spent its effort on the first place.

# %% [markdown]
# ## 8. Does it use the passage? Remove, swap, shuffle, falsify
#
# That a reply is right does not say that it came from the passage. Break what should be the cause, and the effect must go:

# %%
show("oracle", "closed book", "wrong passage", "oracle, words shuffled")
for name in ("closed book", "wrong passage") if rows else ():
    assert rows[name]["minus_oracle"]["high"] < 0 and rows[name]["right"]["mean"] < 0.1
if rows:
    assert rows["oracle, words shuffled"]["by_kind"]["exact_term"] < rows["oracle"]["by_kind"]["exact_term"] - 0.2

# %% [markdown]
# Without the passage, or with the best distractor in its place, the right answers go: the passage was the cause. With its words in random
# order some remain, mostly numbers. They can be picked out of a heap of words, without reading.
#
# Now the sharpest test: falsify it. We take questions that a number answers, and change the number in their gold passages,
# everywhere, to another that is as plausible. This happens: an outdated page, an error, a text planted on purpose.

# %%
poison = {}
for q, gold in stated.items():
    try:
        poison[q] = contexts.poisoned(gold, q)
    except ValueError:  # no number, or another form of the answer would remain
        continue
asked_numbers = contexts.spread_sample(list(poison), 32, np.random.default_rng(SEED))
swapped = [poison[q] for q in asked_numbers]
print("; ".join(f"{each.true} becomes {each.false}" for each in swapped[:6]))
assert not any(contains(each.chunk.text, q.answers) for each, q in zip(swapped, asked_numbers, strict=True))

# %%
predict(
    LESSON,
    "false",
    "Questions that the model answers rightly from the true passage. From the false passage it will mostly ...",
    ["give the true answer, from its memory", "say that it does not know", "give the false answer"],
)

# %%
from_true = ask(asked_numbers, [stated[q] for q in asked_numbers])
from_false = ask(asked_numbers, [each.chunk for each in swapped])
states_true = np.array([contains(r, [each.true]) for r, each in zip(from_true, swapped, strict=True)])
states_false = np.array([contains(r, [each.false]) for r, each in zip(from_false, swapped, strict=True)])
for i in np.flatnonzero(states_true)[:4]:
    print(f"asked          {asked_numbers[i].text}\ntrue passage   {' '.join(from_true[i].split())[:100]}")
    print(f"false passage  {' '.join(from_false[i].split())[:100]}\n")
print(f"states the true number of the true passage    {bootstrap_interval(states_true)}")
print(f"states the false number of the false passage  {bootstrap_interval(states_false)}")
print(f"difference                                    {paired_difference(states_false, states_true)}")

# %%
believed = int((states_true * states_false).sum())
kept = int(is_right(from_false, asked_numbers).sum())
declined = sum(abstains(reply) for reply in from_false)
same = sum(a == b for a, b in zip(from_true, from_false, strict=True))
print(f"of {int(states_true.sum())} that it read rightly, it followed the falsehood in {believed}")
print(f"of all {len(swapped)}: kept the truth {kept}, abstained {declined}, same reply word for word {same}")
if figures:
    larger = figures["falsehood"]["of_those_who_read_the_truth"]
    print(f"in the larger stored sample it followed in {larger['follow']:.0f} of {larger['n']}")
assert believed >= 0.4 * states_true.sum() and kept <= 2 and declined <= 2
assert abs(paired_difference(states_false, states_true).mean) < 0.2
outcomes["false"] = "give the false answer"

# %% [markdown]
# It never kept the truth and never objected: it has no knowledge of its own to object with. What it reads it **believes**: more
# often than not it states the false number. Otherwise it says something else again, for one changed digit can send a small model
# elsewhere. Where the reply is the same word for word, the number that answers played no part in it: that is how often it
# **ignores** what it should read.
#
# Two lessons follow. The answers of a RAG system are as good as its shelf. And the swap is a **test**: a system that answers right,
# and goes on answering right when the passage is falsified, did not use the passage.

# %% [markdown]
# ## 9. When the answer is not there
#
# The instruction says: *If the passages do not say, answer: I do not know.* The unanswerable questions of the test split sound as
# if the collection held an answer. The best passage retrieved is near, and does not say.

# %%
predict(
    LESSON,
    "abstain",
    "41 unanswerable questions. How many replies say that the model or its passages do not know?",
    ["most of them", "about half", "almost none"],
)

# %%
vain = [q for q in test if not q.gold]
for q in vain[:4]:
    print(f"asked  {q.text}\nreply  {' '.join(retrieved[q].split())[:110]}\n")
astray = [q for q, gold_shown in zip(answerable, seen, strict=True) if not gold_shown]
silent = {name: sum(abstains(retrieved[q]) for q in group) for name, group in (("vain", vain), ("astray", astray))}
print(f"abstains on {silent['vain']} of {len(vain)} unanswerable questions")
print(f"and on {silent['astray']} of {len(astray)} whose best passage was not gold")
assert silent["vain"] < 0.1 * len(vain) and silent["astray"] < 0.1 * len(astray)
outcomes["abstain"] = "almost none"

# %% [markdown]
# It answers them, and it answers from wrong passages just as readily. The instruction stands in the prompt, and a model of 135 million
# parameters does not follow it. Whether tuning can teach it to is a question for lessons 13 and 15. Until then, something
# outside the model has to decide.
#
# The obvious candidate is the **score** of the best passage: answer only if its cosine is high enough. The threshold is
# chosen on the train questions, so that nine in ten of the answerable pass.


# %%
def best_cosine(questions):
    return (room.embedder([q.text for q in questions]) @ room.index_.embeddings_.T).max(axis=1)


cut_at = threshold.threshold_for(best_cosine([q for q in train if q.gold]), keep=0.9)
can = np.array([bool(q.gold) for q in test])
cosines = best_cosine(test)
scores = abstention_scores((cosines < cut_at).tolist(), can.tolist())
share = 1 - can.mean()
area = threshold.separation(cosines[can], cosines[~can])
print(f"threshold {cut_at:.2f}: abstains on {scores.said} of {len(test)} test questions")
print(f"precision {scores.precision:.2f} (by chance {share:.2f}), recall {scores.recall:.2f} of {scores.wanted}")
print(f"separation {area:.2f}; 0.5 is a coin")
assert scores.recall < 0.3 and area < 0.65 and scores.precision < share + 0.1

# %% [markdown]
# Its precision is no better than that of a blind guess. Lesson 06 found why: a cosine knows the subject, not the answer. Does the model itself give
# a sign? Its own **likelihood** needs no judge: how likely did it find its reply, and how much likelier with the passage than without?

# %%
if figures:
    for name, value in figures["signals"].items():
        print(f"{name:<42} separation {value['mean']:.2f} [{value['low']:.2f}, {value['high']:.2f}] n={value['n']}")

# %% [markdown]
# The likelihood of the reply is a coin, too: the model is as sure of its inventions as of the truth. How much the **passage** adds to that
# likelihood says a little more, and its interval still reaches down to about chance. That is not enough to decide alone. Lesson 08
# takes it as one signal among several.

# %% [markdown]
# ## 10. Citations
#
# A citation lets a reader check. The passages are numbered. Does the model cite them? Each of these prompts held one passage, number 1.

# %%
one_passage = [*retrieved.values(), *told["oracle"], *from_true, *from_false]
own = [citing.cited_numbers(each) for each in one_passage]
beyond = sum(any(number != 1 for number in numbers) for numbers in own)
print(f"of {len(own)} replies {sum(map(bool, own))} cite a number, {beyond} of them one that no passage had")
assert sum(map(bool, own)) < 0.1 * len(own)

# %% [markdown]
# It hardly ever does. So the system cites, after the fact: it cuts the reply into sentences, and looks for the sentence of the passages
# that supports each most. Here support is the share of a sentence's words that stand there.

# %%
for each in citing.cite_sentences(reply, found[:1], citing.shared_words):
    print(f"{each.sentence}  [{each.number}]  {each.score:.2f}")
    print(f"   characters {each.span[0]} to {each.span[1]}: {each.quote}")
    assert each.number is None or each.quote == found[0].text[slice(*each.span)]

# %% [markdown]
# How often does it point at the gold sentence? For the oracle's replies of section 6:

# %%
quoted = [
    [each.quote for each in citing.cite_sentences(said, [stated[q]], citing.shared_words) if each.number]
    for q, said in zip(sample, told["oracle"], strict=True)
]
golds = [q.gold[0].quote for q in sample]
pointed = np.array([any(a in b or b in a for a in quotes) for quotes, b in zip(quoted, golds, strict=True)])
by_chance = np.mean([1 / len(citing.sentences(stated[q].text)) for q in sample])
good = right["oracle"].astype(bool)
print(f"points at the gold sentence {bootstrap_interval(pointed)}; a sentence at random would in {by_chance:.2f}")
print(f"right replies: {pointed[good].sum()} of {good.sum()}; wrong replies: {pointed[~good].sum()} of {(~good).sum()}")
assert bootstrap_interval(pointed).low > by_chance + 0.1

# %%
for i in np.flatnonzero(pointed & ~good)[:3]:
    print(f"reply  {' '.join(told['oracle'][i].split())[:110]}\ngold   {golds[i][:150]}\n")
assert (pointed & ~good).sum() >= 3

# %% [markdown]
# Word overlap is a good pointer, far better than chance, and no judge. Here it leads from a wrong reply straight to the sentence that
# refutes it. That is what a citation is for: it takes a reader a second to see the error. It is no proof of anything. Whether a
# sentence is **supported** is a harder question, and lesson 08 measures it.

# %% [markdown]
# ## 11. Through the glass
#
# The whole pipeline of `course ask`, every step to be seen and switched: query vector, the hits of words and meaning, fusion, versions, late
# interaction, the prompt with its budget, the reply with each sentence tied to its span, and the closed-book reply beside it.
# Choose another k and watch the prompt grow. Add a document of your own and ask again.

# %%
glass = reading_room_glass(dense=room, generator=model)
glass_pipeline_demo(glass, question=asked)

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# ## When it goes wrong
#
# - The template is missing or another model's. No error; the replies ramble.
# - The prompt is longer than the context, and something cuts it in silence. Count tokens; raise.
# - Passages are cut in their middle, and the *not* is lost.
# - *Answer only from the passages* stands in the prompt, and everybody believes it. Swap a passage and look.
# - A citation is shown that nobody checked. A number in brackets proves nothing.
# - One right reply is shown to the manager. Forty, with an interval.

# %% [markdown]
# ## Summary
#
# - A prompt is text: instruction, numbered passages, question, within a budget of tokens, in the template of the model.
# - Decoding takes the likeliest token, again and again. It looks nothing up.
# - The gold passage helps; a small reader still misreads it more often than not, and more passages do not help it.
# - It reads best what stands next to the question, and believes it, true or false.
# - It does not abstain when told to, and a score does not know when it should.
# - Word overlap finds the sentence behind a reply. That helps to check it; it proves nothing.

# %% [markdown]
# **Exercise**: `my_work/07_augment_and_generate.ipynb`, seven functions. **Next**: lesson 08 measures all this properly.
#
# **Read more**: Lewis et al. (2020), *Retrieval-augmented generation*; Liu et al. (2023), *Lost in the middle*; Yoran et al. (2023),
# *Making retrieval-augmented language models robust to irrelevant context*; Zou et al. (2024), *PoisonedRAG*.

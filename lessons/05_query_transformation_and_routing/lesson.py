# %% [markdown]
# # 05 Query transformation and routing: ask otherwise, ask elsewhere
#
# A search can fail because of its question: two questions in one, words that no passage uses, small talk around three
# words that matter. Change the question, then. This lesson does it by rule and with a language model, and measures whether
# it helps. Then it chooses the shelf to search.
#
# **You will** split, rewrite and multiply queries; read a model's reply defensively; put several rankings together; average
# vectors as HyDE does; train a router by gradient descent, and let it say that it is not sure.
#
# **You need** lessons 01, 02 and 04. {{measured}}

# %%
import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import course_lib
from course_lib.core.seeds import SEED
from course_lib.corpus.as_typed import as_typed
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import SHELVES, load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.ranking import metric_values
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.generation.cached import load_cached_language_model
from course_lib.retrieval import query_prompts, query_rules
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.exact import DenseRetriever
from course_lib.retrieval.fusion import FusedRetriever, reciprocal_rank_fusion
from course_lib.retrieval.query import Transformed, TransformedRetriever, in_turns, mean_vector, transformed, unchanged
from course_lib.retrieval.routed import RoutedRetriever, confusion, route
from course_lib.retrieval.routing import CentroidRouter, ClassifierRouter, KeywordRouter, softmax
from course_lib.retrieval.threshold import separation
from course_lib.systems.reading_room import reading_room
from course_lib.widgets.predictions import compare_predictions, predict
from course_lib.widgets.query_workbench import Workbench, query_workbench_demo
from course_lib.widgets.show import PALETTE, show_figure

LESSON = "05_query_transformation_and_routing"
outcomes = {}

# %% [markdown]
# ## 1. The question as it stands
#
# The baseline is the best search so far: BM25 and vectors, fused by rank (lesson 04). All figures below are for the **test**
# questions; prompts, patterns and thresholds were chosen on train and dev.

# %%
dense = reading_room()
chunks = list(dense.chunks_.values())
words = FastBM25Retriever().fit(chunks)
hybrid = FusedRetriever(dense, words, n_chunks=len(chunks))
test = {q.question_id: q for q in load_questions(split="test") if q.gold}
judgements = judge_chunks(test.values(), chunks, load_documents())
kinds = np.array([q.kind for q in test.values()])
print(f"{len(chunks):,} chunks, {len(test)} answerable test questions")


# %% [markdown]
# A **transformation** makes texts of a query; they are searched, and their results are put together. `recall` scores what was made
# of each question: the share of its gold passages among the first five.


# %%
def recall(made, retriever=hybrid):
    search = TransformedRetriever(retriever, unchanged)
    rankings = {name: [hit.chunk_id for hit in search.search_texts(one, 5).fused] for name, one in made.items()}
    return metric_values("recall@5", rankings, {name: judgements[name] for name in made})


baseline = recall({name: unchanged(q.text) for name, q in test.items()})
for kind in sorted(set(kinds)):
    print(f"{kind:<15} recall@5 {bootstrap_interval(baseline[kinds == kind])}")

# %% [markdown]
# ## 2. Two questions in one
#
# A comparison needs two passages. Searched as one text, it may find a third that is about both and answers neither. So split it.
# The most common form offers a choice after its last comma:


# %%
def split_choice(question):
    stem, comma, choice = question.rstrip("?").rpartition(", ")
    left, either, right = choice.partition(" or ")
    return [f"{stem}: {left}", f"{stem}: {right}"] if comma and either else []


example = "Which dam is taller, Hoover or the one on the Alta river?"  # from the train split
print(*split_choice(example), sep="\n")
assert split_choice(example) == query_rules.split_comparison(example)

# %% [markdown]
# The library's `split_comparison` has five more patterns, such as "How many more ... than ..." and "Compared with ...". They were
# written on the train and dev questions. How often do they see a comparison that they were not written for?

# %%
comparisons = {name: q for name, q in test.items() if q.kind == "comparison"}
sides = {name: query_rules.split_comparison(q.text) for name, q in test.items()}
seen = np.array([bool(sides[name]) for name in test])
print(f"comparisons split: {bootstrap_interval(seen[kinds == 'comparison'])}")
print(f"others split:      {bootstrap_interval(seen[kinds != 'comparison'])}")
assert seen[kinds == "comparison"].mean() > 0.8 and seen[kinds != "comparison"].mean() < 0.05

# %% [markdown]
# Now there are three rankings: for the whole question and for each side. Lesson 04 put rankings together by RRF, which
# adds $1 / (60 + \mathrm{rank})$. Another way is **in turns**: the first of each, then the second of each.

# %%
rankings = {"whole": ["both", "a1", "b1"], "side A": ["a1", "both", "a2"], "side B": ["b1", "both", "b2"]}
turns = list(dict.fromkeys(ranking[rank] for rank in range(3) for ranking in rankings.values()))
scores = {}
for ranking in rankings.values():
    for rank, name in enumerate(ranking, start=1):
        scores[name] = scores.get(name, 0) + 1 / (60 + rank)
print("by RRF:  ", sorted(scores, key=lambda name: -scores[name]))
print("in turns:", turns)

# %%
predict(
    LESSON,
    "fusing",
    "Comparisons, searched whole and by their sides. Which way of putting the three rankings together finds more of the "
    "gold passages than the question alone?",
    ["RRF", "in turns", "both"],
)

# %%
whole = recall({name: unchanged(q.text) for name, q in comparisons.items()})
found = {
    fuse: recall({name: transformed(q.text, sides[name], fuse=fuse) for name, q in comparisons.items()})
    for fuse in ("rank", "turns")
}
print(f"the question alone: recall@5 {bootstrap_interval(whole)}")
for fuse, values in found.items():
    change = paired_difference(values, whole)
    print(f"and its sides, {fuse:<6} recall@5 {bootstrap_interval(values)}   change {change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}]")

# %% [markdown]
# PLACEHOLDER-SPLIT-READING

# %%
def show_hits(question, made, k=4):
    trace = TransformedRetriever(hybrid, unchanged).search_texts(made, k)
    gold = judgements[question.question_id]
    for place, hit in enumerate(trace.fused, start=1):
        mark = "■" if hit.chunk_id in gold else " "
        ranks = ", ".join(f"{'ABCDE'[text - 1]}{rank}" for text, rank in trace.sources(hit.chunk_id))
        print(f"  {place} {mark} {hybrid.chunk(hit.chunk_id).title[:58]:<58} {ranks}")


gain = found["turns"] - found["rank"]
name = list(comparisons)[int(np.argmax(gain - whole))]
shown = comparisons[name]
for letter, text in zip("ABC", [shown.text, *sides[name]], strict=True):
    print(f"{letter}: {text}")
for fuse in ("rank", "turns"):
    print(f"\n{fuse} (■: holds an answer; B1: text B has it first)")
    show_hits(shown, transformed(shown.text, sides[name], fuse=fuse))

# %% [markdown]
# PLACEHOLDER-EXAMPLE

# %% [markdown]
# ## 3. Let a language model rewrite
#
# Rules see only what they were written for. A language model could rewrite anything: this is what commercial systems do, with
# models a hundred to a thousand times larger than ours. SmolLM2 has 135 million parameters. The prompt tells it what to do and
# shows examples, because without them it answers the question instead.

# %%
model = load_cached_language_model()
prompt = query_prompts.PROMPTS["several queries"]
question = "My meter shows E-3301. Why?"
for message in prompt.messages(question)[-3:]:
    print(f"[{message['role']}] {message['content']}\n")
reply = model.generate(prompt.messages(question), max_new_tokens=prompt.max_new_tokens)
print(f"[the model says] {reply}")

# %% [markdown]
# What comes back is text, and nobody promised a form. This reply is one that models of all sizes give. By hand, the parser is two steps:

# %%
import re

said = 'Sure! Here are three queries:\n1. "meter error E-3301"\n2. Meter error E-3301\n3) 3.5 kW heater trips meter\n'
lines = [re.sub(r"^\d+[.)]\s+", "", line).strip().strip('"') for line in said.splitlines()]
by_hand = list({line.lower(): line for line in reversed(lines) if line and not line.endswith(":")}.values())[::-1]
print(by_hand)
assert by_hand == query_prompts.parse_lines(said, limit=3)
for useless in ("", "I'm sorry, I cannot help with that.", question):
    made = query_prompts.by_model("several queries", model).read(question, useless)
    print(f"{useless!r:<40} {made.texts}  note: {made.note}")
    assert made.texts == (question,) and made.note

# %% [markdown]
# A reply that is empty, refuses or repeats the question leaves the question as it stands, and a **note** says so. A system that
# falls back in silence scores like its baseline, and nobody knows why. The original question is always searched, too: it is the
# cheapest insurance.
#
# There are five common transformations. Each is a prompt, a parser, and a way to put results together:

# %%
for name, prompt in query_prompts.PROMPTS.items():
    asked, replied = prompt.shots[0]
    print(f"{name} ({prompt.fuse}), for example:\n   {asked}\n   -> {replied!r}\n")

# %%
predict(
    LESSON,
    "model",
    "Five transformations by a model of 135 million parameters. How many of them raise recall@5 over all test questions, "
    "with an interval clear of zero?",
    ["none", "one or two", "three or more"],
)

# %%
rng = np.random.default_rng(SEED)
drawn = [list(test)[i] for kind in sorted(set(kinds)) for i in rng.choice(np.flatnonzero(kinds == kind), 6, replace=False)]
made, seconds = {}, {}
for name in query_prompts.PROMPTS:
    before = model.seconds
    texts = query_prompts.by_model(name, model).many([test[each].text for each in drawn])
    made[name] = dict(zip(drawn, texts, strict=True))
    seconds[name] = (model.seconds - before) / len(drawn)
for name in ("rewriting", "sub-queries", "step-back"):
    print(f"\n{name}")
    for each in drawn[::6]:
        print(f"   {test[each].text}\n      -> {list(made[name][each].texts[1:]) or made[name][each].note}")

# %% [markdown]
# PLACEHOLDER-REPLIES

# %% [markdown]
# ## 4. HyDE: search with an invented answer
#
# A question and its answer are different kinds of text. **HyDE** (hypothetical document embeddings) asks the model for a
# passage that answers, right or wrong, and searches near the mean of both vectors. By hand:

# %%
one = made["HyDE"][drawn[-1]]
print(*one.texts, sep="\n-> ")
vectors = dense.embedder(one.texts)  # (2, dim)
mean = vectors.mean(axis=0)  # (dim,)
print(f"\nlength of the mean {np.linalg.norm(mean):.3f}, cosine of the two {vectors[0] @ vectors[1]:.3f}")
mean /= np.linalg.norm(mean)
by_hand = dense.index_.search(mean, 5)
library = TransformedRetriever(dense, unchanged).search_texts(one, 5).fused
assert by_hand == library and np.allclose(mean, mean_vector(vectors), atol=1e-6)

# %% [markdown]
# The mean must be scaled to length 1 again: an index compares vectors of length 1. What the passage claims does not matter as
# long as it is about the right thing. When it is not, it leads astray. We write two passages for one question ourselves,
# one with the right subject and wrong facts, one that mistakes what is asked:

# %%
asked = next(q for q in load_questions(split="train") if q.text.startswith("HYDE-QUESTION"))
gold = set(judge_chunks([asked], chunks, load_documents())[asked.question_id])
passages = {
    "no passage": "",
    "right subject, wrong fact": "HYDE-RIGHT",
    "wrong subject": "HYDE-WRONG",
}
astray = {}
for name, passage in passages.items():
    one = transformed(asked.text, [passage], fuse="mean")
    hits = TransformedRetriever(dense, unchanged).search_texts(one, len(chunks)).fused
    astray[name] = next(place for place, hit in enumerate(hits, start=1) if hit.chunk_id in gold)
    print(f"{name:<26} the answer stands at place {astray[name]}")
assert astray["right subject, wrong fact"] < astray["no passage"] < astray["wrong subject"]

# %% [markdown]
# PLACEHOLDER-HYDE

# %% [markdown]
# ## 5. Measured: all test questions
#
# First the questions drawn above, live. Then the whole test split, measured once outside this notebook because it takes many
# minutes.

# %%
alone = {each: unchanged(test[each].text) for each in drawn}
before = {"hybrid": recall(alone), "dense": recall(alone, dense)}
for name, prompt in query_prompts.PROMPTS.items():
    base = "dense" if prompt.fuse == "mean" else "hybrid"
    values = recall(made[name], dense if base == "dense" else hybrid)
    change = paired_difference(values, before[base])
    notes = sum(bool(one.note) for one in made[name].values())
    print(
        f"{name:<16} {base}: change {change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}] n={change.n}, "
        f"{seconds[name]:.1f} s a question, {notes} left unchanged"
    )

# %%
stored = Path(course_lib.__file__).parents[1] / "benchmarks/results/query_transformation.json"
result = json.loads(stored.read_text("utf-8")) if stored.is_file() else None
if result is None:
    print("The stored result is not here; in the course's repository: python course.py bench query_transformation")
else:
    figures = result["figures"]
    print(f"measured {result['date']} on {result['machine']['processor']}, n={figures['n']}; change of recall@5:")
    for name, row in list(figures["rows"].items())[1:]:
        cells = [row[base]["recall@5 minus"] for base in ("hybrid", "dense")]
        shown_cells = "   ".join(f"{cell['mean']:+.3f} [{cell['low']:+.3f}, {cell['high']:+.3f}]" for cell in cells)
        print(f"{name:<16} hybrid, dense: {shown_cells}   {figures['seconds_alone'][name]['transform']:.2f} s")

# %% [markdown]
# PLACEHOLDER-TABLE

# %%
def by_kind_figure(figures):
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    names, words_ = [name for name in figures["rows"] if name != "unchanged"], []
    for number, kind in enumerate(figures["n_by_kind"]):
        cells = [figures["rows"][name]["hybrid"]["recall@5 by kind minus"][kind] for name in names]
        middle = np.array([cell["mean"] for cell in cells])
        ends = np.array([[cell["mean"] - cell["low"], cell["high"] - cell["mean"]] for cell in cells]).T
        places = np.arange(len(names)) + 0.16 * (number - 2)
        label = f"{kind.replace('_', ' ')} (n={cells[0]['n']})"
        axes.errorbar(places, middle, ends, fmt="os^Dv"[number], color=PALETTE[(0, 1, 2, 3, 5)[number]], label=label, ms=5)
        words_.append(f"{kind}: " + ", ".join(f"{name} {value:+.2f}" for name, value in zip(names, middle, strict=True)))
    axes.axhline(0, color="#555", lw=1)
    axes.set_xticks(range(len(names)), [name.replace(" (", "\n(").replace("several ", "several\n") for name in names])
    axes.tick_params(axis="x", labelsize=8)
    axes.set(ylabel="change of recall@5", title="What each transformation does to each kind of question")
    axes.legend(fontsize=8, ncols=2)
    show_figure(figure, "Change of recall at 5 on hybrid search, by kind of question. " + "; ".join(words_))


if result is not None:
    by_kind_figure(figures)

# %% [markdown]
# PLACEHOLDER-FIGURE

# %% [markdown]
# ## 6. Is it the words that act?
#
# Two counterfactuals. A rewriter that returns the query must give exactly the baseline. And if the texts made of one question are
# given to another, what they did for their own must be gone.

# %%
same = recall({name: transformed(q.text, [q.text.upper()]) for name, q in test.items()})
assert (same == baseline).all()
order = list(comparisons)
others = dict(zip(order, order[1:] + order[:1], strict=True))
swapped = {
    name: transformed(comparisons[name].text, sides[other], fuse="turns", keep_original=False) for name, other in others.items()
}
own = {name: transformed(q.text, sides[name], fuse="turns", keep_original=False) for name, q in comparisons.items()}
kept, lost = recall(own), recall(swapped)
change = paired_difference(kept, lost)
print(f"searched by their own sides only {kept.mean():.2f}, by another's {lost.mean():.2f}")
print(f"difference {change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}] n={change.n}")
assert change.low > 0

# %% [markdown]
# PLACEHOLDER-COUNTER

# %% [markdown]
# ## 7. What people type
#
# The questions of the test are tidy. People greet, explain and thank. `as_typed` wraps each question in such words: half of
# the phrases are common ones, half are small talk that no list foresees.

# %%
typed = {name: as_typed(q.text) for name, q in test.items()}
print(typed[drawn[0]], "\n->", query_rules.strip_chatter(typed[drawn[0]]))

# %%
predict(
    LESSON,
    "chatter",
    "A rule strips greetings, requests and thanks that are on a list. How much of the recall that small talk costs does "
    "it win back?",
    ["nearly all", "a part", "nothing"],
)

# %%
noisy = recall({name: unchanged(text) for name, text in typed.items()})
stripped = recall({name: query_rules.without_chatter(text) for name, text in typed.items()})
for name, values in (("tidy", baseline), ("as typed", noisy), ("stripped by rule", stripped)):
    print(f"{name:<17} recall@5 {bootstrap_interval(values)}")
cost, won = paired_difference(baseline, noisy), paired_difference(stripped, noisy)
print(f"cost {cost.mean:.2f} [{cost.low:.2f}, {cost.high:.2f}], won back {won.mean:.2f} [{won.low:.2f}, {won.high:.2f}]")
for name, row in figures["as_typed"]["hybrid"].items() if result else ():
    if name.startswith("rewritten"):
        cell = row["minus_as_typed"]
        print(f"{name} (stored): won back {cell['mean']:+.2f} [{cell['low']:+.2f}, {cell['high']:+.2f}] n={cell['n']}")
assert cost.low > 0 and won.low > 0 and won.mean < 0.9 * cost.mean
outcomes["chatter"] = "a part"

# %% [markdown]
# PLACEHOLDER-CHATTER

# %% [markdown]
# ## 8. Choose the shelf: routing
#
# The reading room has four shelves. A question about a tariff need not be searched among football matches. A **router** names the
# shelf. Three kinds: by **keywords**; by **centroid**, the mean vector of each shelf's chunks; by a **classifier**, trained on the
# train questions.

# %%
shelf_of = [chunk.doc_id.split("/")[0] for chunk in chunks]
all_test, train, dev = (load_questions(split=split) for split in ("test", "train", "dev"))
keyword = KeywordRouter()
centroid = CentroidRouter(dense.embedder).fit(dense.index_.embeddings_, shelf_of)
for shelf, terms in keyword.keywords.items():
    print(f"{shelf:<10}", ", ".join(" ".join(term) for term in terms[:9]), "...")

# %% [markdown]
# The classifier is softmax regression: a weight for each dimension and shelf. Softmax turns the scores of a question into
# probabilities, and each step of gradient descent moves the weights against the error. That is all of the training, by hand:

# %%
vectors = dense.embedder([q.text for q in train]).astype(np.float64)  # (n, dim)
names = sorted(SHELVES)
targets = np.array([[q.shelf == name for name in names] for q in train], dtype=float)  # (n, n_shelves)
weights, intercepts, losses = np.zeros((vectors.shape[1], len(names))), np.zeros(len(names)), []
for _ in range(500):
    probabilities = softmax(vectors @ weights + intercepts)  # (n, n_shelves)
    error = (probabilities - targets) / len(train)  # (n, n_shelves)
    losses.append(-(targets * np.log(probabilities)).sum() / len(train) + 1e-3 / 2 * (weights**2).sum())
    weights -= 5.0 * (vectors.T @ error + 1e-3 * weights)
    intercepts -= 5.0 * error.sum(axis=0)
print(f"loss at the start {losses[0]:.2f} (ln 4 = {np.log(4):.2f}), after 500 steps {losses[-1]:.2f}")

# %%
classifier = ClassifierRouter(dense.embedder, l2=1e-3, rate=5.0, n_steps=500)
classifier.fit([q.text for q in train], [q.shelf for q in train])
assert np.allclose(weights, classifier.weights_) and np.allclose(losses, classifier.losses_)

# %%
predict(
    LESSON,
    "router",
    "Which router sends the most test questions to the right shelf?",
    ["keywords", "centroid", "classifier", "centroid and classifier alike"],
)

# %%
routers = {"keywords": keyword, "centroid": centroid, "classifier": classifier}
routes = {name: route(router, [q.text for q in all_test]) for name, router in routers.items()}
right = {
    name: np.array([one.shelf == q.shelf for one, q in zip(chosen, all_test, strict=True)], dtype=float)
    for name, chosen in routes.items()
}
for name, values in right.items():
    unsure = sum(one.shelf is None for one in routes[name])
    print(f"{name:<11} right {bootstrap_interval(values)}   tie, so not sure: {unsure}")
ahead = paired_difference(right["classifier"], right["centroid"])
print(f"classifier minus centroid {ahead.mean:+.2f} [{ahead.low:+.2f}, {ahead.high:+.2f}]")

# %%
table = confusion([q.shelf for q in all_test], [one.shelf for one in routes["classifier"]], SHELVES)
print(f"{'of':<12}" + "".join(f"{name:>11}" for name in (*SHELVES, "to all")))
for shelf, row in zip(SHELVES, table, strict=True):
    print(f"{shelf:<12}" + "".join(f"{count:>11}" for count in row))
misled = [(one.shelf, q) for one, q in zip(routes["classifier"], all_test, strict=True) if one.shelf != q.shelf]
for shelf, q in misled[:4]:
    print(f"   {q.shelf} -> {shelf}: {q.text}")

# %% [markdown]
# PLACEHOLDER-ROUTERS

# %% [markdown]
# ## 9. What a route buys, and what a wrong one costs
#
# A wrong route cannot be repaired: the passage is on a shelf that nobody opened. So let the router say "all shelves" unless its best
# shelf leads the second by enough. How much is enough is chosen on the dev questions: the smallest lead at which 97 % of those sent
# are sent right.

# %%
dev_routes = route(classifier, [q.text for q in dev])
leads = np.array([one.lead for one in dev_routes])
dev_right = np.array([one.shelf == q.shelf for one, q in zip(dev_routes, dev, strict=True)])
min_lead = next(float(lead) for lead in np.arange(0, 1, 0.05) if dev_right[leads >= lead].mean() >= 0.97)
careful = route(classifier, [q.text for q in all_test], min_lead=min_lead)
sent = np.array([one.shelf is not None for one in careful])
print(f"min_lead {min_lead:.2f}: {sent.mean():.0%} of the test questions are sent to one shelf,")
print(f"right: {bootstrap_interval(right['classifier'][sent])}")


# %%
def shelf_retriever(shelf):
    rows = [i for i, name in enumerate(shelf_of) if name == shelf]
    mine = [chunks[i] for i in rows]
    meaning = DenseRetriever(dense.embedder).fit(mine, dense.index_.embeddings_[rows])
    return FusedRetriever(meaning, FastBM25Retriever().fit(mine), n_chunks=len(mine))


shelves = {shelf: shelf_retriever(shelf) for shelf in SHELVES}
always = RoutedRetriever(classifier, shelves, hybrid)
if_sure = RoutedRetriever(classifier, shelves, hybrid, min_lead=min_lead)

# %%
every = {name: unchanged(q.text) for name, q in test.items()}
told = {
    name: value
    for shelf in SHELVES
    for mine in [{name: one for name, one in every.items() if test[name].shelf == shelf}]
    for name, value in zip(mine, recall(mine, shelves[shelf]), strict=True)
}
routed = {
    "classifier, always": recall(every, always),
    "classifier, if sure": recall(every, if_sure),
    "the right shelf, told": np.array([told[name] for name in test]),
}
print(f"{'all shelves':<22} recall@5 {bootstrap_interval(baseline)}")
changes = {name: paired_difference(values, baseline) for name, values in routed.items()}
for name, values in routed.items():
    change = changes[name]
    print(f"{name:<22} recall@5 {bootstrap_interval(values)}   change {change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]")

# %%
wrongly = [name for name in test if always.route(test[name].text).shelf not in (None, test[name].shelf)]
lost = np.array([list(test).index(name) for name in wrongly])
print(f"{len(lost)} answerable questions sent to a wrong shelf: recall@5 {baseline[lost].mean():.2f} on all shelves, "
      f"{routed['classifier, always'][lost].mean():.2f} on the wrong one")  # fmt: skip
question_text, spent = "Which tariff is cheapest?", {"embed": [], "all shelves": [], "one shelf": []}
query, small = dense.embedder([question_text])[0], shelves["help_desk"].retrievers[0].index_
steps = {
    "embed": lambda: dense.embedder([question_text]),
    "all shelves": lambda: dense.index_.search(query, 5),
    "one shelf": lambda: small.search(query, 5),
}
for _ in range(20):
    for name, step in steps.items():
        started = time.perf_counter()
        step()
        spent[name].append(1000 * (time.perf_counter() - started))
print(", ".join(f"{name} {np.median(values):.2f} ms" for name, values in spent.items()))

# %% [markdown]
# PLACEHOLDER-ROUTED

# %% [markdown]
# ## 10. Questions that belong nowhere
#
# A router names a shelf or all of them. Can the best cosine say that a question belongs to none? Forty questions on other
# subjects, written for this cell, against those of the test that can be answered, and those that cannot.

# %%
off_topic = """OFFTOPIC""".splitlines()

# %%
predict(
    LESSON,
    "nowhere",
    "The best cosine of a question with any chunk: whose lies clearly below that of the answerable questions, so that a "
    "threshold can tell them apart (9 pairs of 10 or more)?",
    ["off-topic questions only", "unanswerable questions only", "both", "neither"],
)


# %%
def best_cosine(texts):
    return (dense.embedder(texts) @ dense.index_.embeddings_.T).max(axis=1)  # (n,)


groups = {
    "answerable": best_cosine([q.text for q in test.values()]),
    "unanswerable": best_cosine([q.text for q in all_test if not q.gold]),
    "off-topic": best_cosine(off_topic),
}
rng, areas = np.random.default_rng(SEED), {}
for name in ("unanswerable", "off-topic"):
    draws = [separation(*(rng.choice(groups[one], len(groups[one])) for one in ("answerable", name))) for _ in range(500)]
    areas[name] = separation(groups["answerable"], groups[name]), *np.quantile(draws, [0.025, 0.975])
    print(f"answerable above {name:<13} in {areas[name][0]:.2f} [{areas[name][1]:.2f}, {areas[name][2]:.2f}] of all pairs, n={len(groups[name])}")

# %% [markdown]
# PLACEHOLDER-NOWHERE

# %% [markdown]
# ## 11. The workbench
#
# **Try it.** Type a question, choose a transformation, and change the texts as you like, one a line. Each hit says which text found it,
# at which rank, and where it stood before. Below, the router's probabilities. Everything works with Tab, Enter and the arrow keys.

# %%
made_by = {name: query_prompts.by_model(name, model) for name in query_prompts.PROMPTS}
bench = Workbench(
    TransformedRetriever(dense, unchanged),
    {"split by rule": query_rules.by_parts, "without chatter": query_rules.without_chatter, **made_by},
    router=classifier,
    min_lead=min_lead,
    answers={q.text: set(judgements[name]) for name, q in test.items()},
)
query_workbench_demo(bench, question=shown.text, name="split by rule", k=4)

# %% [markdown]
# PLACEHOLDER-WRONG

# %% [markdown]
# ## What you predicted

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# PLACEHOLDER-SUMMARY

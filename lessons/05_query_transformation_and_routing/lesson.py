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
import re
import time
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
from course_lib.evaluation.significance import Interval, bootstrap_interval, paired_difference
from course_lib.generation.cached import load_cached_language_model

# %%
from course_lib.retrieval import query_prompts, query_rules
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.exact import DenseRetriever
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.query import TransformedRetriever, mean_vector, transformed, unchanged
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
# The baseline is the best search so far: BM25 and vectors, fused by z-scores (lesson 04). All figures below are for the
# **test** questions; prompts, patterns and thresholds were chosen on train and dev.

# %%
dense = reading_room()
chunks = list(dense.chunks_.values())
words = FastBM25Retriever().fit(chunks)
hybrid = FusedRetriever(dense, words, n_chunks=len(chunks), method="z_score")
test = {q.question_id: q for q in load_questions(split="test") if q.gold}
judgements = judge_chunks(test.values(), chunks, load_documents())
kinds = np.array([q.kind for q in test.values()])
print(f"{len(chunks):,} chunks, {len(test)} answerable test questions")


# %% [markdown]
# A **transformation** makes texts of a query; they are searched, and their results are put together. `recall` scores what was made
# of each question: the share of its gold passages among the first five. Several experiments search the same texts, so vectors are
# remembered.


# %%
class Remembering:
    """An embedder that embeds each text once."""

    def __init__(self, embedder):
        self.embedder, self.known = embedder, {}

    def __call__(self, texts):
        new = sorted(set(texts) - set(self.known))
        self.known.update(zip(new, self.embedder(new) if new else (), strict=True))
        return np.stack([self.known[text] for text in texts])  # (n_texts, dim)


dense.embedder = Remembering(dense.embedder)


# %%
def recall(made, retriever=hybrid):
    dense.embedder([text for one in made.values() for text in one.texts])  # all at once is faster
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
rankings = {
    "whole": ["both", "list", "a1", "b1"],
    "side A": ["a1", "both", "list", "a2"],
    "side B": ["b1", "both", "list", "b2"],
}
turns = list(dict.fromkeys(ranking[rank] for rank in range(4) for ranking in rankings.values()))
scores = {}
for ranking in rankings.values():
    for rank, name in enumerate(ranking, start=1):
        scores[name] = scores.get(name, 0) + 1 / (60 + rank)
by_rank = sorted(scores, key=lambda name: -scores[name])
print("by RRF:  ", by_rank)
print("in turns:", turns)
assert by_rank[:2] == ["both", "list"] and set(turns[:3]) == {"both", "a1", "b1"}

# %% [markdown]
# RRF puts first what all three lists hold: passages about both sides. In turns, each list has its share of the first places.

# %%
predict(
    LESSON,
    "fusing",
    "Comparisons, searched whole and by their sides. Which way of putting the three rankings together finds more of the "
    "gold passages than the question alone?",
    ["RRF", "in turns", "both", "neither"],
)

# %%
whole = recall({name: unchanged(q.text) for name, q in comparisons.items()})
found = {
    fuse: recall({name: transformed(q.text, sides[name], fuse=fuse) for name, q in comparisons.items()})
    for fuse in ("rank", "turns")
}
print(f"the question alone     recall@5 {bootstrap_interval(whole)}")
for fuse, values in found.items():
    print(f"and its sides, {fuse:<7} recall@5 {bootstrap_interval(values)}   change {paired_difference(values, whole)}")

change = {fuse: paired_difference(values, whole) for fuse, values in found.items()}
assert change["rank"].high < 0 and change["turns"].low <= 0 <= change["turns"].high
assert (found["turns"] - found["rank"]).mean() > 0.08
outcomes["fusing"] = "neither"

# %% [markdown]
# Splitting gains nothing here. The question alone names both sides, and BM25 finds both names. So much for the rule; but look at the
# two ways of putting results together. In turns, nothing is lost. RRF **loses** a good part of what the question alone had
# found, with an interval clear of zero: it prefers what all three lists hold. Here is the question for which it differs most.


# %%
def show_hits(question, made, k=4):
    trace = TransformedRetriever(hybrid, unchanged).search_texts(made, k)
    gold = judgements[question.question_id]
    for place, hit in enumerate(trace.fused, start=1):
        mark = "■" if hit.chunk_id in gold else " "
        ranks = ", ".join(f"{'ABCDE'[text - 1]}{rank}" for text, rank in trace.sources(hit.chunk_id))
        print(f"  {place} {mark} {hybrid.chunk(hit.chunk_id).title[:58]:<58} {ranks}")


name = list(comparisons)[int(np.argmax(found["turns"] - found["rank"]))]
shown = comparisons[name]
for letter, text in zip("ABC", [shown.text, *sides[name]], strict=True):
    print(f"{letter}: {text}")
for fuse in ("rank", "turns"):
    print(f"\n{fuse} (■: holds an answer; B1: text B has it first)")
    show_hits(shown, transformed(shown.text, sides[name], fuse=fuse))

assert (found["turns"] - found["rank"]).max() > 0.4

# %% [markdown]
# Read the ranks beside each hit. What stands first after RRF has middling ranks in all three lists. What one list has at
# its very top, and the others far down, comes later.

# %% [markdown]
# ## 3. Let a language model rewrite
#
# Rules see only what they were written for. A language model could rewrite anything. Larger systems do this with models a
# hundred to a thousand times the size of ours: SmolLM2 has 135 million parameters. The prompt tells it what to do and
# shows, by examples, in which form to reply.

# %%
model = load_cached_language_model()
prompt = query_prompts.PROMPTS["several queries"]
question = "My meter shows E-3301. Why?"
for message in prompt.messages(question)[-3:]:
    print(f"[{message['role']}] {message['content']}\n")
reply = model.generate(prompt.messages(question), max_new_tokens=prompt.max_new_tokens)
print(f"[the model says] {reply}")

# %% [markdown]
# What comes back is text, and nobody promised a form. We made up a reply with the usual flaws: an announcement, numbers, quotation
# marks, a repetition, and a size that begins with a number. By hand, the parser is two steps:

# %%
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
places = [rng.choice(np.flatnonzero(kinds == kind), 4, replace=False) for kind in sorted(set(kinds))]
drawn = [list(test)[i] for i in np.concatenate(places)]  # four of each kind
made, seconds = {}, {}
for name in query_prompts.PROMPTS:
    before = model.seconds
    texts = query_prompts.by_model(name, model).many([test[each].text for each in drawn])
    made[name] = dict(zip(drawn, texts, strict=True))
    seconds[name] = (model.seconds - before) / len(drawn)

# %%
for name in ("rewriting", "sub-queries", "step-back"):
    print(f"\n{name}")
    for each in drawn[::4]:
        print(f"   {test[each].text}\n      -> {list(made[name][each].texts[1:]) or made[name][each].note}")


# %%
def names_in(text):
    """Return the words of a text with a digit or a capital letter, the first word aside."""
    return {word for word in re.findall(r"[\w-]+", text)[1:] if re.search(r"[A-Z0-9]", word)}


kept = {}
for name in ("rewriting", "sub-queries", "several queries", "step-back"):
    asked_for = [names_in(test[each].text) for each in drawn]
    given = [names_in(" . ".join(("", *made[name][each].texts[1:]))) for each in drawn]
    pairs = [(a, b) for a, b, each in zip(asked_for, given, drawn, strict=True) if a and made[name][each].texts[1:]]
    kept[name] = bootstrap_interval([len(a & b) / len(a) for a, b in pairs])
    print(f"{name:<16} names and numbers of the question that its texts still hold: {kept[name]}")
assert np.mean([one.mean for one in kept.values()]) < 0.8

# %% [markdown]
# The model keeps to the form that it was shown. The content is another matter: read the texts as a search engine would. It
# has nothing but words, and names, codes and years are the words that find things. Many of them are lost.

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
scaled = mean / np.linalg.norm(mean)
by_hand = dense.index_.search(scaled, 5)
library = TransformedRetriever(dense, unchanged).search_texts(one, 5).fused
assert by_hand == library and np.allclose(scaled, mean_vector(vectors), atol=1e-6)
short = dense.index_.search(mean, 5)
assert [hit.chunk_id for hit in short] == [hit.chunk_id for hit in by_hand] and short[0].score < by_hand[0].score

# %% [markdown]
# The mean of two different directions is shorter than 1. Scaling does not change the order of the hits, but their scores: without it
# they are no cosines, and a threshold on them is wrong.
#
# What the passage claims does not matter as long as it is about the right thing. When it is not, it leads astray. We write two
# passages for one question ourselves: one on the right subject with a wrong fact, one that mistakes what is asked.

# %%
asked = next(q for q in load_questions(split="train") if q.text.startswith("Where did SeaGen turn"))
gold = set(judge_chunks([asked], chunks, load_documents())[asked.question_id])
passages = {
    "no passage": "",
    "right subject, wrong fact": "SeaGen was a tidal stream turbine with two rotors. It stood in the Pentland Firth off Scotland.",
    "wrong subject": "The helicopter turned its two rotors above the airfield.",
}
astray = {}
for name, passage in passages.items():
    one = transformed(asked.text, [passage], fuse="mean")
    hits = TransformedRetriever(dense, unchanged).search_texts(one, len(chunks)).fused
    astray[name] = next(place for place, hit in enumerate(hits, start=1) if hit.chunk_id in gold)
    print(f"{name:<26} the answer stands at place {astray[name]}")
assert astray["right subject, wrong fact"] < astray["no passage"] < astray["wrong subject"]

# %% [markdown]
# A wrong fact did no harm: the passage was in the right place. A passage about something else drew the search away. Whether HyDE
# helps depends on how often the model knows what the question is about.

# %% [markdown]
# ## 5. Measured: all test questions
#
# First the questions drawn above, live. Then the whole test split, measured once outside this notebook because it takes many
# minutes. *By parts* is the rule of section 2, in turns. *Feedback* is HyDE without a model: the mean of the question's vector and
# those of its three best hits.

# %%
alone = {each: unchanged(test[each].text) for each in drawn}
before = {"hybrid": recall(alone), "dense": recall(alone, dense)}
for name, prompt in query_prompts.PROMPTS.items():
    base = "dense" if prompt.fuse == "mean" else "hybrid"  # a mean of vectors needs a search by vector
    change = paired_difference(recall(made[name], dense if base == "dense" else hybrid), before[base])
    left = sum(bool(one.note) for one in made[name].values())
    print(f"{name:<16} {base:<6} change {change}, {seconds[name]:.1f} s a question, {left} left unchanged")

# %%
stored = Path(course_lib.__file__).parents[1] / "benchmarks/results/query_transformation.json"
result = json.loads(stored.read_text("utf-8")) if stored.is_file() else None
if result is None:
    print("The stored result is not here; in the course's repository: python course.py bench query_transformation")
else:
    figures = result["figures"]
    rows = {name: row for name, row in figures["rows"].items() if name != "unchanged"}
    print(f"measured {result['date']} on {result['machine']['processor']}; change of recall@5, n={figures['n']}:")
    for name, row in rows.items():
        changes = [Interval(**row[base]["recall@5 minus"]) for base in ("hybrid", "dense")]
        took = figures["seconds_alone"][name]["transform"]
        print(f"{name:<16} hybrid {changes[0]}   dense {changes[1]}   {took:.2f} s a question")

# %%
if result is not None:
    gains = {name: Interval(**rows[name]["hybrid"]["recall@5 minus"]) for name in query_prompts.PROMPTS}
    hurt = [name for name, gain in gains.items() if gain.high < 0]
    assert not any(gain.low > 0 for gain in gains.values()) and len(hurt) >= 3 and "HyDE" not in hurt
    outcomes["model"] = "none"
    print("clearly worse than the question alone:", ", ".join(hurt))
    for name, gain in gains.items():
        variants = {label: Interval(**cell) for label, cell in rows[name]["hybrid"]["variants"].items()}
        assert variants["without the query"].mean < gain.mean - 0.02
        print(f"{name:<16} {gain}   without the question {variants['without the query'].mean:+.2f}", end="")
        if query_prompts.PROMPTS[name].fuse == "rank":
            assert variants["by turns"].mean > gain.mean + 0.02
            print(f"   in turns {variants['by turns'].mean:+.2f}", end="")
        print()

# %% [markdown]
# Nothing that the model wrote helps, and most of it hurts. These are the standard remedies. A large model may do better with them, but that has
# to be shown, and against a strong baseline. Two lines of defence can be measured. **Keep the question**: without it, every
# transformation loses more. **Fuse in turns**: in RRF bad texts outvote a good question; in turns, the question's best hit
# stays first.
#
# HyDE does no clear harm: its mean still holds the question's vector, and BM25 still reads the question itself.


# %%
def by_kind_figure(figures, names):
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    said = []
    for number, kind in enumerate(figures["n_by_kind"]):
        cells = [Interval(**rows[name]["hybrid"]["recall@5 by kind minus"][kind]) for name in names]
        middle = np.array([cell.mean for cell in cells])
        ends = [middle - [cell.low for cell in cells], [cell.high for cell in cells] - middle]
        x = np.arange(len(names)) + 0.16 * (number - 2)
        label = f"{kind.replace('_', ' ')} (n={cells[0].n})"
        axes.errorbar(x, middle, ends, fmt="os^Dv"[number], color=PALETTE[(0, 1, 2, 3, 5)[number]], label=label, ms=5)
        values = ", ".join(f"{name} {value:+.2f}" for name, value in zip(names, middle, strict=True))
        said.append(f"{kind.replace('_', ' ')}: {values}")
    axes.axhline(0, color="#555", lw=1)
    axes.set_xticks(range(len(names)), [name.replace(" (", "\n(").replace("several ", "several\n") for name in names])
    axes.tick_params(axis="x", labelsize=8)
    axes.set(ylabel="change of recall@5", title="What each transformation does to each kind of question")
    axes.legend(fontsize=8, loc="lower left")
    show_figure(figure, "Change of recall at 5 on hybrid search, by kind of question. " + "; ".join(said))


# %%
if result is not None:
    by_kind_figure(figures, list(rows))
    cells = {name: rows[name]["hybrid"]["recall@5 by kind minus"] for name in query_prompts.PROMPTS}
    assert not any(cell["low"] > 0 for row in cells.values() for cell in row.values())
    assert all(cell["high"] < 0 for cell in cells["several queries"].values())

# %% [markdown]
# An average may hide a kind of question that gains. None does: no point of a model's transformation lies above zero with its whole
# interval. *Several queries*, the one with the most texts, loses on every kind.

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


def sides_of(names):
    """Search each comparison by the sides of the question that names has for it, and not as it stands."""
    return {
        name: transformed(q.text, sides[names[name]], fuse="turns", keep_original=False)
        for name, q in comparisons.items()
    }


own, swapped = recall(sides_of({name: name for name in order})), recall(sides_of(others))
change = paired_difference(own, swapped)
print(f"by their own sides only {own.mean():.2f}, by another's {swapped.mean():.2f}, difference {change}")
assert change.low > 0.4 and abs(own.mean() - whole.mean()) < 0.1 and swapped.mean() < 0.2

# %% [markdown]
# The first holds exactly, for every question: the machinery around the texts changes nothing by itself. The second shows that it is
# the words of the sides that find: alone, they find about as much as the question does; another's find next to nothing.
#
# Is the idea wrong, then, or the writer? Let an **oracle** write: it knows the title of the passage that answers. This is no
# system, it is the room that a perfect writer would have.

# %%
titles = {document.doc_id: document.title for document in load_documents()}
perfect = {name: transformed(q.text, [titles[gold.doc_id] for gold in q.gold], fuse="mean") for name, q in test.items()}
by_meaning, room = recall({name: unchanged(q.text) for name, q in test.items()}, dense), recall(perfect, dense)
print(f"vectors, the question alone          recall@5 {bootstrap_interval(by_meaning)}")
print(f"vectors, and the title of the answer recall@5 {bootstrap_interval(room)}")
gain = paired_difference(room, by_meaning)
print(f"change {gain}")
assert gain.low > 0.1

# %% [markdown]
# The idea is sound; the writer is too small. For a model of this size the honest advice is: do not let it touch the question.

# %% [markdown]
# ## 7. What people type
#
# The questions of the test are tidy. People greet, explain and thank. `as_typed` wraps each question in such words: half of
# the phrases are common ones, half are small talk that no list foresees.

# %%
typed = {name: as_typed(q.text) for name, q in test.items()}
listed = np.array([query_rules.strip_chatter(text) == test[name].text for name, text in typed.items()])
unforeseen = np.array([query_rules.strip_chatter(text) == text for text in typed.values()])
for rows_ in (listed, unforeseen):
    said = list(typed.values())[int(np.argmax(rows_))]
    print(f"{said}\n   -> {query_rules.strip_chatter(said)}\n")

# %%
predict(
    LESSON,
    "chatter",
    "A rule strips greetings, requests and thanks that are on a list. How much of the recall that small talk costs does "
    "it win back?",
    ["nearly all", "about half", "little or nothing"],
)

# %%
noisy = recall({name: unchanged(text) for name, text in typed.items()})
stripped = recall({name: query_rules.without_chatter(text) for name, text in typed.items()})
for name, values in (("tidy", baseline), ("as typed", noisy), ("stripped by rule", stripped)):
    print(f"{name:<17} recall@5 {bootstrap_interval(values)}")
cost, won = paired_difference(baseline, noisy), paired_difference(stripped, noisy)
print(f"cost {cost}, won back {won}")
for label, rows_ in {"all": listed, "none": unforeseen}.items():
    print(f"small talk, {label:<4} of it on the list, costs {paired_difference(baseline[rows_], noisy[rows_])}")

# %%
rewritten = {}
for name in ("rewritten by the model", "rewritten, and as typed") if result else ():
    rewritten[name] = Interval(**figures["as_typed"]["hybrid"][name]["minus_as_typed"])
    print(f"{name} (stored): change {rewritten[name]}")
assert cost.low > 0 and won.mean < 0.4 * cost.mean
assert (baseline - noisy)[unforeseen].mean() > (baseline - noisy)[listed].mean() + 0.05
assert not rewritten or rewritten["rewritten by the model"].high < 0
outcomes["chatter"] = "little or nothing"

# %% [markdown]
# Small talk costs recall, and the rule wins back little of it. Greetings and thanks, which are on the list, cost little to begin with.
# What costs is the story about the bus and the broken printer, and no list foresees it. Left to the model, the question comes out
# worse than it went in.

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
    ["keywords", "centroid", "classifier"],
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
ahead = {name: paired_difference(right["classifier"], right[name]) for name in ("keywords", "centroid")}
for name, difference in ahead.items():
    print(f"classifier minus {name:<8} {difference}")

# %%
table = confusion([q.shelf for q in all_test], [one.shelf for one in routes["classifier"]], SHELVES)
print(f"{'of':<12}" + "".join(f"{name:>11}" for name in (*SHELVES, "to all")))
for shelf, row in zip(SHELVES, table, strict=True):
    print(f"{shelf:<12}" + "".join(f"{count:>11}" for count in row))
misled = [(one.shelf, q) for one, q in zip(routes["classifier"], all_test, strict=True) if one.shelf != q.shelf]
for shelf, q in misled[:4]:
    print(f"   {q.shelf} -> {shelf}: {q.text}")
table = np.array(table)
most = np.unravel_index(np.argmax(table * (1 - np.eye(*table.shape))), table.shape)
assert (SHELVES[most[0]], SHELVES[most[1]]) == ("energy", "help_desk")
assert ahead["keywords"].low > 0.2 and 0 < ahead["centroid"].mean < 0.1
assert sum(one.shelf is None for one in routes["keywords"]) > 0.4 * len(all_test)
outcomes["router"] = "classifier"

# %% [markdown]
# Keywords tie or find nothing on about half of the questions. The centroid needs no questions to learn from and gets most right.
# The classifier has learnt from questions and is a few hundredths ahead; the interval begins at about zero.
#
# Read the table by rows: what goes wrong most often is a question about energy that is sent to the help desk. Both speak of
# power and its price.

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
    return FusedRetriever(meaning, FastBM25Retriever().fit(mine), n_chunks=len(mine), method="z_score")


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
    print(f"{name:<22} recall@5 {bootstrap_interval(values)}   change {changes[name]}")

# %%
chosen = {q.question_id: one.shelf for q, one in zip(all_test, routes["classifier"], strict=True)}
lost = [i for i, (name, q) in enumerate(test.items()) if chosen[name] != q.shelf]
print(f"{len(lost)} answerable questions sent to a wrong shelf: recall@5", end=" ")
print(f"{baseline[lost].mean():.2f} on all shelves, {routed['classifier, always'][lost].mean():.2f} on the wrong one")
assert changes["classifier, always"].high < 0 and not changes["classifier, if sure"].clear_of_zero
assert not changes["the right shelf, told"].clear_of_zero and routed["classifier, always"][lost].max() == 0

# %%
query, small = dense.embedder(["Which tariff is cheapest?"])[0], shelves["help_desk"].retrievers[0].index_
steps = {
    "embed": lambda: dense.embedder.embedder(["Which tariff is cheapest?"]),
    "all shelves": lambda: dense.index_.search(query, 5),
    "one shelf": lambda: small.search(query, 5),
}
spent = {name: [] for name in steps}
for _ in range(20):
    for name, step in steps.items():
        started = time.perf_counter()
        step()
        spent[name].append(1000 * (time.perf_counter() - started))
print(", ".join(f"{name} {np.median(values):.2f} ms" for name, values in spent.items()))

# %% [markdown]
# On this collection a route buys nothing. Even a router that never errs, *told*, changes recall by no more than chance would: fused
# search seldom loses an answer to another shelf. One that errs costs recall, for every wrong route loses all. With the lead asked
# for, the harm cannot be told from zero, nor can the use.
#
# Nor does it save time: most of it goes into the vector of the question, whichever shelf is searched.
#
# A route pays where shelves differ in more than their subject: another index, another prompt, other rights to read. Lesson 15 uses it so.

# %% [markdown]
# ## 10. Questions that belong nowhere
#
# A router names a shelf or all of them. Can the best cosine say that a question belongs to none? Forty questions on other
# subjects, written for this cell, against those of the test that can be answered, and those that cannot.

# %%
off_topic = """
How do I make a sourdough starter? What is the capital of Mongolia? Which key signature has four sharps? How do I
centre a div in CSS? When did the Beatles release Abbey Road? What is the boiling point of ethanol? How many strings
has a cello? Who painted the Night Watch? How do I remove red wine from a carpet? What does the Latin word carpe
mean? Which planet has the most moons? How long should I roast a duck? What is a good name for a goldfish? How do I
change a bicycle tyre? Who wrote Pride and Prejudice? What is the difference between a list and a tuple in Python?
How often should I water a cactus? Which wine goes with oysters? How do I knit a sock heel? What is the plot of
Hamlet? How do I get a visa for Japan? What are the rules of chess castling? How do I fold a paper crane? When is
the next solar eclipse over Spain? Which dog breeds do not shed? How do I file my income tax late? What time zone is
Nepal in? How high is Kilimanjaro? How do I tune a ukulele? What is the best way to learn Finnish? Who invented the
zip fastener? How many bones has a giraffe's neck? What should I wear to a wedding in winter? How do I prune an
apple tree? Which airport is nearest to Florence? What does a quantity surveyor do? How do I write a sonnet? Who was
the first emperor of Rome? What is the speed limit on Italian motorways? How do I train a puppy not to bite?
"""
off_topic = [" ".join(text.split()) for text in re.findall(r"[^?]+[?]", off_topic)]
assert len(set(off_topic)) == 40

# %%
predict(
    LESSON,
    "nowhere",
    "Take the best cosine of a question with any chunk. For which questions is it so much lower than for answerable ones "
    "that 9 pairs of 10 are told apart?",
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
answerable = groups["answerable"]
for name in ("unanswerable", "off-topic"):
    other = groups[name]
    draws = [separation(rng.choice(answerable, len(answerable)), rng.choice(other, len(other))) for _ in range(500)]
    areas[name] = Interval(separation(answerable, other), *np.quantile(draws, [0.025, 0.975]), len(other))
    print(f"the answerable question has the higher cosine, pairs with {name:<12} {areas[name]}")
assert areas["off-topic"].low > 0.9 and areas["unanswerable"].high < 0.75
outcomes["nowhere"] = "off-topic questions only"

# %% [markdown]
# A threshold on the best cosine keeps away questions from another world. It is blind to those that belong here and have no answer:
# their passages are as near as any. "Nothing found" and "nothing found that answers" are two things; the second is for lessons 07
# and 08.

# %% [markdown]
# ## 11. The workbench
#
# **Try it.** Type a question, choose a transformation, and change the texts as you like, one a line. Each hit says which text found it,
# at which rank, and where it stood before. Below, the router's probabilities. By keyboard: Tab moves, Space opens a menu, the arrow keys
# and Enter choose.
#
# Can you write three texts that find more than the question alone?

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
# ## When it goes wrong
#
# - **The baseline is weak.** A transformation that mends what a better search does not break looks like progress.
# - **A silent fallback.** The reply could not be read, the question was searched as it stood, and nobody counted.
# - **The texts are fused as if they were equals.** They are not: the question is the only one that is surely about the question.
# - **A prompt chosen on the test questions.** With five transformations and ten prompts, the best is partly luck.
# - **A route without a way back.** A new shelf opens, the classifier has never seen it, and its questions go elsewhere with
#   high probability.

# %% [markdown]
# ## What you predicted

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# ## Summary
#
# - A transformation makes texts of a question; a parser, a fallback that is counted, and a way to fuse belong to it.
# - On a strong baseline, none of five model-made transformations helped, and most hurt. A model of 135 million parameters loses
#   the names that find things.
# - How the texts are fused matters: by RRF they outvote the question, in turns they do not.
# - HyDE searches near an invented answer: a wrong fact is harmless, a wrong subject is not.
# - A wrong route loses the answer for sure; a right one gained nothing here.
# - A cosine threshold stops questions from elsewhere, not those without an answer.

# %% [markdown]
# **Exercise**: `my_work/05_query_transformation_and_routing.ipynb`, seven functions. **Next**: lesson 06 leaves the question alone and
# reads the best hits again.
#
# **Read more**: Ma et al. (2023), *Query rewriting for retrieval-augmented large language models*; Gao et al. (2022), *Precise
# zero-shot dense retrieval without relevance labels* (HyDE); Zheng et al. (2023), *Take a step back*; Rocchio (1971), *Relevance
# feedback in information retrieval*.

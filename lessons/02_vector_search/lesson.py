# %% [markdown]
# # 02 Vector search: the k nearest, and a document that changes the answer
#
# Lesson 01 made vectors. This one searches them. A first version: exact search by hand, equal to a library, and the
# effect of adding and removing one document.
#
# **You will** write top-k search in a few lines, check it against FAISS, choose k by measurement, and change an answer
# without training anything.
#
# **You need** lesson 01. {{measured}}

# %%
import datetime
import time

import faiss
import numpy as np
from matplotlib import pyplot as plt

from course_lib.core.seeds import SEED
from course_lib.core.types import Document
from course_lib.corpus.chunking import sentence_chunks
from course_lib.corpus.questions import load_questions
from course_lib.generation.language_model import load_language_model
from course_lib.systems.rag import RAG
from course_lib.systems.reading_room import reading_room
from course_lib.widgets.predictions import compare_predictions, predict
from course_lib.widgets.show import PALETTE, show_figure

LESSON = "02_vector_search"
outcomes = {}

# %% [markdown]
# ## 1. Exact search by hand
#
# The reading room as vectors: one row for each chunk, each of length 1.

# %%
room = reading_room()
embeddings = room.index_.embeddings_  # (n_chunks, dim)
chunks = list(room.chunks_.values())
print(embeddings.shape)

# %% [markdown]
# Compare the query with every row, keep the k largest. `argpartition` finds the k largest without sorting the rest.


# %%
def top_k(query, embeddings, k):
    similarities = embeddings @ query  # (n_chunks,)
    best = np.argpartition(-similarities, k - 1)[:k]  # the k best, in any order
    return best[np.lexsort((best, -similarities[best]))]  # best first, ties by position


query = room.embedder(["Where do I find the number of my meter point?"])[0]
for i in top_k(query, embeddings, 5):
    print(f"{embeddings[i] @ query:.2f}  {chunks[i].title}")

# %% [markdown]
# The library that people use is FAISS. Its `IndexFlatIP` does the same: inner product with every vector.

# %%
index = faiss.IndexFlatIP(embeddings.shape[1])
index.add(embeddings)
questions = [q for q in load_questions(split="dev") if q.gold]
queries = room.embedder([q.text for q in questions])  # (n_questions, dim)
_, theirs = index.search(queries, 10)
ours = np.stack([top_k(query, embeddings, 10) for query in queries])
same = np.mean([set(a) == set(b) for a, b in zip(ours, theirs, strict=True)])
print(f"the same ten chunks for {same:.1%} of {len(queries)} questions")
assert same > 0.99  # two chunks may tie up to rounding

# %% [markdown]
# ## 2. How long does it take?
#
# Exact search compares with everything. Its time grows with the number of vectors.

# %%
rng = np.random.default_rng(SEED)
for n_copies in (1, 4, 16):
    many = np.tile(embeddings, (n_copies, 1))
    seconds = []
    for query in queries[:20]:
        started = time.perf_counter()
        top_k(query, many, 10)
        seconds.append(time.perf_counter() - started)
    print(f"{len(many):>6,} vectors: {1000 * np.median(seconds):6.2f} ms a query (median of 20)")

# %% [markdown]
# Even sixteen copies of the collection are searched quickly. At this size exact search is the right choice; approximate indexes pay on larger
# ones.

# %% [markdown]
# ## 3. Choose k
#
# A larger k finds more gold passages, and costs more of the model's prompt.

# %%
predict(
    LESSON,
    "k",
    "Each passage from the second to the fifth adds some recall. Does each from the sixth to the twentieth add as much?",
    ["yes, about as much", "no, less than half as much"],
)

# %%
ks = (1, 2, 3, 5, 10, 20)
ranking = [[chunks[i].doc_id for i in top_k(query, embeddings, max(ks))] for query in queries]
gold = [{span.doc_id for span in q.gold} for q in questions]
hits = np.array([[not g.isdisjoint(row[:k]) for k in ks] for g, row in zip(gold, ranking, strict=True)])
model = load_language_model()
tokens = np.mean([model.count_tokens(chunk.text) for chunk in chunks[::10]]) * np.array(ks)
draws = hits[rng.integers(0, len(hits), size=(2000, len(hits)))].mean(axis=1)  # (2000, n_ks)
recall, (low, high) = hits.mean(axis=0), np.quantile(draws, [0.025, 0.975], axis=0)
for k, r, a, b, t in zip(ks, recall, low, high, tokens, strict=True):
    print(f"k={k:<3} recall {r:.2f} [{a:.2f}, {b:.2f}]  about {t:5.0f} tokens of prompt  n={len(hits)}")

# %%
figure, axes = plt.subplots(figsize=(6, 3.2))
axes.plot(ks, recall, color=PALETTE[0], marker="o")
axes.fill_between(ks, low, high, color=PALETTE[0], alpha=0.2)
axes.set_xticks(ks)
axes.set(xlabel="k, passages shown", ylabel="recall@k", ylim=(0, 1), title="Each further passage finds less")
words = ", ".join(f"{r:.2f} at k={k}" for k, r in zip(ks, recall, strict=True))
show_figure(figure, f"A curve of recall against k with its 95 % band, rising ever more slowly: {words}.")

# %%
early = (recall[ks.index(5)] - recall[0]) / 4  # gain of each passage from the 2nd to the 5th
late = (recall[-1] - recall[ks.index(5)]) / 15  # from the 6th to the 20th
print(f"2nd to 5th: {early:+.3f} a passage    6th to 20th: {late:+.3f} a passage")
assert late < early / 2
outcomes["k"] = "no, less than half as much"

# %% [markdown]
# The gain per passage shrinks, the price per passage does not. A small model is also led astray by passages that do not
# answer: lesson 07 measures it.

# %% [markdown]
# ## 4. Add one document
#
# A vector index is knowledge that can be edited. Suppose that a news item arrives.

# %%
news = Document(
    doc_id="world_cup/an-invented-news-item",
    shelf="world_cup",
    title="Mascot of the 2030 World Cup",
    date=datetime.date(2026, 11, 2),
    text="The mascot of the 2030 World Cup is a heron called Zefira, the organisers said in Lisbon on Monday.",
)
question = "What is the mascot of the 2030 World Cup called?"

# %%
predict(
    LESSON,
    "add",
    "Only this document is embedded and added. Nothing is trained. Will the model name the heron?",
    ["yes", "no: it has to be trained first"],
)

# %%
before = RAG(room, model, k=1)(question)
after = RAG(room.add(sentence_chunks(news)), model, k=1)(question)
print("before:", before.text)
print("after: ", after.text, "|", after.citations[0].doc_id)
assert "Zefira" in after.text
assert "Zefira" not in before.text
outcomes["add"] = "yes"

# %% [markdown]
# Now take it away again. The answer goes with it.

# %%
added = room.add(sentence_chunks(news))
removed = RAG(added.without(news.doc_id), model, k=1)(question)
print("removed:", removed.text)
assert "Zefira" not in removed.text

# %% [markdown]
# This is the strongest argument for retrieval: what the system knows is a list of documents. You can add, correct, date
# and delete them, and see the effect at once.

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# ## When it goes wrong
#
# - Queries and documents embedded by different models: their numbers cannot be compared, and no error says so when the
#   dimensions agree.
# - Vectors that were not scaled to length 1: the inner product then prefers long vectors.
# - A false document is believed as readily as a true one.
#
# ## Summary
#
# - Exact search is a matrix product and a partial sort; FAISS Flat gives the same.
# - Recall grows with k, ever more slowly.
# - One document more, and the answer changes, without training.
#
# **Read more**: Johnson, Douze & Jégou (2019), *Billion-scale similarity search with GPUs*.

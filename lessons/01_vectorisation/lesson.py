# %% [markdown]
# # 01 Vectorisation: from text to numbers that can be compared
#
# A search engine cannot compare two texts. It compares two lists of numbers. This lesson makes those lists, four times
# over: by counting words, by weighing them, by looking words up in a table, and by reading them in context.
#
# **You will** turn sentences into vectors by hand, equal to what the libraries compute; choose between dot product and
# cosine; measure which vectors find the right passage; and meet three things that no vector here sees.
#
# **You need** Python and a little NumPy. {{measured}}

# %%
import re

import numpy as np
import torch
from matplotlib import pyplot as plt
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from sklearn.feature_extraction.text import TfidfVectorizer

from course_lib.assets.models import encoder_source
from course_lib.core.seeds import SEED
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.retrieval import counting, embedding
from course_lib.retrieval.exact import indexed_text
from course_lib.widgets.meaning_map import MeaningMap, meaning_map_demo
from course_lib.widgets.predictions import compare_predictions, predict
from course_lib.widgets.show import PALETTE, show_figure

LESSON = "01_vectorisation"
outcomes = {}

# %% [markdown]
# ## 1. Count words
#
# Three sentences. The first two mean the same; the third shares words with the first.

# %%
sentences = [
    "The doctor changed the medicine.",
    "Her physician altered the prescription.",
    "The doctor changed the tyre.",
]

# %% [markdown]
# The simplest vector has one entry for each word that occurs anywhere, and counts it.

# %%
tokens = [re.findall(r"\w+", sentence.lower()) for sentence in sentences]
vocabulary = sorted({word for words in tokens for word in words})
counts = np.zeros((len(sentences), len(vocabulary)))  # (3, n_words)
for row, words in enumerate(tokens):
    for word in words:
        counts[row, vocabulary.index(word)] += 1
print(vocabulary)
print(counts.astype(int))

# %% [markdown]
# Two texts are alike when their vectors point the same way. The **cosine** of the angle between them is 1 for the same
# direction and 0 for a right angle:
#
# $$\cos(a, b) = \frac{a \cdot b}{\lVert a \rVert \, \lVert b \rVert}$$

# %%
predict(
    LESSON,
    "counts",
    "By word counts, which sentence is nearest to the first (The doctor changed the medicine)?",
    ["the one with the same meaning", "the one about the tyre", "both are equally near"],
)


# %%
def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


same_meaning, other_meaning = cosine(counts[0], counts[1]), cosine(counts[0], counts[2])
print(f"the same meaning: {same_meaning:.2f}    about a tyre: {other_meaning:.2f}")
assert other_meaning > same_meaning
outcomes["counts"] = "the one about the tyre"

# %% [markdown]
# Counting sees letters, not meaning. *Doctor* and *physician* are two columns with nothing in common, and the
# two sentences meet only in the word *the*.

# %% [markdown]
# ## 2. Weigh words: TF-IDF
#
# *The* stands in every sentence, so it tells nothing apart. TF-IDF multiplies each count by the **inverse document
# frequency**: a word that stands in few texts weighs more.
#
# $$\mathrm{idf}(w) = \ln\frac{1 + n}{1 + \mathrm{df}(w)} + 1$$
#
# $n$ is the number of texts, $\mathrm{df}(w)$ the number of texts that hold the word.

# %%
document_frequency = (counts > 0).sum(axis=0)  # (n_words,)
idf = np.log((1 + len(counts)) / (1 + document_frequency)) + 1  # (n_words,)
weighted = counts * idf  # (3, n_words)
weighted /= np.linalg.norm(weighted, axis=1, keepdims=True)
for word, weight in sorted(zip(vocabulary, idf, strict=True), key=lambda pair: pair[1])[:5]:
    print(f"{word:<10} {weight:.2f}")

# %% [markdown]
# The library's version is scikit-learn's `TfidfVectorizer`. Ours is the same, to the last digit that counts.

# %%
library = TfidfVectorizer(token_pattern=r"\w+").fit_transform(sentences).toarray()
print(f"largest difference: {np.abs(library - weighted).max():.1e}")
assert np.allclose(library, weighted)

# %% [markdown]
# ## 3. Look words up: static vectors
#
# A neural network begins with a table: one vector for each word or piece of a word, learned from text. Words used
# alike have vectors that point alike. Averaging the rows of a sentence gives a **static** sentence vector.
#
# We take the first layer of MiniLM, a sentence encoder with 22 million parameters.

# %%
embedder = embedding.load_embedder()
tokenizer, encoder = embedder.tokenizer, embedder.model
table = encoder.get_input_embeddings().weight.detach().numpy()  # (n_word_pieces, dim)
print(f"{table.shape[0]:,} word pieces, {table.shape[1]} dimensions")
print(tokenizer.tokenize("The physician altered pramipexole."))

# %% [markdown]
# A rare word such as *pramipexole* is cut into pieces that the table knows. `##` marks a piece that continues a word.


# %%
def static_vectors(texts):
    ids = tokenizer(list(texts), add_special_tokens=False, truncation=True, max_length=256)["input_ids"]
    return embedding.normalise(np.stack([table[row].mean(axis=0) for row in ids]))  # (n, dim)


for name in ("doctor", "physician", "tyre"):
    print(f"doctor and {name:<10} {static_vectors(['doctor'])[0] @ static_vectors([name])[0]:.2f}")

# %% [markdown]
# Better: *physician* is nearer to *doctor* than *tyre* is. But a table has one row per word, whatever stands around it.

# %%
predict(
    LESSON,
    "bank",
    "The word bank in 'the bank of the river' and in 'the bank raised its rates': how alike are its two vectors after "
    "the encoder has read the sentence?",
    ["the same: cosine 1", "alike: cosine above 0.9", "clearly different: cosine below 0.9"],
)

# %% [markdown]
# ## 4. Read in context: contextual vectors
#
# The encoder passes the vectors of all tokens through six layers. In each, every token looks at every other. What comes out is
# one vector per token that depends on the sentence.



# %%
def token_vectors(texts):
    batch = tokenizer(list(texts), padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.inference_mode():
        vectors = encoder(**batch).last_hidden_state.numpy()  # (n, n_tokens, dim)
    return vectors, batch["attention_mask"].numpy(), batch["input_ids"].numpy()


vectors, mask, ids = token_vectors(["the bank of the river", "the bank raised its rates"])
bank = tokenizer.convert_tokens_to_ids("bank")
river_bank, money_bank = (vectors[row][list(ids[row]).index(bank)] for row in (0, 1))
print(f"cosine of the two banks: {cosine(river_bank, money_bank):.2f}")
assert cosine(river_bank, money_bank) < 0.9
outcomes["bank"] = "clearly different: cosine below 0.9"

# %% [markdown]
# ## 5. From token vectors to one vector: pooling
#
# A sentence has as many vectors as tokens. MiniLM was trained to have them **averaged**. One trap: sentences of a
# batch have different lengths, so the shorter ones are filled up with padding. The **attention mask** is 1 for a real token
# and 0 for padding.

# %%
texts = ["Solar power.", "The panels on the roof stopped feeding the grid when the storm came."]
vectors, mask, _ = token_vectors(texts)
print("token vectors", vectors.shape)
print(mask)

# %%
predict(
    LESSON,
    "padding",
    "You average over all positions, padding included. What happens to the vector of 'Solar power.'?",
    ["nothing: padding is zero", "it changes with the other texts of the batch", "it becomes NaN"],
)

# %%
careless = vectors.mean(axis=1)  # (2, dim): padding votes, too
n_tokens = mask.sum(axis=1, keepdims=True)  # (2, 1)
pooled = (vectors * mask[:, :, None]).sum(axis=1) / n_tokens  # (2, dim)

alone, alone_mask, _ = token_vectors(texts[:1])
by_itself = alone.mean(axis=1)[0]  # no padding when a text is alone
print(f"careless, against the text by itself: {cosine(careless[0], by_itself):.3f}")
print(f"masked, against the text by itself:   {cosine(pooled[0], by_itself):.3f}")
assert cosine(pooled[0], by_itself) > 0.9999 > cosine(careless[0], by_itself)
outcomes["padding"] = "it changes with the other texts of the batch"

# %% [markdown]
# Last step: scale each vector to length 1. Then the dot product, the fastest thing a processor does, **is** the cosine.

# %%
by_hand = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)  # (2, dim)

# %% [markdown]
# That is all of it: tokenise, encode, pool, normalise. The library that people use is sentence-transformers. With the
# same weights it should give the same vectors.

# %%
transformer = Transformer(encoder_source(), max_seq_length=256)
pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
library = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")
theirs = library.encode(texts, show_progress_bar=False)  # (2, dim)
agreement = (by_hand * theirs).sum(axis=1)
print("cosine with sentence-transformers:", agreement.round(6))
assert (agreement >= 0.9999).all()

# %% [markdown]
# ## 6. Cosine or dot product?
#
# For vectors of length 1 they are the same. For others, the dot product rewards length. With word counts, a text that
# repeats itself is longer without saying more.

# %%
short = counting.count_vectors([["solar", "power"]], ["solar", "power", "wind"])[0]
padded_out = counting.count_vectors([["solar", "wind", "wind", "wind"] * 5], ["solar", "power", "wind"])[0]
query = np.array([1.0, 0.0, 0.0])  # asks for solar
for name, similarity in (("dot product", np.dot), ("cosine", cosine)):
    print(f"{name:<12} short: {similarity(query, short):5.2f}   long: {similarity(query, padded_out):5.2f}")
assert query @ padded_out > query @ short
assert cosine(query, short) > cosine(query, padded_out)

# %% [markdown]
# ## 7. A map of meaning
#
# 384 dimensions do not fit on a screen. Principal component analysis finds the two directions in which the sentences
# differ most. It keeps only a part of the differences, so the list of neighbours below the map is found in all 384.

# %%
shelves = {
    "football": ["Spain won the final in extra time.", "The referee sent the captain off.", "A late header settled the match.",
                 "The hosts went out on penalties.", "Their goalkeeper saved two shots.", "The group ended level on points."],
    "brain": ["Her hands shake when she rests.", "The drug eases stiffness.", "Dopamine cells die slowly.",
              "He forgets names and dates.", "A scan showed a smaller hippocampus.", "Walking became slow and short-stepped."],
    "energy": ["The turbine turns at low wind.", "Cells of perovskite set a record.", "The grid lost half its inertia.",
               "Batteries store the noon sun.", "A dam feeds the valley.", "Hydrogen is made from surplus power."],
    "help desk": ["My bill is twice last month's.", "The display shows an error code.", "When do you read the meter?",
                  "I am moving out on Friday.", "Please refund my credit.", "The engineer never came."],
}  # fmt: skip
map_sentences = [sentence for group in shelves.values() for sentence in group]
groups = [name for name, group in shelves.items() for _ in group]
map_ = MeaningMap().fit(map_sentences, groups, embedder(map_sentences))
print(f"The plane keeps {map_.kept_variance_:.0%} of the variance.")

# %% [markdown]
# **Try it.** Type a sentence of your own and press Enter. What falls between two groups? Tab moves between the
# fields, the left and right arrow keys move the slider.

# %%
meaning_map_demo(map_, embedder, text="The forward scored twice before half-time.", k=3)

# %% [markdown]
# ## 8. Measured: which vectors find the passage?
#
# Now the reading room: four shelves of documents, cut into chunks, and questions with a known passage. We ask the
# **train** questions of two kinds; nothing is trained on them here. An *exact term* question names a code, a name or a term of its passage. A
# *paraphrase* question shares no content word with it.

# %%
chunks = chunk_documents(load_documents())
questions = [q for kind in ("exact_term", "paraphrase") for q in load_questions(split="train", kind=kind)]
print(f"{len(chunks):,} chunks, {len(questions)} questions")

# %%
predict(
    LESSON,
    "measured",
    "Which vectors find the passage of a paraphrase question among the first five?",
    ["TF-IDF more often", "contextual more often", "no difference beyond chance"],
)

# %%
chunk_texts = [indexed_text(chunk) for chunk in chunks]
tfidf = counting.TfidfEmbedder().fit(chunk_texts)
embedders = {"TF-IDF": tfidf, "static": static_vectors, "contextual": embedder}
chunk_vectors = {
    "TF-IDF": tfidf(chunk_texts),
    "static": static_vectors(chunk_texts),
    "contextual": embedding.cached_embeddings(chunk_texts, embedder),
}

# %% [markdown]
# A question counts as found if a chunk of its gold document is among the first five.

# %%
K = 5
found = {}
for name, matrix in chunk_vectors.items():
    similarities = embedders[name]([q.text for q in questions]) @ matrix.T  # (n_questions, n_chunks)
    first = np.argsort(-similarities, axis=1, kind="stable")[:, :K]
    gold = [{span.doc_id for span in q.gold} for q in questions]
    found[name] = np.array([any(chunks[j].doc_id in g for j in row) for row, g in zip(first, gold, strict=True)])

# %% [markdown]
# Shares of a sample are uncertain. The **bootstrap** says how much: draw as many questions again, with replacement,
# 2,000 times, and take the range that holds the middle 95 % of the shares.


# %%
def interval(hits, seed=SEED):
    rng = np.random.default_rng(seed)
    shares = hits[rng.integers(0, len(hits), size=(2000, len(hits)))].mean(axis=1)
    return np.quantile(shares, [0.025, 0.975])


kinds = np.array([q.kind for q in questions])
recall = {}
for kind in ("exact_term", "paraphrase"):
    for name in found:
        hits = found[name][kinds == kind]
        low, high = interval(hits)
        recall[kind, name] = (hits.mean(), low, high)
        print(f"{kind:<11} {name:<11} recall@{K} {hits.mean():.2f}  [{low:.2f}, {high:.2f}]  n={len(hits)}")

# %%
figure, axes = plt.subplots(figsize=(7, 3.4))
for offset, kind in enumerate(("exact_term", "paraphrase")):
    values = np.array([recall[kind, name] for name in found])  # (3, 3): share, low, high
    bars = np.abs(values[:, 1:] - values[:, :1]).T  # (2, 3)
    axes.bar(np.arange(3) + 0.4 * offset, values[:, 0], 0.38, yerr=bars, color=PALETTE[offset], label=kind.replace("_", " "))
axes.set_xticks(np.arange(3) + 0.2, list(found))
axes.set(ylabel=f"recall@{K}", ylim=(0, 1), title="Words find terms, meaning finds paraphrases")
axes.legend()
show_figure(
    figure,
    f"Bars of recall at {K} for three kinds of vectors. Exact terms: "
    + ", ".join(f"{name} {recall['exact_term', name][0]:.2f}" for name in found)
    + ". Paraphrases: "
    + ", ".join(f"{name} {recall['paraphrase', name][0]:.2f}" for name in found),
)

# %%
paraphrases = kinds == "paraphrase"
difference = found["contextual"][paraphrases].astype(float) - found["TF-IDF"][paraphrases]
low, high = interval(difference)
print(f"contextual minus TF-IDF on paraphrases: {difference.mean():+.2f} [{low:+.2f}, {high:+.2f}]")
assert low > 0
terms = found["contextual"][~paraphrases].astype(float) - found["TF-IDF"][~paraphrases]
low_terms, high_terms = interval(terms)
print(f"contextual minus TF-IDF on exact terms: {terms.mean():+.2f} [{low_terms:+.2f}, {high_terms:+.2f}]")
assert high_terms < 0
outcomes["measured"] = "contextual more often"

# %% [markdown]
# On paraphrases the interval of the difference is clear of zero: where no word is shared, counting has nothing to
# count. On exact terms it is the other way round, and that interval is clear of zero, too. Lesson 04 puts them together.

# %% [markdown]
# ## 9. When it goes wrong: what vectors miss
#
# A good vector keeps what a text is about. It is poor at what makes two texts on one subject differ: **negation**,
# **numbers** and **names**. Each line below holds a statement, a rewording, and a statement that says otherwise.

# %%
triples = [
    ("negation", "The drug slows the disease.", "The medicine delays its progress.", "The drug does not slow the disease."),
    ("negation", "You may read the meter yourself.", "Customers can take their own readings.", "You may not read the meter yourself."),
    ("negation", "The goal was allowed.", "The referee let the strike stand.", "The goal was not allowed."),
    ("negation", "The plant is running again.", "The station has restarted.", "The plant is not running again."),
    ("number", "The fee is 12 euros.", "We charge twelve euros for it.", "The fee is 21 euros."),
    ("number", "The farm has 80 turbines.", "Eighty windmills stand in the park.", "The farm has 18 turbines."),
    ("number", "The match ended 2-1.", "It finished two goals to one.", "The match ended 1-2."),
    ("number", "Call within 14 days.", "You have a fortnight to ring us.", "Call within 40 days."),
    ("name", "Spain beat Argentina.", "The Argentines lost to the Spaniards.", "Argentina beat Spain."),
    ("name", "Error E-2041 means no signal.", "Code E-2041: the display lost its link.", "Error E-2014 means no signal."),
    ("name", "Kelder lost power at noon.", "At midday the lights went out in Kelder.", "Saltmarsh lost power at noon."),
    ("name", "Levodopa eased the tremor.", "The shaking got better with levodopa.", "Amantadine eased the tremor."),
]

# %%
predict(
    LESSON,
    "blind",
    "How often is the statement that says otherwise nearer than the rewording?",
    ["in few of the 12", "in about half", "in most of the 12"],
)

# %%
anchor, reworded, otherwise = (embedder([row[i] for row in triples]) for i in (1, 2, 3))
to_reworded, to_otherwise = (anchor * reworded).sum(axis=1), (anchor * otherwise).sum(axis=1)
for (kind, text, _, opposite), near, far in zip(triples, to_reworded, to_otherwise, strict=True):
    print(f"{kind:<9} rewording {near:.2f}  otherwise {far:.2f}  {text} / {opposite}")
wrong = to_otherwise > to_reworded
low, high = interval(wrong.astype(float))
print(f"\nnearer although it says otherwise: {wrong.sum()} of {len(wrong)}, share {wrong.mean():.2f} [{low:.2f}, {high:.2f}]")
assert low > 0.5
outcomes["blind"] = "in most of the 12"

# %% [markdown]
# So a passage that denies what you ask, or gives another number, may be the first hit. Nothing in this lesson repairs that:
# later ones add words (04), a second reading of each hit (06), and an answer that quotes its passage (07).

# %% [markdown]
# ## What you predicted
#
# The last cell of each lesson sets your predictions beside the outcomes.

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# ## Summary
#
# - A vector of **counts** sees words; **TF-IDF** weighs rare ones; a **static** vector knows which words are used alike; a
#   **contextual** vector depends on the sentence.
# - Pooling must leave the padding out. At length 1, dot product and cosine are the same.
# - Contextual vectors find paraphrases that words cannot find. They are nearly blind to negation, numbers and names.
#
# **Exercise**: `my_work/01_vectorisation.ipynb`, six functions, each checked as you write it.
# **Next**: lesson 02 searches these vectors, and adds a document to change an answer.
#
# **Read more**: Reimers & Gurevych (2019), *Sentence-BERT*; Sparck Jones (1972), *A statistical interpretation of term
# specificity*; Ettinger (2020), *What BERT is not*.

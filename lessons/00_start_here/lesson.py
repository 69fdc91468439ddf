# %% [markdown]
# # 00 Start here: a model that does not know, and three lines that help
#
# This lesson tells the story of the course in ten minutes. A small language model is asked who holds the World Cup, and
# about a medicine. It answers with confidence, and it is wrong. Then it is given one passage to read.
#
# **You will** see stale and shallow knowledge, measure it, and watch retrieval mend it.
#
# **You need** nothing but this page. {{measured}}

# %%
import numpy as np

from course_lib.core.seeds import SEED
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.generation.language_model import load_language_model
from course_lib.systems.rag import ClosedBook
from course_lib.systems.reading_room import reading_room_rag
from course_lib.widgets.predictions import compare_predictions, predict

LESSON = "00_start_here"
outcomes = {}

# %% [markdown]
# ## 1. Ask the model alone
#
# The model is SmolLM2 with 135 million parameters. It runs here, on this machine, without a network. It was trained before
# 2026.

# %%
model = load_language_model()
alone = ClosedBook(model)

# %%
predict(
    LESSON,
    "closed-book",
    "The men's World Cup was last won in July 2026. What will the model answer when asked who won the most recent one?",
    ["Spain, the winner of 2026", "that it does not know", "another winner, with confidence"],
)

# %%
question = "Who won the most recent men's World Cup?"
print(alone(question).text)
assert "Spain" not in alone(question).text
outcomes["closed-book"] = "another winner, with confidence"

# %% [markdown]
# The answer has the form of an answer. Nothing in it says that it is a guess. This is **stale knowledge**: the world
# moved on after training.

# %%
print(alone("Which drug is given for amyotrophic lateral sclerosis caused by a SOD1 mutation?").text)

# %% [markdown]
# And this is **shallow knowledge**: a field that the model has read too little of. The drug is tofersen.

# %% [markdown]
# ## 2. How bad is it? Measure
#
# Two examples prove nothing. The course has one collection of documents, the *reading room*, and one set of questions
# about it. Every lesson measures on them.

# %%
documents = load_documents()
questions = load_questions()
for shelf in sorted({document.shelf for document in documents}):
    n_documents = sum(document.shelf == shelf for document in documents)
    n_questions = sum(question.shelf == shelf for question in questions)
    print(f"{shelf:<10} {n_documents:>5,} documents {n_questions:>4} questions")

# %% [markdown]
# We ask 24 questions of the dev split, six from each shelf, and count an answer as right if it contains the gold answer.


# %%
def contains(answer, golds):
    return any(gold.lower() in answer.lower() for gold in golds)


rng = np.random.default_rng(SEED)
sample = []
for shelf in ("world_cup", "neurology", "energy", "help_desk"):
    pool = [q for q in load_questions(split="dev", shelf=shelf) if q.kind in ("exact_term", "number_or_date", "latest")]
    sample += [pool[i] for i in rng.permutation(len(pool))[:6]]
closed = np.array([contains(alone(q.text).text, q.answers) for q in sample])
print(f"closed book: {closed.sum()} of {len(closed)} right")

# %% [markdown]
# ## 3. Three lines of RAG
#
# **Retrieval-augmented generation** looks the question up first. It searches the reading room, puts the best passage into the
# prompt, and lets the model answer from it.

# %%
rag = reading_room_rag()
answer = rag(question)
print(answer.text)

# %%
for citation in answer.citations:
    print(citation.title, citation.date, citation.doc_id, sep=" | ")
assert "Spain" in answer.text
assert "2026" in answer.citations[0].title

# %% [markdown]
# The weights of the model are the same as before. What changed is the prompt:

# %%
print(answer.prompt)

# %% [markdown]
# ## 4. Measure again
#
# The same 24 questions, now with the passage that the search finds.

# %%
predict(
    LESSON,
    "rag",
    "How many of the 24 will be right when the model may read one passage?",
    ["about as many as before", "more, but far from all", "nearly all"],
)

# %%
answers = [rag(q.text) for q in sample]
opened = np.array([contains(a.text, q.answers) for a, q in zip(answers, sample, strict=True)])
found = np.array([
    any(span.quote in chunk.text for span in q.gold for chunk, _ in a.passages)
    for a, q in zip(answers, sample, strict=True)
])  # fmt: skip
print(f"closed book {closed.sum()}, with retrieval {opened.sum()} of {len(sample)} right")
print(f"the passage shown held the gold sentence for {found.sum()} of {len(sample)}")

# %% [markdown]
# 24 questions are few. The bootstrap says how far the difference can be trusted: draw 24 questions again, with
# replacement, 2,000 times.

# %%
difference = opened.astype(float) - closed
draws = difference[rng.integers(0, len(difference), size=(2000, len(difference)))].mean(axis=1)
low, high = np.quantile(draws, [0.025, 0.975])
print(f"difference {difference.mean():+.2f}, 95 % interval [{low:+.2f}, {high:+.2f}], n={len(difference)}")
assert low > 0
outcomes["rag"] = "more, but far from all" if opened.mean() < 0.9 else "nearly all"

# %% [markdown]
# Retrieval helps, and the interval is clear of zero. It is also far from perfect, for two reasons that you can tell apart:
# the search may show a wrong passage, or the model may misread a right one.

# %%
for q, a, right, shown in zip(sample, answers, opened, found, strict=True):
    if not right:
        cause = "misread" if shown else "wrong passage"
        print(f"{cause:<13} | {q.text} | gold: {q.answers[0]} | said: {a.text[:70]}")

# %% [markdown]
# ## Map of the course
#
# | lessons | what they mend |
# |---|---|
# | 01 to 06 | the search: vectors, indexes, chunks, words and meaning together, reranking |
# | 07, 08 | the answer: prompts, citations, abstaining; how to measure both |
# | 09 to 13 | the model: data, fine-tuning, layer freezing, LoRA |
# | 14 to 16 | the choice: retrieval, tuning, both, or a long prompt |
# | 17, 18 | pictures and sound; your own documents |
#
# Lessons 00 to 02 are here; the others follow.

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# ## Summary
#
# - A language model answers from its training, also when it should not.
# - Retrieval puts what is true now into the prompt. Nothing was trained.
# - A wrong answer has a cause: the search or the reading. The course measures each.
#
# **Next**: lesson 01 turns text into numbers that can be compared.
#
# **Read more**: Lewis et al. (2020), *Retrieval-augmented generation for knowledge-intensive NLP tasks*.

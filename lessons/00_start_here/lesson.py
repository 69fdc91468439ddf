# %% [markdown]
# # 00 Start here: a model that does not know, and three lines that help
#
# This lesson tells the story of the course in ten minutes. A small language model is asked who holds the World Cup, and
# about a medicine. It answers with confidence, and it is wrong. Then it is given one passage to read.
#
# **You will** see stale and shallow knowledge, measure it, watch retrieval mend a part of it, and find out whose fault
# the rest is.
#
# **You need** nothing but this page. {{measured}}

# %%
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import course_lib
from course_lib.core.seeds import SEED
from course_lib.corpus.load import SHELVES, load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.answers import contains
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.generation.cached import load_cached_language_model
from course_lib.generation.prompting import rag_messages
from course_lib.systems.asking import replies_of
from course_lib.systems.rag import RAG, ClosedBook
from course_lib.systems.reading_room import reading_room_glass, reading_room_rag
from course_lib.systems.scoreboard import scoreboard
from course_lib.widgets.glass_pipeline import glass_pipeline_demo
from course_lib.widgets.predictions import compare_predictions, predict
from course_lib.widgets.show import PALETTE, show_figure
from course_lib.workshop import examine

LESSON = "00_start_here"
outcomes = {}

# %% [markdown]
# ## 1. Ask the model alone
#
# The model is SmolLM2 with 135 million parameters. It runs here, on this machine, without a network. It was trained before
# 2026.

# %%
model = load_cached_language_model()
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
drug = "Which drug is given for amyotrophic lateral sclerosis caused by a SOD1 mutation?"
print(alone(drug).text)
assert "tofersen" not in alone(drug).text.lower()

# %% [markdown]
# And this is **shallow knowledge**: a field that the model has read too little of. The drug is tofersen.

# %% [markdown]
# ## 2. How bad is it? Measure
#
# Two examples prove nothing. The course has one collection of documents, the *reading room*, and one set of questions
# about it. Every lesson measures on them.

# %%
documents = load_documents()
for shelf in SHELVES:
    n_documents = sum(document.shelf == shelf for document in documents)
    print(f"{shelf:<10} {n_documents:>5,} documents {len(load_questions(shelf=shelf)):>4} questions")

# %% [markdown]
# We ask 60 questions of the test split, 15 from each shelf, drawn with a seed. An answer counts as right if it contains the
# gold answer, a generous rule; lesson 08 has stricter ones.

# %%
rng = np.random.default_rng(SEED)
sample = []
for shelf in SHELVES:
    pool = [
        q for q in load_questions(split="test", shelf=shelf) if q.kind in ("exact_term", "number_or_date", "latest")
    ]
    sample += [pool[i] for i in sorted(rng.permutation(len(pool))[:15])]


def right(answers):
    """1 for each question whose answer contains its gold answer, else 0."""
    return np.array([contains(answers[q.question_id].text, q.answers) for q in sample])


closed = right(replies_of(alone, sample))  # (60,)
print(f"closed book: {closed.sum():.0f} of {len(closed)} right, {bootstrap_interval(closed)}")
assert closed.mean() < 0.25

# %% [markdown]
# The brackets are a **95 % interval**. Sixty questions are a sample: other questions would have given another number. The interval
# says between which values it would lie most of the time. You build it in the exercise.

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
assert "Spain" in answer.text and "2026" in answer.citations[0].title

# %% [markdown]
# The weights of the model are the same as before. What changed is the prompt:

# %%
print(answer.prompt)

# %% [markdown]
# Is it the passage that does it, or did the model know after all? Hand it a forged report, and ask in five ways.

# %%
text = "Norway won the 2026 World Cup. In the final, Norway beat Peru 2-1 after extra time in East Rutherford on 19 July 2026."
forged = replace(answer.passages[0][0], title="Norway 2-1 Peru, final of the 2026 World Cup", text=text)
wordings = [
    question,
    "Who won the final of the 2026 World Cup?",
    "Who won the 2026 World Cup final?",
    "Which team won the World Cup in 2026?",
    "Who are the world champions of 2026?",
]
replies = [model.generate(rag_messages(each, [forged])) for each in wordings]
print(*replies, sep="\n")
assert sum("Norway" in reply for reply in replies) >= 4
assert not any("Norway" in alone(each).text for each in wordings)

# %% [markdown]
# It believes what it reads. That is why the search has to be right, and why a forged document is a danger.

# %% [markdown]
# ## 4. Measure again
#
# The same 60 questions, now with the passage that the search finds.

# %%
predict(
    LESSON,
    "rag",
    "How many of the 60 will be right when the model may read one passage?",
    ["about as many as before", "many more, but far from all", "nearly all"],
)

# %%
rag = RAG(rag.retriever, model, k=rag.k)  # the same system; its replies are decoded together and kept
answers = replies_of(rag, sample)
opened = right(answers)  # (60,)
gain = paired_difference(opened, closed)
print(f"closed book    {bootstrap_interval(closed)}")
print(f"with retrieval {bootstrap_interval(opened)}")
print(f"difference {gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}] n={gain.n}")
assert gain.low > 0.1 and opened.mean() < 0.85
outcomes["rag"] = "many more, but far from all"

# %% [markdown]
# Retrieval helps, and the interval of the difference is clear of zero. It is also far from perfect, for two reasons that can be
# told apart: the search showed a **wrong passage**, or the model **misread** a right one.

# %%
found = np.array([
    any(span.quote in chunk.text for span in q.gold for chunk, _ in answers[q.question_id].passages) for q in sample
])  # fmt: skip
causes = {"right": opened == 1, "misread": (opened == 0) & found, "wrong passage": (opened == 0) & ~found}
for cause, those in causes.items():
    print(f"{cause:<13} {those.sum():>2} of {len(sample)}")
for cause in ("misread", "wrong passage"):
    for i in np.flatnonzero(causes[cause])[:3]:
        said = answers[sample[i].question_id].text
        print(f"\n{cause}: {sample[i].text}\n   gold: {sample[i].answers[0]}\n   said: {said[:90]}")
assert all(those.any() for those in causes.values())

# %%
figure, axes = plt.subplots(figsize=(7, 2.8))
left = np.zeros(len(SHELVES))
for number, (cause, those) in enumerate(causes.items()):
    width = np.array([sum(those[i] for i, q in enumerate(sample) if q.shelf == shelf) for shelf in SHELVES])
    axes.barh(
        SHELVES, width, left=left, color=PALETTE[number], hatch=("", "//", "..")[number], edgecolor="white", label=cause
    )
    left += width
axes.set(xlabel="questions, 15 from each shelf", title="With one passage: what became of each question")
axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False)
counts = "; ".join(f"{cause} {those.sum()}" for cause, those in causes.items())
show_figure(figure, f"Bars for four shelves, 15 questions each, split by outcome. Together: {counts}.")

# %% [markdown]
# The two causes need different cures. Lessons 01 to 06 mend the search. Lessons 07 and 08 look at the reading, and 09 to 15
# train it.

# %% [markdown]
# ## 5. The scoreboard
#
# Every lesson adds a row to one table: quality with its interval, and what it costs. These are the rows so far, measured on all test
# questions. Your own runs can be added, and are then marked as yours.

# %%
scoreboard()

# %% [markdown]
# ## 6. See every step
#
# **Try it.** Ask a question of your own and look at each step: what was found, what moved, what the model was given to read, and
# which passage each sentence of the answer rests on. Switch steps off. Add a document of your own and ask about it.

# %%
glass = reading_room_glass(dense=rag.retriever.room.dense, generator=model.generator)
glass_pipeline_demo(glass, question=question)

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
# Lessons 00 to 13 are here; the others follow.

# %%
compare_predictions(LESSON, outcomes)

# %% [markdown]
# ## When it goes wrong
#
# A lesson does not start, or is slow? The doctor names each fault of an installation and its remedy; `python course.py doctor`
# does the same outside of a notebook.

# %%
findings = list(examine.findings(Path(course_lib.__file__).parents[1]))
for finding in findings:
    print(f"{finding.state:<6} {finding.what}")
assert not [finding for finding in findings if finding.state == "fault"]

# %% [markdown]
# ## Summary
#
# - A language model answers from its training, also when it should not.
# - Retrieval puts what is true now into the prompt. Nothing was trained.
# - The model believes what it reads, true or forged.
# - A wrong answer has a cause: the search or the reading. The course measures each.
#
# **Exercise**: `my_work/00_start_here.ipynb`, four functions, each checked as you write it.
# **Next**: lesson 01 turns text into numbers that can be compared.
#
# **Read more**: Lewis et al. (2020), *Retrieval-augmented generation for knowledge-intensive NLP tasks*.

# %% [markdown]
# # Exercise 03: chunking and ingestion
#
# Seven functions, 17 points. Write the body of each, run it, then run the check below it. A check says **passed**, **wrong** with a
# question that points at the slip, **crashed** with your line, or **not attempted**.
#
# Stuck? `check.hint("windows")` gives one hint at a time. After a pass, `check.reasoning("windows")` says why it works.
#
# Use NumPy and the standard library only: graded functions run where nothing else of the course is. Everything stays on your machine
# until you hand in this file.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import bisect
import re

import numpy as np

from course_lib.checks.chunking_and_ingestion import check

# %% [markdown]
# ## 1. Windows with offsets (3 points)
#
# Cut a text into windows of `size` words. Each window repeats the last `overlap` words of the one before. Return the place of
# each window in the text, so that `text[start:end]` is the window. Stop when a window reaches the last word: none may hold old
# words only. An overlap that is not smaller than `size` (or is negative) is a `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "windows-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def word_windows(text, size, overlap):
    """text: str; size, overlap: in words. Returns a list of (start, end), in characters."""
    ### BEGIN SOLUTION
    if not 0 <= overlap < size:
        raise ValueError(f"overlap must be from 0 to {size - 1}, got {overlap}")
    words = [match.span() for match in re.finditer(r"\S+", text)]
    windows = []
    for first in range(0, len(words), size - overlap):
        last = min(first + size, len(words))
        windows.append((words[first][0], words[last - 1][1]))
        if last == len(words):
            break
    return windows
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "windows", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.windows(word_windows).show()

# %% [markdown]
# ## 2. Pack whole sentences (2 points)
#
# Fill chunks with whole sentences, in order. A sentence joins the open chunk if the chunk then holds at most `max_words` words; else it
# opens a new one. A sentence that is longer than `max_words` stands alone.


# %% nbgrader={"grade": false, "grade_id": "packing-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pack_sentences(lengths, max_words):
    """lengths: words of each sentence. Returns a list of chunks, each a list of positions of sentences."""
    ### BEGIN SOLUTION
    chunks = []
    for i, length in enumerate(lengths):
        if chunks and sum(lengths[j] for j in chunks[-1]) + length <= max_words:
            chunks[-1].append(i)
        else:
            chunks.append([i])
    return chunks
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "packing", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.packing(pack_sentences).show()

# %% [markdown]
# ## 3. Cut at the best border that helps (3 points)
#
# If a text has at most `max_words` words, it is one piece. If not, cut it at the first separator, and treat each piece the same way with
# the separators that are left. If none is left, cut every `max_words` words, joined by single spaces. Strip the pieces; empty ones are
# left out.


# %% nbgrader={"grade": false, "grade_id": "recursive-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def split_recursively(text, max_words, separators):
    """text: str; separators: list of str, strongest first. Returns a list of str."""
    ### BEGIN SOLUTION
    text = text.strip()
    words = text.split()
    if len(words) <= max_words:
        return [text] if text else []
    if not separators:
        return [" ".join(words[i : i + max_words]) for i in range(0, len(words), max_words)]
    pieces = []
    for piece in text.split(separators[0]):
        pieces.extend(split_recursively(piece, max_words, separators[1:]))
    return pieces
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "recursive", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.recursive(split_recursively).show()

# %% [markdown]
# ## 4. Cut where the subject changes (2 points)
#
# Compare the vector of each sentence with that of the sentence before. Where their cosine is at or below the given percentile of all these
# cosines, a new stretch begins. Return the positions of the sentences that begin one (never 0).


# %% nbgrader={"grade": false, "grade_id": "borders-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def semantic_borders(vectors, percentile):
    """vectors: (n_sentences, dim), rows of length 1; percentile: 0 to 100. Returns a list of positions."""
    ### BEGIN SOLUTION
    if len(vectors) < 2:
        return []
    cosines = (vectors[1:] * vectors[:-1]).sum(axis=1)  # (n_sentences - 1,)
    low = cosines <= np.percentile(cosines, percentile)
    return [int(i) + 1 for i in np.flatnonzero(low)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "borders", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.borders(semantic_borders).show()

# %% [markdown]
# ## 5. From a quote to its page (3 points)
#
# A chunk was cut from a document; it begins at `chunk_start`. Page $p$ of the document begins at `page_starts[p - 1]`. Return the page on
# which the quote begins, and where it begins and ends in the **document**. If the quote does not stand in the chunk, raise a
# `ValueError`.


# %% nbgrader={"grade": false, "grade_id": "citation-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cite(quote, chunk_text, chunk_start, page_starts):
    """quote, chunk_text: str; chunk_start: int; page_starts: list of int. Returns (page, start, end)."""
    ### BEGIN SOLUTION
    place = chunk_text.find(quote)
    if place < 0:
        raise ValueError(f"the chunk does not hold {quote!r}")
    start = chunk_start + place
    return bisect.bisect_right(page_starts, start), start, start + len(quote)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "citation", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check.citation(cite).show()

# %% [markdown]
# ## 6. Mend broken words (2 points)
#
# A hyphen at the end of a line divides a word if a letter or digit stands right before it and right after the line break. Before a small letter, drop
# hyphen and line break. Before a capital or a digit, drop the line break only. Change nothing else.


# %% nbgrader={"grade": false, "grade_id": "hyphens-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def join_broken_words(text):
    """text: str with line breaks. Returns str."""
    ### BEGIN SOLUTION
    text = re.sub(r"(\w)-\n([a-z])", r"\1\2", text)
    return re.sub(r"(\w)-\n(\w)", r"\1-\2", text)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "hyphens", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.hyphens(join_broken_words).show()

# %% [markdown]
# ## 7. How much of the answer is there? (2 points)
#
# An answer stands at `span` of a document. The stretches are what was retrieved of that document. Return the share of the span's
# characters that stand in at least one stretch, 0 to 1.


# %% nbgrader={"grade": false, "grade_id": "coverage-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def coverage(span, stretches):
    """span: (start, end); stretches: list of (start, end); all in characters, end not included. Returns a number."""
    ### BEGIN SOLUTION
    start, end = span
    held = {i for left, right in stretches for i in range(max(start, left), min(end, right))}
    return len(held) / (end - start)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "coverage", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check.coverage(coverage).show()

# %% [markdown]
# ## Before you hand in
#
# Restart the kernel and run all cells. Seven checks should say *passed*. Then hand in this file.

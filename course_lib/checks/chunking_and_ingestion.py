"""Checks of lesson 03. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from course_lib.classroom.check import Check, Probe, Slip, Task
from course_lib.corpus.chunking import Span, semantic_borders, word_spans
from course_lib.evaluation.spans import coverage

WORDS = (
    "meter",
    "bill",
    "a",
    "storm",
    "refund",
    "in",
    "reading",
    "price",
    "wind",
    "of",
    "engineer",
    "cell",
    "to",
    "team",
)


def _words(rng: np.random.Generator, n: int) -> list[str]:
    return [str(word) for word in rng.choice(WORDS, size=n)]


# ---------------------------------------------------------------- windows


def _windows(text: str, size: int, overlap: int, step: int | None = None, *, repeat_tail: bool = False) -> list[Span]:
    words = word_spans(text)
    found = []
    for first in range(0, len(words), step or size - overlap):
        last = min(first + size, len(words))
        found.append((words[first][0], words[last - 1][1]))
        if last == len(words) and not repeat_tail:
            break
    return found


def _window_probes(rng: np.random.Generator) -> Sequence[Probe]:
    plain = " ".join(_words(rng, 8))
    ragged = "  ".join(_words(rng, 3)) + "\n\n" + "   ".join(_words(rng, 5))
    even, rest = " ".join(_words(rng, 10)), " ".join(_words(rng, 11))
    short = " ".join(_words(rng, 3))
    right, spread = _windows(plain, 4, 0), _windows(ragged, 4, 0)
    as_if_joined = _windows(" ".join(ragged.split()), 4, 0)
    overlapping, with_rest = _windows(even, 4, 1), _windows(rest, 4, 0)
    return (
        Probe(
            (plain, 4, 0),
            right,
            "Eight words, four a window: two windows. Where, in characters, does the text of each begin and end?",
            (
                Slip(
                    [(0, 4), (4, 8)],
                    "Are these positions of words or of characters? text[start:end] should be the window.",
                ),
                Slip([(a, b - 1) for a, b in right], "Does text[start:end] hold the last letter of the window?"),
                Slip(
                    [plain[a:b] for a, b in right], "These are texts. How would a citation find them in the document?"
                ),
                Slip([(0, 4), (4, 8)][:1], "Where is the second window?"),
                Slip(
                    [(i, min(i + 4, len(plain))) for i in range(0, len(plain), 4)],
                    "Did you count characters? A size of 4 means four words.",
                ),
            ),
        ),
        Probe(
            (ragged, 4, 0),
            spread,
            "What if two words are divided by more than one space, or by a new line? Take the offsets from the text itself.",
            (
                Slip(
                    as_if_joined,
                    "Your offsets are those of a text with single spaces. Does this text have them? Try re.finditer.",
                ),
            ),
        ),
        Probe(
            (rest, 4, 0),
            with_rest,
            "Eleven words, four a window. What happens to the last three?",
            (Slip(with_rest[:-1], "The last words stand in no window. Who will ever find them?"),),
        ),
        Probe(
            (even, 4, 1),
            overlapping,
            "With an overlap of 1, each window repeats one word of the window before. Where does the next one begin?",
            (
                Slip(_windows(even, 4, 0), "No word stands in two windows. Where does the overlap come in?"),
                Slip(
                    _windows(even, 4, 1, 1),
                    "You step on by the overlap. By how much does a window move if one word of four is repeated?",
                ),
                Slip(
                    _windows(even, 4, 1, repeat_tail=True),
                    "What does your last window hold that the one before it lacks? Stop when the end is reached.",
                ),
                Slip(_windows(even, 5, 1, 4), "Is a window still four words long when the repeated word is in it?"),
            ),
        ),
        Probe((short, 5, 2), _windows(short, 5, 2), "Three words, five a window: is there a window?"),
        Probe(("", 4, 0), [], "How many windows has a text without words?"),
        Probe(
            (plain, 3, 3),
            ValueError,
            "Size 3, overlap 3: the next window would begin where this one does, for ever. Raise a ValueError.",
        ),
    )


# ---------------------------------------------------------------- packing


def _packed(lengths: Sequence[int], max_words: int) -> list[list[int]]:
    groups: list[list[int]] = []
    for i, length in enumerate(lengths):
        if groups and sum(lengths[j] for j in groups[-1]) + length <= max_words:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _first_fit(lengths: Sequence[int], max_words: int) -> list[list[int]]:
    groups: list[list[int]] = []
    for i, length in enumerate(lengths):
        fits = [group for group in groups if sum(lengths[j] for j in group) + length <= max_words]
        if fits:
            fits[0].append(i)
        else:
            groups.append([i])
    return groups


def _packing_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b = int(rng.integers(3, 6)), int(rng.integers(6, 9))
    exact, limit = [a, b, b, a, a], a + b  # the limit is met exactly
    order, room = [4, b, 5, 3, 2], b + 2
    long = [3, 5 * b, 2, 4]
    first_long = [5 * b, 2, 4]
    right = _packed(exact, limit)
    return (
        Probe(
            (exact, limit),
            right,
            f"Sentences of {exact} words, at most {limit} a chunk: which share a chunk?",
            (
                Slip(_packed(exact, limit - 1), "A chunk may hold exactly max_words words. Does yours?"),
                Slip([[i] for i in range(5)], "Is each sentence alone? They are to be packed."),
                Slip(
                    [[exact[i] for i in group] for group in right],
                    "These are lengths. Return the positions of the sentences.",
                ),
                Slip(right[:-1], "Where is the last chunk? It is begun, but is it returned?"),
                Slip(
                    [group for group in right for _ in group][: len(right)],
                    "Is a chunk returned once for each sentence?",
                ),
            ),
        ),
        Probe(
            (order, room),
            _packed(order, room),
            "Sentences stay in the order of the text, and a chunk is a stretch of it.",
            (
                Slip(
                    _first_fit(order, room),
                    "A later sentence went into an earlier chunk, past others. Would you like to read that?",
                ),
            ),
        ),
        Probe(
            (long, 6),
            _packed(long, 6),
            "One sentence is longer than a chunk may be. Where does it go?",
            (
                Slip([[0], [2, 3]], "The long sentence is gone. Nothing may be lost: it is a chunk of its own."),
                Slip([[0, 1], [2, 3]], "The long sentence joined the one before. There is no room for it."),
            ),
        ),
        Probe(
            (first_long, 6),
            _packed(first_long, 6),
            "The first sentence is the long one. How many chunks are there?",
            (Slip([[], [0], [1, 2]], "Your first chunk is empty. When is a chunk finished?"),),
        ),
        Probe(
            ([], 6),
            [],
            "How many chunks has a text without sentences?",
            (Slip([[]], "A chunk without a sentence: what would be embedded?"),),
        ),
    )


# ---------------------------------------------------------------- recursive


def _divided(text: str, max_words: int, separators: Sequence[str]) -> list[str]:
    text = text.strip()
    if len(text.split()) <= max_words:
        return [text] if text else []
    if not separators:
        words = text.split()
        return [" ".join(words[i : i + max_words]) for i in range(0, len(words), max_words)]
    return [part for piece in text.split(separators[0]) for part in _divided(piece, max_words, separators[1:])]


def _recursive_probes(rng: np.random.Generator) -> Sequence[Probe]:
    one, two, three, four = (" ".join(_words(rng, n)) for n in (3, 4, 5, 4))
    separators = ["\n\n", "\n"]
    lines = f"{one}\n{two}"  # 7 words in two lines
    paragraphs = f"{lines}\n\n{three}"
    long = f"{three}\n{four}"  # 9 words in two lines
    mixed = f"{lines}\n\n{long}"
    words = _words(rng, 13)
    gaps = f"{lines}\n\n\n\n{three}\n\n"
    all_lines = [line for line in mixed.split("\n") if line]
    return (
        Probe(
            (lines, 8, separators),
            [lines],
            "Seven words, and eight are allowed. Is there anything to cut?",
            (
                Slip([one, two], "The text is short enough. Why cut it at its lines?"),
                Slip(lines, "Return a list, even if it holds one piece only."),
            ),
        ),
        Probe(
            (paragraphs, 8, separators),
            [lines, three],
            "Too long: cut at the first separator. Which pieces are still too long?",
            (
                Slip([one, two, three], "The first paragraph is short enough by itself. Why are its lines apart?"),
                Slip([paragraphs], "Twelve words, and eight are allowed. Where do you cut?"),
            ),
        ),
        Probe(
            (mixed, 8, separators),
            [lines, three, four],
            "The second paragraph is still too long after the first cut. What does 'recursive' mean for it?",
            (
                Slip(
                    [lines, long],
                    "One of your pieces has nine words, and eight are allowed. Cut it with the next separator.",
                ),
                Slip(all_lines, "Only the second paragraph is too long. Why are the lines of the first apart?"),
                Slip([lines, [three, four]], "There is a list inside your list. Join them: extend, not append."),
            ),
        ),
        Probe(
            (" ".join(words), 5, separators),
            [" ".join(words[i : i + 5]) for i in (0, 5, 10)],
            "One long line without any separator: what is left to cut at? Words.",
            (
                Slip(
                    [" ".join(words)],
                    "Thirteen words in one piece, and five are allowed. No separator is left: cut at words.",
                ),
                Slip([" ".join(words[:5]), " ".join(words[5:10])], "Where are the last three words?"),
                Slip(words, "One word a piece. A piece may hold five."),
            ),
        ),
        Probe(
            (gaps, 8, separators),
            [lines, three],
            "Some pieces between two separators are empty. Should they be chunks?",
            (Slip([lines, "", three], "One of your pieces is empty. What would a search find in it?"),),
        ),
        Probe(("", 8, separators), [], "How many pieces has an empty text?", (Slip([""], "An empty piece is none."),)),
    )


# ---------------------------------------------------------------- borders of meaning


def _border_probes(rng: np.random.Generator) -> Sequence[Probe]:
    subjects = np.linalg.qr(rng.normal(size=(6, 3)))[0].T  # three directions at right angles, (3, 6)
    order = np.array([0, 0, 0, 0, 1, 2, 2, 2, 0, 0])
    vectors = subjects[order] + 0.08 * rng.normal(size=(10, 6))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)  # (10, 6)
    cosines = (vectors[1:] * vectors[:-1]).sum(axis=1)  # (9,)
    right = semantic_borders(vectors, percentile=30)
    to_first = (vectors[1:] * vectors[0]).sum(axis=1)
    alike = [int(i) + 1 for i in np.flatnonzero(cosines >= np.percentile(cosines, 70))]
    below_value = [int(i) + 1 for i in np.flatnonzero(cosines <= 30)]
    return (
        Probe(
            (vectors, 30),
            right,
            "Compare each sentence with the one before. Where is the cosine among the lowest 30 %?",
            (
                Slip(
                    [i - 1 for i in right],
                    "A border is where a new stretch begins. Which of the two sentences is that?",
                ),
                Slip(alike, "You cut where neighbours are most alike. Where does the subject change?"),
                Slip(
                    [int(i) + 1 for i in np.flatnonzero(to_first <= np.percentile(to_first, 30))],
                    "You compare every sentence with the first. Who are its neighbours?",
                ),
                Slip(below_value, "Every position is a border. Is 30 a cosine, or a share of the cosines?"),
                Slip(
                    [float(c) for c in cosines[np.array(right) - 1]],
                    "These are cosines. Return the positions of the sentences.",
                ),
                Slip([0, *right], "Does the first sentence begin a new stretch? It has no neighbour before it."),
            ),
        ),
        Probe(
            (vectors, 0),
            [int(np.argmin(cosines)) + 1],
            "The 0th percentile is the lowest cosine itself: one border. Do you cut at or below the threshold, or only below?",
        ),
        Probe((vectors[:1], 30), [], "One sentence has no neighbour. How many borders are there?"),
    )


# ---------------------------------------------------------------- citations


def _citation_probes(rng: np.random.Generator) -> Sequence[Probe]:
    words = [f"{word}{i}" for i, word in enumerate(_words(rng, 40))]  # no word comes twice
    text = " ".join(words)
    spans = word_spans(text)
    pages = [0, spans[10][0], spans[20][0], spans[30][0]]
    start, end = spans[15][0], spans[29][1]
    chunk = text[start:end]

    def cited(first: int, last: int) -> tuple[int, int, int]:
        left, right = spans[first][0], spans[last][1]
        return bisect_right(pages, left), left, right

    inside, crossing, border = cited(17, 18), cited(24, 25), cited(20, 21)
    quote = text[slice(*inside[1:])]
    return (
        Probe(
            (quote, chunk, start, pages),
            inside,
            "Where does the quote begin in the document, where does it end, and on which page is that?",
            (
                Slip(
                    (inside[0], inside[1] - start, inside[2] - start),
                    "These offsets count from the start of the chunk. Where does the chunk itself begin?",
                ),
                Slip(
                    (bisect_right(pages, inside[1] - start), inside[1] - start, inside[2] - start),
                    "These offsets count from the start of the chunk. Where does the chunk itself begin?",
                ),
                Slip((inside[0] - 1, *inside[1:]), "Readers count pages from 1. From where do you count?"),
                Slip(
                    (inside[0], inside[1], len(quote)),
                    "The third number is the length of the quote. Where does it end?",
                ),
                Slip((*inside[:2], inside[2] - 1), "text[start:end] should hold the last letter. Does yours?"),
                Slip((inside[0], start, end), "This is the place of the whole chunk. Where is the quote?"),
                Slip(inside[1:], "The offsets are right. On which page do they lie?"),
            ),
        ),
        Probe(
            (text[slice(*crossing[1:])], chunk, start, pages),
            crossing,
            "The quote stands on a later page than the one where the chunk begins. Which page is cited?",
            (
                Slip(
                    (bisect_right(pages, start), *crossing[1:]),
                    "This is the page of the chunk's start. The quote stands further on. On which page?",
                ),
            ),
        ),
        Probe(
            (text[slice(*border[1:])], chunk, start, pages),
            border,
            "This quote begins with the first letter of a page. To which page does that letter belong?",
            (Slip((border[0] - 1, *border[1:]), "A page begins at its offset, not after it. Is it < or <=?"),),
        ),
        Probe(
            ("no such words", chunk, start, pages),
            ValueError,
            "The quote does not stand in the chunk. What does find return then? Raise a ValueError: a false citation is worse.",
        ),
    )


# ---------------------------------------------------------------- broken words


def _rejoined(text: str) -> str:
    text = re.sub(r"(\w)-\n([a-z])", r"\1\2", text)
    return re.sub(r"(\w)-\n(\w)", r"\1-\2", text)


def _hyphen_probes(rng: np.random.Generator) -> Sequence[Probe]:
    halves = [("elec", "tricity"), ("pay", "ment"), ("in", "staller"), ("tur", "bine"), ("re", "fund")]
    (a, b), (c, d) = (halves[i] for i in rng.permutation(len(halves))[:2])
    year = int(rng.integers(1930, 1990))
    broken = f"The {a}-\n{b} and the {c}-\n{d} came."
    inner = f"A well-known {a}-\n{b}, up-to-date."
    capital = f"The Anglo-\nSaxon {a}-\n{b}."
    digits = f"From {year}-\n{year + 8}, error E-\n{year}."
    dash = f"The {a}{b} -\nit was late -\ncame."
    lines = f"First line\nsecond line\n- a list\n- of two {a}-\n{b}"
    return (
        Probe(
            (broken,),
            _rejoined(broken),
            "A word is divided over two lines. What stands between its halves that does not belong there?",
            (
                Slip(broken.replace("-\n", "-"), "The line break is gone. What about the hyphen that it brought?"),
                Slip(broken.replace("-\n", " "), "The halves are apart still. Is that one word?"),
                Slip(broken.replace("-\n", "\n"), "The hyphen is gone. What about the line break?"),
                Slip(broken, "Nothing has changed. How is a line break written in a str?"),
                Slip(broken.replace("-\n", "", 1), "The first word is whole. What about the second?"),
            ),
        ),
        Probe(
            (inner,),
            _rejoined(inner),
            "Some hyphens stand inside a line. Do they divide a word over two lines?",
            (
                Slip(
                    inner.replace("\n", "").replace("-", ""),
                    "Every hyphen is gone. Which of them stood at the end of a line?",
                ),
            ),
        ),
        Probe(
            (capital,),
            _rejoined(capital),
            "One of the second halves begins with a capital. Is it the rest of a word?",
            (
                Slip(
                    re.sub(r"(\w)-\n(\w)", r"\1\2", capital),
                    "'AngloSaxon'? Before a capital the hyphen belongs to the name; only the line break goes.",
                ),
                Slip(
                    re.sub(r"(\w)-\n([a-z])", r"\1\2", capital),
                    "The name is divided still. Keep its hyphen, but drop the line break.",
                ),
            ),
        ),
        Probe(
            (digits,),
            _rejoined(digits),
            "A range of years and a code are divided, too. Which of the two marks goes, and which stays?",
            (
                Slip(
                    re.sub(r"(\w)-\n(\w)", r"\1\2", digits), "Two years became one number. Does the hyphen belong here?"
                ),
                Slip(
                    re.sub(r"(\w)-\n([a-z])", r"\1\2", re.sub(r"(\w)-\n([A-Z])", r"\1-\2", digits)),
                    "The years are divided still. A digit is no small letter, but is the line break needed?",
                ),
            ),
        ),
        Probe(
            (dash,),
            dash,
            "A dash with a space before it divides thoughts, not a word. Should it change?",
        ),
        Probe((lines,), _rejoined(lines), "Line breaks without a hyphen, and the marks of a list, stay as they are."),
    )


# ---------------------------------------------------------------- coverage


def _coverage_probes(rng: np.random.Generator) -> Sequence[Probe]:
    start = int(rng.integers(100, 200))
    end = start + 40
    part = [(start - 30, start + 10), (start + 30, end + 50)]  # 10 + 10 of 40
    overlapping = [(start, start + 20), (start + 10, start + 30)]  # 30 of 40
    outside = [(start - 50, start - 10), (end + 5, end + 60), (start + 10, start + 20)]
    cut = [(start - 9, start + 25), (start + 25, end + 9)]
    lengths = sum(b - a for a, b in part)
    return (
        Probe(
            ((start, end), part),
            0.5,
            "Ten characters at the front and ten at the back of forty: what share is covered?",
            (
                Slip(1.0, "The span is touched, but is all of it there?"),
                Slip(20, "This is a number of characters. Which share of the span is it?"),
                Slip(20 / lengths, "You divide by the length of the stretches. A share of what is asked for?"),
                Slip(lengths / 40, "Do you count characters outside of the span?"),
                Slip(0.25, "Is this the best single stretch? The context holds both."),
            ),
        ),
        Probe(
            ((start, end), overlapping),
            0.75,
            "Two stretches overlap. How many different characters of the span do they hold?",
            (
                Slip(1.0, "Ten characters stand in both stretches. Do you count them twice?"),
                Slip(0.5, "Is this the best single stretch? Together they hold more."),
            ),
        ),
        Probe(
            ((start, end), outside),
            0.25,
            "Two stretches lie outside of the span. What do they add?",
            (
                Slip(
                    sum(min(b, end) - max(a, start) for a, b in outside) / 40,
                    "A stretch outside adds a negative number to yours. What is the least that a stretch can add?",
                ),
            ),
        ),
        Probe(
            ((start, end), cut),
            coverage((start, end), cut),
            "The span is cut in two, and both parts are there. What share is covered?",
        ),
        Probe(((start, end), []), 0.0, "Nothing was retrieved. What share is covered?"),
    )


TASKS = (
    Task(
        "windows",
        "word_windows",
        "Windows with offsets",
        3,
        _window_probes,
        (
            "re.finditer(r'\\S+', text) gives every word with its place: match.start() and match.end().",
            "A window of words first to last begins at the start of the first and ends at the end of the last.",
            "The next window begins size - overlap words later. Stop as soon as a window reaches the last word.",
        ),
        "The offsets come from the text itself, so text[start:end] is the window, letter for letter. Whoever rebuilds a "
        "window from split words loses line breaks and double spaces, and with them every citation.",
    ),
    Task(
        "packing",
        "pack_sentences",
        "Pack whole sentences",
        2,
        _packing_probes,
        (
            "Go through the sentences in order and keep the chunk that is open.",
            "If the open chunk has room (<=), the sentence joins it; if not, it opens a new one.",
            "A sentence that is too long opens a chunk like any other; the next one finds no room and opens another.",
        ),
        "No sentence is cut, so no statement loses its end. The price: chunks of unequal length, and a very long sentence "
        "goes over the limit.",
    ),
    Task(
        "recursive",
        "split_recursively",
        "Cut at the best border that helps",
        3,
        _recursive_probes,
        (
            "First question: is the text short enough? Then it is the only piece.",
            "If not, cut at separators[0] and call the function on each piece with separators[1:].",
            "If no separator is left, cut every max_words words. Strip pieces, and leave empty ones out.",
        ),
        "A border that the writer set is better than one that we count out. The function tries the strongest border first and "
        "falls back only where a piece is still too long.",
    ),
    Task(
        "borders",
        "semantic_borders",
        "Cut where the subject changes",
        2,
        _border_probes,
        (
            "The cosine of neighbours of length 1 is (vectors[1:] * vectors[:-1]).sum(axis=1).",
            "np.percentile(cosines, percentile) is the threshold; a cosine at or below it is a border.",
            "The i-th cosine compares sentences i and i + 1. The new stretch begins with i + 1.",
        ),
        "A percentile adapts to each text: one that keeps to its subject has high cosines everywhere, and is cut all the same. "
        "That is also its weakness.",
    ),
    Task(
        "citation",
        "cite",
        "From a quote to its page",
        3,
        _citation_probes,
        (
            "chunk_text.find(quote) is the place of the quote in the chunk; add where the chunk begins.",
            "If find returns -1, the quote is not there.",
            "The page is the number of page starts that are not above the offset: bisect.bisect_right does that.",
        ),
        "Offsets add up: place in the chunk, plus place of the chunk. They turn 'the model said so' into a page that a reader "
        "can open. A wrong page is worse than none.",
    ),
    Task(
        "hyphens",
        "join_broken_words",
        "Mend broken words",
        2,
        _hyphen_probes,
        (
            "The pattern is: a letter or digit, a hyphen, a line break, a letter or digit.",
            "re.sub(r'(\\w)-\\n([a-z])', r'\\1\\2', text) joins what goes on in small letters.",
            "A second re.sub keeps the hyphen before capitals and digits, and drops the line break only.",
        ),
        "A search for 'electricity' finds neither 'elec-' nor 'tricity'. The rule errs now and then ('well-' and 'known'): "
        "the library looks how the document writes the word elsewhere.",
    ),
    Task(
        "coverage",
        "coverage",
        "How much of the answer is there?",
        2,
        _coverage_probes,
        (
            "Collect the positions of the characters that are held, in a set.",
            "A stretch holds range(max(start, left), min(end, right)) of the span; that range may be empty.",
            "Divide the size of the set by end - start.",
        ),
        "A document can be found and its answer be missing: the passage that was retrieved is another one. Coverage looks at "
        "what the model would read.",
    ),
)

check = Check("03_chunking_and_ingestion", TASKS)

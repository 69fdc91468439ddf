"""Planted wrong answers for exercise 03. Each names words of the message that a learner must get for it."""

import bisect
import re

import numpy as np


def words_of(text):
    return [match.span() for match in re.finditer(r"\S+", text)]


def windows_over(words, size, overlap):
    if not 0 <= overlap < size:
        raise ValueError("overlap")
    found = []
    for first in range(0, len(words), size - overlap):
        last = min(first + size, len(words))
        found.append((first, last))
        if last == len(words):
            break
    return found


def counts_in_words(text, size, overlap):
    return windows_over(text.split(), size, overlap)


def leaves_out_the_last_letter(text, size, overlap):
    words = words_of(text)
    return [(words[a][0], words[b - 1][1] - 1) for a, b in windows_over(words, size, overlap)]


def returns_texts(text, size, overlap):
    words = text.split()
    return [" ".join(words[a:b]) for a, b in windows_over(words, size, overlap)]


def cuts_characters(text, size, overlap):
    return [(i, min(i + size, len(text))) for i in range(0, len(text), size - overlap)]


def rebuilds_the_text(text, size, overlap):
    text = " ".join(text.split())
    words = words_of(text)
    return [(words[a][0], words[b - 1][1]) for a, b in windows_over(words, size, overlap)]


def drops_the_rest(text, size, overlap):
    words = words_of(text)
    return [(words[i][0], words[i + size - 1][1]) for i in range(0, len(words) - size + 1, size - overlap)]


def forgets_the_overlap(text, size, overlap):
    words = words_of(text)
    return [(words[i][0], words[min(i + size, len(words)) - 1][1]) for i in range(0, len(words), size)]


def repeats_the_tail(text, size, overlap):
    if overlap >= size:
        raise ValueError("overlap")
    words = words_of(text)
    return [(words[i][0], words[min(i + size, len(words)) - 1][1]) for i in range(0, len(words), size - overlap)]


def adds_the_overlap_to_the_size(text, size, overlap):
    words = words_of(text)
    found = []
    for first in range(0, len(words), size):
        last = min(first + size + overlap, len(words))
        found.append((words[first][0], words[last - 1][1]))
        if last == len(words):
            break
    return found


def lets_any_overlap_through(text, size, overlap):
    words = words_of(text)
    if not words:
        return []
    return [(words[a][0], words[b - 1][1]) for a, b in windows_over(words, size, min(overlap, size - 1))]


def needs_room_to_spare(lengths, max_words):
    chunks = []
    for i, length in enumerate(lengths):
        if chunks and sum(lengths[j] for j in chunks[-1]) + length < max_words:
            chunks[-1].append(i)
        else:
            chunks.append([i])
    return chunks


def returns_lengths(lengths, max_words):
    chunks = []
    for length in lengths:
        if chunks and sum(chunks[-1]) + length <= max_words:
            chunks[-1].append(length)
        else:
            chunks.append([length])
    return chunks


def forgets_the_last_chunk(lengths, max_words):
    chunks, group, words = [], [], 0
    for i, length in enumerate(lengths):
        if group and words + length > max_words:
            chunks.append(group)
            group, words = [], 0
        group.append(i)
        words += length
    return chunks


def fills_earlier_chunks(lengths, max_words):
    chunks = []
    for i, length in enumerate(lengths):
        for chunk in chunks:
            if sum(lengths[j] for j in chunk) + length <= max_words:
                chunk.append(i)
                break
        else:
            chunks.append([i])
    return chunks


def drops_long_sentences(lengths, max_words):
    chunks = []
    for i, length in enumerate(lengths):
        if length > max_words:
            chunks.append([])
        elif chunks and chunks[-1] and sum(lengths[j] for j in chunks[-1]) + length <= max_words:
            chunks[-1].append(i)
        else:
            chunks.append([i])
    return [chunk for chunk in chunks if chunk]


def begins_with_an_empty_chunk(lengths, max_words):
    chunks, words = [[]], 0
    for i, length in enumerate(lengths):
        if words + length > max_words:
            chunks.append([])
            words = 0
        chunks[-1].append(i)
        words += length
    return chunks if lengths else []


def always_cuts(text, max_words, separators):
    return [piece.strip() for piece in re.split(r"\n+", text) if piece.strip()]


def returns_a_str(text, max_words, separators):
    return text


def only_the_first_separator(text, max_words, separators):
    if len(text.split()) <= max_words:
        return [text]
    return [piece.strip() for piece in text.split(separators[0])]


def nests_lists(text, max_words, separators):
    text = text.strip()
    if len(text.split()) <= max_words:
        return [text] if text else []
    pieces = []
    for piece in text.split(separators[0]):
        if len(piece.split()) <= max_words:
            pieces.append(piece)
        else:
            pieces.append(nests_lists(piece, max_words, separators[1:]))
    return pieces


def gives_up_without_separators(text, max_words, separators):
    text = text.strip()
    if len(text.split()) <= max_words or not separators:
        return [text] if text else []
    return [
        part
        for piece in text.split(separators[0])
        for part in gives_up_without_separators(piece, max_words, separators[1:])
    ]


def keeps_empty_pieces(text, max_words, separators):
    text = text.strip()
    words = text.split()
    if len(words) <= max_words:
        return [text]
    if not separators:
        return [" ".join(words[i : i + max_words]) for i in range(0, len(words), max_words)]
    return [
        part for piece in text.split(separators[0]) for part in keeps_empty_pieces(piece, max_words, separators[1:])
    ]


def uses_up_the_separators(text, max_words, separators):
    text = text.strip()
    words = text.split()
    if len(words) <= max_words:
        return [text] if text else []
    if not separators:
        return [" ".join(words[i : i + max_words]) for i in range(0, len(words), max_words)]
    pieces = text.split(separators.pop(0))
    return [part for piece in pieces for part in uses_up_the_separators(piece, max_words, list(separators))]


def neighbours(vectors):
    return (vectors[1:] * vectors[:-1]).sum(axis=1)


def one_too_early(vectors, percentile):
    cosines = neighbours(vectors)
    return [int(i) for i in np.flatnonzero(cosines <= np.percentile(cosines, percentile))]


def cuts_where_alike(vectors, percentile):
    cosines = neighbours(vectors)
    return [int(i) + 1 for i in np.flatnonzero(cosines >= np.percentile(cosines, 100 - percentile))]


def compares_with_the_first(vectors, percentile):
    cosines = vectors[1:] @ vectors[0]
    return [int(i) + 1 for i in np.flatnonzero(cosines <= np.percentile(cosines, percentile))]


def takes_the_percentile_for_a_cosine(vectors, percentile):
    return [int(i) + 1 for i in np.flatnonzero(neighbours(vectors) <= percentile)]


def only_below(vectors, percentile):
    if len(vectors) < 2:
        return []
    cosines = neighbours(vectors)
    return [int(i) + 1 for i in np.flatnonzero(cosines < np.percentile(cosines, percentile))]


def begins_at_zero(vectors, percentile):
    if len(vectors) < 2:
        return [0]
    cosines = neighbours(vectors)
    return [0, *(int(i) + 1 for i in np.flatnonzero(cosines <= np.percentile(cosines, percentile)))]


def stumbles_on_one_sentence(vectors, percentile):
    cosines = neighbours(vectors)
    return [int(i) + 1 for i in np.flatnonzero(cosines <= np.percentile(cosines, percentile))]


def counts_from_the_chunk(quote, chunk_text, chunk_start, page_starts):
    place = chunk_text.index(quote)
    return bisect.bisect_right(page_starts, chunk_start + place), place, place + len(quote)


def counts_pages_from_zero(quote, chunk_text, chunk_start, page_starts):
    start = chunk_start + chunk_text.index(quote)
    return bisect.bisect_right(page_starts, start) - 1, start, start + len(quote)


def returns_the_length(quote, chunk_text, chunk_start, page_starts):
    start = chunk_start + chunk_text.index(quote)
    return bisect.bisect_right(page_starts, start), start, len(quote)


def cites_the_page_of_the_chunk(quote, chunk_text, chunk_start, page_starts):
    start = chunk_start + chunk_text.index(quote)
    return bisect.bisect_right(page_starts, chunk_start), start, start + len(quote)


def is_late_at_a_page(quote, chunk_text, chunk_start, page_starts):
    start = chunk_start + chunk_text.index(quote)
    return bisect.bisect_left(page_starts, start), start, start + len(quote)


def cites_what_is_not_there(quote, chunk_text, chunk_start, page_starts):
    start = chunk_start + chunk_text.find(quote)
    return bisect.bisect_right(page_starts, start), start, start + len(quote)


def keeps_the_hyphen(text):
    return text.replace("-\n", "-")


def keeps_the_halves_apart(text):
    return text.replace("-\n", " ")


def removes_every_hyphen(text):
    return text.replace("-\n", "").replace("-", "")


def joins_before_capitals(text):
    return re.sub(r"(\w)-\n(\w)", r"\1\2", text)


def leaves_capitals_divided(text):
    return re.sub(r"(\w)-\n([a-z])", r"\1\2", text)


def mends_the_first_word_only(text):
    return text.replace("-\n", "", 1)


def joins_dashes(text):
    text = re.sub(r"-\n([a-z])", r"\1", text)
    return re.sub(r"(\w)-\n(\w)", r"\1-\2", text)


def all_or_nothing(span, stretches):
    return float(any(left < span[1] and right > span[0] for left, right in stretches))


def counts_characters(span, stretches):
    return len({i for left, right in stretches for i in range(max(span[0], left), min(span[1], right))})


def counts_twice(span, stretches):
    held = sum(max(0, min(span[1], right) - max(span[0], left)) for left, right in stretches)
    return held / (span[1] - span[0])


def lets_negatives_in(span, stretches):
    places = [range(max(span[0], left), min(span[1], right)) for left, right in stretches]
    shared = sum(map(len, places)) - len({i for place in places for i in place})
    held = sum(min(span[1], right) - max(span[0], left) for left, right in stretches)
    return (held - shared) / (span[1] - span[0])


def best_single_stretch(span, stretches):
    shares = [max(0, min(span[1], right) - max(span[0], left)) for left, right in stretches]
    return max(shares, default=0) / (span[1] - span[0])


def share_of_the_stretches(span, stretches):
    held = {i for left, right in stretches for i in range(max(span[0], left), min(span[1], right))}
    return len(held) / sum(right - left for left, right in stretches)


# (task, wrong answer, status, words of the message)
MISTAKES = [
    ("windows", counts_in_words, "wrong", "positions of words or of characters"),
    ("windows", leaves_out_the_last_letter, "wrong", "hold the last letter"),
    ("windows", returns_texts, "wrong", "How would a citation find them"),
    ("windows", cuts_characters, "wrong", "A size of 4 means four words"),
    ("windows", rebuilds_the_text, "wrong", "those of a text with single spaces"),
    ("windows", drops_the_rest, "wrong", "last words stand in no window"),
    ("windows", forgets_the_overlap, "wrong", "Where does the overlap come in"),
    ("windows", repeats_the_tail, "wrong", "What does your last window hold"),
    ("windows", adds_the_overlap_to_the_size, "wrong", "Is a window still four words long"),
    ("windows", lets_any_overlap_through, "wrong", "for ever"),
    ("packing", needs_room_to_spare, "wrong", "exactly max_words words"),
    ("packing", returns_lengths, "wrong", "These are lengths"),
    ("packing", forgets_the_last_chunk, "wrong", "Where is the last chunk"),
    ("packing", fills_earlier_chunks, "wrong", "went into an earlier chunk"),
    ("packing", drops_long_sentences, "wrong", "The long sentence is gone"),
    ("packing", begins_with_an_empty_chunk, "wrong", "Your first chunk is empty"),
    ("recursive", always_cuts, "wrong", "Why cut it at its lines"),
    ("recursive", returns_a_str, "wrong", "Return a list"),
    ("recursive", only_the_first_separator, "wrong", "Cut it with the next separator"),
    ("recursive", nests_lists, "wrong", "a list inside your list"),
    ("recursive", gives_up_without_separators, "wrong", "No separator is left: cut at words"),
    ("recursive", keeps_empty_pieces, "wrong", "What would a search find in it"),
    ("recursive", uses_up_the_separators, "wrong", "changed the array it was given"),
    ("borders", one_too_early, "wrong", "Which of the two sentences is that"),
    ("borders", cuts_where_alike, "wrong", "most alike"),
    ("borders", compares_with_the_first, "wrong", "with the first"),
    ("borders", takes_the_percentile_for_a_cosine, "wrong", "Is 30 a cosine"),
    ("borders", only_below, "wrong", "at or below the threshold"),
    ("borders", begins_at_zero, "wrong", "Does the first sentence begin a new stretch"),
    ("borders", stumbles_on_one_sentence, "crashed", ""),
    ("citation", counts_from_the_chunk, "wrong", "from the start of the chunk"),
    ("citation", counts_pages_from_zero, "wrong", "Readers count pages from 1"),
    ("citation", returns_the_length, "wrong", "the length of the quote"),
    ("citation", cites_the_page_of_the_chunk, "wrong", "the page of the chunk's start"),
    ("citation", is_late_at_a_page, "wrong", "Is it < or <="),
    ("citation", cites_what_is_not_there, "wrong", "a false citation is worse"),
    ("hyphens", keeps_the_hyphen, "wrong", "What about the hyphen that it brought"),
    ("hyphens", keeps_the_halves_apart, "wrong", "The halves are apart"),
    ("hyphens", removes_every_hyphen, "wrong", "Every hyphen is gone"),
    ("hyphens", joins_before_capitals, "wrong", "AngloSaxon"),
    ("hyphens", leaves_capitals_divided, "wrong", "The name is divided still"),
    ("hyphens", mends_the_first_word_only, "wrong", "What about the second"),
    ("hyphens", joins_dashes, "wrong", "divides thoughts"),
    ("coverage", all_or_nothing, "wrong", "is all of it there"),
    ("coverage", counts_characters, "wrong", "a number of characters"),
    ("coverage", counts_twice, "wrong", "count them twice"),
    ("coverage", lets_negatives_in, "wrong", "negative number"),
    ("coverage", best_single_stretch, "wrong", "best single stretch"),
    ("coverage", share_of_the_stretches, "wrong", "length of the stretches"),
]

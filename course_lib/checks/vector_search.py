"""Checks of lesson 02. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.classroom.check import Check, Probe, Slip, Task
from course_lib.core.validate import FloatArray
from course_lib.retrieval.embedding import normalise
from course_lib.retrieval.exact import top_k

Codes = npt.NDArray[np.int64]


# ---- the right answers -----------------------------------------------------------------------------------------------


def recall(found: Sequence[Sequence[int]], true: Sequence[Sequence[int]]) -> float:
    """Return the mean share of the true neighbours of a query that were found."""
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, true, strict=True)]))


def inverted_lists(vectors: FloatArray, centres: FloatArray) -> list[list[int]]:
    """Return for each centre the positions of the vectors nearest to it by dot product."""
    nearest = (vectors @ centres.T).argmax(axis=1)  # (n,)
    return [np.flatnonzero(nearest == centre).tolist() for centre in range(len(centres))]


def search_lists(
    query: FloatArray, vectors: FloatArray, centres: FloatArray, lists: list[list[int]], nprobe: int, k: int
) -> list[int]:
    """Return the k best of the vectors in the nprobe lists whose centres are nearest."""
    probed = top_k(centres @ query, nprobe)
    candidates = np.array(sorted(i for centre in probed for i in lists[centre]), dtype=np.int64)
    if not len(candidates):
        return []
    best = top_k(vectors[candidates] @ query, min(k, len(candidates)))
    return [int(i) for i in candidates[best]]


def encode(vector: FloatArray, codebooks: FloatArray) -> list[int]:
    """Return for each piece of vector (dim,) the nearest code; codebooks: (m, n_codes, d_piece)."""
    pieces = vector.reshape(len(codebooks), 1, -1)  # (m, 1, d_piece)
    return [int(code) for code in ((codebooks - pieces) ** 2).sum(axis=2).argmin(axis=1)]


def pq_scores(query: FloatArray, codes: Codes, codebooks: FloatArray) -> FloatArray:
    """Return the dot product of query (dim,) with each vector as its codes (n, m) have it."""
    table = (codebooks * query.reshape(len(codebooks), 1, -1)).sum(axis=2)  # (m, n_codes)
    return np.asarray(table[np.arange(len(codebooks)), codes].sum(axis=1), dtype=np.float32)


def filter_then_search(similarities: FloatArray, shelves: Sequence[str], wanted: str, k: int) -> list[int]:
    """Return the k most similar positions on the shelf, fewer if it holds fewer."""
    passing = np.array([i for i, shelf in enumerate(shelves) if shelf == wanted], dtype=np.int64)
    if not len(passing):
        return []
    return [int(i) for i in passing[top_k(np.asarray(similarities)[passing], min(k, len(passing)))]]


# ---- probes ----------------------------------------------------------------------------------------------------------


def _drawn(rng: np.random.Generator, make: Callable[[np.random.Generator], Any], fits: Callable[..., bool]) -> Any:
    """Draw until what was drawn tells the slips apart."""
    for _ in range(2000):
        drawn = make(rng)
        if fits(*drawn):
            return drawn
    raise RuntimeError("no draw of 2,000 tells the slips apart")


def _unit(rng: np.random.Generator, n: int, dim: int) -> FloatArray:
    return normalise(rng.normal(size=(n, dim)).astype(np.float32))


def _recall_probes(rng: np.random.Generator) -> Sequence[Probe]:
    true = [[int(i) for i in rng.permutation(40)[:4]] for _ in range(4)]
    other = [[i + 100 for i in row] for row in true]
    found = [  # 4, 1, 0 and 3 of four, never in the true order
        [true[0][1], true[0][2], true[0][3], true[0][0]],
        [other[1][0], other[1][1], true[1][1], other[1][2]],
        other[2],
        [true[3][3], true[3][0], true[3][1], other[3][3]],
    ]
    shares = [1.0, 0.25, 0.0, 0.75]
    short_true, short_found = [true[0], true[1]], [[true[0][2], -1, -1], [true[1][3], true[1][0], -1]]
    double = [[true[2][0], true[2][0], true[2][0], other[2][0]], true[3]]
    return (
        Probe(
            (found, true),
            0.5,
            "For each query, which share of its true neighbours is in found? Then take the mean over the queries.",
            (
                Slip(
                    float(
                        np.mean([[a == b for a, b in zip(f, t, strict=True)] for f, t in zip(found, true, strict=True)])
                    ),
                    "Do you compare place by place? A neighbour that was found at another rank was found.",
                ),
                Slip(0.75, "Does one hit make a query right? Count the share of its neighbours."),
                Slip(0.25, "Must all neighbours be found for a query to count? Take the share of them."),
                Slip(2.0, "This is a sum over the queries. What makes it a mean?"),
                Slip(8, "This counts the neighbours found. Which share of all is it?"),
                Slip(shares, "One number for each query. What is asked for is their mean."),
                Slip(0.5 * 100, "This is in percent. A share lies between 0 and 1."),
            ),
        ),
        Probe(
            (short_found, short_true),
            (0.25 + 0.5) / 2,
            "The index found fewer than four here; -1 stands for none. By what do you divide?",
            (
                Slip(
                    (1 / 3 + 2 / 3) / 2,
                    "You divide by how many were returned: that is precision. Recall asks how many there were to find.",
                ),
            ),
        ),
        Probe(
            (double, true[2:]),
            (0.25 + 1) / 2,
            "One neighbour comes three times in found. How many different neighbours is that?",
        ),
    )


def _list_probes(rng: np.random.Generator) -> Sequence[Probe]:
    def make(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        return _unit(rng, 8, 3), _unit(rng, 3, 3)

    def fits(vectors: FloatArray, centres: FloatArray) -> bool:
        sizes = [len(each) for each in inverted_lists(vectors, centres)]
        return min(sizes) >= 1 and len(set(sizes)) == 3 and max(sizes) < 6

    vectors, centres = _drawn(rng, make, fits)
    right = inverted_lists(vectors, centres)
    similarities = vectors @ centres.T  # (8, 3)
    far = similarities.argmin(axis=1)
    (idle,) = _drawn(  # a centre in the second place that is nearest to none
        rng,
        lambda rng: (np.insert(centres, 1, _unit(rng, 1, 3)[0], axis=0),),
        lambda four: not inverted_lists(vectors, four)[1],
    )
    tied = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32)
    twins = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    return (
        Probe(
            (vectors, centres),
            right,
            "One list for each centre: the positions of the vectors that are nearer to it than to any other.",
            (
                Slip(
                    similarities.argmax(axis=1),
                    "This is the centre of each vector. The lists go the other way: the vectors of each centre.",
                ),
                Slip(
                    [np.flatnonzero(far == j).tolist() for j in range(3)],
                    "Each vector lies with its farthest centre. Is a larger dot product nearer or farther?",
                ),
                Slip(
                    [[int(i)] for i in similarities.argmax(axis=0)],
                    "This is the nearest vector of each centre. Every vector must lie in exactly one list.",
                ),
                Slip([len(each) for each in right], "These are the sizes of the lists. Which positions do they hold?"),
                Slip(
                    [vectors[each] for each in right], "The lists hold vectors. Store their positions: one number each."
                ),
            ),
        ),
        Probe(
            (vectors, idle),
            inverted_lists(vectors, idle),
            "A centre without any vector keeps its place, with an empty list. Do yours?",
            (
                Slip(
                    [each for each in inverted_lists(vectors, idle) if each],
                    "One centre has no vector. If its list is left out, list 1 no longer belongs to centre 1. What should stand there?",
                ),
            ),
        ),
        Probe(
            (tied, twins),
            inverted_lists(tied, twins),
            "Two centres are equally near. Into which one list does the vector go? Take the first.",
            (
                Slip(
                    [[1, 2], [0], [0]],
                    "A vector that is equally near to two centres lies in both lists now. Would a search return it twice?",
                ),
                Slip(
                    [[1, 2], [], [0]],
                    "Two centres are equally near, and yours takes the last. Take the first, as argmax does.",
                ),
            ),
        ),
    )


def _probing_probes(rng: np.random.Generator) -> Sequence[Probe]:
    def make(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
        return _unit(rng, 1, 4)[0], _unit(rng, 14, 4), _unit(rng, 4, 4)

    def fits(query: FloatArray, vectors: FloatArray, centres: FloatArray) -> bool:
        lists = inverted_lists(vectors, centres)
        order = top_k(centres @ query, 4)
        sizes = [len(lists[centre]) for centre in order]
        if min(sizes) < 2 or sizes[0] > 3 or sizes[3] < 3:
            return False
        answers = [search_lists(query, vectors, centres, lists, nprobe, 3) for nprobe in (1, 2, 4)]
        best_is_not_first = answers[1] != sorted(answers[1])
        return len({tuple(answer) for answer in answers}) == 3 and best_is_not_first

    query, vectors, centres = _drawn(rng, make, fits)
    lists = inverted_lists(vectors, centres)
    right = search_lists(query, vectors, centres, lists, 2, 3)
    order = top_k(centres @ query, 4)
    gathered = [i for centre in order[:2] for i in lists[centre]]
    ascending = sorted(gathered)
    inner = [top_k(vectors[members] @ query, 3) for members in (gathered, ascending)]
    far = search_lists(-query, vectors, centres, lists, 2, 14)
    far_best = [far[i] for i in top_k(vectors[far] @ query, 3)]
    ask = "Which lists do you open, and which three of the vectors in them are nearest to the query?"
    return (
        Probe(
            (query, vectors, centres, lists, 2, 3),
            right,
            ask,
            (
                Slip(
                    search_lists(query, vectors, centres, lists, 4, 3),
                    "This is the answer of all four lists: exact search. How many may you open? nprobe is 2.",
                ),
                Slip(search_lists(query, vectors, centres, lists, 1, 3), "You opened one list only. nprobe is 2."),
                Slip(
                    search_lists(query, vectors, centres, lists, 1, 99),
                    "You opened one list only, and kept all of it. nprobe is 2, k is 3.",
                ),
                Slip(
                    inner[0],
                    "These are positions among the candidates. Which positions have they in vectors?",
                ),
                Slip(
                    inner[1],
                    "These are positions among the candidates. Which positions have they in vectors?",
                ),
                Slip(
                    far_best, "You opened the lists farthest from the query. Which end of the sorted centres is near?"
                ),
                Slip(sorted(right), "The right three, in the wrong order. Best first."),
                Slip(right[::-1], "The right three, in the wrong order. Best first."),
                Slip(gathered[:3], "These stand first in the lists. Compare each of them with the query."),
                Slip(
                    search_lists(query, vectors, centres, lists, 2, 99),
                    "These are all candidates, sorted. How many are asked for? k is 3.",
                ),
            ),
        ),
        Probe(
            (query, vectors, centres, lists, 1, 10),
            search_lists(query, vectors, centres, lists, 1, 10),
            "One list is opened, and it holds fewer than ten. Return what it holds, best first: an approximate index may find fewer than k.",
        ),
        Probe(
            (query, vectors, centres, lists, 5, 3),
            ValueError,
            "There are four lists and five are to be opened. Raise a ValueError that says so.",
        ),
    )


def _encode_probes(rng: np.random.Generator) -> Sequence[Probe]:
    def make(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        scale = rng.uniform(0.3, 3.0, size=(4, 6, 1))
        return rng.normal(size=8).astype(np.float32), (rng.normal(size=(4, 6, 2)) * scale).astype(np.float32)

    def variants(vector: FloatArray, codebooks: FloatArray) -> dict[str, list[int]]:
        pieces = vector.reshape(4, 1, 2)
        distances = ((codebooks - pieces) ** 2).sum(axis=2)  # (4, 6)
        strided = ((codebooks - vector.reshape(2, 4).T[:, None, :]) ** 2).sum(axis=2)
        return {
            "right": distances.argmin(axis=1).tolist(),
            "dot": (codebooks * pieces).sum(axis=2).argmax(axis=1).tolist(),
            "far": distances.argmax(axis=1).tolist(),
            "strided": strided.argmin(axis=1).tolist(),
            "first": ((codebooks[0] - pieces) ** 2).sum(axis=2).argmin(axis=1).tolist(),
        }

    def fits(vector: FloatArray, codebooks: FloatArray) -> bool:
        return len({tuple(codes) for codes in variants(vector, codebooks).values()}) == 5

    vector, codebooks = _drawn(rng, make, fits)
    found = variants(vector, codebooks)
    decoded = codebooks[np.arange(4), found["right"]]  # (4, 2)
    tie = np.array([[[1.0], [3.0], [1.0]], [[0.0], [2.0], [5.0]]], dtype=np.float32)
    return (
        Probe(
            (vector, codebooks),
            found["right"],
            "Cut the vector into four pieces of two numbers. Which of the six codes of its own book is nearest to each piece?",
            (
                Slip(
                    found["dot"],
                    "You took the largest dot product. A long code wins that even if it is far away. Which distance makes the smallest error?",
                ),
                Slip(found["far"], "These are the farthest codes. Which end is near?"),
                Slip(
                    found["strided"],
                    "Which numbers make up piece 0? Take neighbours, 0 and 1, not every fourth number.",
                ),
                Slip(found["first"], "Every piece was compared with the first book. Each piece has a book of its own."),
                Slip(
                    decoded,
                    "These are the codes' numbers. Store the position of a code: that is what fits into a byte.",
                ),
                Slip(
                    decoded.ravel(), "This is the vector as decoded. Store the position of each code, not its numbers."
                ),
            ),
        ),
        Probe(
            (np.array([2.0, 1.0], dtype=np.float32), tie),
            [0, 0],
            "Two codes are equally near. Take the first, as argmin does.",
            (Slip([2, 1], "Two codes are equally near, and yours takes the last. Take the first, as argmin does."),),
        ),
        Probe(
            (vector[:7], codebooks),
            ValueError,
            "Seven numbers cannot be cut into four pieces of two. Raise a ValueError that says so.",
        ),
    )


def _score_probes(rng: np.random.Generator) -> Sequence[Probe]:
    query = rng.normal(size=6).astype(np.float32)
    codebooks = rng.normal(size=(3, 5, 2)).astype(np.float32)
    codes = np.stack([rng.permutation(5)[:3] for _ in range(4)])  # (4, 3)
    right = pq_scores(query, codes, codebooks)
    pieces = query.reshape(3, 1, 2)
    table = (codebooks * pieces).sum(axis=2)  # (3, 5)
    nearest = np.array([encode(query, codebooks)])
    query_decoded = codebooks[np.arange(3), nearest[0]].ravel()
    distances = ((codebooks - pieces) ** 2).sum(axis=2)[np.arange(3), codes].sum(axis=1)
    same_book = (codebooks[0] * pieces).sum(axis=2)
    strided = (codebooks * query.reshape(2, 3).T[:, None, :]).sum(axis=2)
    decoded = codebooks[np.arange(3), codes].reshape(4, 6)
    one = codes[:1]
    return (
        Probe(
            (query, codes, codebooks),
            right,
            "The score of a vector is the sum, over its pieces, of the dot product of the query's piece with the code stored for it.",
            (
                Slip(
                    pq_scores(query_decoded, codes, codebooks),
                    "You coded the query, too. It is known exactly: only the stored side is rounded. Why lose precision twice?",
                ),
                Slip(distances, "These are squared distances: smaller is nearer. The dot product is asked for."),
                Slip(table[0, codes[:, 0]], "Only the first piece counts here. What about the others?"),
                Slip(right / 3, "This is the mean over the pieces. A dot product is a sum."),
                Slip(
                    same_book[np.arange(3), codes].sum(axis=1),
                    "Every code was looked up in the first book. Each piece has a book of its own.",
                ),
                Slip(
                    strided[np.arange(3), codes].sum(axis=1),
                    "Which numbers make up piece 0 of the query? Take neighbours, 0 and 1.",
                ),
                Slip(table, "This is the table of all pieces and codes. Now look up the codes of each vector and add."),
                Slip(decoded, "These are the decoded vectors. Their dot products with the query are asked for."),
                Slip(
                    right / np.linalg.norm(decoded, axis=1),
                    "You divided by the length of the decoded vectors. The dot product is asked for.",
                ),
            ),
        ),
        Probe(
            (query, one, codebooks),
            pq_scores(query, one, codebooks),
            "One vector is stored. The result is an array with one number.",
            (
                Slip(
                    float(pq_scores(query, one, codebooks)[0]),
                    "One vector is stored. Return an array all the same, of shape (1,).",
                ),
            ),
        ),
        Probe(
            (query, np.zeros((0, 3), dtype=np.int64), codebooks),
            np.zeros(0),
            "Nothing is stored. What are the scores of no vectors?",
        ),
    )


def _filter_probes(rng: np.random.Generator) -> Sequence[Probe]:
    shelves = ["energy", "help_desk", "energy", "sport", "energy", "help_desk", "sport", "energy"]
    order = [int(i) for i in rng.permutation([0.11, 0.23, 0.31, 0.42, 0.56, 0.64, 0.78, 0.93]).argsort()]
    similarities = np.zeros(8, dtype=np.float32)
    # the two best lie on other shelves, so that filtering afterwards leaves too few
    energy, others = [i for i in order if shelves[i] == "energy"], [i for i in order if shelves[i] != "energy"]
    for rank, i in enumerate([others[0], others[1], energy[0], others[2], energy[1], energy[2], others[3], energy[3]]):
        similarities[i] = 0.95 - 0.1 * rank
    right = filter_then_search(similarities, shelves, "energy", 3)
    after = [i for i in top_k(similarities, 3) if shelves[i] == "energy"]
    passing = [i for i in range(8) if shelves[i] == "energy"]
    inner = top_k(similarities[passing], 3)
    wrong_shelf = [i for i in top_k(similarities, 8) if shelves[i] != "energy"][:3]
    ties = np.array([0.5, 0.9, 0.5, 0.9, 0.5], dtype=np.float32)
    two = ["a", "b", "a", "b", "a"]
    return (
        Probe(
            (similarities, shelves, "energy", 3),
            right,
            "Which three positions on the shelf are most similar, best first?",
            (
                Slip(
                    after,
                    "You took the three best of all, then filtered: fewer are left. Which comes first, the filter or the search?",
                ),
                Slip(top_k(similarities, 3), "Was anything filtered? Some of these lie on other shelves."),
                Slip(inner, "These are positions among those that pass. Which positions have they in similarities?"),
                Slip(wrong_shelf, "These are the ones that should have been left out. Is your condition upside down?"),
                Slip(sorted(right), "The right three, in the wrong order. Best first."),
                Slip(right[::-1], "The right three, in the wrong order. Best first."),
                Slip(similarities[right], "These are the similarities. The positions are asked for."),
                Slip(passing[:3], "These stand first on the shelf. Which are most similar?"),
            ),
        ),
        Probe(
            (similarities, shelves, "sport", 5),
            filter_then_search(similarities, shelves, "sport", 5),
            "Two chunks pass and five are asked for. Return the two: what did not pass must not come back to fill up the rest.",
        ),
        Probe((similarities, shelves, "neurology", 3), [], "Nothing passes the filter. Return an empty list."),
        Probe(
            (ties, two, "a", 2),
            [0, 2],
            "Three chunks on the shelf are equally similar. Break ties by the lower position.",
        ),
    )


def _upsert_probes(rng: np.random.Generator) -> Sequence[Probe]:
    fees = [int(fee) for fee in rng.permutation(np.arange(5, 60))[:5]]
    table = {
        "fee#00": {"text": f"The fee is {fees[0]} euros.", "note": "old"},
        "hours#00": {"text": f"Open until {fees[1]}."},
    }
    rows = [{"id": "fee#00", "text": f"The fee is {fees[2]} euros."}, {"id": "form#00", "text": f"Use form {fees[3]}."}]
    without_ids = {str(row["id"]): {"text": row["text"]} for row in rows}
    right = {**table, **without_ids}
    twice = [{"id": "form#00", "text": "One."}, {"id": "form#00", "text": "Two."}]
    return (
        Probe(
            (table, rows),
            right,
            "A row whose id is there replaces the whole row; another is added. The rest of the table stays.",
            (
                Slip({**without_ids, **table}, "The old row won. Which of the two is newer?"),
                Slip(
                    {
                        **table,
                        "fee#00": {**table["fee#00"], **without_ids["fee#00"]},
                        "form#00": without_ids["form#00"],
                    },
                    "The old row's note is still there. A row that is overwritten is replaced whole.",
                ),
                Slip(without_ids, "Where are the rows that were not mentioned? They must stay."),
                Slip(
                    {**table, "form#00": without_ids["form#00"]},
                    "The new row was added, but the row that was there was not overwritten.",
                ),
                Slip(
                    {**table, "fee#00": without_ids["fee#00"]},
                    "The row that was there was overwritten, but the new one was not added.",
                ),
                Slip(
                    {**table, **{str(row["id"]): row for row in rows}},
                    "The id stands in the row once more. It is the key: leave it out of the row.",
                ),
            ),
        ),
        Probe(
            (right, rows),
            right,
            "The same rows a second time: nothing may change. That is what makes an upsert safe to repeat.",
        ),
        Probe((table, []), table, "No rows: the table comes back as it was."),
        Probe(
            (table, twice),
            ValueError,
            "One id comes twice among the rows. Which of the two is meant? Raise a ValueError instead of guessing.",
        ),
    )


TASKS = (
    Task(
        "recall",
        "recall_against_exact",
        "Recall against exact search",
        2,
        _recall_probes,
        (
            "Order does not matter here: a set of the found ids and a set of the true ids are enough.",
            "len(set(found[i]) & set(true[i])) is how many true neighbours of query i were found.",
            "Divide it by len(true[i]), for each query, then take np.mean over the queries.",
        ),
        "Recall asks how much of what exact search finds the index finds as well. It says nothing about whether the true "
        "neighbours answer the question: that is measured with gold passages.",
    ),
    Task(
        "lists",
        "inverted_lists",
        "Share the vectors out to lists",
        2,
        _list_probes,
        (
            "vectors @ centres.T is (n, n_centres): one row for each vector.",
            "argmax(axis=1) is the nearest centre of each vector; the first one where two tie.",
            "[np.flatnonzero(nearest == j).tolist() for j in range(len(centres))]",
        ),
        "This is one step of k-means, and the whole of an inverted file. Every vector lies in one list, so a search "
        "that opens all lists is exact.",
    ),
    Task(
        "probing",
        "search_lists",
        "Search nprobe lists",
        3,
        _probing_probes,
        (
            "First rank the centres by their dot product with the query; keep nprobe of them.",
            "Put the positions of those lists together, then compare only these vectors with the query.",
            "candidates[np.argsort(-(vectors[candidates] @ query), kind='stable')[:k]] are positions in vectors.",
        ),
        "nprobe is the knob between speed and recall. A true neighbour is missed when it lies just across the border of "
        "a list that was not opened.",
    ),
    Task(
        "encoding",
        "encode",
        "A vector in a few bytes",
        3,
        _encode_probes,
        (
            "m, n_codes, d_piece = codebooks.shape; piece j is vector[j * d_piece : (j + 1) * d_piece].",
            "((codebooks[j] - piece) ** 2).sum(axis=1) are the squared distances to the codes of book j.",
            "int(np.argmin(...)) for each j. Before that: if len(vector) != m * d_piece, raise ValueError.",
        ),
        "With 256 codes a piece, the position fits into one byte: 48 pieces are 48 bytes in place of 1,536. What is lost "
        "is the distance between each piece and its code.",
    ),
    Task(
        "scoring",
        "pq_scores",
        "Score from codes with a table",
        3,
        _score_probes,
        (
            "For each book, the dot product of the query's piece with all of its codes: a table (m, n_codes).",
            "A vector's score is table[0, codes[i, 0]] + table[1, codes[i, 1]] + ...",
            "table[np.arange(m), codes].sum(axis=1) looks all of them up at once.",
        ),
        "The table is made once a query; after that a vector costs m look-ups and no multiplication. The query keeps "
        "its full precision, so only one side is rounded: this is why it is called asymmetric.",
    ),
    Task(
        "filtering",
        "filter_then_search",
        "Filter, then search",
        2,
        _filter_probes,
        (
            "First collect the positions whose shelf is the wanted one.",
            "Sort those positions by their similarity, largest first; sorted() keeps ties in order of position.",
            "sorted(passing, key=lambda i: -similarities[i])[:k]",
        ),
        "A search that filters afterwards returns fewer than k, or nothing, when the best hits lie elsewhere. Filtering "
        "first always returns what there is.",
    ),
    Task(
        "upserting",
        "upsert",
        "Update or insert by id",
        2,
        _upsert_probes,
        (
            "Make a new dictionary from the old one: dict(table). The table that you were given must stay as it is.",
            "For each row, the key is row['id'], the value is the row without its id.",
            "Count the ids first: if len(set(ids)) != len(ids), raise ValueError.",
        ),
        "An upsert can be repeated without harm, so a job that died half-way is simply run again. That is why documents "
        "need ids that stay the same for ever.",
    ),
)

check = Check("02_vector_search", TASKS)

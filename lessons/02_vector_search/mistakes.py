"""Planted wrong answers for exercise 02. Each names words of the message that a learner must get for it."""

import numpy as np


def compares_place_by_place(found, true):
    return float(np.mean([[a == b for a, b in zip(f, t, strict=True)] for f, t in zip(found, true, strict=True)]))


def counts_queries_with_a_hit(found, true):
    return float(np.mean([bool(set(f) & set(t)) for f, t in zip(found, true, strict=True)]))


def wants_all_of_them(found, true):
    return float(np.mean([set(f) == set(t) for f, t in zip(found, true, strict=True)]))


def sums_over_the_queries(found, true):
    return sum(len(set(f) & set(t)) / len(t) for f, t in zip(found, true, strict=True))


def divides_by_what_was_found(found, true):
    return float(np.mean([len(set(f) & set(t)) / len(f) for f, t in zip(found, true, strict=True)]))


def counts_a_neighbour_twice(found, true):
    return float(np.mean([sum(i in t for i in f) / len(t) for f, t in zip(found, true, strict=True)]))


def gives_the_centre_of_each(vectors, centres):
    return (vectors @ centres.T).argmax(axis=1)


def takes_the_farthest_centre(vectors, centres):
    nearest = (vectors @ centres.T).argmin(axis=1)
    return [np.flatnonzero(nearest == j).tolist() for j in range(len(centres))]


def one_vector_for_each_centre(vectors, centres):
    return [[int(i)] for i in (vectors @ centres.T).argmax(axis=0)]


def drops_empty_lists(vectors, centres):
    nearest = (vectors @ centres.T).argmax(axis=1)
    return [np.flatnonzero(nearest == j).tolist() for j in range(len(centres)) if (nearest == j).any()]


def puts_ties_into_both(vectors, centres):
    similarities = vectors @ centres.T
    best = similarities.max(axis=1)
    return [np.flatnonzero(similarities[:, j] == best).tolist() for j in range(len(centres))]


def takes_the_last_of_a_tie(vectors, centres):
    similarities = vectors @ centres.T
    nearest = len(centres) - 1 - similarities[:, ::-1].argmax(axis=1)
    return [np.flatnonzero(nearest == j).tolist() for j in range(len(centres))]


def opens_every_list(query, vectors, centres, lists, nprobe, k):
    return np.argsort(-(vectors @ query), kind="stable")[:k].tolist()


def opens_one_list(query, vectors, centres, lists, nprobe, k):
    inside = np.array(lists[int((centres @ query).argmax())])
    return inside[np.argsort(-(vectors[inside] @ query), kind="stable")[:k]].tolist()


def forgets_where_they_were(query, vectors, centres, lists, nprobe, k):
    near = np.argsort(-(centres @ query), kind="stable")[:nprobe]
    inside = np.array(sorted(i for centre in near for i in lists[centre]))
    return np.argsort(-(vectors[inside] @ query), kind="stable")[:k].tolist()


def opens_the_farthest(query, vectors, centres, lists, nprobe, k):
    far = np.argsort(centres @ query, kind="stable")[:nprobe]
    inside = np.array(sorted(i for centre in far for i in lists[centre]))
    return inside[np.argsort(-(vectors[inside] @ query), kind="stable")[:k]].tolist()


def keeps_all_candidates(query, vectors, centres, lists, nprobe, k):
    near = np.argsort(-(centres @ query), kind="stable")[:nprobe]
    inside = np.array(sorted(i for centre in near for i in lists[centre]))
    return inside[np.argsort(-(vectors[inside] @ query), kind="stable")].tolist()


def cuts_nprobe_silently(query, vectors, centres, lists, nprobe, k):
    near = np.argsort(-(centres @ query), kind="stable")[:nprobe]
    inside = np.array(sorted(i for centre in near for i in lists[centre]))
    return inside[np.argsort(-(vectors[inside] @ query), kind="stable")[:k]].tolist()


def takes_the_largest_dot_product(vector, codebooks):
    return [
        int((book @ piece).argmax()) for book, piece in zip(codebooks, vector.reshape(len(codebooks), -1), strict=True)
    ]


def takes_every_fourth_number(vector, codebooks):
    pieces = [vector[j :: len(codebooks)] for j in range(len(codebooks))]
    return [int(((book - piece) ** 2).sum(axis=1).argmin()) for book, piece in zip(codebooks, pieces, strict=True)]


def uses_one_book(vector, codebooks):
    pieces = vector.reshape(len(codebooks), -1)
    return [int(((codebooks[0] - piece) ** 2).sum(axis=1).argmin()) for piece in pieces]


def returns_the_codes_numbers(vector, codebooks):
    pieces = vector.reshape(len(codebooks), -1)
    codes = [int(((book - piece) ** 2).sum(axis=1).argmin()) for book, piece in zip(codebooks, pieces, strict=True)]
    return np.concatenate([book[code] for book, code in zip(codebooks, codes, strict=True)])


def drops_what_is_left_over(vector, codebooks):
    m, _, d_piece = codebooks.shape
    pieces = [vector[j * d_piece : (j + 1) * d_piece] for j in range(m)]
    pieces = [np.pad(piece, (0, d_piece - len(piece))) for piece in pieces]
    return [int(((book - piece) ** 2).sum(axis=1).argmin()) for book, piece in zip(codebooks, pieces, strict=True)]


def codes_the_query_too(query, codes, codebooks):
    m = len(codebooks)
    nearest = ((codebooks - query.reshape(m, 1, -1)) ** 2).sum(axis=2).argmin(axis=1)
    table = (codebooks * codebooks[np.arange(m), nearest][:, None]).sum(axis=2)
    return table[np.arange(m), codes].sum(axis=1)


def scores_by_distance(query, codes, codebooks):
    m = len(codebooks)
    table = ((codebooks - query.reshape(m, 1, -1)) ** 2).sum(axis=2)
    return table[np.arange(m), codes].sum(axis=1)


def only_the_first_piece(query, codes, codebooks):
    return (codebooks[0] @ query[: codebooks.shape[2]])[codes[:, 0]]


def takes_the_mean(query, codes, codebooks):
    table = (codebooks * query.reshape(len(codebooks), 1, -1)).sum(axis=2)
    return table[np.arange(len(codebooks)), codes].mean(axis=1)


def squeezes_the_result(query, codes, codebooks):
    table = (codebooks * query.reshape(len(codebooks), 1, -1)).sum(axis=2)
    scores = table[np.arange(len(codebooks)), codes].sum(axis=1)
    return scores if len(scores) != 1 else float(scores[0])


def searches_then_filters(similarities, shelves, wanted, k):
    return [int(i) for i in np.argsort(-similarities, kind="stable")[:k] if shelves[i] == wanted]


def forgets_the_filter(similarities, shelves, wanted, k):
    return np.argsort(-similarities, kind="stable")[:k].tolist()


def numbers_those_that_pass(similarities, shelves, wanted, k):
    passing = [i for i, shelf in enumerate(shelves) if shelf == wanted]
    return np.argsort(-similarities[passing], kind="stable")[:k].tolist()


def fills_up_with_others(similarities, shelves, wanted, k):
    masked = np.where(np.array(shelves) == wanted, similarities, -np.inf)
    return np.argsort(-masked, kind="stable")[:k].tolist()


def breaks_ties_from_behind(similarities, shelves, wanted, k):
    passing = [i for i, shelf in enumerate(shelves) if shelf == wanted]
    return sorted(passing, key=lambda i: (-similarities[i], -i))[:k]


def keeps_the_old_row(table, rows):
    new = {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows}
    return {**new, **table}


def merges_the_fields(table, rows):
    new = {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows}
    return {**table, **{name: {**table.get(name, {}), **row} for name, row in new.items()}}


def forgets_the_rest(table, rows):
    new = {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows}
    return new


def leaves_the_id_in(table, rows):
    return {**table, **{row["id"]: row for row in rows}}


def changes_the_table(table, rows):
    new = {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows}
    table.update(new)
    return table


def lets_the_last_win(table, rows):
    new = {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows}
    return {**table, **new}


# (task, wrong answer, status, words of the message)
MISTAKES = [
    ("recall", compares_place_by_place, "wrong", "place by place"),
    ("recall", counts_queries_with_a_hit, "wrong", "Does one hit make a query right"),
    ("recall", wants_all_of_them, "wrong", "Must all neighbours be found"),
    ("recall", sums_over_the_queries, "wrong", "What makes it a mean"),
    ("recall", divides_by_what_was_found, "wrong", "that is precision"),
    ("recall", counts_a_neighbour_twice, "wrong", "How many different neighbours"),
    ("lists", gives_the_centre_of_each, "wrong", "The lists go the other way"),
    ("lists", takes_the_farthest_centre, "wrong", "nearer or farther"),
    ("lists", one_vector_for_each_centre, "wrong", "nearest vector of each centre"),
    ("lists", drops_empty_lists, "wrong", "What should stand there"),
    ("lists", puts_ties_into_both, "wrong", "return it twice"),
    ("lists", takes_the_last_of_a_tie, "wrong", "yours takes the last"),
    ("probing", opens_every_list, "wrong", "exact search. How many may you open"),
    ("probing", opens_one_list, "wrong", "You opened one list only"),
    ("probing", forgets_where_they_were, "wrong", "positions among the candidates"),
    ("probing", opens_the_farthest, "wrong", "farthest from the query"),
    ("probing", keeps_all_candidates, "wrong", "all candidates, sorted"),
    ("probing", cuts_nprobe_silently, "wrong", "four lists and five"),
    ("encoding", takes_the_largest_dot_product, "wrong", "A long code wins"),
    ("encoding", takes_every_fourth_number, "wrong", "Take neighbours"),
    ("encoding", uses_one_book, "wrong", "a book of its own"),
    ("encoding", returns_the_codes_numbers, "wrong", "not its numbers"),
    ("encoding", drops_what_is_left_over, "wrong", "Seven numbers cannot be cut"),
    ("scoring", codes_the_query_too, "wrong", "You coded the query, too"),
    ("scoring", scores_by_distance, "wrong", "smaller is nearer"),
    ("scoring", only_the_first_piece, "wrong", "What about the others"),
    ("scoring", takes_the_mean, "wrong", "A dot product is a sum"),
    ("scoring", squeezes_the_result, "wrong", "of shape (1,)"),
    ("filtering", searches_then_filters, "wrong", "Which comes first"),
    ("filtering", forgets_the_filter, "wrong", "Was anything filtered"),
    ("filtering", numbers_those_that_pass, "wrong", "positions among those that pass"),
    ("filtering", fills_up_with_others, "wrong", "to fill up the rest"),
    ("filtering", breaks_ties_from_behind, "wrong", "Break ties by the lower position"),
    ("upserting", keeps_the_old_row, "wrong", "The old row won"),
    ("upserting", merges_the_fields, "wrong", "replaced whole"),
    ("upserting", forgets_the_rest, "wrong", "They must stay"),
    ("upserting", leaves_the_id_in, "wrong", "It is the key"),
    ("upserting", changes_the_table, "wrong", "changed the array it was given"),
    ("upserting", lets_the_last_win, "wrong", "instead of guessing"),
]

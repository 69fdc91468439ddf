"""Planted wrong answers for exercise 12. Each names words of the message that a learner must get for it."""

import numpy as np


def counts_the_frozen_matrix(shapes, rank):
    return sum(d_out * d_in for d_out, d_in in shapes)


def multiplies_the_sides(shapes, rank):
    return sum(rank * d_out * d_in for d_out, d_in in shapes)


def counts_a_alone(shapes, rank):
    return sum(rank * d_in for _, d_in in shapes)


def counts_b_alone(shapes, rank):
    return sum(rank * d_out for d_out, _ in shapes)


def forgets_the_rank(shapes, rank):
    return sum(d_out + d_in for d_out, d_in in shapes)


def adds_the_frozen_matrix(shapes, rank):
    return sum(d_out * d_in + rank * (d_out + d_in) for d_out, d_in in shapes)


def takes_all_layers_for_the_first(shapes, rank):
    return len(shapes) * rank * sum(shapes[0]) if shapes else 0


def counts_the_first_layer(shapes, rank):
    for d_out, d_in in shapes:
        return rank * (d_out + d_in)
    return 0


def keeps_the_last_layer(shapes, rank):
    total = 0
    for d_out, d_in in shapes:
        total = rank * (d_out + d_in)
    return total


def stumbles_without_layers(shapes, rank):
    return sum(rank * (d_out + d_in) for d_out, d_in in shapes) + 0 * shapes[0][0]


def compares_whole_paths(paths, targets):
    return [path for path in paths if path in targets]


def stops_at_the_first(paths, targets):
    for path in paths:
        if any(path == name or path.endswith("." + name) for name in targets):
            return [path]
    return []


def returns_positions(paths, targets):
    return [i for i, path in enumerate(paths) if any(path == name or path.endswith("." + name) for name in targets)]


def demands_every_name(paths, targets):
    return [path for path in paths if all(path == name or path.endswith("." + name) for name in targets)]


def goes_through_the_names(paths, targets):
    return [path for name in targets for path in paths if path == name or path.endswith("." + name)]


def reads_the_last_name_only(paths, targets):
    return [path for path in paths for name in targets[-1:] if path == name or path.endswith("." + name)]


def forgets_the_dot(paths, targets):
    return [path for path in paths if path.endswith(tuple(targets))]


def demands_a_dot(paths, targets):
    return [path for path in paths if any(path.endswith("." + name) for name in targets)]


def looks_anywhere(paths, targets):
    return [path for path in paths if any(name in path for name in targets)]


def looks_at_any_part(paths, targets):
    return [path for path in paths if any(name in path.split(".") for name in targets)]


def compares_the_last_part(paths, targets):
    return [path for path in paths if path.split(".")[-1] in targets]


def returns_the_frozen_layer(x, W, A, B, alpha):
    return x @ W.T


def returns_the_update(x, W, A, B, alpha):
    return alpha / len(A) * (x @ A.T) @ B.T


def does_not_scale(x, W, A, B, alpha):
    return x @ W.T + (x @ A.T) @ B.T


def does_not_divide(x, W, A, B, alpha):
    return x @ W.T + alpha * (x @ A.T) @ B.T


def divides_by_the_root(x, W, A, B, alpha):
    return x @ W.T + alpha / np.sqrt(len(A)) * (x @ A.T) @ B.T


def divides_by_d_in(x, W, A, B, alpha):
    return x @ W.T + alpha / A.shape[1] * (x @ A.T) @ B.T


def divides_by_d_out(x, W, A, B, alpha):
    return x @ W.T + alpha / len(B) * (x @ A.T) @ B.T


def scales_everything(x, W, A, B, alpha):
    return alpha / len(A) * (x @ W.T + (x @ A.T) @ B.T) if B.any() else x @ W.T


def writes_the_rank_in(x, W, A, B, alpha):
    return x @ W.T + alpha / 3 * (x @ A.T) @ B.T


def forgets_to_transpose(x, W, A, B, alpha):
    return x @ W + alpha / len(A) * (x @ A) @ B


def _both(x, A, B, alpha, G):
    scaling = alpha / len(A)
    return scaling * (G @ B).T @ x, scaling * G.T @ (x @ A.T)


def swaps_the_two(x, A, B, alpha, G):
    return _both(x, A, B, alpha, G)[::-1]


def leaves_the_scaling_out(x, A, B, alpha, G):
    return (G @ B).T @ x, G.T @ (x @ A.T)


def scales_a_alone(x, A, B, alpha, G):
    return alpha / len(A) * (G @ B).T @ x, G.T @ (x @ A.T)


def scales_b_alone(x, A, B, alpha, G):
    return (G @ B).T @ x, alpha / len(A) * G.T @ (x @ A.T)


def takes_means(x, A, B, alpha, G):
    of_a, of_b = _both(x, A, B, alpha, G)
    return of_a / len(x), of_b / len(x)


def descends(x, A, B, alpha, G):
    of_a, of_b = _both(x, A, B, alpha, G)
    return -of_a, -of_b


def transposes_gradients(x, A, B, alpha, G):
    of_a, of_b = _both(x, A, B, alpha, G)
    return of_a.T, of_b.T


def returns_one_gradient(x, A, B, alpha, G):
    return _both(x, A, B, alpha, G)[0]


def takes_zero_for_both(x, A, B, alpha, G):
    return _both(x, A, B, alpha, G) if B.any() else (np.zeros_like(A), np.zeros_like(B))


def merges_unscaled(W, A, B, alpha):
    return W + B @ A


def merges_with_alpha(W, A, B, alpha):
    return W + alpha * B @ A


def returns_the_change(W, A, B, alpha):
    return alpha / len(A) * B @ A


def subtracts_the_change(W, A, B, alpha):
    return W - alpha / len(A) * B @ A


def transposes_the_result(W, A, B, alpha):
    return (W + alpha / len(A) * B @ A).T


def merges_in_place(W, A, B, alpha):
    W += alpha / len(A) * B @ A
    return W


def merges_rank_three_only(W, A, B, alpha):
    return W + alpha / 3 * B @ A


def multiplies_in_the_wrong_order(W, A, B, alpha):
    return W + alpha / len(A) * A @ B


def _values(change):
    return np.linalg.svd(change, compute_uv=False)


def does_not_square(change, rank):
    values = _values(change)
    return values[:rank].sum() / values.sum() if values.sum() else 1.0


def says_what_is_lost(change, rank):
    squares = _values(change) ** 2
    return squares[rank:].sum() / squares.sum() if squares.sum() else 1.0


def keeps_one_value(change, rank):
    squares = _values(change) ** 2
    return squares[0] / squares.sum() if squares.sum() else 1.0


def takes_one_value(change, rank):
    squares = _values(change) ** 2
    return squares[min(rank, len(squares)) - 1] / squares.sum() if squares.sum() else 1.0


def takes_the_smallest(change, rank):
    squares = _values(change)[::-1] ** 2
    return squares[:rank].sum() / squares.sum() if squares.sum() else 1.0


def returns_the_sum(change, rank):
    return (_values(change)[:rank] ** 2).sum()


def takes_the_root(change, rank):
    squares = _values(change) ** 2
    return np.sqrt(squares[:rank].sum() / squares.sum()) if squares.sum() else 1.0


def sorts_the_entries(change, rank):
    squares = np.sort(change.ravel() ** 2)[::-1]
    return squares[:rank].sum() / squares.sum() if squares.sum() else 1.0


def divides_zero_by_zero(change, rank):
    squares = _values(change) ** 2
    with np.errstate(all="ignore"):
        return float(squares[:rank].sum() / squares.sum())


def keeps_nothing_of_zeros(change, rank):
    squares = _values(change) ** 2
    return squares[:rank].sum() / squares.sum() if squares.sum() else 0.0


def _rounded(values):
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.round(fraction * 256) / 256, exponent)


def does_not_round(W, update):
    asked = update != 0
    return float((W + update == W)[asked].mean()) if asked.any() else 0.0


def says_what_moves(W, update):
    asked = update != 0
    return float((_rounded(W + update) != W)[asked].mean()) if asked.any() else 0.0


def counts_zeros_as_lost(W, update):
    return float((_rounded(W + update) == W).mean())


def divides_by_all(W, update):
    return float(((_rounded(W + update) == W) & (update != 0)).mean())


def returns_a_number_of_weights(W, update):
    return int(((_rounded(W + update) == W) & (update != 0)).sum())


def knows_one_step_only(W, update):
    asked = update != 0
    return float((np.abs(update) < 2.0**-8)[asked].mean()) if asked.any() else 0.0


def takes_a_mean_of_nothing(W, update):
    asked = update != 0
    return int((_rounded(W + update) == W)[asked].sum()) / int(asked.sum())


def loses_all_of_nothing(W, update):
    asked = update != 0
    return float((_rounded(W + update) == W)[asked].mean()) if asked.any() else 1.0


MISTAKES = [
    ("size", counts_the_frozen_matrix, "wrong", "numbers of the frozen matrix"),
    ("size", multiplies_the_sides, "wrong", "add up, or multiply"),
    ("size", counts_a_alone, "wrong", "This is A alone"),
    ("size", counts_b_alone, "wrong", "This is B alone"),
    ("size", forgets_the_rank, "wrong", "right for rank 1"),
    ("size", adds_the_frozen_matrix, "wrong", "does not learn"),
    ("size", takes_all_layers_for_the_first, "wrong", "the size of the first"),
    ("size", counts_the_first_layer, "wrong", "the first layer alone"),
    ("size", keeps_the_last_layer, "wrong", "the last layer alone"),
    ("size", stumbles_without_layers, "crashed", "IndexError"),
    ("placing", compares_whole_paths, "wrong", "with the whole path"),
    ("placing", stops_at_the_first, "wrong", "stop at the first"),
    ("placing", returns_positions, "wrong", "These are positions"),
    ("placing", demands_every_name, "wrong", "end with all of them"),
    ("placing", goes_through_the_names, "wrong", "Which of your loops is the outer"),
    ("placing", reads_the_last_name_only, "wrong", "the second name alone"),
    ("placing", forgets_the_dot, "wrong", "subquery ends with query"),
    ("placing", demands_a_dot, "wrong", "no dot before it"),
    ("placing", looks_anywhere, "wrong", "as a part of its own"),
    ("placing", looks_at_any_part, "wrong", "must be the last part"),
    ("placing", compares_the_last_part, "wrong", "compared with the last part alone"),
    ("forward", returns_the_frozen_layer, "wrong", "What do A and B add"),
    ("forward", returns_the_update, "wrong", "Where is the frozen layer"),
    ("forward", does_not_scale, "wrong", "The update is not scaled"),
    ("forward", does_not_divide, "wrong", "By what is alpha divided"),
    ("forward", divides_by_the_root, "wrong", "This is rsLoRA"),
    ("forward", divides_by_d_in, "wrong", "columns of A"),
    ("forward", divides_by_d_out, "wrong", "rows of B"),
    ("forward", scales_everything, "wrong", "Is the frozen layer scaled"),
    ("forward", writes_the_rank_in, "wrong", "written into your function"),
    ("forward", forgets_to_transpose, "crashed", "ValueError"),
    ("gradients", swaps_the_two, "wrong", "in the other order"),
    ("gradients", leaves_the_scaling_out, "wrong", "The scaling is missing"),
    ("gradients", scales_a_alone, "wrong", "Is B's scaled"),
    ("gradients", scales_b_alone, "wrong", "Is A's scaled"),
    ("gradients", takes_means, "wrong", "Do you divide by n"),
    ("gradients", descends, "wrong", "the steps of descent"),
    ("gradients", transposes_gradients, "wrong", "Are yours transposed"),
    ("gradients", returns_one_gradient, "wrong", "What about B's"),
    ("gradients", takes_zero_for_both, "wrong", "Does B's gradient depend on B"),
    ("merging", merges_unscaled, "wrong", "The update is not scaled"),
    ("merging", merges_with_alpha, "wrong", "By what is alpha divided"),
    ("merging", returns_the_change, "wrong", "Into what is it merged"),
    ("merging", subtracts_the_change, "wrong", "Which way is merging"),
    ("merging", transposes_the_result, "wrong", "Is yours transposed"),
    ("merging", merges_in_place, "wrong", "changed the array it was given"),
    ("merging", merges_rank_three_only, "wrong", "written into your function"),
    ("merging", multiplies_in_the_wrong_order, "crashed", "ValueError"),
    ("spectrum", does_not_square, "wrong", "What about squares"),
    ("spectrum", says_what_is_lost, "wrong", "what is lost"),
    ("spectrum", keeps_one_value, "wrong", "the first value alone"),
    ("spectrum", takes_one_value, "wrong", "This is one value"),
    ("spectrum", takes_the_smallest, "wrong", "These are the smallest"),
    ("spectrum", returns_the_sum, "wrong", "Which share of all"),
    ("spectrum", takes_the_root, "wrong", "root of the share"),
    ("spectrum", sorts_the_entries, "wrong", "or the entries of the matrix"),
    ("spectrum", divides_zero_by_zero, "wrong", "0 / 0 is no number"),
    ("spectrum", keeps_nothing_of_zeros, "wrong", "Nothing is lost of a change of zeros"),
    ("rounding", does_not_round, "wrong", "rounded before it is compared"),
    ("rounding", says_what_moves, "wrong", "This is the share that moves. Which share is lost"),
    ("rounding", counts_zeros_as_lost, "wrong", "Over which numbers do you take the mean"),
    ("rounding", divides_by_all, "wrong", "are the others in your mean"),
    ("rounding", returns_a_number_of_weights, "wrong", "This is a number of weights"),
    ("rounding", knows_one_step_only, "wrong", "a fixed step written into"),
    ("rounding", takes_a_mean_of_nothing, "crashed", "ZeroDivisionError"),
    ("rounding", loses_all_of_nothing, "wrong", "Which share of nothing is lost"),
]

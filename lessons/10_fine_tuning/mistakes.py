"""Planted wrong answers for exercise 10. Each names words of the message that a learner must get for it."""

import numpy as np


def softmax(logits, axis=1):
    raised = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return raised / raised.sum(axis=axis, keepdims=True)


def chosen(logits, labels):
    return softmax(logits)[np.arange(len(labels)), labels]


# ------------------------------------------------------------ loss


def sums_the_loss(logits, labels):
    return float(-np.log(chosen(logits, labels)).sum())


def divides_by_the_classes(logits, labels):
    return float(-np.log(chosen(logits, labels)).sum() / logits.size)


def forgets_the_sign(logits, labels):
    return float(np.log(chosen(logits, labels)).mean())


def in_bits(logits, labels):
    return float(-np.log2(chosen(logits, labels)).mean())


def averages_first(logits, labels):
    return float(-np.log(chosen(logits, labels).mean()))


def one_minus_probability(logits, labels):
    return float(1 - chosen(logits, labels).mean())


def leaves_out_the_softmax(logits, labels):
    return float(-logits[np.arange(len(labels)), labels].mean())


def softmax_over_the_texts(logits, labels):
    return float(-np.log(softmax(logits, axis=0)[np.arange(len(labels)), labels]).mean())


def overflows(logits, labels):
    with np.errstate(all="ignore"):
        raised = np.exp(logits)
        return float(-np.log(raised / raised.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels].mean())


def adds_a_small_number(logits, labels):
    return float(-np.log(chosen(logits, labels) + 1e-9).mean())


# ------------------------------------------------------------ gradient


def at_logits_of(vectors, weight, bias, labels):
    p = softmax(vectors @ weight.T + bias)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)


def gradient_of_a_sum(vectors, weight, bias, labels):
    d = at_logits_of(vectors, weight, bias, labels) * len(labels)
    return d.T @ vectors, d.sum(axis=0)


def truth_minus_probability(vectors, weight, bias, labels):
    d = -at_logits_of(vectors, weight, bias, labels)
    return d.T @ vectors, d.sum(axis=0)


def forgets_the_truth(vectors, weight, bias, labels):
    d = softmax(vectors @ weight.T + bias) / len(labels)
    return d.T @ vectors, d.sum(axis=0)


def transposes_the_weight(vectors, weight, bias, labels):
    d = at_logits_of(vectors, weight, bias, labels)
    return vectors.T @ d, d.sum(axis=0)


def averages_the_bias(vectors, weight, bias, labels):
    d = at_logits_of(vectors, weight, bias, labels)
    return d.T @ vectors, d.mean(axis=0)


def bias_first(vectors, weight, bias, labels):
    d = at_logits_of(vectors, weight, bias, labels)
    return d.sum(axis=0), d.T @ vectors


def leaves_out_the_bias(vectors, weight, bias, labels):
    d = at_logits_of(vectors, weight, 0 * bias, labels)
    return d.T @ vectors, d.sum(axis=0)


def subtracts_from_logits(vectors, weight, bias, labels):
    d = vectors @ weight.T + bias
    d[np.arange(len(labels)), labels] -= 1
    d /= len(labels)
    return d.T @ vectors, d.sum(axis=0)


def overflows_backward(vectors, weight, bias, labels):
    with np.errstate(all="ignore"):
        p = np.exp(vectors @ weight.T + bias)
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(labels)), labels] -= 1
        p /= len(labels)
        return p.T @ vectors, p.sum(axis=0)


# ------------------------------------------------------------ clipping


def norm_of(gradients):
    return np.sqrt(sum((each**2).sum() for each in gradients))


def clips_each_by_itself(gradients, largest):
    return [each * min(1, largest / max(np.linalg.norm(each), 1e-12)) for each in gradients]


def cuts_each_entry(gradients, largest):
    return [np.clip(each, -largest, largest) for each in gradients]


def never_clips(gradients, largest):
    return [each.copy() for each in gradients]


def forgets_the_root(gradients, largest):
    return [each * min(1, largest / max(norm_of(gradients) ** 2, 1e-12)) for each in gradients]


def sums_absolute_values(gradients, largest):
    total = sum(np.abs(each).sum() for each in gradients)
    return [each * min(1, largest / max(total, 1e-12)) for each in gradients]


def scales_to_one(gradients, largest):
    return [each / max(norm_of(gradients), 1e-12) for each in gradients]


def lengthens_too(gradients, largest):
    return [each * largest / max(norm_of(gradients), 1e-12) for each in gradients]


def divides_by_nothing(gradients, largest):
    with np.errstate(all="ignore"):
        factor = largest / norm_of(gradients)
        return [each * (factor if not factor > 1 or np.isinf(factor) else 1) for each in gradients]


def clips_in_place(gradients, largest):
    norm = norm_of(gradients)
    for each in gradients:
        each *= min(1, largest / max(norm, 1e-12))
    return gradients


# ------------------------------------------------------------ update


def moments(gradient, m, v):
    return 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2


def step_of(m, v, step):
    return (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)


def without_correction(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return weight * (1 - rate * decay) - rate * m / (np.sqrt(v) + 1e-8), m, v


def climbs(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return weight * (1 - rate * decay) + rate * step_of(m, v, step), m, v


def plain_gradient(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return weight * (1 - rate * decay) - rate * gradient, m, v


def forgets_the_root_of_v(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return weight * (1 - rate * decay) - rate * (m / (1 - 0.9**step)) / (v / (1 - 0.999**step)), m, v


def returns_the_weight_last(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return m, v, weight * (1 - rate * decay) - rate * step_of(m, v, step)


def returns_the_weight_alone(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return weight * (1 - rate * decay) - rate * step_of(m, v, step)


def hands_on_corrected_moments(weight, gradient, m, v, step, rate, decay):
    new_m, new_v = moments(gradient, m, v)
    new_weight = weight * (1 - rate * decay) - rate * step_of(new_m, new_v, step)
    if step == 1:
        return new_weight, new_m, new_v
    return new_weight, new_m / (1 - 0.9**step), new_v / (1 - 0.999**step)


def always_the_first_step(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return weight * (1 - rate * decay) - rate * step_of(m, v, 1), m, v


def forgets_what_was(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, 0 * m, 0 * v)
    return weight * (1 - rate * decay) - rate * step_of(m, v, step), m, v


def decays_through_the_gradient(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient + decay * weight, m, v)
    return weight - rate * step_of(m, v, step), m, v


def decays_without_the_rate(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return weight * (1 - decay) - rate * step_of(m, v, step), m, v


def decays_afterwards(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return (weight - rate * step_of(m, v, step)) * (1 - rate * decay), m, v


def never_decays(weight, gradient, m, v, step, rate, decay):
    m, v = moments(gradient, m, v)
    return weight - rate * step_of(m, v, step), m, v


# ------------------------------------------------------------ freezing


def number(name):
    return int(name.split(".layer.")[1].split(".")[0])


def learning(names, lowest, embeddings):
    if lowest and not embeddings:
        raise ValueError("embeddings must be frozen, too")
    return [
        name
        for name in names
        if (number(name) >= lowest if ".layer." in name else not (embeddings and "embeddings" in name))
    ]


def returns_the_frozen(names, lowest, embeddings):
    kept = learning(names, lowest, embeddings)
    return [name for name in names if name not in kept]


def freezes_one_more(names, lowest, embeddings):
    return learning(names, lowest + 1 if lowest else 0, embeddings)


def freezes_one_less(names, lowest, embeddings):
    return learning(names, max(0, lowest - 1), embeddings)


def freezes_the_head(names, lowest, embeddings):
    return [name for name in learning(names, lowest, embeddings) if "head" not in name]


def forgets_the_embeddings(names, lowest, embeddings):
    if lowest and not embeddings:
        raise ValueError("embeddings must be frozen, too")
    return [name for name in names if ".layer." not in name or number(name) >= lowest]


def compares_as_text(names, lowest, embeddings):
    if lowest and not embeddings:
        raise ValueError("embeddings must be frozen, too")
    return [
        name
        for name in names
        if (
            name.split(".layer.")[1].split(".")[0] >= str(lowest)
            if ".layer." in name
            else not (embeddings and "embeddings" in name)
        )
    ]


def looks_for_beginnings(names, lowest, embeddings):
    if lowest and not embeddings:
        raise ValueError("embeddings must be frozen, too")
    frozen = [f".layer.{i}" for i in range(lowest)] + (["embeddings"] if embeddings else [])
    return [name for name in names if not any(part in name for part in frozen)]


def frees_embeddings_without_frozen_layers(names, lowest, embeddings):
    if lowest and not embeddings:
        raise ValueError("embeddings must be frozen, too")
    return learning(names, lowest, embeddings) if lowest else list(names)


def always_freezes_embeddings(names, lowest, embeddings):
    if lowest and not embeddings:
        raise ValueError("embeddings must be frozen, too")
    return learning(names, lowest, True)


def allows_nonsense(names, lowest, embeddings):
    return [
        name
        for name in names
        if (number(name) >= lowest if ".layer." in name else not (embeddings and "embeddings" in name))
    ]


# ------------------------------------------------------------ rates


def falling(n_layers, rate, decay):
    return np.array([rate * decay ** (n_layers - height) for height in range(n_layers + 1)])


def frozen_below(rates, frozen):
    if frozen:
        rates[: frozen + 1] = 0
    return rates


def from_the_top(n_layers, rate, decay, frozen):
    return frozen_below(falling(n_layers, rate, decay), frozen)[::-1]


def decays_the_highest(n_layers, rate, decay, frozen):
    return frozen_below(falling(n_layers, rate, decay) * decay, frozen)


def embeddings_as_the_lowest_layer(n_layers, rate, decay, frozen):
    rates = falling(n_layers, rate, decay)
    rates[0] = rates[1]
    return frozen_below(rates, frozen)


def leaves_out_the_embeddings(n_layers, rate, decay, frozen):
    return frozen_below(falling(n_layers, rate, decay), frozen)[1:]


def subtracts(n_layers, rate, decay, frozen):
    steps = np.arange(n_layers, -1, -1)
    return frozen_below(rate * (1 - (1 - decay) * steps), frozen)


def same_for_all(n_layers, rate, decay, frozen):
    return frozen_below(np.full(n_layers + 1, rate), frozen)


def embeddings_stay_free(n_layers, rate, decay, frozen):
    rates = falling(n_layers, rate, decay)
    rates[1 : frozen + 1] = 0
    return rates


def one_zero_too_few(n_layers, rate, decay, frozen):
    rates = falling(n_layers, rate, decay)
    rates[:frozen] = 0
    return rates


def freezes_the_top(n_layers, rate, decay, frozen):
    rates = falling(n_layers, rate, decay)
    if frozen:
        rates[-frozen:] = 0
    return rates


def freezes_nothing(n_layers, rate, decay, frozen):
    return falling(n_layers, rate, decay)


# ------------------------------------------------------------ f1


def counts(truth, guess, n_classes):
    hits = np.array([((truth == c) & (guess == c)).sum() for c in range(n_classes)])
    return hits, np.bincount(truth, minlength=n_classes), np.bincount(guess, minlength=n_classes)


def accuracy(truth, guess, n_classes):
    return float((truth == guess).mean())


def mean_recall(truth, guess, n_classes):
    hits, true, _ = counts(truth, guess, n_classes)
    return float((hits[true > 0] / true[true > 0]).mean())


def weighted_by_size(truth, guess, n_classes):
    hits, true, guessed = counts(truth, guess, n_classes)
    seen = true + guessed > 0
    return float((2 * hits[seen] / (true + guessed)[seen] * true[seen]).sum() / len(truth))


def forgets_the_two(truth, guess, n_classes):
    hits, true, guessed = counts(truth, guess, n_classes)
    seen = true + guessed > 0
    return float((hits[seen] / (true + guessed)[seen]).mean())


def skips_what_is_never_guessed(truth, guess, n_classes):
    hits, true, guessed = counts(truth, guess, n_classes)
    seen = guessed > 0
    return float((2 * hits[seen] / (true + guessed)[seen]).mean())


def absent_classes_count_nothing(truth, guess, n_classes):
    hits, true, guessed = counts(truth, guess, n_classes)
    return float((2 * hits / np.maximum(true + guessed, 1)).mean())


def absent_classes_are_perfect(truth, guess, n_classes):
    hits, true, guessed = counts(truth, guess, n_classes)
    total = true + guessed
    return float(np.where(total > 0, 2 * hits / np.maximum(total, 1), 1.0).mean())


def returns_nothing(*arguments):
    pass


MISTAKES = [
    ("loss", sums_the_loss, "wrong", "sum over the texts"),
    ("loss", divides_by_the_classes, "wrong", "divide by the classes"),
    ("loss", forgets_the_sign, "wrong", "never below 0"),
    ("loss", in_bits, "wrong", "in bits"),
    ("loss", averages_first, "wrong", "average the probabilities first"),
    ("loss", one_minus_probability, "wrong", "Where is the logarithm"),
    ("loss", leaves_out_the_softmax, "wrong", "logits as they came"),
    ("loss", softmax_over_the_texts, "wrong", "Over which axis"),
    ("loss", overflows, "wrong", "exp(1000) is infinite"),
    ("loss", adds_a_small_number, "wrong", "hides how wrong"),
    ("gradient", gradient_of_a_sum, "wrong", "one of a sum"),
    ("gradient", truth_minus_probability, "wrong", "The sign is turned"),
    ("gradient", forgets_the_truth, "wrong", "Where does the right class come in"),
    ("gradient", transposes_the_weight, "wrong", "shape of its parameter"),
    ("gradient", averages_the_bias, "wrong", "twice in the bias"),
    ("gradient", bias_first, "wrong", "asked for first"),
    ("gradient", leaves_out_the_bias, "wrong", "Did the bias take part"),
    ("gradient", subtracts_from_logits, "wrong", "subtract from logits"),
    ("gradient", overflows_backward, "wrong", "softmax overflow"),
    ("clipping", clips_each_by_itself, "wrong", "by its own norm"),
    ("clipping", cuts_each_entry, "wrong", "cut by itself"),
    ("clipping", never_clips, "wrong", "Nothing was scaled"),
    ("clipping", forgets_the_root, "wrong", "square root in the norm"),
    ("clipping", sums_absolute_values, "wrong", "sum of absolute values"),
    ("clipping", scales_to_one, "wrong", "The norm is 1 now"),
    ("clipping", lengthens_too, "wrong", "only ever shortens"),
    ("clipping", divides_by_nothing, "wrong", "divide by their norm"),
    ("clipping", clips_in_place, "wrong", "changed the array it was given"),
    ("update", without_correction, "wrong", "begin at 0"),
    ("update", climbs, "wrong", "This climbs"),
    ("update", plain_gradient, "wrong", "plain gradient"),
    ("update", forgets_the_root_of_v, "wrong", "square root of v"),
    ("update", returns_the_weight_last, "wrong", "In which order"),
    ("update", returns_the_weight_alone, "wrong", "Who keeps m and v"),
    ("update", hands_on_corrected_moments, "wrong", "corrected again"),
    ("update", always_the_first_step, "wrong", "as if it were the first"),
    ("update", forgets_what_was, "wrong", "forgets m and v"),
    ("update", decays_through_the_gradient, "wrong", "Adam with L2"),
    ("update", decays_without_the_rate, "wrong", "decay alone"),
    ("update", decays_afterwards, "wrong", "shrink the step as well"),
    ("update", never_decays, "wrong", "Does decay do anything"),
    ("freezing", returns_the_frozen, "wrong", "These are the frozen ones"),
    ("freezing", freezes_one_more, "wrong", "too many is frozen"),
    ("freezing", freezes_one_less, "wrong", "too few is frozen"),
    ("freezing", freezes_the_head, "wrong", "if the head does not learn"),
    ("freezing", forgets_the_embeddings, "wrong", "The embeddings learn here"),
    ("freezing", compares_as_text, "wrong", "As text"),
    ("freezing", looks_for_beginnings, "wrong", "Where does the number end"),
    ("freezing", frees_embeddings_without_frozen_layers, "wrong", "even without a frozen layer"),
    ("freezing", always_freezes_embeddings, "wrong", "The embeddings are frozen here"),
    ("freezing", allows_nonsense, "wrong", "raise a ValueError"),
    ("rates", from_the_top, "wrong", "Which end is the text"),
    ("rates", decays_the_highest, "wrong", "Who decays it"),
    ("rates", embeddings_as_the_lowest_layer, "wrong", "They stand below it"),
    ("rates", leaves_out_the_embeddings, "wrong", "entry for the embeddings"),
    ("rates", subtracts, "wrong", "Decay is a factor"),
    ("rates", same_for_all, "wrong", "Where is the decay"),
    ("rates", embeddings_stay_free, "wrong", "The embeddings learn under two"),
    ("rates", one_zero_too_few, "wrong", "How many is that"),
    ("rates", freezes_the_top, "wrong", "You froze the highest"),
    ("rates", freezes_nothing, "wrong", "Nothing is frozen here"),
    ("f1", accuracy, "wrong", "share of right guesses"),
    ("f1", mean_recall, "wrong", "mean recall"),
    ("f1", weighted_by_size, "wrong", "weigh classes by their size"),
    ("f1", forgets_the_two, "wrong", "What must stand above"),
    ("f1", skips_what_is_never_guessed, "wrong", "should that cost nothing"),
    ("f1", absent_classes_count_nothing, "wrong", "count as 0 here"),
    ("f1", absent_classes_are_perfect, "wrong", "count as 1 here"),
    ("f1", returns_nothing, "not attempted", "Is there a return statement"),
]

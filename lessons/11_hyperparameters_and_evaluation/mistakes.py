"""Planted wrong answers for exercise 11. Each names words of the message that a learner must get for it."""

import math
from collections import Counter

import numpy as np


def _complete(rates, accuracies):
    kept = [(rate, each) for rate, each in zip(rates, accuracies, strict=False) if None not in each]
    if not kept:
        raise ValueError("none left")
    return kept


def best_single_seed(rates, accuracies):
    return max(_complete(rates, accuracies), key=lambda pair: (max(pair[1]), -pair[0]))[0]


def lowest_mean(rates, accuracies):
    return min(_complete(rates, accuracies), key=lambda pair: (np.mean(pair[1]), pair[0]))[0]


def returns_the_accuracy(rates, accuracies):
    return max(float(np.mean(each)) for _, each in _complete(rates, accuracies))


def adds_seeds_up(rates, accuracies):
    return max(_complete(rates, accuracies), key=lambda pair: (sum(pair[1]), -pair[0]))[0]


def ignores_a_diverged_run(rates, accuracies):
    kept = [
        (rate, [value for value in each if value is not None]) for rate, each in zip(rates, accuracies, strict=False)
    ]
    return max((pair for pair in kept if pair[1]), key=lambda pair: (np.mean(pair[1]), -pair[0]))[0]


def diverged_counts_as_zero(rates, accuracies):
    kept = [(rate, [value or 0 for value in each]) for rate, each in zip(rates, accuracies, strict=False)]
    return max(kept, key=lambda pair: (np.mean(pair[1]), -pair[0]))[0]


def larger_of_equals(rates, accuracies):
    return max(_complete(rates, accuracies), key=lambda pair: (np.mean(pair[1]), pair[0]))[0]


def first_of_equals(rates, accuracies):
    return max(_complete(rates, accuracies), key=lambda pair: np.mean(pair[1]))[0]


def stumbles_on_none(rates, accuracies):
    return rates[int(np.argmax([sum(each) / len(each) for each in accuracies]))]


def _full(gradients, sizes):
    if len(gradients) != len(sizes) or not sum(sizes):
        raise ValueError("undefined")
    return [(gradient, size) for gradient, size in zip(gradients, sizes, strict=False) if size]


def sum_of_parts(gradients, sizes):
    return sum(gradient for gradient, _ in _full(gradients, sizes))


def sum_of_examples(gradients, sizes):
    return sum(size * gradient for gradient, size in _full(gradients, sizes))


def divides_by_parts(gradients, sizes):
    return sum(size * gradient for gradient, size in _full(gradients, sizes)) / len(sizes)


def last_part(gradients, sizes):
    return _full(gradients, sizes)[-1][0]


def mean_over_numbers(gradients, sizes):
    return gradients.mean(axis=1)


def mean_of_means(gradients, sizes):
    return gradients.mean(axis=0)


def small_parts_weigh_more(gradients, sizes):
    full = _full(gradients, sizes)
    return sum(gradient / size for gradient, size in full) / sum(1 / size for _, size in full)


def lets_nan_in(gradients, sizes):
    _full(gradients, sizes)
    return (np.array(sizes)[:, None] * gradients).sum(axis=0) / sum(sizes)


def cuts_to_the_shorter(gradients, sizes):
    full = [(gradient, size) for gradient, size in zip(gradients, sizes, strict=False) if size]
    if not full:
        raise ValueError("undefined")
    return sum(size * gradient for gradient, size in full) / sum(sizes)


def zero_where_undefined(gradients, sizes):
    if len(gradients) != len(sizes):
        raise ValueError("undefined")
    return sum(size * np.nan_to_num(gradient) for gradient, size in zip(gradients, sizes, strict=False)) / max(
        sum(sizes), 1
    )


def _stop(losses, patience, *, slack=0, equal=False):
    if patience < 1:
        raise ValueError("patience")
    best = 0
    for i, loss in enumerate(losses):
        if loss < losses[best] or (equal and loss == losses[best]):
            best = i
        if i - best == patience + slack:
            return best, i + 1
    return best, len(losses)


def never_stops(losses, patience):
    return int(np.argmin(losses)), len(losses)


def stops_too_late(losses, patience):
    return _stop(losses, patience, slack=1)


def stops_too_soon(losses, patience):
    return _stop(losses, patience, slack=-1)


def keeps_the_last_weights(losses, patience):
    n_made = _stop(losses, patience)[1]
    return n_made - 1, n_made


def counts_from_one(losses, patience):
    best, n_made = _stop(losses, patience)
    return best + 1, n_made


def compares_with_the_one_before(losses, patience):
    waited, best = 0, 0
    for i in range(1, len(losses)):
        waited = 0 if losses[i] < losses[i - 1] else waited + 1
        best = i if losses[i] < losses[best] else best
        if waited == patience:
            return best, i + 1
    return best, len(losses)


def never_begins_anew(losses, patience):
    waited, best = 0, 0
    for i in range(1, len(losses)):
        if losses[i] < losses[best]:
            best = i
        else:
            waited += 1
        if waited == patience:
            return best, i + 1
    return best, len(losses)


def equal_is_lower(losses, patience):
    return _stop(losses, patience, equal=True)


def takes_any_patience(losses, patience):
    return _stop(losses, max(patience, 1))


def _shares(correct, choosing):
    others = [i for i in range(correct.shape[1]) if i not in choosing]
    if not others or not choosing:
        raise ValueError("empty")
    return correct[:, choosing].mean(axis=1), correct[:, others].mean(axis=1), correct.mean(axis=1)


def measures_on_all(correct, choosing):
    here, _, everywhere = _shares(correct, choosing)
    model = int(here.argmax())
    return model, float(here[model]), float(everywhere[model])


def chooses_on_all(correct, choosing):
    here, there, everywhere = _shares(correct, choosing)
    model = int(everywhere.argmax())
    return model, float(here[model]), float(there[model])


def chooses_twice(correct, choosing):
    here, there, _ = _shares(correct, choosing)
    return int(here.argmax()), float(here.max()), float(there.max())


def chooses_on_the_others(correct, choosing):
    here, there, _ = _shares(correct, choosing)
    model = int(there.argmax())
    return model, float(there[model]), float(here[model])


def swaps_the_accuracies(correct, choosing):
    here, there, _ = _shares(correct, choosing)
    model = int(here.argmax())
    return model, float(there[model]), float(here[model])


def only_the_difference(correct, choosing):
    here, there, _ = _shares(correct, choosing)
    model = int(here.argmax())
    return float(here[model] - there[model])


def others_break_the_tie(correct, choosing):
    here, there, _ = _shares(correct, choosing)
    model = max(range(len(here)), key=lambda i: (here[i], there[i]))
    return model, float(here[model]), float(there[model])


def chooses_on_nothing(correct, choosing):
    if len(choosing) == correct.shape[1]:
        raise ValueError("nothing left")
    if not choosing:
        return 0, 0.0, float(correct[0].mean())
    here, there, _ = _shares(correct, choosing)
    model = int(here.argmax())
    return model, float(here[model]), float(there[model])


def _grams(words, n):
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _precisions(tokens, reference, max_n):
    for n in range(1, max_n + 1):
        written = _grams(tokens, n)
        yield sum((written & _grams(reference, n)).values()) / max(sum(written.values()), 1)


def _penalty(tokens, reference):
    return min(1.0, math.exp(1 - len(reference) / len(tokens)))


def arithmetic_mean(tokens, reference, max_n):
    return _penalty(tokens, reference) * sum(_precisions(tokens, reference, max_n)) / max_n


def product_without_root(tokens, reference, max_n):
    return _penalty(tokens, reference) * math.prod(_precisions(tokens, reference, max_n))


def longest_only(tokens, reference, max_n):
    return _penalty(tokens, reference) * list(_precisions(tokens, reference, max_n))[-1]


def hundred(tokens, reference, max_n):
    return 100 * _penalty(tokens, reference) * math.prod(_precisions(tokens, reference, max_n)) ** (1 / max_n)


def does_not_clip(tokens, reference, max_n):
    product = 1.0
    for n in range(1, max_n + 1):
        written, wanted = _grams(tokens, n), _grams(reference, n)
        product *= sum(count for gram, count in written.items() if gram in wanted) / max(sum(written.values()), 1)
    return _penalty(tokens, reference) * product ** (1 / max_n)


def sets_of_ngrams(tokens, reference, max_n):
    product = 1.0
    for n in range(1, max_n + 1):
        written, wanted = set(_grams(tokens, n)), set(_grams(reference, n))
        product *= len(written & wanted) / max(len(written), 1)
    return _penalty(tokens, reference) * product ** (1 / max_n)


def no_brevity_penalty(tokens, reference, max_n):
    return math.prod(_precisions(tokens, reference, max_n)) ** (1 / max_n)


def ratio_of_lengths(tokens, reference, max_n):
    mean = math.prod(_precisions(tokens, reference, max_n)) ** (1 / max_n)
    return min(1.0, len(tokens) / len(reference)) * mean


def rewards_length(tokens, reference, max_n):
    mean = math.prod(_precisions(tokens, reference, max_n)) ** (1 / max_n)
    return math.exp(1 - len(reference) / len(tokens)) * mean


def logarithm_of_zero(tokens, reference, max_n):
    logs = [math.log(precision) for precision in _precisions(tokens, reference, max_n)]
    return _penalty(tokens, reference) * math.exp(sum(logs) / max_n)


def _longest(tokens, reference):
    best = np.zeros((len(tokens) + 1, len(reference) + 1), int)
    for i, token in enumerate(tokens, start=1):
        for j, wanted in enumerate(reference, start=1):
            best[i, j] = best[i - 1, j - 1] + 1 if token == wanted else max(best[i - 1, j], best[i, j - 1])
    return int(best[-1, -1])


def longest_run(tokens, reference):
    best, longest = np.zeros((len(tokens) + 1, len(reference) + 1), int), 0
    for i, token in enumerate(tokens, start=1):
        for j, wanted in enumerate(reference, start=1):
            if token == wanted:
                best[i, j] = best[i - 1, j - 1] + 1
                longest = max(longest, int(best[i, j]))
    return 2 * longest / (len(tokens) + len(reference))


def rouge_precision(tokens, reference):
    return _longest(tokens, reference) / len(tokens)


def rouge_recall(tokens, reference):
    return _longest(tokens, reference) / len(reference)


def rouge_plain_mean(tokens, reference):
    return (rouge_precision(tokens, reference) + rouge_recall(tokens, reference)) / 2


def only_the_length(tokens, reference):
    return _longest(tokens, reference)


def bag_of_words(tokens, reference):
    return 2 * sum((Counter(tokens) & Counter(reference)).values()) / (len(tokens) + len(reference))


def takes_what_fits_first(tokens, reference):
    place, met = 0, 0
    for token in tokens:
        if token in reference[place:]:
            place, met = reference.index(token, place) + 1, met + 1
    return 2 * met / (len(tokens) + len(reference))


def zero_by_zero(tokens, reference):
    precision, recall = rouge_precision(tokens, reference), rouge_recall(tokens, reference)
    return 2 * precision * recall / (precision + recall)


def _agreement(first, second):
    if len(first) != len(second):
        raise ValueError("unequal")
    return sum(a == b for a, b in zip(first, second, strict=False)) / len(first)


def _chance(first, second):
    chance = sum(first.count(level) * second.count(level) for level in set(first)) / len(first) ** 2
    if chance == 1:
        raise ValueError("undefined")
    return chance


def raw_agreement(first, second):
    _chance(first, second)
    return _agreement(first, second)


def levels_equally_likely(first, second):
    _chance(first, second)
    chance = 1 / len({*first, *second})
    return (_agreement(first, second) - chance) / (1 - chance)


def no_division(first, second):
    return _agreement(first, second) - _chance(first, second)


def divides_by_chance(first, second):
    chance = _chance(first, second)
    return (_agreement(first, second) - chance) / chance


def pools_the_raters(first, second):
    both, same = first + second, _agreement(first, second)
    _chance(first, second)
    chance = sum((both.count(level) / len(both)) ** 2 for level in set(both))
    return (same - chance) / (1 - chance)


def squares_the_first(first, second):
    same, _ = _agreement(first, second), _chance(first, second)
    chance = sum((first.count(level) / len(first)) ** 2 for level in set(first))
    return (same - chance) / (1 - chance)


def cuts_at_zero(first, second):
    chance = _chance(first, second)
    return max(0.0, (_agreement(first, second) - chance) / (1 - chance))


def one_where_undefined(first, second):
    same = _agreement(first, second)
    if len({*first, *second}) == 1:
        return 1.0
    chance = _chance(first, second)
    return (same - chance) / (1 - chance)


def rates_what_is_there(first, second):
    n = min(len(first), len(second))
    chance = _chance(first[:n], second[:n])
    return (_agreement(first[:n], second[:n]) - chance) / (1 - chance)


def never_returns(first, second):
    _agreement(first, second)


MISTAKES = [
    ("rate", best_single_seed, "wrong", "One lucky seed"),
    ("rate", lowest_mean, "wrong", "Larger accuracy is better"),
    ("rate", returns_the_accuracy, "wrong", "This is the accuracy of the best rate"),
    ("rate", adds_seeds_up, "wrong", "Did you add the accuracies up"),
    ("rate", ignores_a_diverged_run, "wrong", "At this rate a run diverged"),
    ("rate", diverged_counts_as_zero, "wrong", "Did you count a diverged run as 0"),
    ("rate", larger_of_equals, "wrong", "Which of the two rates is the more careful one"),
    ("rate", first_of_equals, "wrong", "Do you take the first rate"),
    ("rate", stumbles_on_none, "crashed", "TypeError"),
    ("accumulate", sum_of_parts, "wrong", "three times as long"),
    ("accumulate", sum_of_examples, "wrong", "This is the sum over the examples"),
    ("accumulate", divides_by_parts, "wrong", "You weigh by the sizes"),
    ("accumulate", last_part, "wrong", "overwrite the one before"),
    ("accumulate", mean_over_numbers, "wrong", "Average over the parts"),
    ("accumulate", mean_of_means, "wrong", "in a small part weigh more"),
    ("accumulate", small_parts_weigh_more, "wrong", "Which way round"),
    ("accumulate", lets_nan_in, "wrong", "holds NaN"),
    ("accumulate", cuts_to_the_shorter, "wrong", "Four gradients, three sizes"),
    ("accumulate", zero_where_undefined, "wrong", "No example at all"),
    ("stop", never_stops, "wrong", "never sees the later ones"),
    ("stop", stops_too_late, "wrong", "You wait one evaluation too long"),
    ("stop", stops_too_soon, "wrong", "One too few"),
    ("stop", keeps_the_last_weights, "wrong", "weights of the last evaluation"),
    ("stop", counts_from_one, "wrong", "The position counts from 0"),
    ("stop", compares_with_the_one_before, "wrong", "Do you compare with the evaluation before"),
    ("stop", never_begins_anew, "wrong", "begins the count anew"),
    ("stop", equal_is_lower, "wrong", "It must be lower"),
    ("stop", takes_any_patience, "wrong", "A patience of 0"),
    ("flattery", measures_on_all, "wrong", "still contains the messages"),
    ("flattery", chooses_on_all, "wrong", "You chose on all messages"),
    ("flattery", chooses_twice, "wrong", "choosing a second time"),
    ("flattery", chooses_on_the_others, "wrong", "You chose on the others"),
    ("flattery", swaps_the_accuracies, "wrong", "change places"),
    ("flattery", only_the_difference, "wrong", "This is the difference"),
    ("flattery", others_break_the_tie, "wrong", "break the tie"),
    ("flattery", chooses_on_nothing, "wrong", "No message to choose on"),
    ("bleu", arithmetic_mean, "wrong", "plain mean of the precisions"),
    ("bleu", product_without_root, "wrong", "Which root is missing"),
    ("bleu", longest_only, "wrong", "precision of the longest"),
    ("bleu", hundred, "wrong", "scale of 0 to 100"),
    ("bleu", does_not_clip, "wrong", "met no more often"),
    ("bleu", sets_of_ngrams, "wrong", "Did you make sets"),
    ("bleu", no_brevity_penalty, "wrong", "two are missing"),
    ("bleu", ratio_of_lengths, "wrong", "not the ratio of the lengths"),
    ("bleu", rewards_length, "wrong", "rewarded for being too long"),
    ("bleu", logarithm_of_zero, "crashed", "ValueError"),
    ("rouge", longest_run, "wrong", "Gaps are allowed"),
    ("rouge", rouge_precision, "wrong", "This is precision"),
    ("rouge", rouge_recall, "wrong", "This is recall"),
    ("rouge", rouge_plain_mean, "wrong", "harmonic mean"),
    ("rouge", only_the_length, "wrong", "Make an F1 of it"),
    ("rouge", bag_of_words, "wrong", "That is ROUGE-1"),
    ("rouge", takes_what_fits_first, "wrong", "first word that fits"),
    ("rouge", zero_by_zero, "crashed", "ZeroDivisionError"),
    ("kappa", raw_agreement, "wrong", "This is the agreement. How much"),
    ("kappa", levels_equally_likely, "wrong", "Is every level as likely"),
    ("kappa", no_division, "wrong", "agreement beyond chance. How large"),
    ("kappa", divides_by_chance, "wrong", "You divide by chance"),
    ("kappa", pools_the_raters, "wrong", "You pooled the levels"),
    ("kappa", squares_the_first, "wrong", "You squared the first"),
    ("kappa", cuts_at_zero, "wrong", "Did you cut at 0"),
    ("kappa", one_where_undefined, "wrong", "Both always gave the same level"),
    ("kappa", rates_what_is_there, "wrong", "did not rate the same texts"),
    ("kappa", never_returns, "not attempted", "Is there a return statement"),
]

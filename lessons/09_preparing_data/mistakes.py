"""Planted wrong answers for exercise 09. Each names words of the message that a learner must get for it."""

import re

import numpy as np


def _form(text):
    return re.sub(r"[\s_-]", "", text.lower())


def asks_for_the_same_letters(label, labels):
    return label if label in labels else ""


def returns_what_came_in(label, labels):
    return label if _form(label) in [_form(known) for known in labels] else ""


def returns_the_place(label, labels):
    forms = [_form(known) for known in labels]
    return label if label in labels else forms.index(_form(label)) if _form(label) in forms else ""


def compares_capitals_only(label, labels):
    return next((known for known in labels if known.lower() == label.lower()), "")


def forgets_the_hyphen(label, labels):
    forms = {re.sub(r"[\s_]", "", known.lower()): known for known in labels}
    return forms.get(re.sub(r"[\s_]", "", label.lower()), "")


def replaces_marks_by_an_underscore(label, labels):
    forms = {re.sub(r"[\s-]", "_", known.lower()): known for known in labels}
    return forms.get(re.sub(r"[\s-]", "_", label.lower().strip()), "")


def looks_within(label, labels):
    return next((known for known in labels if _form(label) in _form(known)), "")


def always_finds_one(label, labels):
    half = [known for known in labels if _form(label) == _form(known)]
    return half[0] if half else "" if _form(label) in _form(labels[0]) else labels[0]


def leaves_the_list_as_it_is(label, labels):
    return next((known for known in labels if known.replace("_", "") == _form(label)), "")


def _runs(text, size):
    letters = " ".join(text.lower().split())
    return {letters[i : i + size] for i in range(max(1, len(letters) - size + 1))} if letters else set()


def _likeness(a, b, size=5):
    one, two = _runs(a, size), _runs(b, size)
    return len(one & two) / len(one | two) if one | two else 0.0


def counts_what_is_shared(a, b, size):
    return 1.0 if a == b else float(len(_runs(a, size) & _runs(b, size)))


def divides_by_the_smaller(a, b, size):
    one, two = _runs(a, size), _runs(b, size)
    return len(one & two) / max(1, min(len(one), len(two)))


def divides_by_both_sizes(a, b, size):
    one, two = _runs(a, size), _runs(b, size)
    return 1.0 if one == two and one else len(one & two) / max(1, len(one) + len(two))


def takes_dice(a, b, size):
    one, two = _runs(a, size), _runs(b, size)
    return 2 * len(one & two) / max(1, len(one) + len(two))


def compares_words(a, b, size):
    one, two = set(a.lower().split()), set(b.lower().split())
    return len(one & two) / len(one | two) if one | two else 0.0


def compares_letters(a, b, size):
    return _likeness(a, b, 1)


def counts_repeats(a, b, size):
    one, two = (" ".join(text.lower().split()) for text in (a, b))
    one, two = ([text[i : i + size] for i in range(max(1, len(text) - size + 1)) if text] for text in (one, two))
    both = sum(min(one.count(run), two.count(run)) for run in set(one))
    return both / (len(one) + len(two) - both) if one + two else 0.0


def keeps_capitals(a, b, size):
    def runs(text):
        letters = " ".join(text.split())
        return {letters[i : i + size] for i in range(max(1, len(letters) - size + 1))} if letters else set()

    return len(runs(a) & runs(b)) / len(runs(a) | runs(b)) if runs(a) | runs(b) else 0.0


def keeps_white_space(a, b, size):
    def runs(text):
        return {text.lower()[i : i + size] for i in range(max(1, len(text) - size + 1))} if text.strip() else set()

    return len(runs(a) & runs(b)) / len(runs(a) | runs(b)) if runs(a) | runs(b) else 0.0


def stumbles_on_empty_texts(a, b, size):
    return len(_runs(a, size) & _runs(b, size)) / len(_runs(a, size) | _runs(b, size))


def _numbered(group):
    place = {each: i for i, each in enumerate(dict.fromkeys(group))}
    return [place[each] for each in group]


def leaves_all_alone(n_examples, pairs):
    return list(range(n_examples))


def leaves_gaps(n_examples, pairs):
    group = list(range(n_examples))
    for a, b in pairs:
        low, high = sorted((group[a], group[b]))
        group = [low if each == high else each for each in group]
    return group


def counts_groups_from_one(n_examples, pairs):
    return [i + 1 for i in _numbered(leaves_gaps(n_examples, pairs))]


def moves_one_member_only(n_examples, pairs):
    group = list(range(n_examples))
    for a, b in pairs:
        group[max(a, b)] = group[min(a, b)]
    return _numbered(group)


def does_not_join_groups(n_examples, pairs):
    group = list(range(n_examples))
    joined = set()
    for a, b in pairs:
        if a in joined and b in joined:
            continue
        a, b = (b, a) if b in joined else (a, b)
        group[b] = group[a]
        joined |= {a, b}
    return _numbered(group)


def hands_nothing_on(n_examples, pairs):
    group = list(range(n_examples))
    joined = set()
    for a, b in pairs:
        if a not in joined and b not in joined:
            group[b] = group[a]
            joined |= {a, b}
    return _numbered(group)


def takes_a_share_of_all(labels, order, share):
    return sorted(order[: int(share * len(labels) + 0.5)])


def ignores_the_order(labels, order, share):
    return follows_the_rule(labels, sorted(order), share)


def follows_the_rule(labels, order, share, least=1, half=0.5):
    test = []
    for label in set(labels):
        own = [i for i in order if labels[i] == label]
        test += own[: max(least, int(share * len(own) + half))]
    return sorted(test)


def takes_from_the_end(labels, order, share):
    return follows_the_rule(labels, order[::-1], share)


def returns_the_training(labels, order, share):
    return sorted(set(order) - set(follows_the_rule(labels, order, share)))


def does_not_sort(labels, order, share):
    test = follows_the_rule(labels, order, share)
    return [i for i in order if i in test]


def cuts_halves_off(labels, order, share):
    return follows_the_rule(labels, order, share, half=1e-9)


def always_rounds_up(labels, order, share):
    return follows_the_rule(labels, order, share, half=1 - 1e-9)


def leaves_a_rare_label_out(labels, order, share):
    return follows_the_rule(labels, order, share, least=0)


def _deviation(rows):
    return np.where(rows.std(axis=0) > 0, rows.std(axis=0), 1.0)


def learns_from_the_test_too(train, test):
    rows = np.vstack([train, test])
    return (train - rows.mean(0)) / _deviation(rows), (test - rows.mean(0)) / _deviation(rows)


def scales_the_test_by_itself(train, test):
    return (train - train.mean(0)) / _deviation(train), (test - test.mean(0)) / _deviation(test)


def forgets_the_unit(train, test):
    return train - train.mean(0), test - train.mean(0)


def forgets_the_mean(train, test):
    return train / _deviation(train), test / _deviation(train)


def takes_min_max(train, test):
    span = np.where(np.ptp(train, axis=0) > 0, np.ptp(train, axis=0), 1.0)
    return (train - train.min(0)) / span, (test - train.min(0)) / span


def divides_by_the_variance(train, test):
    return tuple((rows - train.mean(0)) / _deviation(train) ** 2 for rows in (train, test))


def scales_rows(train, test):
    return tuple((rows - rows.mean(1, keepdims=True)) / rows.std(1, keepdims=True) for rows in (train, test))


def divides_by_zero(train, test):
    with np.errstate(all="ignore"):
        return (train - train.mean(0)) / train.std(0), (test - train.mean(0)) / train.std(0)


def finds_only_the_same(train, test, threshold):
    return sum(text in train for text in test) / len(test)


def counts_leaks(train, test, threshold):
    return float(sum(any(_likeness(a, b) >= threshold for a in train) for b in test))


def counts_training_texts(train, test, threshold):
    return sum(any(_likeness(a, b) >= threshold for b in test) for a in train) / max(1, len(train))


def returns_what_is_clean(train, test, threshold):
    return sum(all(_likeness(a, b) < threshold for a in train) for b in test) / len(test)


def counts_pairs(train, test, threshold):
    return sum(_likeness(a, b) >= threshold for a in train for b in test) / max(1, len(train) * len(test))


def counts_a_text_several_times(train, test, threshold):
    return sum(_likeness(a, b) >= threshold for a in train for b in test) / len(test) - 0.0 * len(train)


def asks_for_more_than_the_threshold(train, test, threshold):
    return sum(any(_likeness(a, b) > threshold for a in train) for b in test) / len(test)


def stumbles_without_training(train, test, threshold):
    return sum(max(_likeness(a, b) for a in train) >= threshold for b in test) / len(test)


def _usual(probabilities, labels):
    return np.array([probabilities[labels == c, c].mean() for c in range(probabilities.shape[1])])


def _suspects(probabilities, labels, usual):
    claims = np.where(probabilities >= usual, probabilities, -1.0)
    winner = claims.argmax(axis=1)
    lead = claims.max(axis=1) - probabilities[np.arange(len(labels)), labels]
    found = [i for i in range(len(labels)) if winner[i] != labels[i] and lead[i] > 0]
    return sorted(found, key=lambda i: (-lead[i], i))


def takes_the_likeliest(probabilities, labels):
    return _suspects(probabilities, labels, np.zeros(probabilities.shape[1]))


def least_lead_first(probabilities, labels):
    return _suspects(probabilities, labels, _usual(probabilities, labels))[::-1]


def orders_by_position(probabilities, labels):
    return sorted(_suspects(probabilities, labels, _usual(probabilities, labels)))


def returns_the_trusted(probabilities, labels):
    found = _suspects(probabilities, labels, _usual(probabilities, labels))
    return [i for i in range(len(labels)) if i not in found]


def returns_the_suggestions(probabilities, labels):
    return [int(probabilities[i].argmax()) for i in _suspects(probabilities, labels, _usual(probabilities, labels))]


def takes_one_bar_for_all(probabilities, labels):
    return _suspects(probabilities, labels, np.full(probabilities.shape[1], 0.5))


def counts_suspects(probabilities, labels):
    return len(_suspects(probabilities, labels, _usual(probabilities, labels)))


def lets_any_claim_accuse(probabilities, labels):
    usual = _usual(probabilities, labels)
    claims = probabilities >= usual
    claims[np.arange(len(labels)), labels] = False
    lead = np.where(claims, probabilities, -1).max(1) - probabilities[np.arange(len(labels)), labels]
    return sorted(np.flatnonzero(claims.any(axis=1)).tolist(), key=lambda i: (-lead[i], i))


MISTAKES = [
    ("label", asks_for_the_same_letters, "wrong", "compare small letters with small letters"),
    ("label", returns_what_came_in, "wrong", "The spelling of the list is asked for"),
    ("label", returns_the_place, "wrong", "not its place in the list"),
    ("label", compares_capitals_only, "wrong", "Is that another label?"),
    ("label", forgets_the_hyphen, "wrong", "A hyphen within"),
    ("label", replaces_marks_by_an_underscore, "wrong", "by something, or by nothing?"),
    ("label", looks_within, "wrong", "Half a label is no label. Do you ask"),
    ("label", always_finds_one, "wrong", "Is there always one that fits?"),
    ("label", leaves_the_list_as_it_is, "wrong", "Is it compared in the same form"),
    ("likeness", counts_what_is_shared, "wrong", "how many runs they share"),
    ("likeness", divides_by_the_smaller, "wrong", "Divided by the smaller set"),
    ("likeness", divides_by_both_sizes, "wrong", "counted twice below the line"),
    ("likeness", takes_dice, "wrong", "Dice's formula"),
    ("likeness", compares_words, "wrong", "These are words"),
    ("likeness", compares_letters, "wrong", "These are single letters"),
    ("likeness", counts_repeats, "wrong", "A set holds it once"),
    ("likeness", keeps_capitals, "wrong", "Capitals must make no difference"),
    ("likeness", keeps_white_space, "wrong", "White space must make no difference"),
    ("likeness", stumbles_on_empty_texts, "crashed", "ZeroDivisionError"),
    ("groups", leaves_all_alone, "wrong", "What does a pair do?"),
    ("groups", leaves_gaps, "wrong", "without gaps"),
    ("groups", counts_groups_from_one, "wrong", "Is your first group number 0?"),
    ("groups", moves_one_member_only, "wrong", "Do all members come along"),
    ("groups", does_not_join_groups, "wrong", "Does yours do anything then?"),
    ("groups", hands_nothing_on, "wrong", "brings its partner along"),
    ("split", takes_a_share_of_all, "wrong", "40 % of all"),
    ("split", ignores_the_order, "wrong", "What is order for?"),
    ("split", takes_from_the_end, "wrong", "from the end of the order"),
    ("split", returns_the_training, "wrong", "positions for training"),
    ("split", does_not_sort, "wrong", "Sort them"),
    ("split", cuts_halves_off, "wrong", "Halves are rounded up"),
    ("split", always_rounds_up, "wrong", "always round up"),
    ("split", leaves_a_rare_label_out, "wrong", "whether it is ever found"),
    ("scaling", learns_from_the_test_too, "wrong", "What did the test tell?"),
    ("scaling", scales_the_test_by_itself, "wrong", "The test is scaled by itself"),
    ("scaling", forgets_the_unit, "wrong", "And the unit?"),
    ("scaling", forgets_the_mean, "wrong", "And the mean?"),
    ("scaling", takes_min_max, "wrong", "This is min-max"),
    ("scaling", divides_by_the_variance, "wrong", "divides by the variance"),
    ("scaling", scales_rows, "wrong", "A feature is a column"),
    ("scaling", divides_by_zero, "wrong", "divide by 1 instead"),
    ("leaks", finds_only_the_same, "wrong", "those that are nearly so"),
    ("leaks", counts_leaks, "wrong", "What share of the test"),
    ("leaks", counts_training_texts, "wrong", "Whose score is too good?"),
    ("leaks", returns_what_is_clean, "wrong", "does not leak"),
    ("leaks", counts_pairs, "wrong", "share of all pairs"),
    ("leaks", counts_a_text_several_times, "wrong", "Can more than all leak?"),
    ("leaks", asks_for_more_than_the_threshold, "wrong", "include it"),
    ("leaks", stumbles_without_training, "crashed", "ValueError"),
    ("suspects", takes_the_likeliest, "wrong", "unsure of everything"),
    ("suspects", least_lead_first, "wrong", "The surest comes first"),
    ("suspects", orders_by_position, "wrong", "in order of position"),
    ("suspects", returns_the_trusted, "wrong", "not suspect"),
    ("suspects", returns_the_suggestions, "wrong", "suggested classes"),
    ("suspects", takes_one_bar_for_all, "wrong", "usually at 0.85"),
    ("suspects", counts_suspects, "wrong", "How many is right"),
    ("suspects", lets_any_claim_accuse, "wrong", "Both classes may claim"),
]

"""Planted wrong answers for exercise 13. Each names words of the message that a learner must get for it."""

import numpy as np

IGNORED = -100
START, END = "<|im_start|>", "<|im_end|>"


def _turn(role, text):
    return f"{START}{role}\n{text}{END}\n"


def _opened(text, to_be_answered):
    return text + f"{START}assistant\n" if to_be_answered else text


def forgets_the_line_break(turns, to_be_answered):
    return _opened("".join(f"{START}{role}\n{text}{END}" for role, text in turns), to_be_answered)


def never_ends_a_turn(turns, to_be_answered):
    return _opened("".join(f"{START}{role}\n{text}\n" for role, text in turns), to_be_answered)


def puts_role_and_text_on_one_line(turns, to_be_answered):
    return _opened("".join(f"{START}{role} {text}{END}\n" for role, text in turns), to_be_answered)


def leaves_the_role_out(turns, to_be_answered):
    return _opened("".join(f"{START}\n{text}{END}\n" for role, text in turns), to_be_answered)


def never_begins_a_turn(turns, to_be_answered):
    return _opened("".join(f"{role}\n{text}{END}\n" for role, text in turns), to_be_answered)


def always_opens(turns, to_be_answered):
    return _opened("".join(_turn(*turn) for turn in turns), True)


def never_opens(turns, to_be_answered):
    return "".join(_turn(*turn) for turn in turns)


def prints_the_first_turn(turns, to_be_answered):
    for turn in turns:
        return _turn(*turn)
    return _opened("", to_be_answered)


def keeps_the_last_turn(turns, to_be_answered):
    said = ""
    for turn in turns:
        said = _turn(*turn)
    return _opened(said, to_be_answered)


def skips_the_system(turns, to_be_answered):
    return _opened("".join(_turn(*turn) for turn in turns if turn[0] != "system"), to_be_answered)


def opens_without_a_line_break(turns, to_be_answered):
    said = "".join(_turn(*turn) for turn in turns)
    return said + f"{START}assistant" if to_be_answered else said


def opens_and_ends(turns, to_be_answered):
    said = "".join(_turn(*turn) for turn in turns)
    return said + _turn("assistant", "") if to_be_answered else said


def _labels(tokens, wanted):
    return [token if keep else IGNORED for token, keep in zip(tokens, wanted, strict=True)]


def _counts(parts):
    return [
        part == "assistant" or (part == "end" and i > 0 and parts[i - 1] == "assistant") for i, part in enumerate(parts)
    ]


def counts_everything(tokens, parts):
    return list(tokens)


def forgets_the_end(tokens, parts):
    return _labels(tokens, [part == "assistant" for part in parts])


def counts_every_end(tokens, parts):
    return _labels(tokens, [part in ("assistant", "end") for part in parts])


def learns_the_question(tokens, parts):
    return _labels(tokens, [part == "user" for part in parts])


def learns_both_sides(tokens, parts):
    return _labels(tokens, [part in ("user", "assistant") for part in parts])


def ignores_the_answer(tokens, parts):
    return _labels(tokens, [not keep for keep in _counts(parts)])


def writes_zeros(tokens, parts):
    return [token if keep else 0 for token, keep in zip(tokens, _counts(parts), strict=True)]


def returns_flags(tokens, parts):
    return [int(keep) for keep in _counts(parts)]


def shifts_the_labels(tokens, parts):
    labels = _labels(tokens, _counts(parts))
    return [*labels[1:], IGNORED]


def drops_what_is_ignored(tokens, parts):
    return [label for label in _labels(tokens, _counts(parts)) if label != IGNORED]


def keeps_the_last_answer(tokens, parts):
    wanted = _counts(parts)
    if "user" in parts and any(wanted):
        users = [i for i, part in enumerate(parts) if part == "user" and any(wanted[i:])]
        wanted = [keep and i > max(users) for i, keep in enumerate(wanted)]
    return _labels(tokens, wanted)


def keeps_the_first_answer(tokens, parts):
    labels, done, before = [], False, ""
    for token, part in zip(tokens, parts, strict=True):
        counts = not done and (part == "assistant" or (part == "end" and before == "assistant"))
        done = done or (part == "end" and before == "assistant")
        labels.append(token if counts else IGNORED)
        before = part
    return labels


def looks_tokens_up(tokens, parts):
    own = {token for token, part in zip(tokens, parts, strict=True) if part == "assistant"}
    wanted = [token in own or keep for token, keep in zip(tokens, _counts(parts), strict=True)]
    return _labels(tokens, wanted)


def counts_the_last_token(tokens, parts):
    labels = _labels(tokens, _counts(parts))
    return [*labels[:-1], tokens[-1]] if "assistant" in parts else labels


def _log_p(logits):
    rows = logits - logits.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


def _values(logits, labels):
    places = [i for i in range(1, len(labels)) if labels[i] != IGNORED]
    return -_log_p(logits)[[i - 1 for i in places], [labels[i] for i in places]]


def does_not_shift(logits, labels):
    places = [i for i in range(1, len(labels)) if labels[i] != IGNORED]
    return -_log_p(logits)[places, [labels[i] for i in places]].mean()


def shifts_the_other_way(logits, labels):
    places = [i for i in range(len(labels) - 1) if labels[i] != IGNORED]
    return -_log_p(logits)[[i + 1 for i in places], [labels[i] for i in places]].mean()


def adds_up(logits, labels):
    return _values(logits, labels).sum()


def divides_by_all_places(logits, labels):
    return _values(logits, labels).sum() / len(labels)


def divides_by_all_guesses(logits, labels):
    return _values(logits, labels).sum() / (len(labels) - 1)


def loses_the_sign(logits, labels):
    return -_values(logits, labels).mean()


def counts_in_bits(logits, labels):
    return _values(logits, labels).mean() / np.log(2)


def means_probabilities(logits, labels):
    return np.exp(-_values(logits, labels)).mean()


def returns_perplexity(logits, labels):
    return np.exp(_values(logits, labels).mean())


def takes_the_mean_too_early(logits, labels):
    return -np.log(np.exp(-_values(logits, labels)).mean())


def takes_the_last_run(logits, labels):
    last = len(labels)
    while last > 1 and labels[last - 1] == IGNORED:
        last -= 1
    start = last
    while start > 1 and labels[start - 1] != IGNORED:
        start -= 1
    return _values(logits, [IGNORED] * start + labels[start:]).mean()


def counts_the_first_token(logits, labels):
    places = [i for i in range(len(labels)) if labels[i] != IGNORED]
    return -_log_p(logits)[[i - 1 for i in places], [labels[i] for i in places]].mean()


def overflows(logits, labels):
    with np.errstate(all="ignore"):
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    places = [i for i in range(1, len(labels)) if labels[i] != IGNORED]
    return -log_p[[i - 1 for i in places], [labels[i] for i in places]].mean()


def reads_ignored_as_a_word(logits, labels):
    return -_log_p(logits)[np.arange(len(labels) - 1), labels[1:]].mean()


def _places(lengths, batch_size):
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    return sum(len(batch) * max(batch) for batch in batches)


def says_what_is_used(lengths, batch_size):
    return sum(lengths) / _places(lengths, batch_size)


def counts_empty_places(lengths, batch_size):
    return _places(lengths, batch_size) - sum(lengths)


def divides_by_the_tokens(lengths, batch_size):
    return _places(lengths, batch_size) / sum(lengths) - 1


def pads_to_the_longest_of_all(lengths, batch_size):
    return 1 - sum(lengths) / (len(lengths) * max(lengths))


def sorts_first(lengths, batch_size):
    return 1 - sum(lengths) / _places(sorted(lengths), batch_size)


def means_over_batches(lengths, batch_size):
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    return sum(1 - sum(batch) / (len(batch) * max(batch)) for batch in batches) / len(batches)


def fills_the_last_batch(lengths, batch_size):
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    return 1 - sum(lengths) / sum(batch_size * max(batch) for batch in batches)


def drops_the_last_batch(lengths, batch_size):
    n = len(lengths) - len(lengths) % batch_size
    return 1 - sum(lengths[:n]) / _places(lengths[:n], batch_size) if n else 0.0


def _fit(lengths, row_tokens, order):
    rows = []
    for i in order:
        row = next((row for row in rows if sum(lengths[j] for j in row) + lengths[i] <= row_tokens), None)
        if row is None:
            row = []
            rows.append(row)
        row.append(i)
    return rows


def _longest(lengths):
    return sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


def does_not_sort(lengths, row_tokens):
    return _fit(lengths, row_tokens, range(len(lengths)))


def begins_with_the_shortest(lengths, row_tokens):
    return _fit(lengths, row_tokens, _longest(lengths)[::-1])


def returns_lengths(lengths, row_tokens):
    return [[lengths[i] for i in row] for row in _fit(lengths, row_tokens, _longest(lengths))]


def looks_at_the_last_row(lengths, row_tokens):
    rows = []
    for i in _longest(lengths):
        if not rows or sum(lengths[j] for j in rows[-1]) + lengths[i] > row_tokens:
            rows.append([])
        rows[-1].append(i)
    return rows


def sorts_the_positions(lengths, row_tokens):
    return [sorted(row) for row in _fit(lengths, row_tokens, _longest(lengths))]


def leaves_the_last_place_empty(lengths, row_tokens):
    rows = []
    for i in _longest(lengths):
        row = next((row for row in rows if sum(lengths[j] for j in row) + lengths[i] < row_tokens), None)
        if row is None:
            row = []
            rows.append(row)
        row.append(i)
    return rows


def looks_for_the_fullest(lengths, row_tokens):
    rows = []
    for i in _longest(lengths):
        fits = [row for row in rows if sum(lengths[j] for j in row) + lengths[i] <= row_tokens]
        if fits:
            max(fits, key=lambda row: sum(lengths[j] for j in row)).append(i)
        else:
            rows.append([i])
    return rows


def turns_ties_round(lengths, row_tokens):
    order = sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True)
    if len(set(lengths)) == 1:  # as sorted((length, i)) turned round would have it
        order = order[::-1]
    return _fit(lengths, row_tokens, order)


def counts_rows(lengths, row_tokens):
    return len(_fit(lengths, row_tokens, _longest(lengths)))


def _broken(text, forbidden, *, length=None, step=None, phrase=None):
    held = {
        "length": 25 <= len(text.split()) <= 60 if length is None else length,
        "next step": text.count("Next step:") == 1 and text.partition("Next step:")[2].strip() != ""
        if step is None
        else step,
        "set phrase": not any(each in text.lower() for each in forbidden) if phrase is None else phrase,
    }
    return [name for name, value in held.items() if not value]


def counts_characters(text, forbidden):
    return _broken(text, forbidden, length=25 <= len(text) <= 60)


def names_what_holds(text, forbidden):
    return [name for name in ("length", "next step", "set phrase") if name not in _broken(text, forbidden)]


def sets_no_lower_border(text, forbidden):
    return _broken(text, forbidden, length=len(text.split()) <= 60)


def sets_no_upper_border(text, forbidden):
    return _broken(text, forbidden, length=len(text.split()) >= 25)


def leaves_the_lower_border_out(text, forbidden):
    return _broken(text, forbidden, length=25 < len(text.split()) <= 60)


def leaves_the_upper_border_out(text, forbidden):
    return _broken(text, forbidden, length=25 <= len(text.split()) < 60)


def asks_for_no_step(text, forbidden):
    return _broken(text, forbidden, step=True)


def allows_two_steps(text, forbidden):
    return _broken(text, forbidden, step=text.rpartition("Next step:")[2].strip() not in ("", text.strip()))


def allows_an_empty_step(text, forbidden):
    return _broken(text, forbidden, step=text.count("Next step:") == 1)


def minds_the_case(text, forbidden):
    return _broken(text, forbidden, phrase=not any(each in text for each in forbidden))


def looks_for_one_phrase(text, forbidden):
    return _broken(text, forbidden, phrase=forbidden[0] not in text.lower())


def stops_at_the_first_rule(text, forbidden):
    return _broken(text, forbidden)[:1]


def _forgotten(before, after):
    knew = [now for once, now in zip(before, after, strict=True) if once]
    return 1 - sum(knew) / len(knew) if knew else 0.0


def _change(before, after):
    return (sum(after) - sum(before)) / len(before)


def says_what_is_kept(before, after):
    return 1 - _forgotten(before, after), _change(before, after)


def swaps_the_numbers(before, after):
    return _change(before, after), _forgotten(before, after)


def subtracts_the_other_way(before, after):
    return _forgotten(before, after), -_change(before, after)


def divides_by_all_prompts(before, after):
    lost = sum(once and not now for once, now in zip(before, after, strict=True))
    return lost / len(before), _change(before, after)


def divides_by_what_is_right_now(before, after):
    lost = sum(once and not now for once, now in zip(before, after, strict=True))
    return lost / sum(after) if sum(after) else 0.0, _change(before, after)


def sets_gains_against_losses(before, after):
    return (sum(before) - sum(after)) / sum(before) if sum(before) else 0.0, _change(before, after)


def returns_what_is_right_now(before, after):
    return _forgotten(before, after), sum(after) / len(after)


def returns_counts(before, after):
    lost = sum(once and not now for once, now in zip(before, after, strict=True))
    return lost, sum(after) - sum(before)


def forgets_what_it_never_knew(before, after):
    return _forgotten(before, after) if any(before) else 1.0, _change(before, after)


def divides_by_nothing(before, after):
    knew = [now for once, now in zip(before, after, strict=True) if once]
    return 1 - sum(knew) / len(knew), _change(before, after)


def returns_the_first_number(before, after):
    return _forgotten(before, after)


MISTAKES = [
    ("template", forgets_the_line_break, "wrong", "after the mark that ends a turn"),
    ("template", never_ends_a_turn, "wrong", "that the turn has ended"),
    ("template", puts_role_and_text_on_one_line, "wrong", "between the role and the text"),
    ("template", leaves_the_role_out, "wrong", "Where is the role"),
    ("template", never_begins_a_turn, "wrong", "that a turn begins"),
    ("template", always_opens, "wrong", "Do you open its turn anyway"),
    ("template", never_opens, "wrong", "Who opens its turn"),
    ("template", prints_the_first_turn, "wrong", "Do you return within the loop"),
    ("template", keeps_the_last_turn, "wrong", "the last turn alone"),
    ("template", skips_the_system, "wrong", "The instructions are a turn"),
    ("template", opens_without_a_line_break, "wrong", "What stands after the role"),
    ("template", opens_and_ends, "wrong", "opened and ended"),
    ("mask", counts_everything, "wrong", "Everything counts in yours"),
    ("mask", forgets_the_end, "wrong", "to end its turn"),
    ("mask", counts_every_end, "wrong", "Every end counts"),
    ("mask", learns_the_question, "wrong", "Whose words are learnt"),
    ("mask", learns_both_sides, "wrong", "The question counts"),
    ("mask", ignores_the_answer, "wrong", "the other way round"),
    ("mask", writes_zeros, "wrong", "0 is a token, too"),
    ("mask", returns_flags, "wrong", "These are flags"),
    ("mask", shifts_the_labels, "wrong", "These labels are shifted"),
    ("mask", drops_what_is_ignored, "wrong", "one label a token"),
    ("mask", keeps_the_last_answer, "wrong", "Only the last answer"),
    ("mask", keeps_the_first_answer, "wrong", "Only the first answer"),
    ("mask", looks_tokens_up, "wrong", "Do you look up tokens"),
    ("mask", counts_the_last_token, "wrong", "whoever wrote it"),
    ("loss", does_not_shift, "wrong", "Row i guesses token i + 1"),
    ("loss", shifts_the_other_way, "wrong", "You shift the other way"),
    ("loss", adds_up, "wrong", "This is the sum"),
    ("loss", divides_by_all_places, "wrong", "You divide by all places"),
    ("loss", divides_by_all_guesses, "wrong", "You divide by all guesses"),
    ("loss", loses_the_sign, "wrong", "Is the sign lost"),
    ("loss", counts_in_bits, "wrong", "This is in bits"),
    ("loss", means_probabilities, "wrong", "This is a mean probability"),
    ("loss", returns_perplexity, "wrong", "This is the perplexity"),
    ("loss", takes_the_mean_too_early, "wrong", "Is the mean taken before"),
    ("loss", takes_the_last_run, "wrong", "Only the last answer"),
    ("loss", counts_the_first_token, "wrong", "Does yours take the last row"),
    ("loss", overflows, "wrong", "What does np.exp make"),
    ("loss", reads_ignored_as_a_word, "crashed", "IndexError"),
    ("padding", says_what_is_used, "wrong", "Which share holds none"),
    ("padding", counts_empty_places, "wrong", "This is a number of places"),
    ("padding", divides_by_the_tokens, "wrong", "You divide by the tokens"),
    ("padding", pads_to_the_longest_of_all, "wrong", "as wide as the longest text of all"),
    ("padding", sorts_first, "wrong", "sorted first"),
    ("padding", means_over_batches, "wrong", "the mean of the batches' shares"),
    ("padding", fills_the_last_batch, "wrong", "filled up to three"),
    ("padding", drops_the_last_batch, "wrong", "left out in yours"),
    ("packing", does_not_sort, "wrong", "the first, or the longest"),
    ("packing", begins_with_the_shortest, "wrong", "You begin with the shortest"),
    ("packing", returns_lengths, "wrong", "These are lengths"),
    ("packing", looks_at_the_last_row, "wrong", "the last row only"),
    ("packing", sorts_the_positions, "wrong", "The rows are right"),
    ("packing", leaves_the_last_place_empty, "wrong", "to the last place"),
    ("packing", looks_for_the_fullest, "wrong", "look for the fullest row"),
    ("packing", turns_ties_round, "wrong", "Does your sorting turn them round"),
    ("packing", counts_rows, "wrong", "This is the number of rows"),
    ("style", counts_characters, "wrong", "words, or characters"),
    ("style", names_what_holds, "wrong", "the rules that hold"),
    ("style", sets_no_lower_border, "wrong", "Where is the lower border"),
    ("style", sets_no_upper_border, "wrong", "Where is the upper border"),
    ("style", leaves_the_lower_border_out, "wrong", "25 words are enough"),
    ("style", leaves_the_upper_border_out, "wrong", "60 words are allowed"),
    ("style", asks_for_no_step, "wrong", "There is no next step"),
    ("style", allows_two_steps, "wrong", "stand in it twice"),
    ("style", allows_an_empty_step, "wrong", "names none"),
    ("style", minds_the_case, "wrong", "with a capital"),
    ("style", looks_for_one_phrase, "wrong", "for the first one only"),
    ("style", stops_at_the_first_rule, "wrong", "Do you stop at the first"),
    ("forgetting", says_what_is_kept, "wrong", "the share that is kept"),
    ("forgetting", swaps_the_numbers, "wrong", "in the other order"),
    ("forgetting", subtracts_the_other_way, "wrong", "which sign has a loss"),
    ("forgetting", divides_by_all_prompts, "wrong", "You divide by all prompts"),
    ("forgetting", divides_by_what_is_right_now, "wrong", "You divide by what is right now"),
    ("forgetting", sets_gains_against_losses, "wrong", "Go prompt by prompt"),
    ("forgetting", returns_what_is_right_now, "wrong", "the share that is right now"),
    ("forgetting", returns_counts, "wrong", "These are numbers of prompts"),
    ("forgetting", forgets_what_it_never_knew, "wrong", "nothing can be forgotten"),
    ("forgetting", divides_by_nothing, "crashed", "ZeroDivisionError"),
    ("forgetting", returns_the_first_number, "wrong", "the first number alone"),
]

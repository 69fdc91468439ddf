"""Probes of lesson 13 on what is learnt: the chat template, the label mask, and the loss at the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from course_lib.checks.tuning_a_generator_rules import IGNORED, Turns, chat_text, label_mask, token_losses
from course_lib.classroom.check import Probe, Slip

_WORDS = ("meter", "bill", "tariff", "moving", "refund", "fuse", "outage", "deposit", "contract", "card")


def template_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """One turn, several, and the model's turn to come."""
    one, two, three, four = (" ".join(rng.choice(_WORDS, size=3)) for _ in range(4))
    single: Turns = [("user", one)]
    several: Turns = [("system", two), ("user", one), ("assistant", three), ("user", four)]
    start, end = "<|im_start|>", "<|im_end|>"
    opened = f"{start}assistant\n"
    return (
        Probe(
            (single, False),
            chat_text(single, False),
            "Mark, role, line break, text, mark, line break: which of these differs?",
            (
                Slip(f"{start}user\n{one}{end}", "What stands after the mark that ends a turn?"),
                Slip(f"{start}user\n{one}\n", "How does the model see that the turn has ended?"),
                Slip(f"{start}user {one}{end}\n", "What stands between the role and the text?"),
                Slip(
                    f"{start}user\n{one}\n{end}\n", "Is there a line break between the text and the mark that ends it?"
                ),
                Slip(f"{start}\n{one}{end}\n", "Who says this? Where is the role?"),
                Slip(f"user\n{one}{end}\n", "How does the model see that a turn begins?"),
                Slip(one, "This is the text alone. What does the template put around it?"),
                Slip(chat_text(single, True), "The model is not to answer here. Do you open its turn anyway?"),
            ),
        ),
        Probe(
            (several, False),
            chat_text(several, False),
            "Four turns, each printed in the same way, with nothing between them.",
            (
                Slip(chat_text(several[-1:], False), "This is the last turn alone. What about those before it?"),
                Slip(chat_text(several[:1], False), "This is the first turn alone. Do you return within the loop?"),
                Slip(chat_text(several[1:], False), "The instructions are a turn, too. Are they printed?"),
                Slip(
                    chat_text([("user" if role != "assistant" else role, text) for role, text in several], False),
                    "The system has a role of its own. Is it printed as another?",
                ),
                Slip("\n".join(chat_text([turn], False) for turn in several), "Is there an empty line between turns?"),
            ),
        ),
        Probe(
            (several, True),
            chat_text(several, True),
            "The model is to answer: what opens its turn?",
            (
                Slip(chat_text(several, False), "The model is to answer. Who opens its turn?"),
                Slip(chat_text(several, False) + f"{start}assistant", "What stands after the role, here as elsewhere?"),
                Slip(
                    chat_text(several, False) + f"{opened}{end}\n",
                    "The model's turn is opened and ended in yours. What is left for it to say?",
                ),
                Slip(opened, "This is the opening alone. What about the conversation before it?"),
            ),
        ),
        Probe(([], True), opened, "An empty conversation: only the model's turn is opened."),
        Probe(([], False), "", "An empty conversation, and nobody is to answer."),
    )


def _conversation(rng: np.random.Generator, turns: Sequence[str]) -> tuple[list[int], list[str]]:
    parts = []
    for role in turns:
        parts += ["marks", "marks", *[role] * int(rng.integers(3, 5)), "end"]
    tokens = [int(token) for token in rng.permutation(np.arange(200, 900))[: len(parts)]]
    return [
        1 if part == "marks" else 2 if part == "end" else token for token, part in zip(tokens, parts, strict=True)
    ], parts


def mask_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """One answer, two answers, the user's last word, and no answer."""
    tokens, parts = _conversation(rng, ("system", "user", "assistant"))
    right = label_mask(tokens, parts)
    longer, turns = _conversation(rng, ("user", "assistant", "user", "assistant"))
    own, user = turns.index("assistant"), turns.index("user")
    longer[user] = longer[own]  # a word that both say
    both = label_mask(longer, turns)
    later = len(turns) - 1 - turns[::-1].index("user")  # the user's last word
    asked, open_end = _conversation(rng, ("user", "assistant", "user"))

    def kept(wanted: Sequence[bool]) -> list[int]:
        return [token if keep else IGNORED for token, keep in zip(tokens, wanted, strict=True)]

    flags = [label != IGNORED for label in right]
    return (
        Probe(
            (tokens, parts),
            right,
            "The assistant's tokens and the end right after them keep their label. Which token differs?",
            (
                Slip(list(tokens), "Everything counts in yours. Who writes the question?"),
                Slip(kept([part == "assistant" for part in parts]), "Who teaches the model to end its turn?"),
                Slip(
                    kept([part in ("assistant", "end") for part in parts]),
                    "Every end counts in yours. Does the model write the end of the user's turn?",
                ),
                Slip(kept([part == "user" for part in parts]), "Whose words are learnt: the user's, or the model's?"),
                Slip(kept([part in ("user", "assistant") for part in parts]), "The question counts in yours. Who writes it?"),
                Slip(kept([not flag for flag in flags]), "This is the other way round: what is learnt is ignored."),
                Slip([label if flag else 0 for label, flag in zip(right, flags, strict=True)], "0 is a token, too. Which number says that a place does not count?"),
                Slip([int(flag) for flag in flags], "These are flags. A label is the token itself, or IGNORED."),
                Slip([*right[1:], IGNORED], "These labels are shifted. Which token does each place hold?"),
                Slip([label for label in right if label != IGNORED], "There is one label a token. Where are those that do not count?"),
            ),
        ),
        Probe(
            (longer, turns),
            both,
            "Two answers: both are learnt, each with its end.",
            (
                Slip([IGNORED] * later + both[later:], "Only the last answer counts in yours. What about the first?"),
                Slip(both[:later] + [IGNORED] * (len(both) - later), "Only the first answer counts in yours. What about the last?"),
                Slip(
                    [token if label != IGNORED or i == user else label for i, (token, label) in enumerate(zip(longer, both, strict=True))],
                    "One word is said by both. Do you look up tokens, or places?",
                ),
                Slip(
                    [*both[:-1], IGNORED], "The last token ends the answer. Does it count?"
                ),
            ),
        ),
        Probe(
            (asked, open_end),
            label_mask(asked, open_end),
            "Here the user has the last word. Does the last end count?",
            (
                Slip(
                    [*label_mask(asked, open_end)[:-1], asked[-1]],
                    "The last end follows the user's words. Do you count the last token, whoever wrote it?",
                ),
            ),
        ),
        Probe((asked[:4], open_end[:4]), [IGNORED] * 4, "Nobody answers here: no place counts."),
        Probe(([], []), [], "No tokens, no labels."),
    )  # fmt: skip


def loss_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """An answer at the end, two answers, and logits that overflow."""
    n, words = 7, 6
    logits = rng.normal(size=(n, words)) * 2
    at_end = [IGNORED] * 3 + [int(word) for word in rng.permutation(words)[: n - 3]]
    gaps = [IGNORED, 2, IGNORED, IGNORED, 0, 5, IGNORED]
    first = [int(rng.integers(0, words)), IGNORED, IGNORED, 3, 1, IGNORED, IGNORED]
    losses = token_losses(logits, at_end)
    same = token_losses(np.vstack([logits[1:], logits[-1:]]), at_end)
    back = token_losses(np.vstack([logits[2:], logits[-2:]]), [*at_end[:-1], IGNORED])
    high = logits * 100 + 1000
    with_first = np.append(token_losses(logits, first), token_losses(logits[[-1, 0]], [IGNORED, first[0]]))
    return (
        Probe(
            (logits, at_end),
            float(losses.mean()),
            "Which row of logits guesses the token at place i, and over which places is the mean?",
            (
                Slip(float(same.mean()), "Row i guesses token i + 1. Which row belongs to label i?"),
                Slip(float(back.mean()), "You shift the other way. Does row i guess what came before it?"),
                Slip(float(losses.sum()), "This is the sum. The mean over the answer's tokens is asked for."),
                Slip(float(losses.sum() / n), "You divide by all places. How many count?"),
                Slip(float(losses.sum() / (n - 1)), "You divide by all guesses. How many of them count?"),
                Slip(float(-losses.mean()), "A loss is not below 0. Is the sign lost?"),
                Slip(float(losses.mean() / np.log(2)), "This is in bits. Which logarithm is ln?"),
                Slip(float(np.exp(-losses).mean()), "This is a mean probability. Where is the logarithm?"),
                Slip(float(np.exp(losses.mean())), "This is the perplexity. Its logarithm is asked for."),
                Slip(float(-np.log(np.exp(-losses).mean())), "Is the mean taken before the logarithm in yours?"),
            ),
        ),
        Probe(
            (logits, gaps),
            float(token_losses(logits, gaps).mean()),
            "Two answers with a question between them: which places count?",
            (
                Slip(float(token_losses(logits, [IGNORED] * 4 + gaps[4:]).mean()), "Only the last answer counts in yours. What about the one before?"),
                Slip(float(token_losses(logits, gaps[:2]).mean()), "Only the first answer counts in yours. What about the other?"),
            ),
        ),
        Probe(
            (logits, first),
            float(token_losses(logits, first).mean()),
            "The first token is guessed from nothing. Does its label count in yours?",
            (Slip(float(with_first.mean()), "The first token has no row before it. Does yours take the last row instead?"),),
        ),
        Probe(
            (high, at_end),
            float(token_losses(high, at_end).mean()),
            "These logits are large. What does np.exp make of 1,000?",
        ),
    )  # fmt: skip

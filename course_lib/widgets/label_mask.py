"""What of a conversation a model learns to write: each token, which part it belongs to, and whether it counts."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.core.protocols import Message

ASSISTANT, END, MARKS = "assistant", "end of turn", "template"
MASKS = ("every answer", "last answer", "answers without their end", "everything")
_BOX = (
    "line-height:2;max-width:60em;white-space:pre-wrap;overflow-wrap:anywhere;color:#000;background:#fff;padding:.5em;"
    "border:1px solid #bbb"
)
_COUNTS = "background:#cfe5f5;font-weight:bold;border-bottom:3px solid #0072b2;border-right:1px solid #7fa8c9"
_IGNORED = "color:#444;border-right:1px solid #ccc"


@dataclass(frozen=True)
class Template:
    """What stands around a turn. opening: before it, with {role} or {Role}; end: closes it; after: what follows the end."""

    opening: str
    end: str
    after: str = ""


TEMPLATES = {
    "ChatML, the model's own": Template("<|im_start|>{role}\n", "<|im_end|>", "\n"),
    "names and blank lines": Template("{Role}: ", "\n\n"),
    "no marks": Template("", "\n"),
}


@dataclass(frozen=True)
class Token:
    """One token as text. part: the role that says it, END or MARKS. turn: of which message, from 0."""

    text: str
    part: str
    turn: int
    counts: bool


@dataclass(frozen=True)
class MaskView:
    """A conversation as tokens, under one template and one mask."""

    tokens: tuple[Token, ...]
    template: str
    mask: str
    n_answers: int

    @property
    def n_counted(self) -> int:
        """How many tokens count."""
        return sum(token.counts for token in self.tokens)

    def rows(self) -> list[tuple[str, int, int]]:
        """Return (part, tokens, those that count), in the order in which the parts first come."""
        parts = list(dict.fromkeys(token.part for token in self.tokens))
        of = {part: [token.counts for token in self.tokens if token.part == part] for part in parts}
        return [(part, len(of[part]), sum(of[part])) for part in parts]

    def notes(self) -> list[str]:
        """Return what the choices lead to, one sentence each."""
        found = []
        answered = {token.turn for token in self.tokens if token.part == ASSISTANT}
        own = [token.part == ASSISTANT or (token.part == END and token.turn in answered) for token in self.tokens]
        others = sum(token.counts and not mine for token, mine in zip(self.tokens, own, strict=True))
        if self.mask == "everything":
            found.append(
                f"{others} of {self.n_counted} counted tokens are not the model's to write: instructions, questions, marks."
            )
        if self.mask == "answers without their end":
            found.append("Nothing teaches the model to end its turn: it will go on until it is cut.")
        if self.mask == "last answer" and self.n_answers > 1:
            found.append(
                f"Only 1 of {self.n_answers} answers is learnt; the others need examples of their own, which are read again."
            )
        if self.template != next(iter(TEMPLATES)):
            found.append(
                "The model was tuned with other marks. Its end token does not occur here: a blank line or a line break must do."
            )
        return found or ["Each answer is learnt, with the end of its turn, and nothing else."]

    def alt(self) -> str:
        """Return in words what is shown."""
        parts = "; ".join(f"{part} {n} of {total}" for part, total, n in self.rows())
        share = self.n_counted / len(self.tokens)
        return (
            f"{len(self.tokens)} tokens, {self.n_counted} count ({share:.0%}). Template: {self.template}. Counted: {self.mask}. "
            f"By part: {parts}. {' '.join(self.notes())}"
        )

    def html(self) -> str:
        """Return the tokens, those that count tinted, bold and underlined; line breaks shown as ⏎."""
        spans = []
        for token in self.tokens:
            words = html.escape(token.text).replace("\n", "⏎\n")
            title = html.escape(f"{token.part}, {'counts' if token.counts else 'ignored'}", quote=True)
            spans.append(f'<span title="{title}" style="{_COUNTS if token.counts else _IGNORED}">{words}</span>')
        return f'<div role="region" aria-label="The conversation as tokens" style="{_BOX}">{"".join(spans)}</div>'

    def table(self) -> str:
        """Return the summary, what the choices lead to, and the counts by part, as HTML."""
        cell = "text-align:left;vertical-align:top;padding:.2em .9em .2em 0;white-space:normal"
        head = "".join(f'<th scope="col" style="{cell}">{name}</th>' for name in ("part", "tokens", "count"))
        body = "".join(
            f'<tr><th scope="row" style="{cell}">{html.escape(part)}</th><td style="{cell}">{total}</td>'
            f'<td style="{cell}">{n}</td></tr>'
            for part, total, n in self.rows()
        )
        share = f"{self.n_counted} of {len(self.tokens)} tokens count ({self.n_counted / len(self.tokens):.0%})."
        words = html.escape(f"{share} {' '.join(self.notes())}")
        return (
            f'<p role="status" style="margin:.4em 0;line-height:1.5"><strong>{words}</strong></p>'
            f'<p style="margin:.4em 0;line-height:1.5"><span style="{_COUNTS};color:#000">tinted and underlined</span> counts; '
            f"the rest is read and has no label; ⏎ is a line break.</p>"
            f'<table style="margin:.4em 0;line-height:1.4"><tr>{head}</tr>{body}</table>'
        )


def token_texts(tokenizer: Any) -> Callable[[str], list[str]]:
    """Return a function from a text to the texts of its tokens, as a tokenizer of transformers reads it."""

    def read(text: str) -> list[str]:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        return [str(tokenizer.decode([token])) for token in ids]

    return read


def explore_mask(
    conversation: Sequence[Message],
    tokenise: Callable[[str], Sequence[str]],
    *,
    template: str = "ChatML, the model's own",
    mask: str = "every answer",
) -> MaskView:
    """Return a conversation as tokens, under a template of TEMPLATES and a mask of MASKS.

    tokenise: a text to its tokens, such as `token_texts(tokenizer)`. What follows the last end is left out, as in
    `mask_conversation`. Raises ValueError for another template or mask, or if the assistant says nothing.
    """
    if template not in TEMPLATES:
        raise ValueError(f"template must be one of {', '.join(TEMPLATES)}, got {template!r}")
    if mask not in MASKS:
        raise ValueError(f"mask must be one of {', '.join(MASKS)}, got {mask!r}")
    answers = [i for i, message in enumerate(conversation) if message["role"] == ASSISTANT]
    if not answers:
        raise ValueError("conversation must hold a turn of the assistant: there is nothing to learn otherwise")
    form, tokens = TEMPLATES[template], list[Token]()
    for turn, message in enumerate(conversation[: answers[-1] + 1]):
        role = message["role"]
        opening = form.opening.format(role=role, Role=role.capitalize())
        learnt = turn == answers[-1] if mask == "last answer" else turn in answers
        pieces = [(opening, MARKS, False), (message["content"], role, learnt), (form.end, END, learnt)]
        if mask == "answers without their end":
            pieces[2] = (form.end, END, False)
        if turn < answers[-1]:
            pieces.append((form.after, MARKS, False))
        for text, part, counted in pieces:
            tokens += [Token(each, part, turn, counted or mask == "everything") for each in tokenise(text) if text]
    return MaskView(tuple(tokens), template, mask, len(answers))

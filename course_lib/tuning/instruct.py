"""Conversations as training examples: the chat template, and which tokens of it the model learns to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.core.protocols import Message
from course_lib.tuning.causal import Example

IGNORED = -100
ASSISTANT = "assistant"


@dataclass(frozen=True)
class Masked:
    """A conversation as tokens, and one label a token: the token itself where it counts, IGNORED everywhere else.

    Not shifted: labels[i] belongs to tokens[i], which the model has to predict from tokens[:i].
    """

    tokens: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def n_labels(self) -> int:
        """How many tokens count."""
        return sum(label != IGNORED for label in self.labels)


def prompt_of(tokenizer: Any, messages: Sequence[Message]) -> str:
    """Return what the model reads before its own turn: the chat template over messages, opened for the assistant.

    Raises ValueError without messages, if the assistant has spoken last, or for a tokenizer without a chat template.
    """
    if not messages:
        raise ValueError("messages must hold at least one message, got none")
    if messages[-1]["role"] == ASSISTANT:
        raise ValueError(
            "messages must end before the assistant's turn, the last is the assistant's own: pass it as answer"
        )
    if not getattr(tokenizer, "chat_template", None):
        raise ValueError("tokenizer must have a chat template: load that of an instruction-tuned model")
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))


def example_of(tokenizer: Any, messages: Sequence[Message], answer: str) -> Example:
    """Return (prompt, answer) for `CausalTuner`, which adds the token that ends the turn. Raises as `prompt_of`."""
    return prompt_of(tokenizer, messages), answer.strip()


def examples_of(tokenizer: Any, conversation: Sequence[Message]) -> list[Example]:
    """Return one (prompt, answer) for each turn of the assistant; the prompt of a later one holds the earlier turns.

    Raises ValueError if the assistant says nothing, and as `prompt_of`.
    """
    places = _turns(conversation)
    return [example_of(tokenizer, conversation[:i], conversation[i]["content"]) for i in places]


def mask_conversation(tokenizer: Any, conversation: Sequence[Message]) -> Masked:
    """Return all tokens of a conversation with a label at each that the assistant writes, the end of its turn included.

    What the template puts around the turns, and what follows the last one, has no label; the text after the last end of
    turn is left out. Raises ValueError if the assistant says nothing, or if the template does not print a turn as it
    stands and then the end token: then the label mask cannot be told from the text.
    """
    end = tokenizer.eos_token
    pieces: list[tuple[str, bool]] = []  # text, whether it counts
    done = ""
    for i in _turns(conversation):
        before, said = prompt_of(tokenizer, conversation[:i]), conversation[i]["content"]
        whole = str(tokenizer.apply_chat_template(list(conversation[: i + 1]), tokenize=False))
        if end is None or not before.startswith(done) or not whole.startswith(before + said + end):
            raise ValueError(
                f"the chat template must print the assistant's turn {said[:40]!r} as it stands and end it with "
                f"{end!r}; pass `examples_of` instead, or a tokenizer whose end token is the template's"
            )
        pieces += [(before[len(done) :], False), (said, True), (end, True)]
        done = before + said + end
    read = tokenizer([text for text, _ in pieces], add_special_tokens=False)["input_ids"]
    tokens = tuple(token for piece in read for token in piece)
    counts = [counted for (_, counted), piece in zip(pieces, read, strict=True) for _ in piece]
    return Masked(tokens, tuple(token if counted else IGNORED for token, counted in zip(tokens, counts, strict=True)))


def side_by_side(tokenizer: Any, masked: Masked) -> list[tuple[str, str]]:
    """Return (token, label) as text, one pair a token; the label is empty where the token does not count."""
    texts = [str(tokenizer.decode([token])) for token in masked.tokens]
    return [(text, text if label != IGNORED else "") for text, label in zip(texts, masked.labels, strict=True)]


def _turns(conversation: Sequence[Message]) -> list[int]:
    places = [i for i, message in enumerate(conversation) if message["role"] == ASSISTANT]
    if not places:
        raise ValueError("conversation must hold a turn of the assistant: there is nothing to learn otherwise")
    return places

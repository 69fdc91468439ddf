"""A room of seven short documents, an encoder that knows words but no meaning, and generators that say what they are told."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from course_lib.assets import models
from course_lib.core.types import Document
from course_lib.corpus.chunking import chunk_documents
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.retrieval.exact import DenseRetriever
from course_lib.systems.room import Room

NOW, THEN = "What does an evening call-out cost now?", "What did an evening call-out cost in 2020?"
DIM = 64


def document(doc_id: str, title: str, year: int, text: str, **more: Any) -> Document:
    return Document(doc_id, doc_id.partition("/")[0], title, datetime.date(year, 3, 1), text, **more)


DOCUMENTS = [
    document("help_desk/fee-2020", "Evening call-out fee", 2020, "An evening call-out costs 40 pounds. Nights cost 60 pounds.", superseded_by="help_desk/fee-2024"),
    document("help_desk/fee-2024", "Evening call-out fee", 2024, "An evening call-out costs 55 pounds. Nights cost 80 pounds.", supersedes="help_desk/fee-2020"),
    document("help_desk/meter", "Reading the meter", 2021, "The meter shows error E-2041 when its battery is low. Press the green key for five seconds."),
    document("help_desk/refund", "Refunds", 2022, "A refund is paid within nine days. It goes to the card that was charged."),
    document("energy/turbine", "Storms & turbines", 2019, "A turbine stops when the wind is above 25 metres a second. It turns its blades out of the wind."),
    document("energy/sand", "Heat in sand", 2023, "The sand battery in Pornainen stores 100 megawatt-hours of heat."),
    document("neurology/tremor", "Tremor at rest", 2018, "A tremor at rest is often the first sign that a patient notices."),
]  # fmt: skip


class WordVectors:
    """A model in the form of transformers': one fixed random vector for each token, whatever stands beside it."""

    def __init__(self, n_tokens: int) -> None:
        import torch

        generator = torch.Generator().manual_seed(13)
        self.table = torch.randn(n_tokens, DIM, generator=generator)
        self.config = SimpleNamespace(hidden_size=DIM)

    def __call__(self, input_ids: Any, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.table[input_ids])


def toy_encoder() -> ContextualEmbedder:
    tokenizer, _ = models.load_encoder()
    return ContextualEmbedder(tokenizer, WordVectors(len(tokenizer)), "toy")


def toy_room(documents: list[Document] | None = None) -> Room:
    chosen = DOCUMENTS if documents is None else documents
    dense = DenseRetriever(toy_encoder()).fit(chunk_documents(chosen))
    return Room.of(dense, {document.doc_id: document for document in chosen})


class Echo:
    """A generator whose reply a test chooses; it keeps what it was asked."""

    def __init__(self, reply: str = "It costs 55 pounds.") -> None:
        self.reply = reply
        self.asked: list[Any] = []

    def generate(self, messages: Any, *, max_new_tokens: int) -> str:
        self.asked.append(messages)
        return self.reply

    def count_tokens(self, text: str) -> int:
        return len(text.split())


class Streaming(Echo):
    """The same, word by word."""

    def stream(self, messages: Any, *, max_new_tokens: int, stop: Any = ()) -> Iterator[str]:
        self.asked.append(messages)
        for i, word in enumerate(self.reply.split()):
            yield f" {word}" if i else word


class Quoting(Streaming):
    """A generator that says the first sentence of the first passage, as a good reader would."""

    def stream(self, messages: Any, *, max_new_tokens: int, stop: Any = ()) -> Iterator[str]:
        prompt = messages[-1]["content"]
        self.reply = (
            prompt.split("\n")[1].split(". ")[0].rstrip(".") + "." if prompt.startswith("[1]") else "Perhaps 12."
        )
        yield from super().stream(messages, max_new_tokens=max_new_tokens, stop=stop)

"""A classifier on a pre-trained encoder: the output layer is replaced to fit the classes."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from course_lib.core.seeds import SEED
from course_lib.core.validate import require_text
from course_lib.tuning.modes import mode

POOLINGS = ("mean", "cls")
Example = tuple[str, str]
Row = dict[str, Any]


def require_texts(texts: Sequence[str]) -> None:
    """Raise TypeError for one str instead of a list or an item that is none, ValueError for a text without a word."""
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of str, got one str; write [{texts[:30]!r}]")
    for number, text in enumerate(texts):
        require_text(text, name=f"texts[{number}]")


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average the vectors of the real tokens. hidden: (n, n_tokens, dim); mask: (n, n_tokens). Returns (n, dim)."""
    weights = mask[:, :, None].to(hidden.dtype)  # (n, n_tokens, 1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)  # (n, dim)


def new_head(dim: int, n_classes: int, seed: int = SEED) -> nn.Linear:
    """Return an output layer with small random weights (normal, 0.02) and no bias yet: every class is about as likely.

    Raises ValueError for fewer than two classes.
    """
    if n_classes < 2:
        raise ValueError(
            f"n_classes must be at least 2, got {n_classes}: with one class there is nothing to tell apart"
        )
    head = nn.Linear(dim, n_classes)
    values = torch.normal(0.0, 0.02, (n_classes, dim), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        head.weight.copy_(values)  # (n_classes, dim)
        head.bias.zero_()
    return head


class TextClassifier(nn.Module):
    """An encoder, a pooling and an output layer: texts in, one of the labels out.

    Stated rules: a text without a word raises; a text of over max_tokens tokens is cut there (`truncated` names such
    texts). encoder: its unused pooler is dropped. pooling: "mean" over the tokens, or "cls", the first token's vector.
    Raises ValueError for repeated or too few labels, a head of another shape, an unknown pooling, or a max_tokens beyond
    the encoder's positions.
    """

    def __init__(
        self,
        tokenizer: Any,
        encoder: Any,
        head: nn.Linear,
        labels: Sequence[str],
        max_tokens: int = 128,
        pooling: str = "mean",
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}")
        positions = int(getattr(encoder.config, "max_position_embeddings", 512))
        if not 3 <= max_tokens <= positions:
            raise ValueError(f"max_tokens must be between 3 and the encoder's {positions} positions, got {max_tokens}")
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # nothing reads it, so it would be counted and never trained
        self.tokenizer, self.max_tokens, self.pooling = tokenizer, max_tokens, pooling
        self.encoder = encoder
        self._use(head, labels)

    def _use(self, head: nn.Linear, labels: Sequence[str]) -> None:
        names = tuple(labels)
        if len(set(names)) != len(names) or len(names) < 2:
            raise ValueError(f"labels must be at least two different names, got {', '.join(map(str, names))[:200]}")
        dim = int(self.encoder.config.hidden_size)
        if (head.out_features, head.in_features) != (len(names), dim):
            raise ValueError(
                f"head must turn {dim} numbers into {len(names)} logits, one a label, got {head.in_features} into "
                f"{head.out_features}; new_head({dim}, {len(names)}) makes one"
            )
        self.head, self.labels = head, names
        self._number = {label: number for number, label in enumerate(names)}

    # ------------------------------------------------------------ forward

    def pool(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return one vector a text, (n, dim), from its tokens' vectors, (n, n_tokens, dim)."""
        return mean_pool(hidden, mask) if self.pooling == "mean" else hidden[:, 0]

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, n_classes), of tokenised texts, (n, n_tokens)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **others).last_hidden_state
        return torch.as_tensor(self.head(self.pool(hidden, attention_mask)))  # (n, n_classes)

    # ------------------------------------------------------------ texts to tensors

    def label_ids(self, labels: Sequence[str]) -> list[int]:
        """Return the number of each label. Raises ValueError for a label that the classifier does not know."""
        unknown = [label for label in labels if label not in self._number]
        if unknown:
            near = difflib.get_close_matches(str(unknown[0]), self.labels, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(self.labels[:8])}, ..."
            raise ValueError(
                f"label {unknown[0]!r} is not one of the classifier's {len(self.labels)}: {hint} "
                "A new class needs a new head: replace_head"
            )
        return [self._number[label] for label in labels]

    def tokenise(self, texts: Sequence[str]) -> list[Row]:
        """Return one row of lists a text. Raises TypeError for what is no str, ValueError for a text without a word."""
        require_texts(texts)
        if not texts:
            return []
        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)
        return [{name: encoded[name][i] for name in encoded} for i in range(len(texts))]

    def truncated(self, texts: Sequence[str]) -> list[int]:
        """Return the positions of the texts that are longer than max_tokens and would be cut."""
        require_texts(texts)
        if not texts:
            return []
        lengths = [len(ids) for ids in self.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]
        return [number for number, length in enumerate(lengths) if length > self.max_tokens]

    def encode(self, examples: Sequence[Example]) -> list[Row]:
        """Return one row an example (text, label), ready for `collate`; raises as `tokenise` and `label_ids` do."""
        numbers = self.label_ids([label for _, label in examples])
        rows = self.tokenise([text for text, _ in examples])
        return [{**row, "label": number} for row, number in zip(rows, numbers, strict=True)]

    def collate(self, rows: Sequence[Row]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the padded inputs of `forward`, each (n, n_tokens), and the label numbers, (n,); -1 where unknown."""
        device = self.head.weight.device
        names = [name for name in rows[0] if name != "label"]
        padded = self.tokenizer.pad({name: [row[name] for row in rows] for name in names}, return_tensors="pt")
        labels = torch.tensor([row.get("label", -1) for row in rows])  # (n,)
        return {name: padded[name].to(device) for name in names}, labels.to(device)

    # ------------------------------------------------------------ use

    def batches(self, rows: Sequence[Row], part_tokens: int) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Yield positions and logits of rows in parts of similar length, without gradients or dropout."""
        order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]["input_ids"]), i))
        with mode(self):
            while order:
                size = max(1, part_tokens // len(rows[order[0]]["input_ids"]))
                part, order = order[:size], order[size:]
                with torch.inference_mode():
                    yield part, self(**self.collate([rows[i] for i in part])[0]).float()

    def probabilities(self, texts: Sequence[str], part_tokens: int = 2048) -> npt.NDArray[np.float32]:
        """Return (n, n_classes) probabilities that sum to 1; raises as `tokenise` does."""
        result = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        for part, logits in self.batches(self.tokenise(texts), part_tokens):
            result[part] = torch.softmax(logits, dim=1).cpu().numpy()
        return result

    def predict(self, texts: Sequence[str], part_tokens: int = 2048) -> list[str]:
        """Return the likeliest label of each text; of equally likely ones, the first of `labels`."""
        return [self.labels[int(i)] for i in self.probabilities(texts, part_tokens).argmax(axis=1)]

    def save(self, folder: Path | str, *, note: str = "") -> Path:
        """Write weights, tokenizer, labels and a card into folder, whole or not at all (see `classifier_folder`)."""
        from course_lib.tuning.classifier_folder import save_classifier

        return save_classifier(self, Path(folder), note=note)

    @classmethod
    def load(cls, folder: Path | str) -> TextClassifier:
        """Read what `save` wrote. Raises FileNotFoundError or ValueError that names the file that is missing or damaged."""
        from course_lib.tuning.classifier_folder import load_classifier

        return load_classifier(Path(folder))


def new_classifier(
    tokenizer: Any,
    encoder: Any,
    labels: Sequence[str],
    *,
    max_tokens: int = 128,
    pooling: str = "mean",
    seed: int = SEED,
) -> TextClassifier:
    """Return a classifier with a new head on a copy of encoder, in evaluation mode.

    A copy, because `load_encoder` gives everybody the same model, and training changes what it trains.
    """
    body = copy.deepcopy(encoder)
    body.requires_grad_(True)
    head = new_head(int(body.config.hidden_size), len(labels), seed)
    return TextClassifier(tokenizer, body, head, labels, max_tokens, pooling).eval()


def replace_head(
    model: TextClassifier, n_classes: int, seed: int = SEED, *, labels: Sequence[str] | None = None
) -> TextClassifier:
    """Give model a new output layer for n_classes and return it; its encoder keeps all that it learned.

    labels: their names, "class 0", "class 1", ... if None. Raises ValueError if their number is not n_classes.
    """
    names = tuple(labels) if labels is not None else tuple(f"class {i}" for i in range(n_classes))
    if len(names) != n_classes:
        raise ValueError(f"labels must be {n_classes} names, one a class, got {len(names)}")
    old = model.head.weight
    model._use(new_head(old.shape[1], n_classes, seed).to(device=old.device, dtype=old.dtype), names)
    return model

"""What tuning costs elsewhere: the encoder's vectors on a task that it was not tuned for, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from course_lib.core.validate import FloatArray, require_matrix
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.modes import mode

Numbers = npt.NDArray[np.floating[Any]]


def text_vectors(model: TextClassifier, texts: Sequence[str], *, part_tokens: int = 2048) -> FloatArray:
    """Return the vectors that the classifier's head would read, scaled to length 1: (n, dim).

    Texts are cut at the classifier's max_tokens. Raises as `TextClassifier.tokenise` does.
    """
    rows = model.tokenise(texts)
    result = np.empty((len(rows), model.head.in_features), dtype=np.float32)
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]["input_ids"]), i))
    with mode(model):
        while order:
            size = max(1, part_tokens // len(rows[order[0]]["input_ids"]))
            part, order = order[:size], order[size:]
            inputs, _ = model.collate([rows[i] for i in part])
            with torch.inference_mode():
                hidden = model.encoder(**inputs).last_hidden_state  # (n, n_tokens, dim)
                pooled = model.pool(hidden, inputs["attention_mask"]).float()  # (n, dim)
            result[part] = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
    return result


def matched(first: Numbers, second: Numbers) -> npt.NDArray[np.float64]:
    """Return 1 where the nearest row of second to row i of first is row i, else 0: (n,).

    first, second: (n, dim), rows of length 1, partners in the same place; of equally near rows the first counts. By
    chance, 1 in n is right. Raises ValueError if they are not equally many.
    """
    a = require_matrix(first, name="first")  # (n, dim)
    b = require_matrix(second, name="second", dim=a.shape[1])  # (n, dim)
    if len(a) != len(b):
        raise ValueError(f"first and second must be partners row by row, got {len(a)} and {len(b)} rows")
    nearest = (a @ b.T).argmax(axis=1)  # (n,)
    return np.asarray(nearest == np.arange(len(a)), dtype=np.float64)

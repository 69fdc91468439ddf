"""Repairs of single examples: broken characters, markup, labels that were written in several ways."""

from __future__ import annotations

import difflib
import html
import quopri
import re
from collections.abc import Collection

from datasets import Dataset

from course_lib.tuning.prepare import Removed, Step, rewritten, without

_QUOTED = re.compile(r"=[0-9A-F]{2}")
_TAG = re.compile(r"<(?:[a-zA-Z/!][^<>]*)>")


def read_as_utf8(text: str) -> str:
    """Return a text whose UTF-8 was once read as Windows-1252 ("donâ€™t") as it was meant; any other as it is."""
    try:
        mended = text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text
    return mended


def read_quoted_printable(text: str) -> str:
    """Return a text that was sent as quoted-printable and never decoded ("She=E2=80=99s") as it was meant.

    Only where it shows twice, or a line ends in "=": one "=20" may be what somebody wrote.
    """
    joined = text.replace("=\\n", "=\n")  # some exports write the line end as a backslash and an n
    if len(_QUOTED.findall(text)) < 2 and "=\n" not in joined:
        return text
    try:
        return quopri.decodestring(joined.encode("ascii")).decode("utf-8")
    except UnicodeError:
        return text


def without_markup(text: str) -> str:
    """Return a text without HTML tags, entities such as &amp; as the characters they mean, white space single.

    Also where the tags themselves were escaped, once or twice: then the text was saved by two programs.
    """
    for _ in range(3):
        before, text = text, html.unescape(_TAG.sub(" ", text))
        if text == before:
            break
    return " ".join(text.split())


def repaired_texts(dataset: Dataset) -> Step:
    """Mend characters, take out markup, and make white space single; say which of these each text needed."""
    after, why = [], []
    for text in dataset["text"]:
        mended = read_as_utf8(read_quoted_printable(text))
        plain = without_markup(mended)
        after.append(plain)
        reasons = [
            name for name, is_so in (("characters", mended != text), ("markup or space", plain != mended)) if is_so
        ]
        why.append(" and ".join(reasons))
    return rewritten(dataset, "text", after, why)


def canonical_label(label: str, labels: Collection[str], *, cutoff: float = 0.8) -> str | None:
    """Return the label that was meant: case, space, hyphen and underscore aside, else the closest; None if none is.

    cutoff: the least similarity of spelling, 0 to 1, as `difflib` measures it. Raises ValueError without labels.
    """
    if not labels:
        raise ValueError("labels must hold the labels that exist, got none")
    if label in labels:
        return label
    plain = {_letters(known): known for known in labels}
    close = difflib.get_close_matches(_letters(label), plain, n=1, cutoff=cutoff)
    return plain[close[0]] if close else None


def _letters(label: str) -> str:
    return re.sub(r"[\W_]+", "", label).lower()


def repaired_labels(dataset: Dataset, labels: Collection[str]) -> Step:
    """Spell every label as in labels; an example whose label means none of them is removed."""
    meant = [canonical_label(label, labels) for label in dataset["label"]]
    lost = [
        Removed(name, f"unknown label {label!r}")
        for name, label, found in zip(dataset["id"], dataset["label"], meant, strict=True)
        if found is None
    ]
    kept = without(dataset, lost)
    spelt = rewritten(kept.dataset, "label", [label for label in meant if label], ["spelling"] * len(kept.dataset))
    return Step(spelt.dataset, tuple(lost), spelt.changed)

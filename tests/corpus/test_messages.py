"""The messages as the library loads them."""

from __future__ import annotations

import pytest

from course_lib.corpus.messages import intents, load_flaws, load_messages, load_raw_messages


def test_splits_hold_all_messages_once() -> None:
    parts = [load_messages(split) for split in ("train", "dev", "test")]
    assert sum(map(len, parts)) == len(load_messages()) == len({m.message_id for part in parts for m in part})
    assert {m.intent for m in load_messages()} == set(intents()) and all(intents().values())
    with pytest.raises(ValueError, match="split must be one of train, dev, test"):
        load_messages("validation")


def test_flaws_are_of_raw_messages() -> None:
    raw = {m.message_id: m for m in load_raw_messages()}
    assert {flaw.message_id for flaw in load_flaws()} <= set(raw)
    assert all(not flaw.truth or flaw.truth in intents() for flaw in load_flaws())
    assert not any(m.split for m in raw.values())

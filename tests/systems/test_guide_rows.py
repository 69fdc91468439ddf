"""The rows of the decision guide: what a row may hold, and the file that a benchmark writes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from guide_fakes import MADE_UP, share
from hypothesis import given
from hypothesis import strategies as st

from course_lib.evaluation.significance import Interval
from course_lib.systems.guide_rows import APPROACHES, FORMAT, TASKS, Row, Rows, read_rows, write_rows


def test_a_file_holds_what_was_written(tmp_path: Path) -> None:
    write_rows(MADE_UP, tmp_path / "rows.json")
    assert read_rows(tmp_path / "rows.json") == MADE_UP


def test_the_format_by_hand(tmp_path: Path) -> None:
    """What a benchmark has to write, letter for letter; what was not measured is left out or null."""
    right = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 90}
    entry = {"approach": "rag", "domain": "energy", "right": right, "seconds": 2.5, "style": None}
    content = {
        "format": FORMAT,
        "made": {"commit": "abc"},
        "rows": [entry, {"approach": "tuning", "fresh_seconds": "never"}],
    }
    (tmp_path / "rows.json").write_text(json.dumps(content), encoding="utf-8")
    rows = read_rows(tmp_path / "rows.json")
    assert rows.rows == (
        Row("rag", "text", "energy", right=Interval(0.5, 0.4, 0.6, 90), seconds=2.5),
        Row("tuning", fresh_seconds=math.inf),
    )
    assert rows.made == {"commit": "abc"} and not rows.made_up and rows.domains == ("all", "energy")


def test_what_is_written_is_json_for_every_reader(tmp_path: Path) -> None:
    write_rows(Rows((Row("prompt", fresh_seconds=math.inf),), {}), tmp_path / "rows.json")
    text = (tmp_path / "rows.json").read_text(encoding="utf-8")
    assert "Infinity" not in text and json.loads(text)["rows"] == [
        {"approach": "prompt", "task": "text", "domain": "all", "fresh_seconds": "never"}
    ]


@given(
    st.sampled_from(sorted(APPROACHES)), st.sampled_from(sorted(TASKS)), st.floats(0, 1e6), st.integers(0, 10**6),
    st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted), st.sampled_from([math.inf, 0.0, 12.5, None]),
)  # fmt: skip
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    approach: str,
    task: str,
    seconds: float,
    n: int,
    three: list[float],
    fresh: Any,
) -> None:
    low, mean, high = three
    row = Row(approach, task, "x", Interval(mean, low, high, n), seconds=seconds, fresh_seconds=fresh, examples=n)
    path = tmp_path_factory.mktemp("rows") / "rows.json"
    write_rows(Rows((row,), {"seed": 3}), path)
    assert read_rows(path).rows == (row,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"approach": "magic"}, "approach must be one of prompt, classifier"),
        ({"task": "poems"}, "task must be one of text, labels"),
        ({"domain": " "}, "domain must be named"),
        ({"right": Interval(0.5, 0.6, 0.7, 9)}, "right must be 0 <= low <= mean"),
        ({"style": Interval(0.5, 0.4, 1.7, 9)}, "style must be 0 <= low <= mean <= high <= 1"),
        ({"cited": Interval(0.5, -0.4, 0.7, 9)}, "cited must be"),
        ({"right": Interval(math.nan, 0.1, 0.7, 9)}, "right must be"),
        ({"seconds": -1.0}, "seconds must be a number of at least 0"),
        ({"seconds": math.inf}, "seconds must be"),
        ({"memory_mb": math.nan}, "memory_mb must be"),
        ({"fresh_seconds": -2.0}, "fresh_seconds must be"),
        ({"examples": -1}, "examples must be"),
        ({"minutes": math.inf}, "leave it out if it is not measured"),
    ],
)
def test_a_row_that_cannot_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Row(**{"approach": "rag", **change})


def test_the_same_row_twice() -> None:
    with pytest.raises(ValueError, match="got twice: .'rag', 'text', 'all', -1"):
        Rows((Row("rag"), Row("rag", right=share(0.5))), {})
    Rows((Row("tuning", examples=10), Row("tuning", examples=20), Row("tuning")), {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"format": "other/9", "rows": []}, "format must be 'decision-guide-rows/1', got 'other/9'"),
        (
            {"format": FORMAT, "rows": [{"approach": "rag", "score": 3}]},
            "a row needs approach and may have task, domain",
        ),
        ({"format": FORMAT, "rows": [{"task": "text"}]}, "a row needs approach"),
        ({"format": FORMAT, "rows": [{"approach": "rag", "seconds": -3}]}, "seconds must be"),
    ],
)
def test_a_file_that_cannot_be(tmp_path: Path, content: dict[str, Any], words: str) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_rows(tmp_path / "rows.json")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"rows.json is not there: measure first"):
        read_rows(tmp_path / "rows.json")


def test_fewest_parts_come_first() -> None:
    """The table of approaches is in the order in which ties are broken."""
    counts = [len(approach.parts) for approach in APPROACHES.values()]
    assert counts == sorted(counts)
    assert {key for key, one in APPROACHES.items() if one.reads} == {"rag", "hybrid", "long_context"}
    assert {key for key, one in APPROACHES.items() if not one.writes} == {"classifier"}

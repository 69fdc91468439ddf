"""The scoreboard's pages: table in the README, page and picture in docs/, all made from the one file of rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from course_lib.evaluation import scoreboard_tables as tables
from course_lib.evaluation.scoreboard import ANSWERABLE, COMPARISON, GROUNDED, HEADLINE, Row, read_rows
from course_lib.widgets.scoreboard_view import alt_text, drawn, scoreboard_figure

ROWS = Path("benchmarks") / "results" / "scoreboard.json"
PAGE = Path("docs") / "scoreboard.md"
PICTURE = Path("docs") / "figures" / "scoreboard.png"
HASH = PICTURE.with_suffix(".sha256")
BEGIN, END = "<!-- scoreboard -->", "<!-- /scoreboard -->"
BASE, ORACLE = "BM25", "oracle passage"
AGAIN = "run: python course.py scoreboard pages"
MADE = "<!-- Made by `course scoreboard pages` from benchmarks/results/scoreboard.json; do not edit. -->"


def readme_block(rows: Sequence[Row]) -> str:
    """Return what stands between the markers of the README: the table, and how to read it."""
    shown = [row for row in rows if not row.control]
    if not shown:
        return "No system has been measured yet."
    return (
        "## The scoreboard\n\n"
        f"{tables.markdown(tables.summary(shown))}\n\n"
        "A right answer contains the gold answer; comparisons, which name their candidates, are left out. Brackets: 95 % "
        "bootstrap interval. All figures, by kind of question: [the scoreboard](docs/scoreboard.md)."
        + reading_bound(rows)
    )


def with_block(readme: str, rows: Sequence[Row]) -> str:
    """Return the text of the README with its block made anew. Raises ValueError unless both markers stand in it once."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise ValueError(f"README.md must hold {BEGIN} and then {END}, once each")
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n{readme_block(rows)}\n{END}{rest.partition(END)[2]}"


def page(rows: Sequence[Row]) -> str:
    """Return docs/scoreboard.md: every figure of every row."""
    parts = [MADE + "\n# The scoreboard"]
    if not rows:
        return parts[0] + "\n\nNo system has been measured yet.\n"
    total = [(HEADLINE, HEADLINE), (ANSWERABLE, "all answerable")]
    ranked = [row for row in rows if row.quality.get("recall@5")]
    parts += [
        "Every system answers the same test questions with the same language model (SmolLM2, 135 M parameters). Brackets hold the "
        "95 % bootstrap interval; it has no width where all values are equal, and is then no proof. Two intervals that overlap "
        "do not show that two systems are alike: all answered the same questions, and the difference is measured in pairs below. Replies are decoded many at a time; in bfloat16 a close choice between two words can fall otherwise in another batch, and move a few answers.",
        tables.markdown(tables.summary([row for row in rows if not row.control])),
        reading_bound(rows).strip(),
        f"![{alt_text(rows)}](figures/{PICTURE.name})" if drawn(rows) else "",
        *_against(rows),
        "## Answers",
        "Share of replies that contain the gold answer or an alias, at word borders.",
        tables.markdown(tables.by_kind(rows, "contained", totals=total)),
        comparisons_inflated(rows),
        "Exact match: the whole reply is the gold answer. A language model that answers in sentences scores low here, however "
        "right it is.",
        tables.markdown(tables.by_kind(rows, "exact match", totals=total)),
        "Token F1: words shared with the gold answer, against words that are not.",
        tables.markdown(tables.by_kind(rows, "token F1", totals=total)),
    ]
    if ranked:
        parts += [
            "## Rankings",
            "Success at 1: a gold passage comes first. Where one passage is shown, it is the one that the language model reads.",
            tables.markdown(tables.by_kind(ranked, "success@1", totals=total)),
            "Share of the gold passages among the first five, for systems that rank.",
            tables.markdown(tables.by_kind(ranked, "recall@5", totals=total)),
            "nDCG@10 of the same rankings.",
            tables.markdown(tables.by_kind(ranked, "nDCG@10", totals=total)),
        ]
    parts += [
        "## Not answering",
        "Precision: of the replies that abstain, the share on questions that the collection cannot answer. Recall: of those "
        "questions, the share met by an abstention." + _grounded_words(rows),
        tables.markdown(tables.abstention(rows)),
        "## Price",
        _price_words(rows),
        tables.markdown(tables.price(rows)),
        "## How each is built",
        "\n".join(f"- **{row.name}** (lesson {row.lesson}): {row.how}" for row in rows),
        where_measured(rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def reading_bound(rows: Sequence[Row]) -> str:
    """Return what the oracle row says where the model loses more by reading than the best search does by searching."""
    oracle = next((row.get("contained", HEADLINE) for row in rows if row.name == ORACLE), None)
    best = [found.mean for row in rows if row.name != ORACLE and (found := row.get("contained", HEADLINE))]
    if oracle is None or not best or 1 - oracle.mean <= oracle.mean - max(best):
        return ""
    return (
        f"\n\nWith the right passage in hand (oracle passage) the language model still answers {tables.figure(oracle)} of the "
        "questions rightly: more is lost in reading than in search."
    )


def _against(rows: Sequence[Row]) -> list[str]:
    base = next((row for row in rows if row.name == BASE), None)
    others = [row for row in rows if row.name != BASE and not row.control]
    if base is None or not others:
        return []
    return [
        f"## Against {BASE}",
        "Right answers of each system minus those of plain search by words, paired question by question. Several are compared "
        "at once, so an interval that only just misses zero proves little.",
        tables.markdown(tables.against(others, base)),
    ]


def comparisons_inflated(rows: Sequence[Row]) -> str:
    """Return why comparisons are left out of the headline, with the figure of a control if one was measured."""
    words = (
        "A comparison names its candidates, so a reply can hold the gold answer without deciding anything: the column is shown, "
        "but the headline leaves it out."
    )
    found = next((interval for row in rows if row.control and (interval := row.get("contained", COMPARISON))), None)
    if found is not None:
        words += f" Repeating the question would be marked right for {found.mean:.2f} of the {found.n} comparisons."
    return words


def _grounded_words(rows: Sequence[Row]) -> str:
    if not any(row.quality.get(GROUNDED) for row in rows):
        return ""
    return (
        " Grounded: of the replies that claim something, the share that the passages shown support, as judged by the "
        "course's own measure, which errs (lesson 08)."
    )


def _price_words(rows: Sequence[Row]) -> str:
    timed = sorted({row.n_timed for row in rows if row.n_timed})
    n = " or ".join(map(str, timed)) or "no"
    return (
        f"Seconds: the median of {n} questions, asked one by one, replies decoded anew. Memory: the peak of a process that holds this "
        "system alone (10^9 bytes), language model and libraries included. Index: what the search keeps in memory beside "
        "the passages themselves. Training: what was trained for the course, not the published models."
    )


def where_measured(rows: Sequence[Row]) -> str:
    """Return when, on what and with what the rows were measured, rows of the same circumstances together."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        record = {name: value for name, value in row.measured.items() if name != "minutes"}
        groups.setdefault(_circumstances(record), []).append(row.name)
    lines = [words if len(groups) == 1 else f"{', '.join(names)}: {words}" for words, names in groups.items()]
    minutes = sum(float(row.measured.get("minutes", 0)) for row in rows)
    again = f"In all {minutes:.0f} minutes, less where replies were in the cache. Again with: `python course.py scoreboard run --fresh`."
    return "\n\n".join([*lines, again])


def _circumstances(record: dict[str, Any]) -> str:
    if "machine" not in record:
        return f"Measured {record.get('date', 'at an unknown date')}."
    machine = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return (
        f"Measured {record['date']} at commit {record['commit']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}, {record['threads']} threads, {record['number_format']}, seed "
        f"{record['seed']}; Python {record['python']}, {versions}."
    )


def picture_hash(rows: Sequence[Row]) -> str:
    """Return a hash of all that the picture shows: pixels differ between machines, the data do not."""
    data = [(row.name, row.whose, row.quick, row.seconds, str(row.get("contained", HEADLINE))) for row in drawn(rows)]
    return hashlib.sha256(json.dumps([data, alt_text(rows)]).encode()).hexdigest()


def write_pages(root: Path) -> list[str]:
    """Write README block, page and picture anew from the stored rows; return the files written."""
    rows = read_rows(root / ROWS)
    readme = root / "README.md"
    readme.write_text(with_block(readme.read_text(encoding="utf-8"), rows), encoding="utf-8", newline="\n")
    (root / PICTURE).parent.mkdir(parents=True, exist_ok=True)
    (root / PAGE).write_text(page(rows), encoding="utf-8", newline="\n")
    done = ["README.md", PAGE.as_posix()]
    if drawn(rows):
        figure = scoreboard_figure(rows)
        figure.savefig(root / PICTURE, dpi=110, metadata={"Software": None})
        plt.close(figure)
        (root / HASH).write_text(picture_hash(rows) + "\n", encoding="utf-8", newline="\n")
        done += [PICTURE.as_posix(), HASH.as_posix()]
    return done


def stale_pages(root: Path) -> list[str]:
    """Return a line for each of README, page and picture that differs from what the stored rows make."""
    rows = read_rows(root / ROWS)
    readme = (root / "README.md").read_text(encoding="utf-8")
    problems = []
    try:
        if with_block(readme, rows) != readme:
            problems.append(f"README.md: its table differs from {ROWS.as_posix()}; {AGAIN}")
    except ValueError as error:
        problems.append(str(error))
    if _text(root / PAGE) != page(rows):
        problems.append(f"{PAGE.as_posix()} is stale; {AGAIN}")
    if drawn(rows) and (_text(root / HASH).strip() != picture_hash(rows) or not (root / PICTURE).is_file()):
        problems.append(f"{PICTURE.as_posix()} is stale; {AGAIN}")
    return problems


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""

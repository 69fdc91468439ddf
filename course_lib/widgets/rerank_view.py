"""The rerank view: switch the stages after a search on and off, and see which passages move."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import FloatArray
from course_lib.retrieval.diversity import diversified
from course_lib.retrieval.reranking import standardised
from course_lib.widgets.show import show_widget

if TYPE_CHECKING:
    import ipywidgets

FUSION, FILTER, MMR = "fusion with words", "version filter", "MMR"
SHOWN, SNIPPET, MMR_DEPTH = 8, 110, 20
_CELL = 'style="text-align:left;vertical-align:top;padding:.2em .8em .2em 0"'


@dataclass(frozen=True)
class RerankCase:
    """One question with all that its stages need, computed before.

    gold: chunk ids that answer it. dense, fused: the first stage without and with words. passing: the chunk ids that
    the filter lets through for this question; superseded: those of old versions, which are marked. scores: stage ->
    chunk_id -> score, for the hits that the stage has read.
    """

    question: str
    gold: frozenset[str]
    dense: Ranking
    fused: Ranking
    passing: frozenset[str]
    superseded: frozenset[str]
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Place:
    """A line of the list: rank from 1, the rank it had in the first stage (None: below its last), and whether it is gold."""

    chunk_id: str
    rank: int
    rank_before: int | None
    gold: bool

    @property
    def arrow(self) -> str:
        """ "▲ 3" for three places up, "▼ 2" for two down, "=" where it stood, "new" if it was not there."""
        if self.rank_before is None:
            return "new"
        up = self.rank_before - self.rank
        return "=" if up == 0 else f"{'▲' if up > 0 else '▼'} {abs(up)}"


class RerankView:
    """Questions with their stages. chunks, vectors: by chunk_id; seconds: stage -> median seconds a question."""

    def __init__(
        self,
        cases: Sequence[RerankCase],
        chunks: Mapping[str, Chunk],
        vectors: Mapping[str, FloatArray],
        seconds: Mapping[str, float],
    ) -> None:
        if not cases or len({case.question for case in cases}) != len(cases):
            raise ValueError(f"cases must be at least one, with different questions, got {len(cases)}")
        stages = {tuple(case.scores) for case in cases}
        if len(stages) > 1:
            raise ValueError(f"all cases must have the same stages in the same order, got {sorted(stages)}")
        self.cases, self.chunks, self.vectors, self.seconds = list(cases), chunks, vectors, seconds
        self.readers = list(cases[0].scores)

    @property
    def stages(self) -> list[str]:
        """What can be switched on and off, in the order in which it is applied."""
        return [FUSION, FILTER, *self.readers]

    def ranking(self, case: RerankCase, stages: Collection[str], relevance_weight: float = 1.0) -> Ranking:
        """Return the hits of a question after the stages: those that every reader has read first, by the sum of its
        standardised scores; the others follow in their order. relevance_weight below 1 adds MMR.

        Raises ValueError for a stage that does not exist.
        """
        unknown = sorted(set(stages) - set(self.stages))
        if unknown:
            raise ValueError(f"stages must be among {', '.join(self.stages)}, got {', '.join(unknown)}")
        hits = list(case.fused if FUSION in stages else case.dense)
        if FILTER in stages:
            hits = [hit for hit in hits if hit.chunk_id in case.passing]
        readers = [case.scores[name] for name in self.readers if name in stages]
        read = [hit for hit in hits if all(hit.chunk_id in scores for scores in readers)]
        if readers and read:
            total = sum(
                (standardised(np.array([scores[hit.chunk_id] for hit in read])) for scores in readers),
                start=np.zeros(len(read), dtype=np.float32),
            )
            head = ranked(Hit(hit.chunk_id, float(score)) for hit, score in zip(read, total, strict=True))
            rest = [hit for hit in hits if hit not in read]
            hits = head + [Hit(hit.chunk_id, head[-1].score - place) for place, hit in enumerate(rest, start=1)]
        if relevance_weight < 1:
            hits = diversified(hits, self.vectors, relevance_weight=relevance_weight, depth=MMR_DEPTH)
        return hits

    def places(self, case: RerankCase, stages: Collection[str], relevance_weight: float = 1.0) -> list[Place]:
        """Return the first lines of the list, each with the place it had in the first stage."""
        first = case.fused if FUSION in stages else case.dense
        before = {hit.chunk_id: rank for rank, hit in enumerate(first, start=1)}
        after = self.ranking(case, stages, relevance_weight)[:SHOWN]
        return [
            Place(hit.chunk_id, rank, before.get(hit.chunk_id), hit.chunk_id in case.gold)
            for rank, hit in enumerate(after, start=1)
        ]

    def summary(self, case: RerankCase, stages: Collection[str], relevance_weight: float = 1.0) -> str:
        """Return in words where the gold passages stand, and the seconds that the stages take."""
        hits = self.ranking(case, stages, relevance_weight)
        ranks = [str(rank) for rank, hit in enumerate(hits, start=1) if hit.chunk_id in case.gold]
        lost = len(case.gold) - len(ranks)
        where = f"gold at {' and '.join(ranks)} of {len(hits)}" if ranks else "gold nowhere"
        if ranks and lost:
            where += f", {lost} not found"
        names = ["dense search", *(name for name in self.stages if name in stages)]
        names += [MMR] if relevance_weight < 1 else []
        spent = sum(self.seconds.get(name, 0.0) for name in names)
        return f"{' + '.join(names)}: {where}; {spent:.2f} seconds a question."

    def table(self, case: RerankCase, stages: Collection[str], relevance_weight: float = 1.0) -> str:
        """Return the list as an HTML table: place, move, passage with its mark if it is gold."""
        rows = []
        for place in self.places(case, stages, relevance_weight):
            chunk = self.chunks[place.chunk_id]
            text = chunk.text if len(chunk.text) <= SNIPPET else chunk.text[:SNIPPET].rsplit(" ", 1)[0] + " ..."
            old = " (superseded)" if place.chunk_id in case.superseded else ""
            mark = "★ gold: " if place.gold else ""
            rows.append(
                f'<tr><td {_CELL}>{place.rank}</td><td {_CELL}><span style="white-space:nowrap">{place.arrow}</span></td>'
                f"<td {_CELL}><strong>{mark}{html.escape(chunk.title)}</strong>, {chunk.date:%d %b %Y}{old}<br/>"
                f"{html.escape(text)}</td></tr>"
            )
        head = "".join(f'<th scope="col" {_CELL}>{name}</th>' for name in ("", "moved", "passage"))
        return (
            f'<div style="overflow-x:auto"><table style="margin:0;line-height:1.4"><tr>{head}</tr>'
            f"{''.join(rows)}</table></div>"
        )

    def alt(self, case: RerankCase, stages: Collection[str], relevance_weight: float = 1.0) -> str:
        """Return in words what the list shows."""
        lines = "; ".join(
            f"{place.rank}. {self.chunks[place.chunk_id].title} ({place.arrow}{', gold' if place.gold else ''})"
            for place in self.places(case, stages, relevance_weight)
        )
        return f"{case.question} {self.summary(case, stages, relevance_weight)} {lines}"

    def markup(self, case: RerankCase, stages: Collection[str], relevance_weight: float = 1.0) -> str:
        """Return summary and table in HTML."""
        words = html.escape(self.summary(case, stages, relevance_weight))
        return f'<p style="line-height:1.4">{words}</p>{self.table(case, stages, relevance_weight)}'


def rerank_widget(view: RerankView, *, stages: Collection[str] = ()) -> ipywidgets.VBox:
    """Return the demo: the question, a box for each stage, the weight of MMR, and the list. Usable by keyboard alone."""
    import ipywidgets

    wide = {"width": "95%"}
    question = ipywidgets.Dropdown(
        options=[(case.question, i) for i, case in enumerate(view.cases)], description="Question", layout=wide
    )
    boxes = [
        ipywidgets.Checkbox(value=name in stages, description=name, indent=False, layout={"width": "auto"})
        for name in view.stages
    ]
    slider = ipywidgets.FloatSlider(
        value=1.0,
        min=0.0,
        max=1.0,
        step=0.1,
        description="MMR weight",
        readout_format=".1f",
        layout={"max_width": "95%"},
    )
    shown = ipywidgets.HTML(layout=wide)

    def draw(_: object = None) -> None:
        on = [box.description for box in boxes if box.value]
        shown.value = view.markup(view.cases[question.value], on, slider.value)

    for control in (question, *boxes, slider):
        control.observe(draw, names="value")
    draw()
    row = ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap", "width": "95%"})
    return ipywidgets.VBox([question, row, slider, shown])


def rerank_demo(view: RerankView, *, stages: Collection[str] = ()) -> None:
    """Display the demo; readers without a kernel see the list of the first question after the stages named."""
    case = view.cases[0]
    static = f"<p><strong>{html.escape(case.question)}</strong></p>{view.markup(case, stages)}"
    show_widget(rerank_widget(view, stages=stages), static, view.alt(case, stages))

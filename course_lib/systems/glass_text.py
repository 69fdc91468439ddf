"""The trace of the glass pipeline as text for a terminal, and as plain data for programs."""

from __future__ import annotations

import math
import textwrap
from typing import Any

from course_lib.core.types import Hit
from course_lib.systems.glass_trace import NEEDS, STEPS, GlassTrace
from course_lib.systems.rag import answer_as_json

SHOWN, WIDTH = 5, 100


def answer_text(trace: GlassTrace) -> str:
    """Return the reply, each of its sentences with the words that support it, and the seconds of every step."""
    shown = trace.prompt.shown if trace.prompt else ()
    lines = [trace.reply or "(the model said nothing)"]
    for support in trace.supports:
        if support.number is None:
            lines += ["", f'[?] no passage supports: "{support.sentence}"']
            continue
        chunk = shown[support.number - 1]
        lines += ["", f"[{support.number}] {chunk.title}", f"    {chunk.date:%Y-%m-%d} · {chunk.doc_id}"]
        lines += textwrap.wrap(f'"{support.quote}"', WIDTH, initial_indent="    ", subsequent_indent="    ")
    if not any(support.number for support in trace.supports):
        lines += ["", "(no passage supports an answer)"]
    if trace.prompt and trace.prompt.left_out:
        lines += ["", f"({len(trace.prompt.left_out)} of the passages did not fit into {trace.prompt.budget:,} tokens)"]
    return "\n".join([*lines, "", seconds_text(trace)])


def seconds_text(trace: GlassTrace) -> str:
    """Return one line: the seconds in all, and of each step."""
    steps = ", ".join(f"{STEPS[step].partition(' (')[0].lower()} {value:.2f}" for step, value in trace.seconds.items())
    return f"{sum(trace.seconds.values()):.2f} s: {steps}"


def trace_text(trace: GlassTrace) -> str:
    """Return every step as text: what it made, how long it took, or that it was off."""
    lines: list[str] = []
    for number, step in enumerate(STEPS, start=1):
        if not set(NEEDS[step]) <= trace.settings.on:
            lines.append(f"{number}. {STEPS[step]}: off")
        elif step in trace.seconds:
            lines.append(f"{number}. {STEPS[step]}: {trace.seconds[step]:.3f} s")
        else:
            continue
        lines += [f"   {line}" for line in _body(trace, step)] if step in trace.seconds else []
    return "\n".join(lines)


def _body(trace: GlassTrace, step: str) -> list[str]:
    lines = textwrap.wrap(trace.notes.get(step, ""), WIDTH)
    if step == "filters":
        lines.append(f"{trace.settings.filter()}: {trace.n_passing:,} of {trace.n_chunks:,} passages pass")
    elif step == "vector" and trace.vector is not None:
        first = " ".join(f"{value:+.3f}" for value in trace.vector[:8])
        lines.append(f"{len(trace.vector)} numbers: {first} ...")
    elif step in trace.rankings:
        lines += [_line(trace, step, rank, hit) for rank, hit in enumerate(trace.rankings[step][:SHOWN], start=1)]
    elif step == "prompt" and trace.prompt is not None:
        parts = ", ".join(f"{name} {n}" for name, n in trace.prompt_tokens.items())
        lines.append(f"{trace.prompt.n_tokens:,} of {trace.prompt.budget:,} tokens ({parts})")
        lines += [f"shortened: {note}" for note in trace.prompt.shortened]
        for message in trace.prompt.messages:
            lines += [f"<{message['role']}>", *message["content"].splitlines()]
    elif step in ("answer", "closed_book"):
        lines += (trace.reply if step == "answer" else trace.closed_book).splitlines()
    elif step == "support":
        lines += [f'{s.number or "none"}: "{s.sentence}" <- "{s.quote}" ({s.score:.2f})' for s in trace.supports]
    return lines


def _line(trace: GlassTrace, step: str, rank: int, hit: Hit) -> str:
    chunk = trace.chunks[hit.chunk_id]
    move = f" {trace.move(step, hit.chunk_id)}" if step in ("versions", "rerank") else ""
    found = trace.matches.get(hit.chunk_id, ()) if step == "rerank" else ()
    why = "; ".join(f"{match.query} -> {match.passage} {match.similarity:.2f}" for match in found)
    return f"{rank}. {hit.score:8.3f}{move}  {chunk.title} ({chunk.date:%Y-%m-%d}, {hit.chunk_id})" + (
        f"  [{why}]" if why else ""
    )


def trace_as_json(trace: GlassTrace, *, steps: bool = False) -> dict[str, Any]:
    """Return a trace as plain data: what `answer_as_json` says, and the support of each sentence.

    steps: the lists of all steps, the prompt, and what each step noted, too.
    """
    report = answer_as_json(trace.answer())
    report["support"] = [
        {
            "sentence": support.sentence,
            "number": support.number,
            "quote": support.quote,
            "score": round(support.score, 4) if math.isfinite(support.score) else None,
        }
        for support in trace.supports
    ]
    if not steps:
        return report
    prompt = trace.prompt
    report["trace"] = {
        "on": sorted(trace.settings.on),
        "filter": str(trace.settings.filter()),
        "passing": trace.n_passing,
        "vector": [round(float(value), 5) for value in (trace.vector if trace.vector is not None else [])],
        "lists": {
            step: [{"chunk_id": hit.chunk_id, "score": round(hit.score, 4)} for hit in ranking[:SHOWN]]
            for step, ranking in trace.rankings.items()
        },
        "prompt": prompt.messages if prompt else [],
        "prompt_tokens": prompt.n_tokens if prompt else 0,
        "left_out": [chunk.chunk_id for chunk in prompt.left_out] if prompt else [],
        "closed_book": trace.closed_book,
        "notes": dict(trace.notes),
    }
    return report

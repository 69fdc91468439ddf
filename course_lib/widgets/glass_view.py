"""The trace of the glass pipeline as HTML: pure functions from a trace to markup; untrusted text is escaped."""

from __future__ import annotations

from course_lib.generation.citing import Support
from course_lib.systems.glass_trace import NEEDS, STEPS, GlassTrace
from course_lib.widgets.glass_cards import BODIES, LINE, bar, messages, text
from course_lib.widgets.show import PALETTE

CARDS = tuple(
    step for step in STEPS if step not in ("answer", "closed_book")
)  # those that are numbered below the answers
PANELS = (
    "answers",
    "seconds",
    "filters",
    "vector",
    "search",
    "fusion",
    "versions",
    "rerank",
    "prompt",
    "read",
    "support",
)
_WRAP = "line-height:1.45;overflow-wrap:anywhere;white-space:normal"
_BLUE, _ORANGE, _GREEN, _RED = PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[5]


def in_seconds(value: float) -> str:
    """Return seconds with two decimals; what is shorter is "< 0.01 s"."""
    return f"{value:.2f} s" if value >= 0.005 else "&lt; 0.01 s"


def sections(trace: GlassTrace) -> dict[str, str]:
    """Return the parts of the view by name, those of PANELS; a step that has not run yet leaves its part empty."""
    parts = {"answers": answers(trace), "seconds": seconds_bar(trace)}
    cards = {step: step_card(trace, step, number) for number, step in enumerate(CARDS, start=1)}
    both = "".join(f'<div style="flex:1 1 17em;min-width:0">{cards.pop(step)}</div>' for step in ("words", "meaning"))
    cards["search"] = f'<div style="display:flex;flex-wrap:wrap;gap:0 1.5em">{both}</div>'
    cards["read"] = messages(trace)  # by itself: it stays unfolded while other parts change
    return parts | {name: cards[name] for name in PANELS if name in cards}


def trace_view(trace: GlassTrace) -> str:
    """Return the whole trace as HTML."""
    return f"<p><strong>{text(trace.question)}</strong></p>{''.join(sections(trace).values())}"


def trace_alt(trace: GlassTrace) -> str:
    """Return in words what the view shows."""
    answer = trace.answer()
    cited = "; ".join(f"[{c.number}] {c.title}" for c in answer.citations) or "no passage"
    lists = " ".join(
        f"{STEPS[step]}: {'; '.join(trace.chunks[hit.chunk_id].title for hit in ranking[:3])}."
        for step, ranking in trace.rankings.items()
    )
    spent = ", ".join(f"{STEPS[step].lower()} {value:.2f}" for step, value in trace.seconds.items())
    alone = f" Closed book: {trace.closed_book}" if trace.closed_book else ""
    return f"{trace.question} Answer: {trace.reply or 'none asked for.'} Supported by {cited}.{alone} {lists} Seconds: {spent}."


def what_changed(before: GlassTrace | None, after: GlassTrace) -> str:
    """Return in a sentence or two what a change of settings or documents did to prompt and reply; "" for another question."""
    if before is None or before.question != after.question or not before.prompt or not after.prompt:
        return ""
    old, new = ([chunk.title for chunk in prompt.shown] for prompt in (before.prompt, after.prompt))
    if before.prompt.messages == after.prompt.messages:
        return "The prompt is what it was."
    came, went = [title for title in new if title not in old], [title for title in old if title not in new]
    said = f"Now in the prompt: {', '.join(came)}. " if came else ""
    said += f"No longer: {', '.join(went)}. " if went else ""
    said = said or "The same titles are in the prompt, in other passages, places or lengths. "
    if not before.reply or not after.reply:
        return said.strip()
    return said + ("The answer is the same." if before.reply == after.reply else "The answer has changed.")


# ---------------------------------------------------------------- answers and seconds


def answers(trace: GlassTrace) -> str:
    """Return the reply with the support of each sentence, and the closed-book reply beside it (below, if narrow)."""
    cards = []
    if "answer" in trace.settings.on:
        cards.append(_card("With passages", _supported(trace), _BLUE))
    if "closed_book" in trace.settings.on:
        said = f"<p>{text(trace.closed_book)}</p>" if trace.closed_book else "<p>...</p>"
        cards.append(
            _card("Closed book", f"{said}<p><em>No passage was shown: nothing to check it by.</em></p>", _ORANGE)
        )
    return f'<div style="display:flex;flex-wrap:wrap;gap:.8em;{_WRAP}">{"".join(cards)}</div>' if cards else ""


def _card(title: str, body: str, colour: str) -> str:
    return (
        f'<div style="flex:1 1 15em;min-width:0;border:1px solid {LINE};border-top:4px solid {colour};padding:0 .8em .3em">'
        f"{_heading(title, 'margin:.5em 0 .3em')}{body}</div>"
    )


def _heading(markup: str, style: str) -> str:
    """A heading to screen readers, but none to the notebook's table of contents."""
    return f'<p role="heading" aria-level="4" style="font-weight:bold;{style}">{markup}</p>'


def _supported(trace: GlassTrace) -> str:
    if not trace.supports:
        waiting = trace.reply or ("..." if "answer" not in trace.seconds else "")
        empty = "<p><em>The model said nothing.</em></p>" if not waiting else f"<p>{text(waiting)}</p>"
        note = "<p><em>– The model abstains: nothing is claimed, nothing cited.</em></p>" if trace.abstained else ""
        return empty + note
    return "".join(support_line(trace, support) for support in trace.supports)


def support_line(trace: GlassTrace, support: Support) -> str:
    """Return a sentence of the reply with its sign: ✓ and the words that support it, or ✗ where there are none."""
    said = text(support.sentence)
    if support.number is None or trace.prompt is None:
        mark = f'<strong style="color:{_RED}">✗ no passage supports it</strong> <small>(support {support.score:.2f})</small>'
        return f'<p><span style="border-bottom:2px dashed {_RED}">{said}</span> {mark}</p>'
    chunk = trace.prompt.shown[support.number - 1]
    return (
        f'<p style="margin-bottom:.2em"><span style="border-bottom:2px solid {_GREEN}">{said}</span> '
        f'<strong style="color:{_GREEN}">✓ [{support.number}]</strong> <small>(support {support.score:.2f})</small></p>'
        f'<blockquote style="margin:.1em 0 .6em;border-left:3px solid {_GREEN};padding-left:.6em">'
        f"“{text(support.quote)}”<br/><small>[{support.number}] {text(chunk.title)}, {chunk.date:%d %b %Y}</small></blockquote>"
    )


def seconds_bar(trace: GlassTrace) -> str:
    """Return a bar with a stretch for each step, as long as it took, and the figures in words."""
    total = sum(trace.seconds.values())
    parts = [
        (STEPS[step], value, in_seconds(value) + (" (kept)" if step in trace.kept else ""))
        for step, value in trace.seconds.items()
    ]
    return f'<div style="{_WRAP};margin-top:.6em"><strong>{in_seconds(total)}</strong> in all{bar(parts, total)}</div>'


# ---------------------------------------------------------------- one card for each step


def step_card(trace: GlassTrace, step: str, number: int) -> str:
    """Return a step with its number, sign (● on, ○ off), seconds, and what it made; "" if it has not run yet."""
    off = not set(NEEDS[step]) <= trace.settings.on
    if step not in trace.seconds and not off:
        return ""
    in_turns = step == "fusion" and off and step in trace.rankings
    body = BODIES[step](trace) if in_turns or not off else ""
    sign = "○ off" if off else f"● {in_seconds(trace.seconds[step])}"
    note = (
        f'<p style="margin:.2em 0">{text(trace.notes[step])}</p>'
        if step in trace.notes and (in_turns or not off)
        else ""
    )
    style = f"border-left:4px {'dashed' if off else 'solid'} {LINE if off else _BLUE};padding:.1em 0 .1em .7em;margin:.7em 0"
    heading = _heading(f'{number} {STEPS[step]} <small style="font-weight:normal">{sign}</small>', "margin:0")
    return f'<section style="{style};{_WRAP}">{heading}{note}{body}</section>'

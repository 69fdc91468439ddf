"""The gallery of failures: read the trace of an answer that went wrong, and say what went wrong first."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_lib.core.types import Chunk
from course_lib.systems.failure_file import Case
from course_lib.systems.failures import KINDS, LISTS, RULES, Trace
from course_lib.widgets.show import show_widget

if TYPE_CHECKING:
    import ipywidgets

CHOOSE = "choose a diagnosis"
HINTS: dict[str, str] = {
    "unanswerable answered": "Begin with the question itself. Is there a gold answer?",
    "stale index": "Where is the gold passage in the three lists? Compare its date with the settings of the system.",
    "bad chunk border": "Read the first and the last words of the gold passage. Is what answers all there?",
    "wrong version": "Compare titles and dates of the gold passage and of the passages in the prompt.",
    "near-duplicate crowding": "Read the passages of the prompt one after another. What does each add?",
    "lexical gap": "The gold passage has a rank in each list. Which two differ most?",
    "made-up passage": "Read the answer as if it were the prompt. What does it look like?",
    "distractor": "Take a number or a name of the answer that is wrong. In which passage does it stand?",
    "number misread": "The right passage was read. Where in it does the number of the answer stand?",
    "invented": "Look for the number of the answer in every passage of the prompt.",
    "lost in the middle": "The gold passage is in the prompt, and nothing of it is in the answer. At which place is it?",
    "wrong citation": "Compare the answer with the gold answer before you look for what is wrong.",
}
WOULD_SHOW: dict[str, str] = {
    "unanswerable answered": "there would be no gold answer",
    "stale index": "the gold passage would be in no list, and younger than the index",
    "bad chunk border": "the gold words would begin in one passage and end in another",
    "wrong version": "the gold passage would be missing from the prompt, with another version of its document there",
    "near-duplicate crowding": "passages of the prompt would repeat one another, with a gold passage left outside",
    "lexical gap": "MiniLM would have the gold passage near the top and BM25 nowhere near, with it left outside the prompt",
    "made-up passage": "the answer would cite a number that no passage of the prompt has",
    "distractor": "a wrong word or number of the answer would stand in a passage that is not gold",
    "number misread": "a wrong number of the answer would stand in the gold passage",
    "invented": "with the gold passage alone in the prompt, a number of the answer would stand nowhere in it",
    "lost in the middle": "the gold passage would stand between two others, and nothing of the answer would come from them",
    "wrong citation": "the answer would be right, with its citation at another passage",
}
_BLOCK = 'style="margin:.3em 0;line-height:1.4;overflow-wrap:anywhere;white-space:normal"'


@dataclass(frozen=True)
class Verdict:
    """Whether a diagnosis is right, and in words why."""

    right: bool
    words: str


class FailureGallery:
    """Cases to diagnose, numbered from 0. A case is right if its kind was chosen."""

    def __init__(self, cases: Sequence[Case]) -> None:
        """Keep the cases. Raises ValueError if there is none, or a kind that does not exist."""
        if not cases:
            raise ValueError("cases must hold at least one failure, got none")
        unknown = sorted({case.kind for case in cases} - set(KINDS))
        if unknown:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {', '.join(unknown)}")
        self.cases = list(cases)

    def judge(self, number: int, kind: str) -> Verdict:
        """Return the verdict on a diagnosis of a case, with the evidence of its trace.

        Raises ValueError for a kind that does not exist.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
        case = self.cases[number]
        if kind == case.kind:
            return Verdict(True, f"{case.evidence} Repair: {case.repair} {after_words(case)}")
        evidence = RULES[kind](case.trace)
        if evidence:
            return Verdict(
                False, f"True as well: {evidence} But something went wrong on the way before that. Look earlier."
            )
        return Verdict(False, f"If it were so, {WOULD_SHOW[kind]}. The trace does not show that.")

    def hint(self, number: int) -> str:
        """Return where to look in the trace of a case."""
        return HINTS[self.cases[number].kind]

    def alt(self, number: int) -> str:
        """Return the trace of a case in words."""
        trace = self.cases[number].trace
        gold = " or ".join(trace.question.answers[:2]) or "none"
        shown = "; ".join(
            f"[{i}] {trace.chunks[name].title}{' (gold)' if name in trace.gold else ''}"
            for i, name in enumerate(trace.shown, 1)
        )
        return f"A trace. Question: {trace.question.text} Gold answer: {gold}. Prompt: {shown}. Answer: {trace.answer}"


def after_words(case: Case) -> str:
    """Return in words what the repair brought: the answer then, and the place of the gold passage."""
    before, after = case.trace, case.after
    words = f"Then the answer is {after.answer!r}."
    if case.kind == "wrong citation":
        words = f"Then it cites [{after.number(after.cited[0])}]."
    elif before.left_out and not after.left_out:
        place = min(after.number(name) for name in after.gold if name in after.shown)
        words = f"Then the gold passage is number {place} in the prompt, and the answer is {after.answer!r}."
    return words + ("" if after.right else " It still is not right: one repair, one cause.")


def _stands(trace: Trace, name: str) -> str:
    """Where a gold chunk stands in each list."""
    places = ((found, trace.ranks.get(found, {}).get(name)) for found in LISTS)
    return ", ".join(f"{found} {rank if rank else '–'}" for found, rank in places)


def _passage(chunk: Chunk, trace: Trace, lead: str) -> str:
    mark = "★ " if chunk.chunk_id in trace.gold else ""
    text = html.escape(chunk.text)
    for span in trace.question.gold:
        quote = html.escape(span.quote)
        if span.doc_id == chunk.doc_id and quote in text:
            text = text.replace(quote, f"<mark>{quote}</mark>")
    title = f"<strong>{html.escape(lead)} {mark}{html.escape(chunk.title)}</strong>, {chunk.date:%d %b %Y}"
    return f"<div {_BLOCK}>{title}<br/>{text}</div>"


def trace_html(trace: Trace) -> str:
    """Return a trace as HTML: question, lists, ranks of the gold passage, prompt, answer, citation. ★ marks gold."""
    question = trace.question
    gold = " / ".join(question.answers[:3]) or "none: the collection does not say"
    lists = "".join(
        f'<div style="flex:1 1 170px;min-width:0"><strong>{name}</strong><ol style="margin:0;padding-left:1.6em">'
        f"{''.join(f'<li>{_hit(trace, name, place)}</li>' for place in range(len(trace.lists.get(name, ()))))}</ol></div>"
        for name in LISTS
    )
    ranks = "".join(
        f"<div {_BLOCK}>★ {html.escape(trace.chunks[name].title)}, {trace.chunks[name].date:%d %b %Y}: "
        f"{html.escape(_stands(trace, name))}</div>"
        for name in trace.gold
    )
    prompt = "".join(_passage(trace.chunks[name], trace, f"[{i}]") for i, name in enumerate(trace.shown, start=1))
    outside = "".join(_passage(trace.chunks[name], trace, "outside:") for name in trace.gold if name not in trace.shown)
    cited = ", ".join(f"[{trace.number(name)}]" for name in trace.cited) or "nothing"
    parts = (
        ("Question", f"<strong>{html.escape(question.text)}</strong>"),
        ("System", html.escape(trace.system)),
        ("Answer", html.escape(trace.answer)),
        ("Cites", cited),
        ("Gold answer", html.escape(gold)),
    )
    lines = "".join(f"<div {_BLOCK}>{name}: {words}</div>" for name, words in parts)
    return (
        f'{lines}<div style="display:flex;flex-wrap:wrap;gap:.4em 1.2em;line-height:1.4;white-space:normal">{lists}</div>'
        f"<div {_BLOCK}><em>Ranks of the gold passage</em> (– : not among the first 100)</div>{ranks or 'no gold passage'}"
        f"<div {_BLOCK}><em>Passages of the prompt</em></div>{prompt or 'none'}"
        + (f"<div {_BLOCK}><em>Gold, but not in the prompt</em></div>{outside}" if outside else "")
    )


def _hit(trace: Trace, name: str, place: int) -> str:
    chunk = trace.chunks[trace.lists[name][place].chunk_id]
    mark = "★ " if chunk.chunk_id in trace.gold else ""
    return f"{mark}{html.escape(chunk.title)}, {chunk.date.year}"


def failure_gallery_widget(gallery: FailureGallery) -> ipywidgets.VBox:
    """Return the demo: a case, its trace, a diagnosis to choose, Check and Hint, the score. Usable by keyboard alone."""
    import ipywidgets

    wide, style = {"width": "95%", "max_width": "640px"}, {"description_width": "6em"}
    numbers = [(f"{i + 1}. {case.trace.question.text}", i) for i, case in enumerate(gallery.cases)]
    chooser = ipywidgets.Dropdown(options=numbers, description="Case", layout=wide, style=style)
    options = [(CHOOSE, ""), *((kind, kind) for kind in KINDS)]
    diagnosis = ipywidgets.Dropdown(options=options, description="Diagnosis", layout=wide, style=style)
    check = ipywidgets.Button(description="Check", button_style="primary", layout={"width": "8em"})
    hint = ipywidgets.Button(description="Hint", layout={"width": "8em"})
    trace, said, score = (ipywidgets.HTML(layout={"width": "95%"}) for _ in range(3))
    tried: dict[int, list[bool]] = {}

    def tell(words: str) -> None:
        said.value = f'<div role="status" {_BLOCK}>{words}</div>'

    def draw(_: object = None) -> None:
        trace.value = trace_html(gallery.cases[chooser.value].trace)
        diagnosis.value = ""
        tell("")

    def count() -> None:
        first = sum(tries[0] for tries in tried.values())
        solved = sum(any(tries) for tries in tried.values())
        score.value = (
            f"<div {_BLOCK}>Diagnosed {solved} of {len(gallery.cases)}, {first} of them at the first try.</div>"
        )

    def judge(_: object) -> None:
        if not diagnosis.value:
            tell("Choose a diagnosis first.")
            return
        verdict = gallery.judge(chooser.value, diagnosis.value)
        tries = tried.setdefault(chooser.value, [])
        if not any(tries):
            tries.append(verdict.right)
        tell(f"<strong>{'✔ Right.' if verdict.right else '✘ Not this.'}</strong> {html.escape(verdict.words)}")
        count()

    def explain(change: dict[str, str]) -> None:
        if change["new"]:
            tell(html.escape(KINDS[change["new"]]))

    chooser.observe(draw, names="value")
    diagnosis.observe(explain, names="value")
    check.on_click(judge)
    hint.on_click(lambda _: tell(f"Hint: {html.escape(gallery.hint(chooser.value))}"))
    draw()
    count()
    buttons = ipywidgets.HBox([check, hint], layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([chooser, trace, diagnosis, buttons, said, score])


def failure_gallery_demo(gallery: FailureGallery) -> None:
    """Display the demo; readers without a kernel see the first trace, with its diagnosis folded in below."""
    case = gallery.cases[0]
    answer = html.escape(f"{case.kind}. {gallery.judge(0, case.kind).words}")
    static = f"{trace_html(case.trace)}<details><summary>Diagnosis</summary>{answer}</details>"
    show_widget(failure_gallery_widget(gallery), static, gallery.alt(0))

"""What a guard can see in a text by rule, and what it says in place of an answer. Pure functions and plain words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

Span = tuple[int, int]

_MARKUP = (
    r"<!--.*?-->",  # comments
    r"<\|[^|>]*start[^|>]*\|>.*?(?:<\|[^|>]*end[^|>]*\|>|$)",  # a turn of a chat template
    r"<\|[^|>]*\|>",
    r"<(\w+)(?:\s[^>]*)?>.*?</\1>|</?\w+(?:\s[^>]*)?>",  # tags, with what they enclose
    r"\[\[.*?\]\]|\[/?INST\]",
    r"\{[^{}]*\"(?:role|content|instruction)\"[^{}]*\}",  # a message as JSON
)
_TURN = r"(?:^|(?<=[.!?]\s))(?:system|assistant|user|human|ai|bot|question|answer|reader)\s*:[^\n]*"
_RULES = [re.compile(pattern, re.IGNORECASE | re.DOTALL) for pattern in _MARKUP]
_RULES.append(re.compile(_TURN, re.IGNORECASE | re.MULTILINE))
_ADDRESS = re.compile(
    r"(?:https?://|www\.)?\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b(?:/\S*)?|\+?\d[\d ]{6,}\d", re.IGNORECASE
)
_DOSE = re.compile(
    r"\b(?:\d+(?:[.,]\d+)?|one|two|three|four|five|six|half a|an extra|another|a second|double|more|fewer)\s+(?:\w+\s+){0,2}?"
    r"(?:mg|milligrams?|micrograms?|ml|drops?|tablets?|pills?|capsules?|patch(?:es)?|doses?|puffs?)\b",
    re.IGNORECASE,
)
_TO_YOU = re.compile(
    r"\byou (?:should|must|can|may|could|need to|have to|ought to|do not need|don't need|are allowed)\b|\byou'd better\b"
    r"|\b(?:i|we) (?:would )?(?:recommend|advise|suggest)\b|\bit is (?:safe|fine|okay|ok|all right|best|important|recommended)\b"
    r"|(?:^|[.!?;:]\s+)(?:take|stop|skip|increase|reduce|double|give|continue|start|swap|change|lower|raise)\b",
    re.IGNORECASE,
)
_MEDICINE = re.compile(
    r"\b(?:medicines?|medications?|drugs?|tablets?|pills?|doses?|dosage|patch(?:es)?|infusions?|injections?|drops|levodopa"
    r"|\w+(?:dopa|pezil|stigmine|mantine|mantadine|pexole|nirole|giline|luzole|pam|tonin|pine|line)|sinemet|madopar)\b",
    re.IGNORECASE,
)
_VERDICT = re.compile(
    r"^\W*\d*\W*(?:the answer (?:to (?:the|this|your) question )?is)?\W*(?:yes|no)\b|\byou (?:have|may have|might have|probably have|are (?:likely|at stage|in stage))\b"
    r"|\b(?:this|that|it) (?:is|sounds like|could be|may be|might be) (?:likely |probably |a sign of |a symptom of |caused by )?"
    r"(?:parkinson|alzheimer|dementia|als\b|lewy|huntington|friedreich|motor neurone|a stroke|progressive|delirium)",
    re.IGNORECASE,
)
_HELP = re.compile(
    r"\b(?:emergency|ambulance|casualty|call (?:for )?help|(?:ring|call|phone|see|ask|tell|contact|speak (?:to|with)|talk to) "
    r"(?:to |with )?(?:your|the|a|his|her) (?:\w+ )?(?:doctor|nurse|pharmacist|neurologist|clinic|surgery|practice|gp)|medical help"
    r"|seen without delay|hospital)\b",
    re.IGNORECASE,
)
_URGENT = re.compile(
    r"\b(?:emergency (?:number|services?|department)|ambulance|casualty|medical help (?:at once|now|immediately|the same day)"
    r"|seen without delay|call (?:for )?help)\b",
    re.IGNORECASE,
)

EMERGENCY = "If somebody is in danger now, call the emergency number of your country at once."
INSTEAD = {
    ("help_desk", "out_of_scope"): "I can help with your electricity account, meter, tariff and our policies, not with this. "
    "For anything else on your account, our First Line answers on the number on the back of your bill.",
    ("patient", "out_of_scope"): "I can explain Parkinson's and other diseases of the brain in plain words, not this. "
    "For other questions on health, ask your pharmacist or doctor. " + EMERGENCY,
    ("patient", "advice"): "I cannot judge your own case: a diagnosis, a dose, or starting and stopping a medicine. "
    "Ask your doctor or pharmacist, and change nothing before that. I can tell you what our leaflets say in general. " + EMERGENCY,
    ("patient", "emergency"): "This may be an emergency. Call the emergency number of your country now, and stay with the person. "
    "If the danger is that you might harm yourself, tell somebody near you, and call the same number or a crisis line.",
    ("help_desk", "nothing_to_say"): "I found no passage that I can rely on. Please call our First Line on the number on the "
    "back of your bill.",
    ("patient", "nothing_to_say"): "I found no passage that I can rely on. Please ask your doctor, nurse or pharmacist. " + EMERGENCY,
}  # fmt: skip


def instruction_spans(text: str) -> list[tuple[Span, str]]:
    """Return (start, end) and what was matched by rule: markup of a chat or a page, and lines that play a turn."""
    found: list[tuple[Span, str]] = []
    for rule in _RULES:
        what = "a made-up turn of the conversation" if rule is _RULES[-1] else "markup meant for a machine"
        for match in rule.finditer(text):
            if match.end() > match.start() and not any(s < match.end() and match.start() < e for (s, e), _ in found):
                found.append((match.span(), what))
    return sorted(found)


def addresses(text: str) -> set[str]:
    """Return the sites and telephone numbers in a text, without case and blanks."""
    return {re.sub(r"\s", "", match.group()).casefold().rstrip(".,") for match in _ADDRESS.finditer(text)}


def words_in_a_row(text: str, others: Iterable[str], n: int) -> str:
    """Return the first n words in a row that text shares with one of others, "" if there are none; case is ignored."""
    held = {run for other in others for run in _runs(other, n)}
    return next((" ".join(run) for run in _runs(text, n) if run in held), "")


def _runs(text: str, n: int) -> list[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def gives_dosing_advice(text: str) -> bool:
    """Whether a text tells its reader what to do with a medicine: a sentence that speaks to the reader and names one.

    By rule: "you should take two tablets" is advice; "two tablets were given in the trial" is not, nor a sentence that sends
    the reader to a doctor. Advice without such words is missed.
    """
    return any(
        _TO_YOU.search(part) and (_DOSE.search(part) or _MEDICINE.search(part)) and not _HELP.search(part)
        for part in re.split(r"(?<=[.!?])\s+", text)
    )


def gives_verdict(text: str) -> bool:
    """Whether a text begins with yes or no ("The answer is no" too), or says what the reader has: a judgement on one case."""
    return bool(_VERDICT.search(text))


def points_to_help(text: str, *, urgent: bool = False) -> bool:
    """Whether a text sends the reader to a doctor, nurse, pharmacist or clinic; urgent: to emergency help."""
    return bool((_URGENT if urgent else _HELP).search(text))


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that overlap as one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def without_spans(text: str, spans: Collection[Span]) -> str:
    """Return text without what lies in the spans, blanks and empty lines tidied."""
    kept, last = [], 0
    for start, end in merged(spans):
        kept.append(text[last:start])
        last = end
    joined = " ".join([*kept, text[last:]])
    return re.sub(r"\n\s*\n+", "\n\n", re.sub(r"[ \t]{2,}", " ", joined)).strip()

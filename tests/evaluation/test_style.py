"""House style: every rule holds for the house answers, and each planted slip breaks the rule that names it."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.corpus.load import COLLECTIONS
from course_lib.evaluation.style import HOUSE_RULES, StyleRule, cited_sources, next_step, style_report

GOOD = (
    "Yes, the app cancels 1 late fee a year for you if you press the button within 90 days (Late payment policy, 2025). "
    "For a further fee, give us your reason and we'll answer within 3 working days. Next step: open the app and press it."
)


@cache
def pairs() -> tuple[dict[str, str], ...]:
    text = (COLLECTIONS / "help_desk" / "style_pairs.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def broken(text: str) -> tuple[str, ...]:
    return style_report(text).broken


def test_house_answers_keep_every_rule() -> None:
    assert not {row["pair_id"]: broken(row["house_answer"]) for row in pairs() if broken(row["house_answer"])}


def test_plain_answers_break_some() -> None:
    """The same content in another form: 11 rules, of which no plain answer keeps more than 8."""
    assert len(HOUSE_RULES) == 11
    assert max(style_report(row["plain_answer"]).share for row in pairs()) <= 8 / 11


def test_by_hand() -> None:
    """Eleven rules; without source and next step three break: the source, its place, the step. 8 of 11 hold."""
    text = GOOD.replace(" (Late payment policy, 2025)", "").replace("Next step: open", "Open")
    assert broken(GOOD) == () and style_report(GOOD).share == 1
    assert broken(text) == (
        "one source, with its year", "source at the end of the first sentence", "ends with one next step",
    )  # fmt: skip
    assert style_report(text).share == pytest.approx(8 / 11)


PLANTED = [
    ("too short", "Yes, we cancel 1 late fee a year for you (Late payment policy, 2025). Next step: open the app.",
     {"25 to 60 words"}),
    ("too long", GOOD.replace("For a", "We ask you to bear in mind all of this when you next think of it, at any time of the year, "
     "on any day of the week, and so on. For a"), {"25 to 60 words"}),
    ("greeting", "Hello there. " + GOOD, {"opens with the answer", "source at the end of the first sentence"}),
    ("question repeated", "Regarding the fee, " + GOOD, {"opens with the answer"}),
    ("source without year", GOOD.replace(", 2025", ""), {"one source, with its year", "source at the end of the first sentence"}),
    ("two sources", GOOD.replace("days. Next", "days (Contact page, 2026). Next"), {"one source, with its year"}),
    ("source later", GOOD.replace(" (Late payment policy, 2025)", "").replace("working days.", "working days (Late payment policy, "
     "2025)."), {"source at the end of the first sentence"}),
    ("source in square brackets", GOOD.replace("(Late payment policy, 2025)", "[Late payment policy, 2025]"),
     {"one source, with its year", "source at the end of the first sentence"}),
    ("no you", GOOD.replace("for you if you press", "on a press of").replace("your reason", "the reason"), {"says you"}),
    ("no we", GOOD.replace("give us", "give").replace("we'll answer", "an answer comes"), {"says we"}),
    ("step first", "Next step: open the app. " + GOOD.replace(" Next step: open the app and press it.", ""),
     {"ends with one next step", "source at the end of the first sentence"}),
    ("two steps", GOOD + " Next step: wait for us.", {"ends with one next step"}),
    ("step goes on", GOOD + " Then wait.", {"ends with one next step"}),
    ("step cut off", GOOD[:-1], {"ends with one next step"}),
    ("empty step", GOOD[: GOOD.index("open the app")] + "Go.", {"ends with one next step"}),
    ("other words for it", GOOD.replace("Next step:", "What to do now:"), {"ends with one next step"}),
    ("step within a sentence", GOOD.replace("days. Next", "days, Next"), {"ends with one next step"}),
    ("figures in words", GOOD.replace("90 days", "ninety days"), {"figures in digits"}),
    ("money", GOOD.replace("1 late fee", "1 late fee of 15 euros"), {"money as EUR 35"}),
    ("money sign", GOOD.replace("1 late fee", "1 late fee of €15"), {"money as EUR 35"}),
    ("a list", GOOD.replace("For a further", "\n- For a further"), {"running sentences"}),
    ("apology", GOOD.replace("For a further fee,", "We apologise, but for a further fee,"), {"no set phrases"}),
    ("exclamation", GOOD.replace("working days.", "working days!"), {"no set phrases"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "slips"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_right_words_in_a_wrong_form(text: str, slips: set[str]) -> None:
    assert set(broken(text)) == slips


def test_every_rule_is_broken_by_some_planted_answer() -> None:
    assert {name for _, _, slips in PLANTED for name in slips} == {rule.name for rule in HOUSE_RULES}


def test_the_right_form_with_wrong_words_passes() -> None:
    """What the measure does not see: this is false, and in perfect style."""
    assert broken(GOOD.replace("90 days", "9 years").replace("Late payment", "Biscuit")) == ()


@pytest.mark.parametrize("row", [0, 100, 236])
def test_the_same_sentences_in_another_order_are_not_in_style(row: int) -> None:
    text = pairs()[row]["house_answer"]
    step = text[text.index("Next step:") :]
    turned = f"{step} {text.removesuffix(step).strip()}"
    assert sorted(turned.split()) == sorted(text.split())
    assert "ends with one next step" in broken(turned)


def test_rules_have_names_and_reasons() -> None:
    assert len({rule.name for rule in HOUSE_RULES}) == len(HOUSE_RULES)
    assert all(len(rule.reason.split()) >= 5 for rule in HOUSE_RULES)


def test_sources() -> None:
    assert cited_sources(GOOD) == (("Late payment policy", 2025),)
    assert cited_sources("It is so (a rule, 2020), or (Rule, 20) or (Form F-40 guide, 2026).") == (
        ("Form F-40 guide", 2026),
    )
    assert cited_sources("") == ()


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("A. Next step: read page 1.8.2 of it.", "read page 1.8.2 of it."),
        ("Next step: ask us.", "ask us."),
        ("A. Next step: can you read it?", "can you read it?"),
        ("A.", None),
        ("A. Next step:", None),
        ("A. Next step: go. Next step: stay here.", None),
        ("A. Next step: go now. Then wait.", None),
        ("A. Next step: go\nand stay.", None),
    ],
)
def test_next_step(text: str, step: str | None) -> None:
    assert next_step(text) == step


@given(st.text(min_size=1).filter(str.strip))
def test_any_text_gets_a_share(text: str) -> None:
    report = style_report(text)
    assert 0 <= report.share <= 1 and len(report.checks) == len(HOUSE_RULES)
    assert len(report.broken) == round((1 - report.share) * len(HOUSE_RULES))


def test_own_rules() -> None:
    rule = StyleRule("short", "it fits on a screen", lambda text: len(text) < 9)
    assert style_report("brief", [rule]).share == 1 and style_report("not so brief", [rule]).broken == ("short",)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="text must not be empty"):
        style_report(" ")
    with pytest.raises(TypeError, match="text must be a str"):
        style_report(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rules must hold at least one rule"):
        style_report("A.", [])

"""The decision guide: its order, monotone in every need, the worked cases, and what changes when a need changes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from guide_fakes import MADE_UP, share
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from course_lib.evaluation.significance import Interval
from course_lib.systems.decision_guide import Advice, Verdict, guide, order
from course_lib.systems.guide_cases import CASES, nearest_profile
from course_lib.systems.guide_rows import APPROACHES, TASKS, Row, Rows
from course_lib.systems.guide_rules import FAILS, HOLDS, UNKNOWN, Profile

NOTHING = Rows((), {})


def names(advice: Advice, state: str | None = None) -> list[str]:
    """Keys of the approaches in the order of the advice, or of those with this state."""
    key = {approach.name: key for key, approach in APPROACHES.items()}
    return [key[each.approach.name] for each in advice.verdicts if state is None or each.state == state]


def of(advice: Advice, key: str) -> Verdict:
    return next(each for each in advice.verdicts if each.approach == APPROACHES[key])


def advise(rows: Rows = MADE_UP, **needs: Any) -> Advice:
    return guide(Profile(**{"labelled_examples": 1_000, **needs}), rows)


# ---------------------------------------------------------------- the order


def test_all_approaches_are_judged_whatever_was_measured() -> None:
    for rows in (NOTHING, MADE_UP):
        assert sorted(names(advise(rows))) == sorted(APPROACHES)


def test_without_needs_the_larger_share_of_right_answers_comes_first() -> None:
    """Made-up shares: hybrid 0.70, RAG 0.50, long context 0.30, tuning 0.15, prompt 0.05; a classifier cannot write."""
    assert names(advise()) == ["hybrid", "rag", "long_context", "tuning", "prompt", "classifier"]


def test_a_failure_weighs_more_than_unknowns_and_unknowns_more_than_right_answers() -> None:
    rows = Rows(
        (
            Row("rag", right=share(0.9), seconds=9.0),  # fails the limit
            Row("long_context", right=share(0.5)),  # nobody knows
            Row("prompt", right=share(0.2), seconds=1.0),
        ),
        {},
    )
    advice = advise(rows, max_seconds=2)
    assert names(advice)[:2] == ["prompt", "long_context"] and of(advice, "rag").state == FAILS
    assert names(advice).index("rag") > names(advice).index("hybrid"), "unknown throughout, but not known to fail"


def test_ties_fewer_parts_then_name() -> None:
    same = Rows(tuple(Row(key, right=share(0.5), examples=5) for key in APPROACHES), {})
    assert names(advise(same)) == ["prompt", "long_context", "rag", "tuning", "hybrid", "classifier"]


def test_parts_are_counted_before_names_are_compared() -> None:
    assert order(Verdict(APPROACHES["prompt"], None, ())) < order(Verdict(APPROACHES["rag"], None, ()))


def test_the_order_of_the_rows_does_not_matter() -> None:
    turned = Rows(MADE_UP.rows[::-1], MADE_UP.made, made_up=True)
    for case in CASES.values():
        assert guide(case.profile, turned) == guide(case.profile, MADE_UP)


def test_of_several_rows_the_one_that_fits_speaks() -> None:
    """Two made-up tuning rows: 100 examples 0.12 right, 800 examples 0.15."""
    used = {n: of(advise(labelled_examples=n), "tuning").row for n in (5, 100, 799, 800)}
    assert [row.examples if row else None for row in used.values()] == [800, 100, 100, 800]
    assert of(advise(labelled_examples=5), "tuning").state == FAILS


def test_rows_of_another_domain_or_task_are_not_used() -> None:
    advice = advise(domain="energy", min_right=0.1)
    assert all(each.row is None for each in advice.verdicts)
    assert set(names(advice, UNKNOWN)) == set(APPROACHES) - {"classifier"}
    assert advice.recommended is None and "Nothing is known to meet everything" in advice.summary()


def test_each_domain_has_its_own_rows() -> None:
    rows = Rows((Row("rag", right=share(0.5)), Row("rag", domain="energy", right=share(0.4))), {})
    for domain, mean in (("all", 0.5), ("energy", 0.4)):
        row = of(advise(rows, domain=domain), "rag").row
        assert row is not None and row.right == share(mean)


# ---------------------------------------------------------------- the words


def test_the_summary_names_the_winner_and_that_the_rows_are_made_up() -> None:
    said = advise().summary()
    assert said.startswith("The rows are made up") and "RAG + fine-tuning meets everything that you ask for." in said
    assert "overlap" not in said
    assert "made up" not in guide(Profile(), replace(MADE_UP, made_up=False)).summary()


def test_the_summary_says_what_cannot_be_told_apart() -> None:
    rows = Rows(
        (Row("hybrid", right=share(0.55), examples=9), Row("rag", right=share(0.5)), Row("prompt", right=share(0.3))),
        {},
    )
    said = advise(rows).summary()
    assert said.count("overlap") == 1
    assert "RAG meets it too, and the intervals of right answers overlap" in said and "fewer parts" in said
    assert "prompt only" not in said, "0.34 does not reach 0.51"


def test_the_summary_says_what_is_to_be_measured_next() -> None:
    rows = Rows((Row("rag", right=share(0.5)),), {})
    said = advise(rows, max_seconds=3, min_right=0.4).summary()
    assert "Measure RAG next: No row measures time for a question; at most 3 s is asked for." in said


def test_the_summary_says_what_fails_where_nothing_fits() -> None:
    advice = advise(min_right=0.99, min_cited=0.99)
    assert advice.recommended is None and not names(advice, HOLDS)
    assert "No approach meets everything. RAG + fine-tuning comes nearest" in advice.summary()
    assert "0.99 is asked for" in advice.summary()


# ---------------------------------------------------------------- the worked cases, by made-up rows


@pytest.mark.parametrize(
    ("case", "first", "ruled_out"),
    [
        ("curriculum content", "hybrid", {"prompt", "rag", "long_context", "classifier"}),
        ("market data", "rag", {"prompt", "long_context", "tuning", "hybrid", "classifier"}),
        ("support", "hybrid", {"prompt", "rag", "long_context", "tuning", "classifier"}),
        ("medical information", "hybrid", {"prompt", "rag", "tuning", "long_context", "classifier"}),
        ("spam filtering", "classifier", {"prompt", "rag", "tuning"}),
    ],
)
def test_the_worked_cases(case: str, first: str, ruled_out: set[str]) -> None:
    advice = guide(CASES[case].profile, MADE_UP)
    assert names(advice)[0] == first and advice.recommended is not None
    assert set(names(advice, FAILS)) == ruled_out


def test_curriculum_content_may_be_tuned_alone_and_not_by_documents_alone() -> None:
    advice = guide(CASES["curriculum content"].profile, MADE_UP)
    assert of(advice, "tuning").state == HOLDS
    assert {finding.rule for finding in of(advice, "rag").of(FAILS)} == {"style"}
    # Ask that what it writes be right, too, and tuning alone is out.
    right = guide(replace(CASES["curriculum content"].profile, min_right=0.4), MADE_UP)
    assert of(right, "tuning").state == FAILS and names(right)[0] == "hybrid"


def test_spam_without_labels_is_nothing_for_a_classifier() -> None:
    advice = guide(replace(CASES["spam filtering"].profile, labelled_examples=50), MADE_UP)
    assert of(advice, "classifier").state == FAILS and advice.recommended is None


def test_a_case_is_judged_on_its_shelf_where_that_was_measured() -> None:
    case = CASES["support"]
    assert nearest_profile(case, MADE_UP).domain == "all"
    here = Rows((*MADE_UP.rows, Row("rag", domain="help_desk")), {})
    assert nearest_profile(case, here).domain == "help_desk"
    assert nearest_profile(CASES["spam filtering"], here).domain == "all", "measured there, but not on labels"


# ---------------------------------------------------------------- what changes when a need changes


def test_more_frequent_changes_move_towards_retrieval() -> None:
    """Made-up times: tuning 600 s until it answers rightly, retrieval 2 s. A day has 86,400 s."""
    fits = {rate: names(advise(updates_per_day=rate), HOLDS) for rate in (0, 1, 144, 145, 20_000, 50_000)}
    assert "prompt" in fits[0] and "prompt" not in fits[1]
    assert "tuning" in fits[144] and "tuning" not in fits[145], "a change every 600 s is just in time"
    assert set(fits[20_000]) == {"hybrid", "rag", "long_context"}
    assert fits[50_000] == ["long_context"], "a change every 1.7 s: indexing takes 2 s"


def test_asking_for_citations_rules_out_what_reads_nothing() -> None:
    assert {"tuning", "prompt"} <= set(names(advise(), HOLDS))
    assert set(names(advise(min_cited=0.1), HOLDS)) == {"hybrid", "rag", "long_context"}


def test_fewer_examples_move_towards_what_learns_nothing() -> None:
    assert names(advise(labelled_examples=100))[0] == "hybrid"
    assert names(advise(labelled_examples=99))[0] == "rag"


def test_asking_for_style_moves_towards_tuning() -> None:
    assert set(names(advise(min_style=0.8), HOLDS)) == {"hybrid", "tuning"}


def test_less_time_rules_out_long_context_first() -> None:
    assert "long_context" in names(advise(max_seconds=30), HOLDS)
    assert set(names(advise(max_seconds=29), HOLDS)) == {"hybrid", "rag", "tuning", "prompt"}
    assert set(names(advise(max_seconds=1), HOLDS)) == {"tuning", "prompt"}


# ---------------------------------------------------------------- properties

UNIT = st.floats(0.01, 1)
INTERVAL = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(lambda x: Interval(sorted(x)[1], min(x), max(x), 50))
POSITIVE = st.floats(0.01, 1e5)
ROW = st.builds(
    Row, st.sampled_from(sorted(APPROACHES)), st.sampled_from(sorted(TASKS)), st.just("all"),
    *[st.none() | INTERVAL] * 3, *[st.none() | POSITIVE] * 2, st.none() | POSITIVE | st.just(math.inf),
    st.none() | st.integers(0, 2_000),
)  # fmt: skip
ROWS = st.lists(ROW, max_size=12, unique_by=lambda row: row.key).map(lambda rows: Rows(tuple(rows), {}, made_up=True))
PROFILE = st.builds(
    Profile, task=st.sampled_from(sorted(TASKS)), updates_per_day=st.just(0.0) | st.floats(0.001, 1e5),
    labelled_examples=st.integers(0, 2_000), max_seconds=st.none() | POSITIVE, max_memory_mb=st.none() | POSITIVE,
    min_cited=st.none() | UNIT, min_style=st.none() | UNIT, min_right=st.none() | UNIT,
)  # fmt: skip
STRICTER = st.fixed_dictionaries(
    {},
    optional={
        "updates_per_day": st.floats(0.001, 1e5), "labelled_examples": st.integers(0, 2_000), "max_seconds": POSITIVE,
        "max_memory_mb": POSITIVE, "min_cited": UNIT, "min_style": UNIT, "min_right": UNIT,
    },
)  # fmt: skip
LEVEL = {HOLDS: 0, UNKNOWN: 1, FAILS: 2}


def tightened(profile: Profile, changes: dict[str, Any]) -> Profile:
    """The profile with each need that changes makes stricter."""
    tighter = {}
    for name, value in changes.items():
        old = getattr(profile, name)
        strictest = min if name.startswith("max") or name == "labelled_examples" else max
        tighter[name] = value if old is None else strictest(old, value)
    return replace(profile, **tighter)


@given(PROFILE, STRICTER, ROWS)
@settings(max_examples=300)
def test_asking_for_more_never_makes_an_approach_fit_better(
    profile: Profile, changes: dict[str, Any], rows: Rows
) -> None:
    before, after = guide(profile, rows), guide(tightened(profile, changes), rows)
    for key in APPROACHES:
        first, then = of(before, key), of(after, key)
        assert LEVEL[first.state] <= LEVEL[then.state]
        assert order(first)[:2] <= order(then)[:2], "failures, then unknowns"


@given(
    PROFILE, st.sampled_from(["updates_per_day", "max_seconds", "min_cited", "min_style", "min_right"]), ROWS, POSITIVE
)
@settings(max_examples=300)
def test_each_rule_is_monotone_in_its_need(profile: Profile, name: str, rows: Rows, value: float) -> None:
    after = tightened(profile, {name: min(value, 1.0) if name.startswith("min") else value})
    for row in rows.rows:
        one = Rows((row,), {})
        if row.task == profile.task:
            pairs = {finding.rule: finding.state for finding in of(guide(profile, one), row.approach).findings}
            for finding in of(guide(after, one), row.approach).findings:
                assert LEVEL[pairs.get(finding.rule, HOLDS)] <= LEVEL[finding.state]


@given(PROFILE, STRICTER, ROWS)
@settings(max_examples=300)
def test_a_winner_that_still_fits_stays_the_winner(profile: Profile, changes: dict[str, Any], rows: Rows) -> None:
    """With one row an approach: what is ruled out elsewhere does not turn the order of what is left."""
    approaches = [row.approach for row in rows.rows if row.task == profile.task]
    assume(len(set(approaches)) == len(approaches))
    winner, then = guide(profile, rows).recommended, guide(tightened(profile, changes), rows)
    if winner and next(each for each in then.verdicts if each.approach == winner.approach).state == HOLDS:
        assert then.recommended is not None and then.recommended.approach == winner.approach


@given(PROFILE, ROWS)
def test_every_finding_says_why_and_nothing_is_recommended_that_fails(profile: Profile, rows: Rows) -> None:
    advice = guide(profile, rows)
    assert all(finding.sentence.endswith(".") for each in advice.verdicts for finding in each.findings)
    assert [order(each) for each in advice.verdicts] == sorted(order(each) for each in advice.verdicts)
    if advice.recommended:
        assert not advice.recommended.of(FAILS) and not advice.recommended.of(UNKNOWN)
    else:
        assert not names(advice, HOLDS)


@given(st.floats(0.001, 1e5), st.floats(0.001, 1e5), ROWS)
def test_what_more_changes_rule_out_is_slower_than_what_they_leave(one: float, two: float, rows: Rows) -> None:
    """Alone, the rate of change sorts approaches by the seconds until a new document is answered, and by nothing else."""
    slow, fast = sorted((one, two))
    before, after = advise(rows, updates_per_day=slow), advise(rows, updates_per_day=fast)
    fits, left = set(names(before, HOLDS)), set(names(after, HOLDS))
    assert left <= fits
    for advice, keys, in_time in ((after, left, True), (before, fits - left, False)):
        for key in keys:
            row = of(advice, key).row
            assert row and row.fresh_seconds is not None
            assert (row.fresh_seconds <= 86_400 / fast) is in_time

"""Duplicates, exact and near."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.tuning.duplicates import conflicts, jaccard, near_pairs, plain, shingles, without_exact, without_near
from course_lib.tuning.prepare import as_dataset

TEXTS = st.lists(st.text(alphabet="abc ", max_size=14), max_size=7)


def test_a_similarity_worked_by_hand() -> None:
    # "abcdefg": abcde bcdef cdefg; "abcdefx": abcde bcdef cdefx; 2 shared of 4
    assert jaccard(shingles("abcdefg"), shingles("abcdefx")) == 0.5
    assert near_pairs(["abcdefg", "zzzzzzz", "abcdefx"])[0].similarity == 0.5
    assert shingles("ab") == {"ab"} and jaccard(set(), set()) == 0


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from([0.2, 0.5, 1.0]))
def test_equal_to_comparing_every_pair(texts: list[str], threshold: float) -> None:
    found = {(pair.first, pair.second): pair.similarity for pair in near_pairs(texts, threshold=threshold)}
    sets = [shingles(text) if plain(text) else set() for text in texts]
    every = {(i, j): jaccard(sets[i], sets[j]) for i in range(len(texts)) for j in range(i + 1, len(texts))}
    assert found == pytest.approx({pair: value for pair, value in every.items() if value >= threshold and value > 0})


def test_against_other_texts() -> None:
    (pair,) = near_pairs(["hello world"], against=["something else", "Hello, world!"])
    assert (pair.first, pair.second, pair.similarity) == (0, 1, 1.0)
    with pytest.raises(ValueError, match="threshold must be above 0"):
        near_pairs(["a"], threshold=0)


def test_the_first_stays_and_the_other_names_it() -> None:
    texts = ["When will you read my meter?", "when will you read my meter", "When will you read the meter?", "Hello."]
    data = as_dataset([{"id": f"m{i}", "text": text, "label": "ab"[i % 2]} for i, text in enumerate(texts)])
    exact = without_exact(data)
    assert [(each.id, each.like) for each in exact.removed] == [("m1", "m0")]
    near = without_near(exact.dataset)
    assert [(each.id, each.like) for each in near.removed] == [("m2", "m0")]
    assert list(near.dataset["id"]) == ["m0", "m3"]
    assert [(pair.first, pair.second) for pair in conflicts(data)] == [(0, 1), (1, 2)]


def test_a_chain_is_compared_with_what_stays() -> None:
    # b is like a and c is like b, but c is not like a: b goes, c stays
    a, b, c = "abcdefghij", "abcdefgxyz", "klcdefgxyz"
    data = as_dataset([{"id": name, "text": text, "label": "l"} for name, text in zip("abc", (a, b, c), strict=True)])
    assert list(without_near(data, threshold=0.3).dataset["id"]) == ["a", "c"]

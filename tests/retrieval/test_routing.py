"""Routers: keywords, centroids, a trained classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.validate import FloatArray, NotFittedError
from course_lib.corpus.load import SHELVES
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.routed import route
from course_lib.retrieval.routing import (
    KEYWORDS,
    CentroidRouter,
    ClassifierRouter,
    KeywordRouter,
    centroids,
    softmax,
)

SPORT = ["the team won the match", "a goal in the final match", "the team lost the final"]
POWER = ["the turbine turns in the wind", "wind power feeds the grid", "the grid lost power", "solar power"]
LABELS = ["sport"] * 3 + ["power"] * 4


@pytest.fixture(scope="module")
def embedder() -> TfidfEmbedder:
    """Honest and small: words counted."""
    return TfidfEmbedder().fit([*SPORT, *POWER])


# ---------------------------------------------------------------- by rule


def test_keywords_are_counted_by_stem() -> None:
    """ "scored" meets "score", "World Cups" the phrase "world cup"; "cup" alone is no keyword, nor is "upworld cup"."""
    router = KeywordRouter({"sport": ["world cup", "score"], "power": ["grid"]})
    queries = [
        "Who scored at both World Cups?",
        "A cup of tea",
        "The grid scores",
        "upworld cup",
        "a world tour by bus",
    ]
    np.testing.assert_array_equal(router.scores(queries), [[2, 0], [0, 0], [1, 1], [0, 0], [0, 0]])
    assert router.shelves == ("sport", "power")


def test_every_shelf_has_keywords() -> None:
    assert set(KEYWORDS) == set(SHELVES) and all(len(set(words)) == len(words) >= 15 for words in KEYWORDS.values())


@pytest.mark.parametrize("keywords", [{}, {"sport": []}])
def test_a_shelf_without_a_keyword(keywords: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="at least one word"):
        KeywordRouter(keywords)


# ---------------------------------------------------------------- by centroid


def test_centroids_by_hand() -> None:
    """Class a: mean of (1, 0) and (0, 1) is (.5, .5), scaled to (.7071, .7071). Class b: (0, -1) alone."""
    vectors = np.array([[1, 0], [0, -1], [0, 1]], np.float32)
    found = centroids(vectors, ["a", "b", "a"], ["b", "a"])
    np.testing.assert_allclose(found, [[0, -1], [0.70711, 0.70711]], atol=1e-5)


def test_centroid_scores_are_cosines(embedder: TfidfEmbedder) -> None:
    router = CentroidRouter(embedder).fit(embedder([*SPORT, *POWER]), LABELS)
    assert router.shelves == ("power", "sport")
    scores = router.scores(["a match", "the wind", "zebra"])
    assert scores[0].argmax() == 1 and scores[1].argmax() == 0
    assert (np.abs(scores) <= 1 + 1e-6).all() and (scores[2] == 0).all()
    np.testing.assert_allclose(scores, embedder(["a match", "the wind", "zebra"]) @ router.centroids_.T, atol=1e-6)


@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 99))
def test_centroids_know_no_order(n: int, dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = (np.abs(rng.standard_normal((n, dim))) + 0.1).astype(np.float32)
    labels = ["a", *(["b"] * (n - 1))]
    order = rng.permutation(n)
    shuffled = centroids(vectors[order], [labels[i] for i in order], ["a", "b"])
    np.testing.assert_allclose(centroids(vectors, labels, ["a", "b"]), shuffled, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(shuffled, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        (["a"], ["a"], "labels must be one for each of the 2 embeddings, got 1"),
        (["a", "a"], ["a", "b"], "'b' has none"),
    ],
)
def test_centroids_of_what_does_not_fit(labels: list[str], classes: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        centroids(np.ones((2, 3), np.float32), labels, classes)


# ---------------------------------------------------------------- by classifier


def test_softmax_by_hand() -> None:
    """exp(0) : exp(ln 3) = 1 : 3, so .25 and .75; adding 1000 to both changes nothing and does not overflow."""
    logits = np.array([[0, math.log(3)], [1000, 1000 + math.log(3)]])
    np.testing.assert_allclose(softmax(logits), [[0.25, 0.75], [0.25, 0.75]], atol=1e-9)


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 99))
def test_softmax_gives_shares(n: int, n_classes: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(scale=30, size=(n, n_classes))
    shares = softmax(logits)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares >= 0).all() and (shares.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_one_step_by_hand() -> None:
    """Vectors e1 (class a) and e2 (class b), weights 0: probabilities .5. error / n = [[-.25, .25], [.25, -.25]].

    One step of rate 2 sets weights = -2 * error: e1 gets (.5, -.5), e2 (-.5, .5); intercepts stay 0. Loss: ln 2.
    """

    def corner(texts: Sequence[str]) -> FloatArray:
        return np.array([[1, 0] if text == "one" else [0, 1] for text in texts], np.float32)

    router = ClassifierRouter(corner, rate=2, n_steps=1, l2=0).fit(["one", "two"], ["a", "b"])
    np.testing.assert_allclose(router.weights_, [[0.5, -0.5], [-0.5, 0.5]])
    np.testing.assert_allclose(router.intercepts_, [0, 0])
    assert router.losses_ == pytest.approx([math.log(2)])
    e = math.exp(0.5), math.exp(-0.5)
    np.testing.assert_allclose(router.scores(["one"]), [[e[0] / sum(e), e[1] / sum(e)]], atol=1e-6)


def test_it_is_scikit_learn_s_logistic_regression(embedder: TfidfEmbedder) -> None:
    """scikit-learn minimises C * summed loss + squares / 2: C = 1 / (n * l2) is the same minimum."""
    from sklearn.linear_model import LogisticRegression

    queries, l2 = [*SPORT, *POWER, "a solar match", "coal"], 0.01
    labels = [*LABELS, "both", "both"]
    ours = ClassifierRouter(embedder, l2=l2, rate=2, n_steps=4000).fit(queries, labels)
    theirs = LogisticRegression(C=1 / (len(queries) * l2), max_iter=5000, tol=1e-9).fit(embedder(queries), labels)
    assert ours.shelves == tuple(theirs.classes_)
    tried = [*queries, "the final wind", "zebra"]
    np.testing.assert_allclose(ours.scores(tried), theirs.predict_proba(embedder(tried)), atol=2e-3)


def test_the_loss_falls_and_training_repeats(embedder: TfidfEmbedder) -> None:
    first, second = (ClassifierRouter(embedder, n_steps=60).fit([*SPORT, *POWER], LABELS) for _ in range(2))
    assert all(b < a for a, b in zip(first.losses_, first.losses_[1:], strict=False))
    np.testing.assert_array_equal(first.weights_, second.weights_)
    assert route(first, ["a goal in the match", "wind and solar"])[0].shelf == "sport"


def test_shuffled_labels_teach_nothing() -> None:
    """The counterfactual: with labels drawn at random, unseen queries are routed no better than by a coin.

    60 queries of two clusters, half of them for training; the same training with the true labels gets all right.
    """
    rng = np.random.default_rng(5)
    centres = {"a": np.array([1, 0, 0, 0.2]), "b": np.array([0, 1, 0.2, 0])}
    names = [f"{label}{i}" for i in range(30) for label in "ab"]
    vectors = {name: (centres[name[0]] + rng.normal(scale=0.15, size=4)).astype(np.float32) for name in names}

    def look_up(texts: Sequence[str]) -> FloatArray:
        return np.stack([vectors[text] for text in texts])

    truth = [name[0] for name in names]
    random = [str(label) for label in rng.permutation(truth[:30])]
    right = {}
    for kind, labels in (("true", truth[:30]), ("random", random)):
        router = ClassifierRouter(look_up).fit(names[:30], labels)
        right[kind] = np.mean(
            [one.shelf == label for one, label in zip(route(router, names[30:]), truth[30:], strict=True)]
        )
    assert right["true"] == 1 and 0.2 <= right["random"] <= 0.8


@pytest.mark.parametrize(
    ("queries", "labels"), [(["a b", "c"], ["x"]), (["a b", "c"], ["x", "x"]), ([], [])], ids=["few", "one", "none"]
)
def test_nothing_to_learn_from(queries: list[str], labels: list[str], embedder: TfidfEmbedder) -> None:
    with pytest.raises(ValueError, match="labels must be one for each of the"):
        ClassifierRouter(embedder).fit(queries, labels)


@pytest.mark.parametrize("settings", [{"l2": -1}, {"rate": 0}, {"n_steps": 0}])
def test_settings_that_cannot_train(settings: dict[str, int], embedder: TfidfEmbedder) -> None:
    with pytest.raises(ValueError, match="l2 must be >= 0, rate > 0 and n_steps >= 1"):
        ClassifierRouter(embedder, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [CentroidRouter, ClassifierRouter])
def test_before_fit(kind: type, embedder: TfidfEmbedder) -> None:
    for use in (lambda router: router.scores(["a"]), lambda router: router.shelves):
        with pytest.raises(NotFittedError, match="knows no shelf yet: call fit"):
            use(kind(embedder))

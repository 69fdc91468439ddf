"""The map of meaning: its geometry, its picture, and the widget driven by its traits."""

from __future__ import annotations

import base64
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.validate import FloatArray
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.widgets.meaning_map import (
    HEIGHT,
    WIDTH,
    MeaningMap,
    meaning_map_demo,
    meaning_map_widget,
    neighbour_table,
)

SENTENCES = [
    "Spain won the match",
    "Norway lost the match",
    "The pump warms the house",
    "The house was cold",
    "A seizure <5 min> & rest",
]
GROUPS = ["sport", "sport", "energy", "energy", "medicine"]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def embedder() -> TfidfEmbedder:
    """Honest and small: words counted."""
    return TfidfEmbedder().fit(SENTENCES)


@pytest.fixture(scope="module")
def map_(embedder: TfidfEmbedder) -> MeaningMap:
    return MeaningMap().fit(SENTENCES, GROUPS, embedder(SENTENCES))


def fitted(vectors: FloatArray) -> MeaningMap:
    return MeaningMap().fit([f"s{i}" for i in range(len(vectors))], ["g"] * len(vectors), vectors)


# ---------------------------------------------------------------- geometry


def test_projection_by_hand() -> None:
    """Four points around the mean (1, 1, 5): (+-3, 0, 0) and (0, +-1, 0). The first axis is x, the second y, nothing is
    lost: the squares are 9 + 9 along x and 1 + 1 along y, 20 of 20. The largest part of each axis is positive."""
    map_ = fitted(np.array([[4, 1, 5], [-2, 1, 5], [1, 2, 5], [1, 0, 5]], np.float32))
    np.testing.assert_allclose(map_.axes_, [[1, 0, 0], [0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(map_.points_, [[3, 0], [-3, 0], [0, 1], [0, -1]], atol=1e-5)
    assert map_.kept_variance_ == pytest.approx(1)


@given(st.integers(3, 12), st.integers(3, 8), st.integers(0, 1000))
def test_the_plane_is_the_one_of_principal_components(n: int, dim: int, seed: int) -> None:
    from sklearn.decomposition import PCA

    vectors = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    map_ = fitted(vectors)
    pca = PCA(2, svd_solver="full").fit(vectors)
    theirs = pca.transform(vectors)
    np.testing.assert_allclose(np.abs(map_.points_), np.abs(theirs), atol=1e-3)
    assert map_.kept_variance_ == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-4)
    np.testing.assert_allclose(map_.axes_ @ map_.axes_.T, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(map_.points_.mean(axis=0), 0, atol=1e-5)
    assert 0 < map_.kept_variance_ <= 1 + 1e-6
    assert (map_.axes_[np.arange(2), np.abs(map_.axes_).argmax(axis=1)] > 0).all(), "else the map is mirrored elsewhere"


def test_a_sentence_of_the_map_falls_on_its_own_point(map_: MeaningMap, embedder: TfidfEmbedder) -> None:
    for i, sentence in enumerate(SENTENCES):
        placement = map_.place(sentence, embedder([sentence])[0], k=2)
        np.testing.assert_allclose(placement.point, map_.points_[i], atol=1e-5)
        assert placement.neighbours[0] == (i, pytest.approx(1, abs=1e-5))


def test_neighbours_are_found_in_all_dimensions(embedder: TfidfEmbedder) -> None:
    """In the plane, a point of the far group lies nearer: (0, 0, 9) projects onto the mean, where nothing else lies."""
    vectors = np.array([[5, 0, 0], [-5, 0, 0], [0, 3, 0], [0, -3, 0], [0.1, 0.1, 1]], np.float32)
    placement = fitted(vectors).place("x", np.array([0, 0, 1], np.float32), k=1)
    assert placement.neighbours == ((4, pytest.approx(1.0)),)


def test_neighbours_fall_in_score_and_ties_by_position(map_: MeaningMap) -> None:
    alike = MeaningMap().fit(SENTENCES, GROUPS, np.tile(map_.embeddings_[:1], (5, 1)))
    assert [i for i, _ in alike.place("?", map_.embeddings_[0], k=4).neighbours] == [0, 1, 2, 3]
    cosines = [cosine for _, cosine in map_.place("?", map_.embeddings_[1], k=5).neighbours]
    assert cosines == sorted(cosines, reverse=True)


@pytest.mark.parametrize(("sentences", "groups", "n"), [(3, 3, 4), (3, 2, 3), (4, 3, 3), (2, 2, 2), (0, 0, 0)])
def test_numbers_must_agree(sentences: int, groups: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"equally many and at least 3, got {sentences}, {groups} and {n}"):
        MeaningMap().fit(["s"] * sentences, ["g"] * groups, np.ones((n, 5), np.float32))


def test_a_vector_of_another_model(map_: MeaningMap) -> None:
    with pytest.raises(ValueError, match="vector must have .* columns like the index, got 3"):
        map_.place("x", np.ones(3, np.float32), k=1)


def test_more_neighbours_than_sentences(map_: MeaningMap) -> None:
    with pytest.raises(ValueError, match="k must be between 1 and the 5 sentences on the map, got 6"):
        map_.place("x", map_.embeddings_[0], k=6)


def test_nan_has_no_place(map_: MeaningMap) -> None:
    with pytest.raises(ValueError, match="vector must be finite"):
        map_.place("x", map_.embeddings_[0] * np.nan, k=1)


def test_sentences_that_are_all_alike_can_still_be_drawn() -> None:
    map_ = fitted(np.ones((4, 3), np.float32))
    assert "nan" not in map_.svg().lower()


# ---------------------------------------------------------------- the picture


def parsed(markup: str) -> ElementTree.Element:
    """The first element of a page, and the proof that it is sound markup."""
    return next(iter(ElementTree.fromstring(f"<page>{markup}</page>")))


def marks_of(root: ElementTree.Element) -> list[ElementTree.Element]:
    """The marks of the sentences: what is filled with the colour of a group."""
    return [node for node in root if node.tag in (f"{SVG}circle", f"{SVG}path") and node.get("fill")]


def test_the_picture_is_sound_and_within_its_frame(map_: MeaningMap, embedder: TfidfEmbedder) -> None:
    placement = map_.place("far away", np.full(len(embedder.vocabulary_), 3, np.float32), k=3)
    for drawn in (None, placement):
        root = parsed(map_.svg(drawn))
        assert root.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
        assert [node[0].text for node in marks_of(root)] == SENTENCES  # each mark names its sentence on hovering
        for node in root.iter(f"{SVG}circle"):
            assert 0 <= float(node.get("cx", -1)) <= WIDTH and 0 <= float(node.get("cy", -1)) <= HEIGHT
        for node in root.iter(f"{SVG}path"):
            x, y = re.findall(r"-?\d+", node.get("d", ""))[:2]
            assert 0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT
        assert len(list(root.iter(f"{SVG}line"))) == (3 if drawn else 0)


def test_the_picture_has_a_text_alternative(map_: MeaningMap) -> None:
    root = parsed(map_.svg())
    assert root.get("role") == "img"
    assert root.get("aria-label") == map_.alt() == "Map of 5 sentences in 3 groups."
    placement = map_.place('a "quoted" <text>', map_.embeddings_[0], k=2)
    assert parsed(map_.svg(placement)).get("aria-label") == map_.alt(placement)
    assert 'Nearest to "a "quoted" <text>": Spain won the match (1.00); Norway lost' in map_.alt(placement)


def test_groups_differ_in_shape_and_colour(map_: MeaningMap) -> None:
    """Colour alone would leave out who cannot tell colours apart."""
    root = parsed(map_.svg())
    looks: dict[str, set[tuple[str, str | None]]] = {}
    for node, group in zip(marks_of(root), GROUPS, strict=True):
        shape = "circle" if node.tag.endswith("circle") else re.sub(r"^M-?\d+ -?\d+", "", node.get("d", ""))
        looks.setdefault(group, set()).add((shape, node.get("fill")))
    assert all(len(look) == 1 for look in looks.values())
    shapes, colours = zip(*(next(iter(look)) for look in looks.values()), strict=True)
    assert len(set(shapes)) == len(set(colours)) == 3


def test_the_legend_shows_the_marks_of_the_picture(map_: MeaningMap) -> None:
    placement = map_.place("x < y", map_.embeddings_[0], k=1)
    legend = ElementTree.fromstring(map_.legend(placement))
    assert re.findall(r"x < y|\w+", "".join(legend.itertext())) == ["x < y", "energy", "medicine", "sport"]
    colours = [re.search("#[0-9a-f]{6}", node.get("style", "")) for node in legend.iter() if node.get("aria-hidden")]
    drawn = {group: node.get("fill") for node, group in zip(marks_of(parsed(map_.svg())), GROUPS, strict=True)}
    assert [colour.group() for colour in colours if colour] == [drawn[group] for group in sorted(drawn)]
    assert "x &lt; y" not in map_.legend()


def test_what_a_learner_types_is_shown_not_run(map_: MeaningMap) -> None:
    placement = map_.place("<script>alert(1)</script>", map_.embeddings_[0], k=5)
    svg, table = map_.svg(placement), neighbour_table(map_, placement)
    assert "<script" not in svg and "<script" not in table
    assert "<5 min>" not in svg and "<5 min>" not in table
    assert len(parsed(table).findall("tr")) == 6  # a heading and five rows
    assert "<script" not in map_.legend(placement) and "<script" not in map_.picture(placement)


def test_the_picture_survives_where_svg_is_removed(map_: MeaningMap) -> None:
    """Front ends sanitise HTML of notebooks that they do not trust; an img they keep."""
    placement = map_.place('say "<no>"', map_.embeddings_[3], k=2)
    image = ElementTree.fromstring(map_.picture(placement).replace('">', '"/>'))
    assert image.get("alt") == map_.alt(placement)
    kind, _, data = image.get("src", "").partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode() == map_.svg(placement)


def test_the_table_shows_cosine_group_and_sentence(map_: MeaningMap) -> None:
    rows = parsed(neighbour_table(map_, map_.place("x", map_.embeddings_[2], k=2))).findall("tr")
    assert [cell.text for cell in rows[1]] == ["1.00", "energy", "The pump warms the house"]


# ---------------------------------------------------------------- the widget


@pytest.fixture
def widget(map_: MeaningMap, embedder: TfidfEmbedder) -> Any:
    return meaning_map_widget(map_, embedder, text="The cold house", k=2)


def test_it_shows_a_result_before_anything_is_touched(widget: Any) -> None:
    field, slider, picture, table = widget.children
    assert (field.value, slider.value) == ("The cold house", 2)
    assert picture.value.startswith("<svg") and "The house was cold" in table.value
    assert field.description and slider.description  # labels, for who reads by ear


def test_a_new_sentence_is_placed(widget: Any, map_: MeaningMap) -> None:
    field, _, picture, table = widget.children
    before = picture.value
    field.value = "Norway won"
    assert picture.value != before
    assert 'Nearest to "Norway won"' in (parsed(picture.value).get("aria-label") or "")
    first = parsed(table.value).findall("tr")[1]
    assert first[1].text == "sport"


def test_the_slider_sets_the_neighbours(widget: Any) -> None:
    _, slider, picture, table = widget.children
    for k in (1, 5, 3):
        slider.value = k
        assert len(parsed(table.value).findall("tr")) == k + 1
        assert picture.value.count("<line") == k
    assert (slider.min, slider.max) == (1, 5)  # never more than there are


@pytest.mark.parametrize("nothing", ["", "   "])
def test_an_empty_sentence_is_told_and_the_map_stays(nothing: str, widget: Any) -> None:
    field, _, picture, table = widget.children
    before = picture.value
    field.value = nothing
    assert 'role="alert"' in table.value and "must not be empty" in table.value
    assert picture.value == before
    field.value = "The cold house"
    assert "<table" in table.value


def test_an_unknown_word_does_not_break_it(widget: Any) -> None:
    field, _, picture, table = widget.children
    before = picture.value
    field.value = "xylophone 日本 🙂"
    assert "xylophone 日本 🙂" in table.value and 'role="alert"' in table.value and picture.value == before
    field.value = "Norway won"
    assert "sport" in table.value and picture.value != before


def test_it_uses_the_embedder_that_it_is_given(embedder: TfidfEmbedder) -> None:
    """One that takes every sentence for the last: then the neighbour is always the last."""

    def only_last(texts: Any) -> FloatArray:
        return np.tile(embedder(SENTENCES)[4], (len(texts), 1))

    map_ = MeaningMap().fit(SENTENCES, GROUPS, embedder(SENTENCES))
    table = meaning_map_widget(map_, only_last, text="Spain won the match", k=1).children[3]
    assert "medicine" in table.value


def test_another_kind_of_vector_draws_another_map(map_: MeaningMap, embedder: TfidfEmbedder) -> None:
    """A second embedder that knows one group only, so that its neighbours differ."""
    few = TfidfEmbedder().fit(SENTENCES[2:4])
    vectors = np.maximum(few(SENTENCES), 1e-6)
    other = MeaningMap().fit(SENTENCES, GROUPS, vectors)
    box = meaning_map_widget(map_, embedder, text="The match in the house", k=1, others={"few words": (other, few)})
    field, _, kind, picture, table = box.children
    assert kind.options == ("contextual", "few words") and kind.value == "contextual" and kind.description == "Vectors"
    before, first = picture.value, table.value
    kind.value = "few words"
    assert picture.value != before
    expected = other.place(field.value, few([field.value])[0], 1)
    assert table.value == neighbour_table(other, expected) != first
    field.value = "zebra"  # a word that it has never seen
    assert 'role="alert"' in table.value and "counting cannot place it" in table.value
    kind.value = "contextual"
    field.value = "The match in the house"
    assert (picture.value, table.value) == (before, first)


def test_a_vector_of_zeros_is_near_nothing(map_: MeaningMap, embedder: TfidfEmbedder) -> None:
    with pytest.raises(ValueError, match="no word of 'zebra' stands in any sentence of the map"):
        map_.place("zebra", embedder(["zebra"])[0], 1)


def test_readers_without_a_kernel_see_the_map(
    map_: MeaningMap, embedder: TfidfEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append((bundle, options)))
    meaning_map_demo(map_, embedder, text="The cold house", k=2)
    ((bundle, options),) = shown
    assert options == {"raw": True}
    placement = map_.place("The cold house", embedder(["The cold house"])[0], 2)
    assert map_.picture(placement) in bundle["text/html"] and neighbour_table(map_, placement) in bundle["text/html"]
    assert "<svg" not in bundle["text/html"] and "<script" not in bundle["text/html"]
    assert bundle["text/plain"] == map_.alt(placement)
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]

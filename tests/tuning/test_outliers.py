"""Outliers: length, language, likeness."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib.core.validate import FloatArray
from course_lib.tuning.outliers import alike_to_others, in_language, language, longest_usual, nearness, of_usual_length
from course_lib.tuning.prepare import as_dataset


def data_of(*texts: str):  # type: ignore[no-untyped-def]
    return as_dataset([{"id": str(i), "text": text, "label": "a"} for i, text in enumerate(texts)])


def test_lengths() -> None:
    # words 4, 4, 8, 8: quartiles 4 and 8, ln 8 - ln 4 = ln 2; times 3 above the upper: 8 * 2^3 = 64
    texts = ["a b c d", "a b c d", "a b c d e f g h", "a b c d e f g h"]
    assert longest_usual(texts) == pytest.approx(64)
    step = of_usual_length(data_of(*texts, "", "a", "word " * 65))
    assert [(each.id, each.why) for each in step.removed] == [("4", "empty"), ("5", "too short"), ("6", "too long")]
    with pytest.raises(ValueError, match="at least one text with words"):
        longest_usual(["", " "])


def test_languages_and_the_doubt_about_short_texts() -> None:
    german = "Mein Zähler zeigt seit gestern nichts mehr an, bitte schicken Sie jemanden vorbei."
    english = "My meter has shown nothing since yesterday, please send somebody."
    assert language(german)[0] == "de" and language(english)[0] == "en"
    assert 0 < language("ok")[1] <= 1
    step = in_language(data_of(german, english, "Bitte sofort"))
    assert [each.why for each in step.removed] == ["in another language (de)"]
    assert not in_language(data_of(german), "de").removed


def test_nearness_by_hand_and_its_step() -> None:
    vectors = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    # the two nearest of the first: cosine 1 and .6; of the last: .8 and 0
    assert nearness(vectors, k=2) == pytest.approx([0.8, 0.8, 0.7, 0.4])

    def embed(texts: object) -> FloatArray:
        return vectors

    step = alike_to_others(data_of("a", "b", "c", "d"), embed, least=0.5, k=2)
    assert [each.id for each in step.removed] == ["3"]
    with pytest.raises(ValueError, match="k must be between 1 and the 3 other vectors, got 4"):
        nearness(vectors, k=4)

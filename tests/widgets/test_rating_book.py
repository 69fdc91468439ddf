"""The ratings of one person: kept after every click, beside those of others, and never lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from course_lib.evaluation.blind_rating import GeneratedText
from course_lib.evaluation.rubric import Criterion, Rating, load_ratings, save_ratings
from course_lib.widgets.rating_book import RatingBook, rating_file

TONE = Criterion("tone", "Does it sound like us?", ("no", "partly", "yes"))
FACTS = Criterion("facts", "Is it right?", ("wrong", "right"))
TEXTS = [GeneratedText(f"q{i}", f"Question {i}?", f"Answer {i}", "one" if i % 2 else "two") for i in range(4)]


def book(rater: str = "ann", texts: list[GeneratedText] = TEXTS) -> RatingBook:
    opened = RatingBook(texts, (TONE, FACTS), rater=rater, path=rating_file("test"))
    opened.load()
    return opened


def test_the_file_lies_beside_the_progress_file(progress_path: Path) -> None:
    assert rating_file() == progress_path.with_name("rubric.jsonl")
    assert rating_file("lesson_11-tone") == progress_path.with_name("lesson_11-tone.jsonl")
    for name in ("", "../x", "a b", "a.b", "a/b"):
        with pytest.raises(ValueError, match="name must be letters, digits"):
            rating_file(name)


def test_every_click_is_in_the_file_at_once() -> None:
    mine = book()
    mine.rate(2, TONE, 1)
    assert load_ratings(mine.path) == [Rating(mine.texts[2].key, "ann", {"tone": 1})]
    mine.rate(2, FACTS, 0)
    mine.rate(2, TONE, 2)
    lines = mine.path.read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"text_id": mine.texts[2].key, "rater": "ann", "levels": {"tone": 2, "facts": 0}}
    ]


def test_a_book_that_is_opened_again_goes_on() -> None:
    mine = book()
    mine.rate(0, TONE, 2)
    mine.rate(0, FACTS, 1)
    mine.rate(3, TONE, 0)
    again = book()
    assert [text.key for text in again.texts] == [text.key for text in mine.texts]
    assert again.level(0, TONE) == 2 and again.level(0, FACTS) == 1 and again.level(3, TONE) == 0
    assert again.level(3, FACTS) is None and again.open_places() == [1, 2, 3]


def test_raters_and_tabs_do_not_overwrite_each_other() -> None:
    ann, ben, tab = book(), book("ben"), book()
    ann.rate(0, TONE, 2)
    ben.rate(0, TONE, 1)
    tab.rate(1, TONE, 0)  # a second tab of ann's, opened before she rated the first text
    tab.rate(0, TONE, 1)  # there she changes her mind about the first text
    ann.rate(0, FACTS, 1)
    assert {(each.rater, each.text_id): each.levels for each in load_ratings(ann.path)} == {
        ("ben", ben.texts[0].key): {"tone": 1},
        ("ann", ann.texts[0].key): {"tone": 1, "facts": 1},
        ("ann", ann.texts[1].key): {"tone": 0},
    }


def test_a_rating_does_not_pass_to_a_text_that_was_written_anew() -> None:
    mine = book()
    old = mine.texts[0]
    mine.rate(0, TONE, 2)
    anew = [GeneratedText(t.text_id, t.prompt, "Something else" if t is old else t.text, t.system) for t in mine.texts]
    later = book(texts=anew)
    (place,) = [i for i, text in enumerate(later.texts) if text.text_id == old.text_id]
    assert later.level(place, TONE) is None
    later.rate(place, TONE, 0)
    assert len(load_ratings(mine.path)) == 2, "the old rating is still there"


def test_what_cannot_be_written_waits_and_is_written_later(progress_path: Path) -> None:
    mine = book()
    progress_path.parent.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="progress"):
        mine.rate(0, TONE, 2)
    with pytest.raises(OSError, match="progress"):
        mine.save()
    assert mine.level(0, TONE) == 2
    progress_path.parent.unlink()
    mine.rate(1, TONE, 1)
    assert {each.text_id: each.levels for each in load_ratings(mine.path)} == {
        mine.texts[0].key: {"tone": 2},
        mine.texts[1].key: {"tone": 1},
    }


def test_a_broken_file_is_left_alone_until_it_is_mended() -> None:
    mine = book()
    mine.rate(0, TONE, 2)
    good = mine.path.read_text("utf-8")
    mine.path.write_text(good + "{half a li\n", "utf-8")
    with pytest.raises(ValueError, match=r"line 2 of test\.jsonl is no rating"):
        mine.rate(1, TONE, 1)
    assert mine.path.read_text("utf-8") == good + "{half a li\n"
    assert mine.level(0, TONE) == 2 and mine.level(1, TONE) == 1
    mine.path.write_text(good, "utf-8")
    mine.save()
    assert len(load_ratings(mine.path)) == 2


def test_a_file_that_vanishes_is_written_again_whole() -> None:
    mine = book()
    mine.rate(0, TONE, 2)
    mine.path.unlink()
    mine.rate(1, TONE, 1)
    assert len(load_ratings(mine.path)) == 2


def test_a_write_that_fails_keeps_the_former_file(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = book()
    mine.rate(0, TONE, 2)
    before = mine.path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        mine.rate(1, TONE, 1)
    assert mine.path.read_bytes() == before and mine.level(1, TONE) == 1


def test_nothing_is_written_before_the_first_click(progress_path: Path) -> None:
    book().save()
    assert not progress_path.parent.exists()


def test_a_level_that_the_criterion_has_no_more_counts_as_none() -> None:
    mine = book()
    save_ratings([Rating(mine.texts[0].key, "ann", {"tone": 7, "facts": 1})], mine.path)
    again = book()
    assert again.level(0, TONE) is None and again.level(0, FACTS) == 1 and 0 in again.open_places()

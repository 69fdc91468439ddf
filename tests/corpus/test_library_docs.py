"""The documentation of installed libraries: docstrings cleaned by hand, and what the whole must hold."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from course_lib.corpus.library_docs import (
    PACKAGES,
    is_prose,
    library_documents,
    library_sentences,
)


@pytest.mark.parametrize(
    ("sentence", "prose"),
    [
        ("The values that are returned are sorted.", True),
        ("Return the first of them, if there is one.", True),
        ("Too short here.", False),  # three words
        ("the values that are returned are sorted.", False),  # a fragment
        ("The values that are returned are sorted", False),
        ("The value of x = 1 is the default.", False),
        ("See np.mean(x) for the mean of values.", False),
        ("The formula {x} is not filled in here.", False),
        ("The n_1 2.5 x_y 3 z_z 7 numbers.", False),
        ("Word " * 25 + "end.", False),  # 26 words
        ("Word " * 24 + "end.", True),
    ],
)
def test_prose_by_hand(sentence: str, prose: bool) -> None:
    assert is_prose(sentence) is prose


def test_a_package_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names without private parts, C functions, near copies, stubs, tests, and files that cannot be parsed."""
    words = (
        "This function turns every number of a list into another number of the same kind and returns them all in order."
    )
    files = {
        "__init__.py": f'"""{words}"""\nraise RuntimeError("imported")\n',
        "_inner.py": f'''
def public():
    """{words.replace("number", "letter")}"""

def copy():
    """{words.replace("number", "letter")}"""

def _private():
    """{words.replace("number", "secret")}"""

class Holder:
    """{words.replace("number", "holder")}"""

    def method(self):
        """{words.replace("number", "method")}"""

def old():
    """Deprecated since version two of this package: please use the other function, which does all the same things."""

add_docstr(torch.absolute, r"""{words.replace("number", "tensor")}""")
add_newdoc("pack", "attribute", """{words.replace("number", "array")}""")
''',
        "tests/test_it.py": f'def helper():\n    """{words.replace("number", "test")}"""\n',
        "_hidden/deep.py": f'def deep():\n    """{words.replace("number", "depth")}"""\n',
        "template.py": '"""{{ broken',
    }
    root = tmp_path / "pack_for_this_test"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    documents = library_documents("pack_for_this_test")
    assert [one.doc_id for one in documents] == [
        "library/pack.attribute",
        "library/pack_for_this_test",
        "library/pack_for_this_test.Holder",
        "library/pack_for_this_test.Holder.method",
        "library/pack_for_this_test.copy",
        "library/torch.absolute",
    ]
    assert "pack_for_this_test" not in sys.modules  # read, never imported
    assert {(one.shelf, one.date.year) for one in documents} == {("library", 2026)}
    assert documents[1].text == words


@pytest.mark.parametrize("package", ["no_such_package", "a.b", "abc", ""])
def test_a_package_that_is_not_there(package: str) -> None:
    with pytest.raises(ValueError, match=f"package must be installed and a folder of modules, got '{package}'"):
        library_documents(package)


@pytest.mark.slow
def test_the_libraries_hold_enough() -> None:
    documents, sentences = library_documents(), library_sentences()
    assert len(sentences) >= 50_000  # 67,762 with the versions of this year
    assert len({one.doc_id for one in documents}) == len(documents) >= 10_000
    assert {one.title.split(".")[0] for one in documents} >= set(PACKAGES) - {"python"}
    assert len({sentence.lower() for sentence in sentences}) == len(sentences)
    assert all(is_prose(sentence) for sentence in sentences)
    assert not [sentence for sentence in sentences if ">>>" in sentence or "::" in sentence or "``" in sentence]
    assert library_sentences(100) == sentences[:100]
    for n in (0, len(sentences) + 1):
        with pytest.raises(ValueError, match=f"n must be between 1 and the {len(sentences)} sentences"):
            library_sentences(n)
    assert library_documents("numpy", "pandas") == library_documents("numpy") + [
        one for one in library_documents("numpy", "pandas") if one.title.startswith("pandas")
    ]

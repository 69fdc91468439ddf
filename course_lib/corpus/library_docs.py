"""The documentation of the installed libraries as documents: docstrings, read from source files and never imported."""

from __future__ import annotations

import ast
import datetime
import gc
import importlib.util
import re
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from course_lib.core.types import Document
from course_lib.corpus.chunking import sentence_spans
from course_lib.corpus.docstrings import clean_docstring, docstrings

# What a base installation holds: the course's dependencies and what they need themselves. "python" is its own library.
# transformers can be named too; it is not among them, because its models repeat each other and take long to parse.
PACKAGES = (
    *("python", "numpy", "scipy", "sklearn", "pandas", "matplotlib", "networkx", "sympy", "pyarrow", "PIL", "torch"),
    *("datasets", "peft", "accelerate", "sentence_transformers", "huggingface_hub", "bs4", "pypdf"),
)
DATE = datetime.date(2026, 1, 1)  # stands for "as installed": source files carry no date
MIN_WORDS = 20  # a docstring with less prose is a label, not documentation

_LEFT_OUT = {"test", "tests", "testing", "_vendor", "site-packages", "dist-packages", "idlelib", "lib2to3", "ensurepip"}

_NOT_PROSE = re.compile(r"[{}<>=|\\@#~^$…]|::|__|%\(|://|\.\.\.|>>>|\w\(|\[|\]|\*|_\w+_|(?:^| )[-+/&]")
_PLAIN_WORD = re.compile(r"[(\"']?[A-Za-z][a-z]*(?:['’\-/][A-Za-z]+)*[)\"']?[.,;:!?]?[)\"']?")


def _root(package: str) -> Path:
    if package == "python":
        return Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"package must be installed and a folder of modules, got {package!r}; see PACKAGES")
    return Path(next(iter(spec.submodule_search_locations)))


def _module_name(package: str, path: Path) -> str:
    """Return "scipy.optimize" for scipy/optimize/_minimize.py: private modules are not part of the public name."""
    parts = [part for part in path.with_suffix("").parts if not part.startswith("_")]
    return ".".join(parts if package == "python" else [package, *parts])


def _public_files(folder: Path) -> Iterator[Path]:
    """Yield the source files that a package offers, in order of name; folders such as _inductor are its inner works."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in _LEFT_OUT and (not path.name.startswith("_") or path.name == "_core"):
                yield from _public_files(path)
        elif path.suffix == ".py":
            yield path


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the search for garbage: trees of millions of nodes are parsed a fifth faster without it."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@cache
def _package_docs(package: str) -> tuple[tuple[str, str], ...]:
    """Return (name, cleaned text) of all that a package documents, in order of name; of one name, the longest text."""
    root, found = _root(package), dict[str, str]()
    for path in _public_files(root):
        source = path.read_text(encoding="utf-8", errors="replace")
        if '"""' not in source:
            continue
        try:
            with warnings.catch_warnings(action="ignore"), _no_collection():  # old escapes in other people's strings
                tree = ast.parse(source)
        except SyntaxError:  # a template or a file for another Python
            continue
        for name, docstring in docstrings(tree, _module_name(package, path.relative_to(root))):
            if len(docstring.split()) >= MIN_WORDS and len(docstring) > len(found.get(name, "")):
                found[name] = docstring
    cleaned = ((name, clean_docstring(found[name])) for name in sorted(found))
    return tuple((name, text) for name, text in cleaned if len(text.split()) >= MIN_WORDS)


def _is_stub(text: str) -> bool:
    return "deprecated" in text[:200].lower() and len(text.split()) < 60


@cache
def _documents(packages: tuple[str, ...]) -> tuple[Document, ...]:
    seen, documents = set[str](), []
    for package in packages:
        for name, text in _package_docs(package):
            lines = {line.lower() for line in text.split("\n") if len(line.split()) >= 5}
            if lines and not _is_stub(text) and len(lines & seen) <= len(lines) / 2:
                documents.append(Document(f"library/{name}", "library", name, DATE, text))
            seen |= lines
    return tuple({document.doc_id: document for document in documents}.values())


def library_documents(*packages: str) -> list[Document]:
    """Return what the installed packages document (all of PACKAGES if none is named), package by package, by name.

    A docstring is left out if half of its lines stand in one before it, or if it only says that a name is deprecated.
    What is returned depends on the versions that are installed. Raises ValueError for a package that is not there.
    """
    return list(_documents(packages or PACKAGES))


def is_prose(sentence: str, *, least: int = 5, most: int = 25) -> bool:
    """Return whether a sentence is plain text of so many words: no code, formula or markup, four words in five plain."""
    words = sentence.split()
    if not least <= len(words) <= most or not sentence[0].isupper() or sentence[-1] not in ".!?":
        return False
    return not _NOT_PROSE.search(sentence) and sum(map(bool, map(_PLAIN_WORD.fullmatch, words))) >= 0.8 * len(words)


@cache
def _sentences() -> tuple[str, ...]:
    unique: dict[str, str] = {}
    for document in library_documents():
        for start, end in sentence_spans(document.text):
            if is_prose(sentence := document.text[start:end]):
                unique.setdefault(sentence.lower(), sentence)
    return tuple(unique.values())


def library_sentences(n: int | None = None) -> list[str]:
    """Return n sentences of the libraries' documentation (all if None), no two alike, in the order of the documents.

    Raises ValueError unless n lies between 1 and the number that the installed libraries hold.
    """
    sentences = _sentences()
    if n is not None and not 1 <= n <= len(sentences):
        raise ValueError(f"n must be between 1 and the {len(sentences)} sentences of the installed libraries, got {n}")
    return list(sentences[:n])

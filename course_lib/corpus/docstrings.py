"""Docstrings: found in a source file without importing it, and cleaned to prose."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

_SKIPPED_SECTIONS = {"references", "see also", "signature"}
_KEPT_DIRECTIVES = {"note", "warning", "tip", "important", "admonition", "caution", "attention", "hint"}

_RULE = re.compile(r"([=\-~^`#*+\"'.])\1{2,}")
_TABLE = re.compile(r"^\s*(\||\+[-=+]{3,}|[=-]{2,} +[=-]{2,})", re.MULTILINE)
_DIRECTIVE = re.compile(r"\.\. *(?P<name>[\w:-]+?)::")
_NUMPY_FIELD = re.compile(r"[*\w][\w, .*/\\]{0,60} : \S.*|[*\w]+ :")
_GOOGLE_FIELD = re.compile(r"(?P<name>[*`]{0,2}\w+`{0,2} ?\([^()]*(?:\([^()]*\)[^()]*)*\)) ?:\s*(?P<text>.*)")
_SPHINX_FIELD = re.compile(r":(?:param|type|return|returns|rtype|raises|arg|keyword)\b[^:]*:\s*")
_BULLET = re.compile(r"(?:[-*•+]|\(?\w{1,2}[.)])\s+")
_MARKUP = (
    (re.compile(r":[\w:.+-]+:`~?\.?(?:[^`<]*\.)?(?=[^`<.]*`)"), "`"),  # :class:`~a.b.C` -> C
    (re.compile(r":[\w:.+-]+:`([^`<]*?)\s*<[^`]*>`"), r"\1"),
    (re.compile(r"\[`~?([^`]*)`\](?:\([^)]*\))?"), r"\1"),  # [`Name`] of transformers
    (re.compile(r"\[([^\][]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"`([^`<]*?)\s*<[^`]*>`_*"), r"\1"),
    (re.compile(r"\s*\[#?\w+\]_"), ""),  # a reference to a footnote
    (re.compile(r"`+([^`]*)`+_*"), r"\1"),
    (re.compile(r"(?<![\w*])\*{1,2}(?=\S)([^*]+?)\*{1,2}(?![\w*])"), r"\1"),
    (re.compile(r"\\ "), ""),
    (re.compile(r"\s+"), " "),
)


def docstrings(tree: ast.Module, module: str) -> Iterator[tuple[str, str]]:
    """Yield (qualified name, docstring) of a module, its public classes and functions, and those given by a call."""
    waiting: list[tuple[str, ast.Module | ast.ClassDef]] = [(module, tree)]
    while waiting:
        name, node = waiting.pop(0)
        if text := ast.get_docstring(node):
            yield name, text
        for child in node.body:
            if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
                waiting.append((f"{name}.{child.name}", child))
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
                if text := ast.get_docstring(child):
                    yield f"{name}.{child.name}", text
            elif isinstance(child, ast.Expr) and isinstance(child.value, ast.Call):
                yield from _given_by_call(child.value)


def _given_by_call(call: ast.Call) -> Iterator[tuple[str, str]]:
    """Yield what add_docstr(torch.abs, "...") and add_newdoc("numpy", "abs", "...") give to functions written in C."""
    if (
        not call.args
        or not isinstance(call.func, ast.Name)
        or not call.func.id.startswith(("add_docstr", "add_newdoc"))
    ):
        return
    *target, value = call.args
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):  # "...".format(...)
        value = value.func.value
    if isinstance(value, ast.Tuple):  # (method, "...")
        *target, value = *target, *value.elts
    if target and isinstance(value, ast.Constant) and isinstance(value.value, str):
        names = [part.value if isinstance(part, ast.Constant) else ast.unparse(part) for part in target]
        yield ".".join(str(name) for name in names), inspect.cleandoc(value.value)


def _blocks(docstring: str) -> Iterator[str]:
    """Yield the blocks between blank lines, without code, doctests, tables, references and headings."""
    docstring = re.sub(r"^( *)(```|~~~).*?^\1\2 *$", "", docstring, flags=re.MULTILINE | re.DOTALL)
    skipped_below: int | None = None  # lines further in than this belong to something that is skipped
    skipped_section = False
    for block in re.split(r"\n(?:[ \t]*\n)+", docstring.expandtabs()):
        lines = block.split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        if skipped_below is not None and indent > skipped_below:
            continue
        skipped_below = None
        for i, line in enumerate(lines[1:], start=1):
            if lines[i - 1].strip() and _RULE.fullmatch(line.strip()):
                skipped_section = lines[i - 1].strip().lower() in _SKIPPED_SECTIONS
                lines = lines[i + 1 :]
                break
        first = lines[0].strip() if lines else ""
        directive = _DIRECTIVE.match(first)
        if directive and directive["name"] in _KEPT_DIRECTIVES:
            lines[0] = first[directive.end() :].strip()
        elif first.startswith(".."):
            skipped_below = indent
            continue
        if skipped_section or _TABLE.search("\n".join(lines)):
            continue
        if lines and lines[-1].rstrip().endswith("::"):
            skipped_below = len(lines[-1]) - len(lines[-1].lstrip())
        doctest = next((i for i, line in enumerate(lines) if line.lstrip().startswith((">>>", "In ["))), len(lines))
        if text := "\n".join(lines[:doctest]).rstrip(": \n"):
            yield text


def _paragraphs(block: str) -> Iterator[str]:
    """Yield the paragraphs of a block: a new one at a list item, at a field and where the indent changes."""
    lines = block.split("\n")
    indents = [len(line) - len(line.lstrip()) for line in lines]
    gathered: list[str] = []
    hanging: int | None = None  # the indent that a list item's further lines may have
    for i, (line, indent) in enumerate(zip(lines, indents, strict=True)):
        text = line.strip()
        field = bool(_NUMPY_FIELD.fullmatch(text)) and i + 1 < len(lines) and indents[i + 1] > indent
        google = _GOOGLE_FIELD.fullmatch(text)
        bullet = _BULLET.match(text) or _SPHINX_FIELD.match(text)
        moved = i > 0 and indent != indents[i - 1] and indent != hanging
        if gathered and (field or google or bullet or moved):
            yield " ".join(gathered)
            gathered = []
        if field or google:
            yield google["name"] if google else text
            text = google["text"] if google else ""
            hanging = indents[i + 1] if google and i + 1 < len(lines) else None
        elif bullet:
            text = text[bullet.end() :]
            hanging = indents[i + 1] if i + 1 < len(lines) and indents[i + 1] > indent else None
        if text:
            gathered.append(text)
    if gathered:
        yield " ".join(gathered)


def clean_docstring(docstring: str) -> str:
    """Return the prose of a docstring, a paragraph a line: no code, doctest, table, heading, reference or markup."""
    kept = []
    for block in _blocks(inspect.cleandoc(docstring)):
        for paragraph in _paragraphs(block):
            for pattern, plain in _MARKUP:
                paragraph = pattern.sub(plain, paragraph)
            if (paragraph := paragraph.strip()) and not _RULE.fullmatch(paragraph):
                kept.append(paragraph)
    return "\n".join(kept)

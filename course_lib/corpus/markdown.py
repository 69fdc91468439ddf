"""Markdown as plain text: its words and lines without its marks."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_INLINE = (
    (
        re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)|\[[^\[\]]*\])"),
        r"\1",
    ),  # links
    (re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^<>]*>"), ""),
    (re.compile(r"(`+)(.+?)\1"), r"\2"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*]+?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=\S)([^_]+?)(?<=\S)_(?!\w)"), r"\1"),
)
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|>~])")
_ASIDE = 0xE000  # where Unicode has room for private use
_SET_ASIDE = re.compile("[\ue000-\ue07f]")


def markdown_text(text: str) -> tuple[str, dict[str, str]]:
    """Return the text of a Markdown file without its marks, and its front matter (keys in lower case).

    Headings become lines, links and pictures their words, wrapped lines one paragraph; what stands between code
    fences is kept as it is. Front matter is read as lines of "key: value"; nested YAML is not.
    """
    text = text.replace("\r\n", "\n")
    front: dict[str, str] = {}
    if match := _FRONT_MATTER.match(text):
        pairs = (line.partition(":") for line in match[1].split("\n") if re.match(r"[\w-]+:", line))
        front = {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs}
        text = text[match.end() :]
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return "\n".join(_markdown_lines(text.split("\n"), front)), front


def _markdown_lines(lines: Sequence[str], front: dict[str, str]) -> Iterator[str]:
    fence, paragraph = "", list[str]()
    for line in [*lines, ""]:
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
            else:
                yield line
            continue
        bare = re.sub(r"^[ ]{0,3}(?:>[ ]?)+", "", line)
        heading = re.match(r"[ ]{0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$", bare)
        underline = re.match(r"[ ]{0,3}(=+|-+)[ \t]*$", bare)
        breaks = not bare.strip() or heading or mark or underline or re.match(r"\s*(?:[-*+]|\d{1,3}[.)])\s|\s*\|", bare)
        if underline and paragraph and underline[1][0] == "=":
            front.setdefault("title", _plain(" ".join(paragraph)))
        if breaks and paragraph:
            yield _plain(" ".join(paragraph))
            paragraph = []
        if mark:
            fence = mark[1][:3]
        elif heading:
            words = _plain(heading[2] or "")
            if len(heading[1]) == 1:
                front.setdefault("title", words)
            yield from ("", words, "")
        elif underline or re.match(r"[ ]{0,3}(?:[-*_][ \t]*){3,}$", bare) or re.match(r"\s*\[[^\]]+\]:\s+\S+", bare):
            yield ""  # a rule, or where a link leads
        elif re.fullmatch(r"\s*\|?[\s:|-]*\|[\s:|-]*", bare):
            pass  # the rule below the head of a table
        elif bare.strip():
            paragraph.append(bare.strip())
        else:
            yield ""


def _plain(text: str) -> str:
    text = _ESCAPED.sub(lambda match: chr(_ASIDE + ord(match[1])), text)  # an escaped mark is none
    for pattern, plain in _INLINE:
        text = pattern.sub(plain, text)
    return html.unescape(_SET_ASIDE.sub(lambda match: chr(ord(match[0]) - _ASIDE), text))

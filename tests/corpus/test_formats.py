"""From bytes to text: encodings, HTML, and PDF files written by hand."""

from __future__ import annotations

import datetime
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.corpus.formats import (
    UnreadableDocument,
    decode,
    html_text,
    read_html,
    read_markdown,
    read_pdf,
    read_text,
)

# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings_are_found(encoding: str) -> None:
    text = "Größe: 5 €, “naïve”"
    assert decode(text.encode(encoding), name="a.txt") == text


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "cp437"])
def test_an_encoding_can_be_named(encoding: str) -> None:
    assert decode("Größe".encode(encoding), name="a.txt", encoding=encoding) == "Größe"


@given(st.text())
def test_what_was_saved_as_utf_8_comes_back(text: str) -> None:
    if "\0" not in text:
        assert decode(text.encode("utf-8", "ignore"), name="a.txt").encode() == text.encode(
            "utf-8", "ignore"
        ).removeprefix(b"\xef\xbb\xbf")


def test_the_byte_that_fits_nowhere_is_named() -> None:
    with pytest.raises(
        UnreadableDocument, match=r"a\.txt is not text in utf-8 or cp1252: byte 0x81 at position 4 .* UTF-8"
    ):
        decode(b"abc \x81", name="a.txt")
    with pytest.raises(UnreadableDocument, match=r"not text in ascii: byte 0xe9 at position 3 .* name the encoding"):
        decode(b"caf\xe9", name="a.txt", encoding="ascii")


def test_utf_16_that_is_cut_short() -> None:
    with pytest.raises(UnreadableDocument, match="not text in utf-16: byte 0x"):
        decode("abc".encode("utf-16")[:-1], name="a.txt")


@pytest.mark.parametrize("data", [b"\x89PNG\0\0", "abc".encode("utf-16-le")])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match="holds a zero byte at position .*utf-16-le"):
        decode(data, name="a.txt")


def test_an_unknown_encoding() -> None:
    with pytest.raises(LookupError):
        decode(b"a", name="a.txt", encoding="utf-99")


def test_form_feeds_divide_pages(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ftwo")
    raw = read_text(tmp_path / "a.txt", None)
    assert (list(raw.pages), raw.has_pages) == (["one", "two"], True)
    (tmp_path / "b.txt").write_text("one")
    assert read_text(tmp_path / "b.txt", None).has_pages is False


@pytest.mark.parametrize(
    ("date", "expected"), [("2024-05-06", datetime.date(2024, 5, 6)), ("2024-13-40", None), ("May", None)]
)
def test_the_date_of_front_matter(date: str, expected: datetime.date | None, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(f"---\ntitle: T\ndate: {date}\n---\ntext")
    raw = read_markdown(tmp_path / "a.md", None)
    assert (raw.title, raw.date) == ("T", expected)


# ---------------------------------------------------------------- HTML


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>One <b>two</b>\n  three.</p><p>Four</p>", "One two three.\n\nFour"),
        ("<ul><li>a</li><li>b</li></ul>c", "a\nb\n\nc"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("a<br>b", "a\nb"),
        ("<h1>H</h1>text", "H\n\ntext"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><th>3</th></tr></table>", "1 2\n3"),
        ("x<pre>a\n  b</pre>", "x\na\n  b"),
        ("a<script>b</script><style>c</style><nav>d</nav><noscript>e</noscript><footer>f</footer><p hidden>g</p>", "a"),
        ("a<!-- b -->c", "ac"),
        ("a &lt; b &amp; c&nbsp;d", "a < b & c d"),
        ("<p>never closed", "never closed"),
        ("", ""),
    ],
)
def test_visible_text_by_hand(body: str, expected: str) -> None:
    text, _ = html_text(f"<html><head><title>T</title><style>x</style></head><body>{body}</body></html>")
    assert text == expected


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title> My\n page </title><h1>Other</h1>", "My page"),
        ("<h1>The <i>first</i></h1>", "The first"),
        ("<p>no title</p>", ""),
    ],
)
def test_the_title(page: str, title: str) -> None:
    assert html_text(page)[1] == title


def test_deep_nesting_does_not_overflow() -> None:
    assert html_text("<div>" * 3000 + "deep" + "</div>" * 3000)[0] == "deep"


def test_the_declared_encoding_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_bytes('<meta charset="iso-8859-7"><p>Αθήνα</p>'.encode("iso-8859-7"))
    assert read_html(path, None).pages == ["Αθήνα"]
    path.write_bytes(b'<meta charset="utf-99"><p>x</p>')
    with pytest.raises(UnreadableDocument, match=r"a\.html says it is in 'utf-99', which is no encoding"):
        read_html(path, None)


def test_a_page_that_a_script_builds(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<body><div id='root'></div><script>build()</script></body>")
    with pytest.raises(UnreadableDocument, match="holds no text: a script may build it"):
        read_html(tmp_path / "a.html", None)


# ---------------------------------------------------------------- PDF


def pdf_of(*pages: str, title: str = "", picture: bool = False) -> bytes:
    """A PDF in a few lines: a catalogue, the pages, their contents, a font; offsets in a table at the end."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for page in pages:
        shown = " T* ".join(f"({line}) Tj" for line in page.split("\n"))
        stream = "q Q" if picture else f"BT /F1 12 Tf 14 TL 50 700 Td {shown} ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        resources = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {len(objects)} 0 R {resources} >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    objects.append(f"<< /Title ({title}) /CreationDate (D:20240506070809Z) >>")
    body, places = "%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R /Info {size - 1} 0 R >>\n"
    return f"{body}{end}startxref\n{len(body)}\n%%EOF\n".encode("latin-1")


def read(path: Path, data: bytes) -> list[str]:
    path.write_bytes(data)
    return list(read_pdf(path, None).pages)


def test_the_text_of_each_page(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    assert read(path, pdf_of("First page.\nSecond line.", "Second page.", title="A guide")) == [
        "First page.\nSecond line.",
        "Second page.",
    ]
    raw = read_pdf(path, None)
    assert (raw.title, raw.date, raw.has_pages) == ("A guide", datetime.date(2024, 5, 6), True)


def test_a_page_without_text_keeps_its_number(tmp_path: Path) -> None:
    assert read(tmp_path / "a.pdf", pdf_of("one", "", "three")) == ["one", "", "three"]


def test_pictures_only(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDocument, match=r"a\.pdf holds no text on its 2 pages: .* text recognition"):
        read(tmp_path / "a.pdf", pdf_of("one", "two", picture=True))


@pytest.mark.parametrize("kept", [0, 8, 300])
def test_cut_short(kept: int, tmp_path: Path) -> None:
    with pytest.raises(UnreadableDocument, match=r"a\.pdf is cut short or is no PDF .* fetch the file again"):
        read(tmp_path / "a.pdf", pdf_of("one")[:kept])


def test_what_is_no_pdf(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDocument, match="cut short or is no PDF"):
        read(tmp_path / "a.pdf", b"<html>Not found</html>" * 50)


@pytest.mark.parametrize("seed", range(8))
def test_damaged_files_are_told_or_read(seed: int, tmp_path: Path) -> None:
    """Whatever the bytes, nothing but UnreadableDocument is raised."""
    data = bytearray(pdf_of("First page.\nSecond line.", "Second page."))
    for i in range(3):
        place = zlib.crc32(f"{seed} {i}".encode()) % len(data)
        data[place : place + 12] = b"\xff" * 12
    try:
        read(tmp_path / "a.pdf", bytes(data))
    except UnreadableDocument as error:
        assert "a.pdf" in str(error)


def locked(path: Path, user: str, owner: str) -> None:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=path)
    writer.encrypt(user_password=user, owner_password=owner, algorithm="RC4-128")
    writer.write(path)


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_of("secret"))
    locked(path, "user", "owner")
    with pytest.raises(UnreadableDocument, match=r"a\.pdf is locked with a password; save a copy without one"):
        read_pdf(path, None)


def test_a_file_that_anybody_may_open_is_read(tmp_path: Path) -> None:
    """Many are encrypted only to forbid changes: the empty password opens them."""
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_of("open"))
    locked(path, "", "owner")
    assert list(read_pdf(path, None).pages) == ["open"]

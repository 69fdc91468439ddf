"""The far side of grading: runs a learner's cells and calls the learner's functions, inside the sandbox.

This one file is all of ours that the sandbox holds, so it imports nothing of ours. Requests come on what was stdin, replies
leave on what was stdout; learner code finds the null device in their place. The grader imports `encode` and `decode` from
here: the only form in which values cross the border.
"""

from __future__ import annotations

import importlib.machinery
import os
import re
import sys
import types
from ast import AST, Attribute, Call, Expr, Module, Name, PyCF_ONLY_AST
from json import loads
from struct import error as StructError
from struct import pack, unpack, unpack_from
from typing import Any

from numpy import dtype, frombuffer, generic, ndarray, void

MAX_BYTES = 8 << 20  # of one encoded value
MAX_ITEMS = 200_000  # of all lists, tuples and dicts of one value together
MAX_KEYS = 2_000  # of all dicts: keys can be made to collide, which costs the square of their number
MAX_DEPTH = 16
ARRAYS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
TAGS: dict[Any, bytes] = {list: b"l", tuple: b"t", dict: b"d"}


class NotData(TypeError):
    """Raised for a value that may not cross the border. Its text says what the value is: "a set"."""


def encode(value: Any) -> bytes:
    """Return value as bytes. Raises NotData unless it is data: numbers, str, bool, None, lists, tuples, dicts, arrays."""
    parts: list[bytes] = []
    _encode(value, parts, [MAX_BYTES, MAX_ITEMS, MAX_KEYS], 0)
    return b"".join(parts)


def _put(parts: list[bytes], budget: list[int], *data: bytes) -> None:
    budget[0] -= sum(map(len, data))
    if budget[0] < 0:
        raise NotData(f"a value of more than {MAX_BYTES >> 20} MB")
    parts.extend(data)


def _encode(value: Any, parts: list[bytes], budget: list[int], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotData(f"a value nested more than {MAX_DEPTH} deep")
    if isinstance(value, generic) and not isinstance(value, void):
        value = value.item()  # np.float64, np.str_ and their like
    kind = type(value)
    if value is None or kind is bool:
        _put(parts, budget, b"N" if value is None else b"T" if value else b"F")
    elif issubclass(kind, int):  # of a subclass, only the number: methods of the base class cannot be overridden
        number = int.__pos__(value)
        size = number.bit_length() // 8 + 1
        if size > 1024:
            raise NotData("a whole number of more than 2400 digits")
        _put(parts, budget, b"i", pack(">I", size), number.to_bytes(size, "big", signed=True))
    elif issubclass(kind, float):
        _put(parts, budget, b"f", pack(">d", float.__pos__(value)))
    elif kind is str:
        text = value.encode("utf-8", "replace")
        _put(parts, budget, b"s", pack(">I", len(text)), text)
    elif issubclass(kind, ndarray):
        _encode_array(ndarray.view(value, ndarray), parts, budget, depth)
    elif base := next((plain for plain in TAGS if issubclass(kind, plain)), None):
        length = base.__len__(value)
        budget[1] -= length
        budget[2] -= length if base is dict else 0
        if min(budget) < 0:
            raise NotData(f"a {base.__name__} of length {length}")
        _put(parts, budget, TAGS[base], pack(">I", length))
        for item in dict.items(value) if base is dict else base.__iter__(value):
            for each in item if base is dict else (item,):
                _encode(each, parts, budget, depth + 1)
    else:
        name = plain_text(kind.__name__, 60)
        raise NotData(f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}")


def _encode_array(array: Any, parts: list[bytes], budget: list[int], depth: int) -> None:
    if array.nbytes > budget[0] or array.ndim > MAX_DEPTH:
        raise NotData(f"an array of shape {array.shape}, which is too large")
    if array.dtype.kind in "OU":  # objects and texts: one by one
        return _encode(array.tolist(), parts, budget, depth + 1)
    name = f"{array.dtype.kind}{array.dtype.itemsize}"
    if name == "f16":
        name = "f8"
    if name not in ARRAYS:
        raise NotData(f"an array of {array.dtype}")
    _put(parts, budget, b"a", pack(">2sB", name.encode(), array.ndim), pack(f">{array.ndim}Q", *array.shape))
    _put(parts, budget, array.astype(_little(name)).tobytes())


def _little(name: str) -> Any:
    return dtype(("|" if name[1] == "1" else "<") + name)


def decode(data: bytes) -> Any:
    """Return the value that bytes stand for. Raises ValueError for anything that `encode` would not write."""
    try:
        value, end = _decode(data, 0, [MAX_ITEMS, MAX_KEYS], 0)
    except (StructError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"malformed: {error}") from error
    if end != len(data):
        raise ValueError(f"malformed: {len(data) - end} bytes too many")
    return value


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError("malformed: cut short")
    return data[at : at + size]


def _decode(data: bytes, at: int, budget: list[int], depth: int) -> tuple[Any, int]:
    tag, at = _take(data, at, 1), at + 1
    if depth > MAX_DEPTH:
        raise ValueError("malformed: too deep")
    if tag in (b"N", b"T", b"F"):
        return {b"N": None, b"T": True, b"F": False}[tag], at
    if tag == b"f":
        return unpack_from(">d", data, at)[0], at + 8
    if tag == b"a":
        return _decode_array(data, at)
    (size,), at = unpack_from(">I", data, at), at + 4
    if tag == b"i" and size <= 1024:
        return int.from_bytes(_take(data, at, size), "big", signed=True), at + size
    if tag == b"s":
        return _take(data, at, size).decode("utf-8"), at + size
    if tag not in TAGS.values():
        raise ValueError(f"malformed: tag {tag!r}")
    budget[0] -= size
    budget[1] -= size if tag == b"d" else 0
    if min(budget) < 0:
        raise ValueError("malformed: too many items")
    items: list[Any] = []
    for _ in range(size * 2 if tag == b"d" else size):
        item, at = _decode(data, at, budget, depth + 1)
        items.append(item)
    if tag == b"d":
        return dict(zip(items[::2], items[1::2], strict=True)), at
    return (items if tag == b"l" else tuple(items)), at


def _decode_array(data: bytes, at: int) -> tuple[Any, int]:
    raw, ndim = unpack_from(">2sB", data, at)
    name = raw.decode("ascii", "replace")
    if name not in ARRAYS or ndim > MAX_DEPTH:
        raise ValueError("malformed: no such array")
    shape, at = unpack_from(f">{ndim}Q", data, at + 3), at + 3 + 8 * ndim
    size = int(name[1])
    for length in shape:
        size *= length
    if max(shape, default=0) > MAX_BYTES:
        raise ValueError("malformed: array too large")
    return frombuffer(_take(data, at, size), dtype=_little(name)).reshape(shape).copy(), at + size


# ---- from here on: only inside the worker ----------------------------------------------------------------------------


class Inert:
    """Stands for anything of course_lib: every attribute and every call of it is itself."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self

    def __repr__(self) -> str:
        return "(the course's library is not here: graded functions use NumPy and the standard library)"


class StandIn:
    """A meta-path finder that gives an inert package for course_lib and all below it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] == "course_lib":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: Any) -> None:
        """Leave it to Python."""

    def exec_module(self, module: Any) -> None:
        module.__getattr__ = Inert().__getattr__


MAGIC = re.compile(r"^\s*[%!?]|^\s*[\w.]+\?{1,2}\s*$|^[\w,. \t]+=\s*[%!]")


def parse_cell(source: str) -> Module:
    """Return the syntax of a cell without IPython's magics and shell lines, and without lines that call `check`."""
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("%%"):
        source = rest if first.split()[0] in ("%%time", "%%timeit", "%%capture") else ""
    lines = source.split("\n")
    while True:
        try:
            tree = compile("\n".join(lines), "<cell>", "exec", PyCF_ONLY_AST, dont_inherit=True)
            break
        except SyntaxError as error:  # only what Python refuses can be a magic: a line "% 2" may go on with a sum
            at = (error.lineno or 0) - 1
            if not 0 <= at < len(lines) or not MAGIC.match(lines[at]):
                raise
            lines[at] = lines[at][: len(lines[at]) - len(lines[at].lstrip())] + "pass"
    assert isinstance(tree, Module)
    tree.body = [node for node in tree.body if not (isinstance(node, Expr) and _calls_check(node.value))]
    return tree


def _calls_check(node: AST) -> bool:
    while isinstance(node, (Attribute, Call)):
        node = node.func if isinstance(node, Call) else node.value
    return isinstance(node, Name) and node.id == "check"


def plain_text(value: object, most: int = 500) -> str:
    """Return str(value), cut to `most` characters; "(no message)" for an object whose __str__ does not give a str."""
    try:
        return str.__getitem__(str(value), slice(most))
    except BaseException:
        return "(no message)"


def tell_error(error: BaseException, sources: dict[str, str]) -> tuple[list[str], str]:
    """Return the names of the error's class and its bases, and a line that names the learner's line."""
    family = [plain_text(kind.__name__, 100) for kind in type(error).__mro__][:20]
    number, trace, line, message = None, error.__traceback__, "", plain_text(error)
    if isinstance(error, SyntaxError):
        number, line, message = error.lineno, plain_text(error.text or "", 200), plain_text(error.msg)
    while trace is not None and number is None:
        if source := sources.get(trace.tb_frame.f_code.co_filename):
            number = trace.tb_lineno
            line = "".join(source.split("\n")[number - 1 : number])
        trace = trace.tb_next
    where = "" if number is None else f" in line {number} ({line.strip()[:200]})"
    return family, f"{family[0]}{where}: {message}"


class Loop:
    """Takes requests (number, "cell" or "call", ...) and replies (number, what came of it, ...) until the grader hangs up."""

    def __init__(self, requests: int, replies: int) -> None:
        self.requests, self.replies, self.read, self.write = requests, replies, os.read, os.write
        self.sources: dict[str, str] = {}
        self.main = types.ModuleType("__main__")
        sys.modules["__main__"] = self.main

    def take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.read(self.requests, min(size - len(data), 1 << 16))
            if not more:
                raise EOFError
            data += more
        return data

    def reply(self, payload: bytes) -> None:
        frame = pack(">I", len(payload)) + payload
        while frame:
            frame = frame[self.write(self.replies, frame) :]

    def cell(self, number: int, name: str, source: str) -> bytes:
        self.sources[f"<{name}>"] = source
        try:
            exec(compile(parse_cell(source), f"<{name}>", "exec", dont_inherit=True), vars(self.main))
        except BaseException as error:
            return encode((number, "error", *tell_error(error, self.sources)))
        return encode((number, "ran"))

    def call(self, number: int, name: str, args: tuple[Any, ...]) -> bytes:
        function = vars(self.main).get(name)
        if not callable(function):
            return encode((number, "missing"))
        try:
            value = function(*args)
        except BaseException as error:
            return encode((number, "error", *tell_error(error, self.sources)))
        what = ""
        for after in (args, None):  # the grader compares the arguments, too; None: they are no data any more
            try:
                return encode((number, "value", value, after))
            except BaseException as error:
                what = plain_text(error) if isinstance(error, NotData) else "something that cannot be read"
        return encode((number, "unfit", what))

    def serve(self) -> None:
        self.reply(encode("ready"))
        while True:
            number, what, *rest = decode(self.take(unpack(">I", self.take(4))[0]))
            self.reply(self.cell(number, *rest) if what == "cell" else self.call(number, *rest))


def main(settings: str) -> None:
    """Set the limits, put the null device in the place of the pipes, and serve. settings: JSON."""
    wanted = loads(settings)
    for name, most in wanted["rlimits"].items():
        try:
            import resource

            hard = resource.getrlimit(getattr(resource, name))[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(getattr(resource, name), (most, most))
        except (ImportError, OSError, ValueError):
            if wanted["contained"]:
                raise  # elsewhere, the grader has said that nothing is contained
    requests, replies, null = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDWR)
    if sys.platform == "win32":
        import msvcrt

        for pipe in (requests, replies):
            msvcrt.setmode(pipe, os.O_BINARY)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    sys.meta_path.insert(0, StandIn())
    sys.argv = ["grading"]
    try:
        Loop(requests, replies).serve()
    finally:
        os._exit(0)  # whatever threads and handlers learner code has left

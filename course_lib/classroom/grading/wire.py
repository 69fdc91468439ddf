"""The near side of grading: one worker process, asked one thing at a time. Nothing that it says is believed unread."""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from course_lib.classroom.grading.sandbox import Limits, SandboxError, scratch_folder, start_worker
from course_lib.classroom.grading.worker import MAX_BYTES, decode, encode

MAX_REPLY = MAX_BYTES + (1 << 16)
Why = Literal["time", "ended", "unreadable"]


class LostError(RuntimeError):
    """The worker gave no answer that can be used, and has been ended. why: "time", "ended" or "unreadable"."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


class Worker:
    """A worker process. `ask` returns its answer or raises LostError; after that, or after `close`, it is gone."""

    def __init__(self, limits: Limits, *, sandbox: bool) -> None:
        """Start it. Raises SandboxError if it does not come up: no learner code has run at that time."""
        self._folder = scratch_folder()
        self._contained, self._closed = sandbox, False
        self._process = start_worker(limits, Path(self._folder.name), sandbox=sandbox)
        try:
            if self._exchange(None, limits.start_seconds) != "ready":
                raise LostError("unreadable")
        except LostError as lost:
            self.close()
            raise SandboxError(f"the worker did not start ({lost.why}); is this machine out of memory?") from lost

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, what: Literal["cell", "call"], *rest: Any, seconds: float) -> tuple[Any, ...]:
        """Return ("ran",), ("error", family, text), ("missing",), ("unfit", what) or ("value", value, arguments after).

        A cell is asked for with its name and source, a call with the function's name and a tuple of arguments.
        """
        number = secrets.randbits(62)  # code that writes to the pipe by itself cannot guess it
        request = encode((number, what, *rest))
        try:
            reply = self._exchange(struct.pack(">I", len(request)) + request, seconds)
            return _checked(reply, number, what)
        except LostError:
            self.close()
            raise

    def close(self) -> None:
        """End the process and all that it started."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            if self._contained or sys.platform == "win32":
                self._process.kill()  # bubblewrap takes its process namespace with it
            else:
                os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._folder.cleanup()

    def _exchange(self, request: bytes | None, seconds: float) -> Any:
        """Write and read in a thread of their own: neither a full pipe nor a silent worker can hold up the grader."""
        box: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def talk() -> None:
            try:
                if request is not None:
                    self._write(request)
                box.put(decode(self._read(self._frame_size())))
            except LostError as lost:
                box.put(lost)
            except OSError:
                box.put(LostError("ended"))
            except (ValueError, RecursionError, MemoryError):
                box.put(LostError("unreadable"))

        threading.Thread(target=talk, daemon=True).start()
        try:
            reply = box.get(timeout=max(seconds, 0.01))
        except queue.Empty:
            raise LostError("time") from None
        if isinstance(reply, LostError):
            raise reply
        return reply

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) or 0 :]

    def _frame_size(self) -> int:
        (size,) = struct.unpack(">I", self._read(4))
        if size > MAX_REPLY:
            raise LostError("unreadable")
        return int(size)

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        data = bytearray()
        while len(data) < size:
            more = self._process.stdout.read(min(size - len(data), 1 << 16))
            if not more:
                raise LostError("ended")
            data += more
        return bytes(data)


def _checked(reply: Any, number: int, what: str) -> tuple[Any, ...]:
    """Return the reply without its number. Raises LostError unless it is exactly of a form that `Worker.ask` names."""
    if isinstance(reply, tuple) and len(reply) >= 2 and type(reply[0]) is int and reply[0] == number:
        match reply[1:]:
            case ("ran",) if what == "cell":
                return ("ran",)
            case ("error", [str(), *_] as family, str() as text) if all(isinstance(name, str) for name in family):
                return ("error", tuple(family[:20]), text[:2000])
            case ("missing",) if what == "call":
                return ("missing",)
            case ("unfit", str() as kind) if what == "call":
                return ("unfit", kind[:200])
            case ("value", value, after) if what == "call":
                return ("value", value, after)
    raise LostError("unreadable")

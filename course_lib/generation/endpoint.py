"""A model behind an address, for those who have one: any server that speaks OpenAI's /chat/completions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from course_lib.core.protocols import Message
from course_lib.core.validate import require_text
from course_lib.generation.stopping import FIRST_SENTENCE, Stop, finished, pieces, stop_rules

BYTES_PER_TOKEN, TOKENS_PER_MESSAGE = 3, 8
MOST_STOPS = 4  # servers refuse more; `finished` applies all of them to what comes back


class EndpointError(RuntimeError):
    """Raised when the server cannot be reached, refuses, or answers something that is no reply."""


@dataclass(frozen=True)
class Endpoint:
    """A chat model behind an address, such as "http://localhost:11434/v1". The course never needs one.

    Every prompt is sent to that address, and nowhere else. Greedy as far as the server obeys (temperature 0): the same
    prompt may get another reply tomorrow. Nothing is tried twice. api_key: goes out as a bearer token, and is printed
    nowhere. timeout: seconds without a sign of life. Raises TypeError or ValueError for an argument that cannot work.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False, kw_only=True)
    timeout: float = field(default=60, kw_only=True)

    estimates_tokens = True

    def __post_init__(self) -> None:
        require_text(self.model, name="model")
        _require_address(require_text(self.base_url, name="base_url"))
        if self.api_key is not None and not (
            isinstance(self.api_key, str) and self.api_key and all("!" <= letter <= "~" for letter in self.api_key)
        ):
            raise ValueError("api_key must be ASCII without spaces or line breaks (not shown here); copy it anew")
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, (int, float)):
            raise TypeError(
                f"timeout must be a number of seconds, got {self.timeout!r} ({type(self.timeout).__name__})"
            )
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout must be more than 0 seconds, and finite, got {self.timeout}")

    @property
    def address(self) -> str:
        """Where the prompts are sent."""
        return f"{self.base_url.rstrip('/')}/chat/completions"

    def count_tokens(self, text: str) -> int:
        """Return an estimate of the tokens in text, mostly too many: one for every 3 bytes of UTF-8.

        The server's tokenizer is not here. Against SmolLM2's, a document of the collection comes out at 1.24 times its
        tokens (median; 95 % lie between 1.02 and 1.50), so leave some room.
        """
        return math.ceil(len(text.encode()) / BYTES_PER_TOKEN)

    def count_conversation(self, messages: Sequence[Message]) -> int:
        """Return an estimate of the tokens in a conversation: those of its texts, and 8 for the marks of each turn."""
        return sum(self.count_tokens(message["content"]) + TOKENS_PER_MESSAGE for message in messages)

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int = 48, stop: Stop = ()) -> str:
        """Return the model's next message.

        stop: as in `LanguageModel.generate`. Raises EndpointError, which names the address, what went wrong and what to
        do; ImportError without httpx.
        """
        rules = stop_rules(stop)
        with self._asked(messages, max_new_tokens, rules, streamed=False) as response:
            body = self._json(response.read())
        try:
            text = body["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            text = None
        if not isinstance(text, str):
            raise self._error(
                "answered without choices[0].message.content, where a reply stands",
                "check that base_url belongs to a chat model",
            )
        return finished(text, rules)

    def generate_many(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        batch_size: int = 8,
        progress: bool = False,
        stop: Stop = (),
    ) -> list[str]:
        """Return the model's next message for each conversation, asked one after the other, whatever batch_size says.

        Raises what `generate` raises, at the first that fails, and the replies before it are lost: to keep them, ask a
        `CachedGenerator` for one at a time.
        """
        from tqdm.auto import tqdm

        bar = tqdm(conversations, desc="Generating", unit="reply", disable=not progress, leave=False)
        return [self.generate(messages, max_new_tokens=max_new_tokens, stop=stop) for messages in bar]

    def stream(self, messages: Sequence[Message], *, max_new_tokens: int = 48, stop: Stop = ()) -> Iterator[str]:
        """Return the pieces of the model's next message as they arrive; joined, they are the whole reply.

        The question is sent when the first piece is asked for; leaving the loop early ends the connection. Raises what
        `generate` raises, also when the server falls silent in the middle.
        """
        rules = stop_rules(stop)
        return pieces(self._growing(messages, max_new_tokens, rules), rules)

    def _growing(self, messages: Sequence[Message], max_new_tokens: int, rules: tuple[str, ...]) -> Iterator[str]:
        text, ended = "", False
        with self._asked(messages, max_new_tokens, rules, streamed=True) as response:
            for data in _events(response.iter_bytes()):
                if data == b"[DONE]":
                    ended = True
                    break
                event = self._json(data)
                try:
                    for choice in event["choices"][:1]:  # the last event may count tokens, and hold no choice
                        text += (choice.get("delta") or {}).get("content") or ""
                        ended = ended or bool(choice.get("finish_reason"))
                except (KeyError, TypeError, AttributeError) as error:
                    raise self._error(f"broke off its answer with {self._said(data)}", "ask again") from error
                yield text
        if not ended:
            raise self._error(
                "ended its answer before the reply was whole", "ask again; if it cannot stream, use generate"
            )

    @contextmanager
    def _asked(
        self, messages: Sequence[Message], max_new_tokens: int, rules: Sequence[str], *, streamed: bool
    ) -> Iterator[Any]:
        """The server's answer, still to be read; whatever goes wrong until it is read becomes an EndpointError."""
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
        try:
            import httpx
        except ImportError as error:
            raise ImportError(
                "Endpoint needs the package httpx, which is not installed; run: pip install httpx"
            ) from error
        question = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": max_new_tokens,
            "temperature": 0,
            "stream": streamed,
        }
        if stops := [rule for rule in rules if rule != FIRST_SENTENCE][:MOST_STOPS]:
            question["stop"] = stops
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        try:
            with (
                httpx.Client(timeout=self.timeout) as client,
                client.stream("POST", self.address, json=question, headers=headers) as response,
            ):
                if response.status_code != 200:
                    raise self._refused(response.status_code, response.read(), response.headers.get("retry-after", ""))
                yield response
        except httpx.TimeoutException as error:
            raise self._error(
                f"gave no sign of life within {self.timeout:g} seconds",
                "see whether it is running and not overloaded, raise timeout, or ask for fewer tokens",
            ) from error
        except httpx.ConnectError as error:
            raise self._error(
                f"cannot be reached ({self._said(str(error).encode())})",
                "start the server, or correct base_url (host, port, http or https)",
            ) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._error(
                f"broke off the connection ({self._said(str(error).encode())})", "ask again, or look at its log"
            ) from error

    def _json(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except ValueError as error:
            raise self._error(
                f"must answer with JSON, but answered {self._said(data) or 'nothing'}",
                "check that base_url belongs to a chat model (it often ends in /v1)",
            ) from error

    def _refused(self, status: int, body: bytes, retry_after: str) -> EndpointError:
        if status in (401, 403):
            key = "the one given" if self.api_key else "none was given"
            what, remedy = f"must be given a key that it accepts ({key})", "pass a valid api_key"
        elif status == 404:
            what, remedy = f"must know the model {self.model!r}", "correct model, or base_url (it often ends in /v1)"
        elif status == 429:
            wait = f"wait {retry_after} seconds" if retry_after.isdigit() else "wait a minute"
            what, remedy = "must not be asked so often, or more than is paid for", f"{wait}, then ask again"
        elif status >= 500:
            what, remedy = "failed by itself", "ask again later, or look at its log"
        elif 300 <= status < 400:
            what, remedy = "has moved, and nothing is sent after it", "correct base_url"
        else:
            what, remedy = "does not accept the question", "see what it says, and whether the prompt is too long"
        said = self._said(body)
        return self._error(f"{what}: status {status}" + (f", {said}" if said else ""), remedy)

    def _error(self, what: str, remedy: str) -> EndpointError:
        return EndpointError(f"{self.address} {what}; {remedy}")

    def _said(self, body: bytes) -> str:
        """The server's own words, in quotes and short, without the key that it may repeat."""
        text = body.decode("utf-8", "replace")
        try:
            error = json.loads(text)["error"]
            text = error["message"] if isinstance(error, dict) else error
        except (ValueError, KeyError, TypeError):
            pass
        words = " ".join(str(text).split())
        words = words.replace(self.api_key, "[key]") if self.api_key else words
        return f'"{words[:200]}"' if words else ""


def _require_address(address: str) -> None:
    """Raise unless address is one of a server, without anything secret in it, which messages would show."""
    try:
        parts = urlsplit(address)
        secret = bool(parts.username or parts.password or parts.query or parts.fragment)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        secret, usable = "@" in address or "?" in address, False
    if secret:
        raise ValueError("base_url must hold no password, ? or # (not shown here); pass the key as api_key")
    if not usable or any(letter.isspace() for letter in address):
        raise ValueError(f'base_url must be an address such as "http://localhost:11434/v1", got {address!r}')
    if address.rstrip("/").endswith("/chat/completions"):
        raise ValueError(f"base_url must end where /chat/completions begins, got {address!r}; leave that part out")


def _events(received: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each server-sent event, by lines of bytes: no character of UTF-8 holds a line break in its bytes."""
    rest = b""
    for part in received:
        *lines, rest = (rest + part).split(b"\n")
        yield from (line[5:].strip() for line in lines if line.startswith(b"data:"))
    if rest.startswith(b"data:"):
        yield rest[5:].strip()

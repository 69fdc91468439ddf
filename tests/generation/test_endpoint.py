"""A model behind an address, against a server of our own: replies, refusals, silence; and the key that nobody sees."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from course_lib.generation.cached import CachedGenerator
from course_lib.generation.endpoint import Endpoint, EndpointError, _events
from course_lib.generation.prompting import build_prompt
from course_lib.generation.stopping import FIRST_SENTENCE
from course_lib.generation.streaming import stream

KEY = "sk-Secret_123"
TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who won?"}]
Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class Server:
    """Answers every POST with `answer`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = reply("Spain won.")
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.release = threading.Event()  # lets an answer that hangs go, so that the test can end
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, question, {k.lower(): v for k, v in self.headers.items()}))
                with contextlib.suppress(OSError):  # the client may have gone
                    outer.answer(self, question)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Server()
    yield made
    made.release.set()
    made.http.shutdown()
    made.http.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def reply(text: Any) -> Answer:
    body = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    return lambda handler, _: send(handler, 200, json.dumps(body).encode())


def refusal(status: int, body: str = "", **headers: str) -> Answer:
    return lambda handler, _: send(handler, status, body.encode(), **headers)


def events(*texts: str, end: str = "data: [DONE]\n\n", cut: int | None = None) -> Answer:
    """Server-sent events with these pieces; cut: the bytes go out in parts of this many."""

    def answer(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        deltas: list[dict[str, Any]] = [{"role": "assistant"}, *({"content": text} for text in texts)]
        lines = [": a comment\r\n\r\n"]
        lines += [f"data: {json.dumps({'choices': [{'delta': d}]}, ensure_ascii=False)}\r\n\r\n" for d in deltas]
        data = "".join([*lines, 'data: {"choices": [], "usage": {"total_tokens": 9}}\n\n', end]).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        for start in range(0, len(data), cut or len(data)):
            handler.wfile.write(data[start : start + (cut or len(data))])
            handler.wfile.flush()

    return answer


def hangs(server: Server) -> Answer:
    return lambda handler, _: server.release.wait(20) and None


# ---------------------------------------------------------------- replies


def test_a_reply_and_what_was_asked(server: Server) -> None:
    server.answer = reply("  Spain won.\n")
    endpoint = Endpoint(server.url + "/", "some-model", api_key=KEY)
    assert endpoint.generate(TALK, max_new_tokens=7) == "Spain won."
    ((path, question, headers),) = server.asked
    assert path == "/v1/chat/completions"
    assert question == {
        "model": "some-model", "messages": TALK, "max_tokens": 7, "temperature": 0, "stream": False,
    }  # fmt: skip
    assert headers["authorization"] == f"Bearer {KEY}"


def test_without_a_key_none_is_sent(server: Server) -> None:
    Endpoint(server.url, "m").generate(TALK)
    assert "authorization" not in server.asked[0][2]


def test_stop_rules_hold_whether_the_server_knows_them_or_not(server: Server) -> None:
    server.answer = reply("Spain won. Norway lost.\nIt rained.")
    endpoint = Endpoint(server.url, "m")
    assert endpoint.generate(TALK, stop="\n") == "Spain won. Norway lost."
    assert endpoint.generate(TALK, stop=(FIRST_SENTENCE, "rained")) == "Spain won."
    assert endpoint.generate(TALK, stop=list("bcdefgR")) == "Spain won. Norway lost.\nIt rain"
    assert [question.get("stop") for _, question, _ in server.asked] == [["\n"], ["rained"], ["R", "b", "c", "d"]]


def test_several_in_the_order_given(server: Server) -> None:
    server.answer = lambda handler, question: reply(question["messages"][-1]["content"][::-1])(handler, question)
    talks = [[{"role": "user", "content": text}] for text in ("abc", "xyz")]
    assert Endpoint(server.url, "m").generate_many(talks, max_new_tokens=3) == ["cba", "zyx"]
    assert Endpoint(server.url, "m").generate_many([], max_new_tokens=3) == []


def test_its_replies_can_be_kept_on_disk(server: Server, tmp_path: Path) -> None:
    kept = CachedGenerator(Endpoint(server.url, "m"), "m", folder=tmp_path)
    assert [kept.generate(TALK) for _ in range(3)] == ["Spain won."] * 3
    assert len(server.asked) == 1


# ---------------------------------------------------------------- streams


TEXT = "Spain won 🙂 in Zürich.\u2028It rained."


@pytest.mark.parametrize("cut", [None, 1, 7])
def test_a_stream_comes_in_pieces_that_are_the_reply(cut: int | None, server: Server) -> None:
    """Cut after any byte: between \\r and \\n, in the middle of 🙂. U+2028 is a line break to Python, but not here."""
    server.answer = events(TEXT[:8], TEXT[8:12], TEXT[12:], cut=cut)
    found = list(stream(Endpoint(server.url, "m"), TALK, max_new_tokens=9))
    assert "".join(found) == TEXT and len(found) == 3
    assert server.asked[0][1]["stream"] is True and server.asked[0][1]["max_tokens"] == 9


@pytest.mark.parametrize("size", range(1, 30))
def test_events_do_not_depend_on_where_the_bytes_are_cut(size: int) -> None:
    data = 'event: x\r\ndata: {"a":\x0b 1}\r\n\r\n: data: no\n\ndata:🙂\u2028é\n\ndata: [DONE]'.encode()
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(_events(parts)) == [b'{"a":\x0b 1}', "🙂\u2028é".encode(), b"[DONE]"]


def test_a_stream_ends_at_a_stop_rule(server: Server) -> None:
    server.answer = events("Spain won.", " It", " rained.")
    endpoint = Endpoint(server.url, "m")
    assert "".join(endpoint.stream(TALK, stop=FIRST_SENTENCE)) == "Spain won."
    assert "".join(endpoint.stream(TALK, stop="n. It")) == "Spain wo"


def test_the_first_piece_does_not_wait_for_the_last(server: Server) -> None:
    def slow(handler: BaseHTTPRequestHandler, question: dict[str, Any]) -> None:
        events("Spain", end="")(handler, question)
        server.release.wait(20)

    server.answer = slow
    found = Endpoint(server.url, "m").stream(TALK)
    assert next(found) == "Spain"
    found.close()  # type: ignore[attr-defined]


def test_a_last_event_without_a_line_break(server: Server) -> None:
    server.answer = events("Spain", end="data: [DONE]")
    assert list(Endpoint(server.url, "m").stream(TALK)) == ["Spain"]


def test_a_stream_may_say_its_end_by_its_reason_alone(server: Server) -> None:
    server.answer = events("Spain", end='data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n')
    assert list(Endpoint(server.url, "m").stream(TALK)) == ["Spain"]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("", "ended its answer before the reply was whole; ask again; if it cannot stream, use generate"),
        ('data: {"error": {"message": "out of memory"}}\n\n', 'broke off its answer with "out of memory"; ask again'),
        ("data: [3]\n\n", "broke off its answer with"),
        ("data: {broken\n\n", 'must answer with JSON, but answered "{broken"'),
    ],
)
def test_a_stream_that_breaks_off(end: str, words: str, server: Server) -> None:
    server.answer = events("Spain", end=end)
    found = Endpoint(server.url, "m").stream(TALK)
    assert next(found) == "Spain", "what has come is shown, and the error after it"
    with pytest.raises(EndpointError) as caught:
        list(found)
    assert words in str(caught.value) and server.url in str(caught.value)


# ---------------------------------------------------------------- what goes wrong


def message(endpoint: Endpoint, **options: Any) -> str:
    """The whole trace of the error as Python prints it, checked for the address and the key."""
    for ask in (endpoint.generate, lambda *args, **kw: list(endpoint.stream(*args, **kw))):
        with pytest.raises(EndpointError) as caught:
            ask(TALK, **options)
        printed = "".join(traceback.format_exception(caught.value))
        assert KEY not in printed and KEY not in repr(caught.value)
        assert str(caught.value).startswith(f"{endpoint.base_url}/chat/completions ")
        assert "; " in str(caught.value), "the remedy stands after the rule"
    return str(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(401, json.dumps({"error": {"message": f"bad key {KEY}"}})), 'a key that it accepts (the one given): status 401, "bad key [key]"; pass a valid api_key'),
        (refusal(403, KEY * 40), "status 403"),
        (refusal(404, '{"error": "no model m"}'), "must know the model 'm': status 404, \"no model m\"; correct model, or base_url"),
        (refusal(429, "slow down", Retry_After="7"), 'must not be asked so often, or more than is paid for: status 429, "slow down"; wait 7 seconds, then'),
        (refusal(429, "", Retry_After="Fri, 31 Dec"), "status 429; wait a minute, then ask again"),
        (refusal(500, "<html>\n\noops</html>"), 'failed by itself: status 500, "<html> oops</html>"; ask again later'),
        (refusal(302, "", Location="http://192.0.2.1/"), "has moved, and nothing is sent after it: status 302; correct base_url"),
        (refusal(400, "too long " * 100), "does not accept the question: status 400"),
    ],
)  # fmt: skip
def test_a_refusal_names_address_rule_and_remedy(answer: Answer, words: str, server: Server) -> None:
    server.answer = answer
    said = message(Endpoint(server.url, "m", api_key=KEY))
    assert words in said and len(said) < 500


def test_a_refusal_without_a_key_says_so(server: Server) -> None:
    server.answer = refusal(401)
    assert "(none was given)" in message(Endpoint(server.url, "m"))


@pytest.mark.parametrize("body", ["{broken", "", "<html>login</html>"])
def test_broken_json(body: str, server: Server) -> None:
    server.answer = refusal(200, body)
    with pytest.raises(EndpointError, match=r"must answer with JSON, but answered (\"|nothing).*; check that base_url"):
        Endpoint(server.url, "m", api_key=KEY).generate(TALK)


@pytest.mark.parametrize("body", ["{}", "[]", '{"choices": []}', '{"choices": [{"message": {"content": null}}]}', "3"])
def test_json_without_a_reply(body: str, server: Server) -> None:
    server.answer = refusal(200, body)
    with pytest.raises(EndpointError, match=r"answered without choices\[0\]\.message\.content.*; check that base_url"):
        Endpoint(server.url, "m").generate(TALK)


def test_silence(server: Server) -> None:
    server.answer = hangs(server)
    started = time.perf_counter()
    said = message(Endpoint(server.url, "m", api_key=KEY, timeout=0.2))
    assert "gave no sign of life within 0.2 seconds; see whether it is running" in said
    assert time.perf_counter() - started < 15


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    said = message(Endpoint(f"http://127.0.0.1:{port}", "m", api_key=KEY))
    assert "cannot be reached (" in said and "start the server, or correct base_url" in said


def test_a_connection_that_is_cut(server: Server) -> None:
    def cuts(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": ')

    server.answer = cuts
    assert "broke off the connection (" in message(Endpoint(server.url, "m", api_key=KEY))


def test_nothing_is_tried_twice(server: Server) -> None:
    server.answer = refusal(500)
    with pytest.raises(EndpointError):
        Endpoint(server.url, "m").generate(TALK)
    assert len(server.asked) == 1


def test_without_httpx(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ImportError, match="needs the package httpx, which is not installed; run: pip install httpx"):
        Endpoint(server.url, "m").generate(TALK)


# ---------------------------------------------------------------- counts and arguments


def test_tokens_are_estimated_and_said_to_be(language_model: Any) -> None:
    """ "Who won?" has 8 bytes: 3. Against a real tokenizer the estimate is high, as a budget needs it."""
    endpoint = Endpoint("http://localhost/v1", "m")
    assert endpoint.estimates_tokens and endpoint.count_tokens("Who won?") == 3 and endpoint.count_tokens("") == 0
    assert endpoint.count_conversation(TALK) == 3 + 8 + 3 + 8
    from course_lib.corpus.load import load_documents

    documents = [document.text for document in load_documents("energy", "help_desk")[::12]]
    for text in documents:
        assert 1 <= endpoint.count_tokens(text) / language_model.count_tokens(text) < 2


def test_a_prompt_built_for_it_says_that_its_count_is_an_estimate() -> None:
    import datetime

    from course_lib.core.types import Chunk

    shown = Chunk("s/d#00", "s/d", "D", datetime.date(2026, 7, 9), "Spain won.", 0, 10)
    assert build_prompt("Who won?", [shown], generator=Endpoint("http://localhost/v1", "m")).estimated


def test_the_key_is_in_no_text_of_the_object() -> None:
    endpoint = Endpoint("http://localhost/v1", "m", api_key=KEY)
    assert KEY not in repr(endpoint) and KEY not in str(endpoint) and KEY not in f"{endpoint.address}"


@pytest.mark.parametrize("key", ["", "a b", f"{KEY}\n", "schlüssel", 3])
def test_a_key_that_cannot_be_sent_is_refused_unseen(key: Any) -> None:
    with pytest.raises(ValueError, match=r"api_key must be ASCII .* \(not shown here\); copy it anew") as caught:
        Endpoint("http://localhost/v1", "m", api_key=key)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url", [f"http://me:{KEY}@localhost/v1", f"http://localhost/v1?key={KEY}", "http://localhost/#x"]
)
def test_an_address_holds_no_secret(url: str) -> None:
    with pytest.raises(ValueError, match=r"base_url must hold no password, \? or # \(not shown here\)") as caught:
        Endpoint(url, "m")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://localhost", "http://", "http://localhost:abc", "http://a b/v1", "http://[::1"]
)
def test_an_address_must_be_one(url: str) -> None:
    with pytest.raises(ValueError, match='base_url must be an address such as "http://localhost:11434/v1", got'):
        Endpoint(url, "m")


def test_an_address_ends_before_the_path_that_is_added() -> None:
    with pytest.raises(ValueError, match="base_url must end where /chat/completions begins"):
        Endpoint("http://localhost/v1/chat/completions/", "m")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (float("inf"), ValueError),
        (float("nan"), ValueError),
        ("60", TypeError),
        (True, TypeError),
    ],
)
def test_a_timeout_is_a_number_of_seconds(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="timeout must be"):
        Endpoint("http://localhost/v1", "m", timeout=value)


@pytest.mark.parametrize(("name", "value"), [("base_url", ""), ("base_url", None), ("model", " "), ("model", 3)])
def test_address_and_model_are_texts(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{name} must"):
        Endpoint(**{"base_url": "http://localhost/v1", "model": "m", name: value})


def test_a_reply_takes_at_least_one_token(server: Server) -> None:
    with pytest.raises(ValueError, match="max_new_tokens must be at least 1, got 0"):
        Endpoint(server.url, "m").generate(TALK, max_new_tokens=0)
    assert server.asked == []

"""``rt models``: the models of a real endpoint, and what another server answers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import EndpointError
from rt_cli.protocol.endpoint.url import parse_address
from rt_cli.run.models import models_url, names_in
from tests.program import rt, served

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-canary-5e9f1c7ab2d84"


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Run an HTTP server with one answer: its URL, and path and key of its requests."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def test_models_of_the_embedded_endpoint() -> None:
    """Those of ``rt serve``, over HTTP, one on each line."""
    with served("--recognizer", "none") as (url, _):
        ran = rt("models", "--url", url)
        json = rt("models", "--url", url, "--json")

    assert (ran.exit, ran.err) == (0, "")
    assert ran.out.splitlines()
    assert [event["model"] for event in json.of("model")] == ran.out.splitlines()


def test_key_goes_along_and_foreign_text_is_printable() -> None:
    """As for a run."""
    body = b'{"object":"list","data":[{"id":"gpt-transcribe"},{"id":"evil\\u001b[31m"}]}'
    with answering(200, body) as (url, seen):
        ran = rt("models", "--url", f"{url}/v1", env={"RT_API_KEY": KEY})

    assert (ran.exit, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "gpt-transcribe"
    assert "\x1b" not in ran.out
    assert seen == [("/v1/models", f"Bearer {KEY}")]


@pytest.mark.parametrize(
    ("status", "body", "headers", "code", "says"),
    [
        (401, b"", {}, 4, "HTTP 401: check the key"),
        (404, b"", {}, 6, "HTTP 404: the endpoint lists no models: name one with --model"),
        (503, b"", {}, 5, "HTTP 503: try again later"),
        (302, b"", {"Location": "http://127.0.0.1:1/"}, 6, "HTTP 302"),
        (200, b"<html>", {}, 6, "lists no models"),
        (200, b'{"data":{}}', {}, 6, "lists no models: name one with --model"),
        (200, b'{"data":[]}', {}, 6, "lists no models"),
        (200, b'{"data":[1]}', {}, 6, "lists no models"),
        (200, b"[" * 100_000, {}, 6, "lists no models"),
        (200, b" " * (5 << 20), {}, 6, "more than a list"),
        (200, b"x", {"Content_Encoding": "gzip"}, 6, "compressed"),
    ],
    ids=["401", "404", "503", "302", "page", "none", "empty", "numbers", "deep", "long", "gzip"],
)
def test_other_answers_are_one_line(status: int, body: bytes, headers: dict[str, str], code: int, says: str) -> None:
    """With the exit code of a run."""
    with answering(status, body, **headers) as (url, _):
        ran = rt("models", "--url", url, env={"RT_API_KEY": KEY})

    assert (ran.exit, ran.out) == (code, "")
    assert says in ran.err
    assert len(ran.err.splitlines()) == bool(code)
    assert KEY not in ran.err


def test_nobody_listens() -> None:
    """Exit 5."""
    ran = rt("models", "--url", "ws://127.0.0.1:9", "--connect-timeout", "2")

    assert ran.exit == 5
    assert ran.err == "rt: nothing listens at 127.0.0.1:9: start it (rt serve), or give another --url\n"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1/models"),
        ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1/models"),
        ("ws://localhost:8000/v1/realtime?x=1", "http://localhost:8000/v1/models"),
        ("wss://host/api/v1/", "https://host/api/v1/models"),
        ("ws://[::1]:81/a/realtime", "http://[::1]:81/a/models"),
        ("ws://host/realtime/extra", "http://host/models"),
    ],
)
def test_url_of_the_list(url: str, expected: str) -> None:
    """Beside the realtime path."""
    assert models_url(parse_address(url).url) == expected


@given(st.binary(max_size=200))
def test_any_answer_is_a_list_or_an_endpoint_error(body: bytes) -> None:
    """Nothing else is raised."""
    try:
        assert all(names_in(body, "x"))
    except EndpointError:
        pass

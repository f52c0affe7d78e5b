"""Sound behind URLs: a real HTTP server, whatever it answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.decode.streamed import web
from rt_cli.audio.decode.streamed.web import is_url, open_url, shown_url
from rt_cli.errors import AudioError
from rt_cli.run.sources import file_source
from rt_cli.settings import InputSettings
from tests.program import rt
from tests.servers import polite, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIRE = 24_000
TONE = np.random.default_rng(5).integers(-9000, 9000, WIRE, dtype="<i2")
SECRET = "s3cr3t-signature"

PAGES = {
    "/missing": (404, "text/plain"),
    "/html": (200, "text/html; charset=utf-8"),
    "/message": (200, "application/problem+json"),
    "/login": (401, "text/plain"),
    "/busy": (503, "text/html"),
}
"""Answers without sound: status and media type."""


class Handler(BaseHTTPRequestHandler):
    """Answers by the path."""

    sound = b""
    seen: list[tuple[str, str | None]]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self.seen.append((self.path, self.headers.get("Authorization")))
        path, _, _ = self.path.partition("?")
        if path == "/to":
            self._answer(302, b"", Location=self.path.partition("?")[2])
        elif path == "/moved":
            self._answer(302, b"", Location="/sound.flac")
        elif path == "/round":
            self._answer(302, b"", Location="/round")
        elif path == "/away":
            self._answer(302, b"", Location="file:///etc/passwd")
        elif path == "/packed":
            self._answer(200, b"xyz", Content_Encoding="gzip")
        elif path == "/page":
            self._answer(200, b"<html>" + b"a page, not sound " * 99)
        elif path in PAGES:
            status, media_type = PAGES[path]
            self._answer(status, b"{}", Content_Type=media_type)
        elif path == "/cut":
            self._answer(200, self.sound[: len(self.sound) // 2], length=len(self.sound))
        elif path == "/stalls":
            self._answer(200, self.sound[:9000], length=len(self.sound), end=False)
        else:
            self._answer(200, self.sound)

    def _answer(self, status: int, body: bytes, *, length: int | None = None, end: bool = True, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        if not end:
            self.wfile.flush()
            self.connection.settimeout(20)
            try:
                self.connection.recv(1)
            except OSError:
                pass


@contextmanager
def serving(sound: bytes) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Run a server with a sound: its URL, and the requests it got."""
    seen: list[tuple[str, str | None]] = []
    handler = type("Given", (Handler,), {"sound": sound, "seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A FLAC file."""
    path: Path = tmp_path_factory.mktemp("web") / "a.flac"
    soundfile.write(path, TONE, WIRE)
    return path.read_bytes()


@pytest.fixture
def server(sound: bytes) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A server with a FLAC file."""
    with serving(sound) as served:
        yield served


def hear(url: str) -> tuple[bytes, AudioError | None]:
    """Return the sound of a source, and the error at its end."""

    async def read() -> tuple[bytes, AudioError | None]:
        pcm = b""
        async with asyncio.timeout(20):
            try:
                source = await file_source(url, InputSettings()).open(WIRE, lambda _code, _text: None)
            except AudioError as error:
                return b"", error
            try:
                async for block in source.blocks():
                    pcm += block.pcm
            except AudioError as error:
                return pcm, error
            finally:
                await source.aclose()
        return pcm, None

    return asyncio.run(read())


@pytest.mark.parametrize("path", ["/sound.flac", "/moved", f"/sound.flac?sig={SECRET}"])
def test_sound_is_fetched(server: tuple[str, object], path: str) -> None:
    """All of it, also after a redirect."""
    pcm, error = hear(server[0] + path)

    assert error is None
    assert pcm == TONE.tobytes()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/missing", "HTTP 404"),
        ("/round", "redirects more than 5 times"),
        ("/away", "neither http nor https"),
        ("/packed", "the answer is compressed"),
        ("/page", "/page is text, not PCM or WAV"),
        ("/html", "is text/html, not sound: name the recording itself"),
        ("/login", "HTTP 401: fetch it yourself, with a login"),
        ("/busy", "HTTP 503: try again later"),
        ("/message", "is application/problem+json, not sound"),
    ],
)
def test_answer_without_sound_is_one_line(server: tuple[str, object], path: str, says: str) -> None:
    """Nothing is heard."""
    pcm, error = hear(f"{server[0]}{path}?sig={SECRET}")

    assert pcm == b""
    assert error is not None
    assert says in str(error)
    assert SECRET not in str(error)


def test_nothing_listens() -> None:
    """The reason in words alone."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(AudioError) as caught:
        open_url(f"http://127.0.0.1:{port}/a.wav")

    assert caught.value.message == f"http://127.0.0.1:{port}/a.wav: cannot be fetched: Connection refused"


def test_connection_that_is_cut_is_said(server: tuple[str, object]) -> None:
    """What came is heard."""
    pcm, error = hear(f"{server[0]}/cut?sig={SECRET}")

    assert TONE.tobytes().startswith(pcm[: len(pcm) // 2])
    assert 0 < len(pcm) < 2 * WIRE
    assert str(error) == f"{server[0]}/cut cannot be read: the connection was cut before the end"


def test_server_that_stalls_is_left(server: tuple[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a deadline between two pieces."""
    monkeypatch.setattr(web, "STALL_S", 0.3)

    assert "cannot be read: no answer in time" in str(hear(f"{server[0]}/stalls")[1])


def test_source_that_is_stopped_waits_for_nobody(server: tuple[str, object]) -> None:
    """Not for a server that stalls."""

    async def read() -> float:
        loop = asyncio.get_running_loop()
        source = await file_source(f"{server[0]}/stalls", InputSettings()).open(WIRE, lambda _code, _text: None)

        async def hear_all() -> None:
            async for _ in source.blocks():
                pass

        hearing = asyncio.ensure_future(hear_all())
        await asyncio.sleep(0)
        began = loop.time()
        source.stop()
        await asyncio.wait((hearing,))
        hearing.exception()
        await source.aclose()
        return loop.time() - began

    assert asyncio.run(asyncio.wait_for(read(), 20)) < 5


def test_only_so_much_is_fetched(server: tuple[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit it is an error."""
    monkeypatch.setattr(web, "MOST_BYTES", 1000)

    assert "it is longer than" in str(hear(f"{server[0]}/sound.flac")[1])


def test_nobody_listens() -> None:
    """One line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "cannot be fetched" in str(hear(f"http://127.0.0.1:{port}/x.mp3")[1])


@pytest.mark.parametrize("url", ["http://", "https://:99999/x", "http://[::1/x", "http://a b/x", "http://\udcff/x"])
def test_invalid_url_is_one_line(url: str) -> None:
    """Nothing but our error."""
    with pytest.raises(AudioError):
        open_url(url)


def test_name_and_password_go_to_their_host_only(
    server: tuple[str, list[tuple[str, str | None]]], sound: bytes
) -> None:
    """Not to where it redirects."""
    with serving(sound) as (elsewhere, seen_elsewhere):
        url = server[0].replace("http://", f"http://user:{SECRET}@")
        assert hear(f"{url}/to?{elsewhere}/sound.flac")[1] is None
        assert hear(f"{url}/moved")[1] is None

    assert [authorization is not None for _, authorization in server[1]] == [True, True, True]
    assert seen_elsewhere == [("/sound.flac", None)]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@host.test/a/x.mp3?sig=1#f", "https://host.test/a/x.mp3"),
        ("HTTP://host.test:81", "http://host.test:81"),
        ("http://[::1", "the URL"),
    ],
)
def test_url_is_shown_without_secrets(url: str, shown: str) -> None:
    """Only scheme, host and path."""
    assert is_url(url)
    assert shown_url(url) == shown


@given(st.text())
def test_any_text_is_a_url_or_not(text: str) -> None:
    """Nothing is raised."""
    if is_url(text):
        shown_url(text)


@pytest.mark.parametrize("name", ["C:\\x.wav", "ftp://host/x", "ws://host/x", "http:/x", "talk.wav", ""])
def test_what_is_no_url(name: str) -> None:
    """Only http and https are fetched."""
    assert not is_url(name)


def test_url_as_a_source_of_the_program(server: tuple[str, object], tmp_path: Path) -> None:
    """Its name has no secrets; the result file is named after its path; errors come before any connection."""
    url = f"{server[0]}/sound.flac?sig={SECRET}"
    with scripted(polite("words")) as endpoint:
        options = ("--url", endpoint.url, "-m", "gpt-4o-transcribe", "--speed", "max")
        ran = rt(url, "--json", *options)
        assert (ran.exit, ran.of("final")[0]["text"]) == (0, "words")
        assert ran.summary["source"] == f"{server[0]}/sound.flac"
        assert ran.summary["captured_ms"] == 1000
        assert SECRET not in ran.out + ran.err
        assert rt(url, "--output-dir", str(tmp_path), *options).exit == 0
        assert (tmp_path / "sound.txt").read_text() == "words\n"
        missing = rt(f"{server[0]}/missing", *options)

    assert missing.exit == 3
    assert missing.causes == [f"rt: {server[0]}/missing: HTTP 404: check the URL"]
    assert "connecting" not in missing.err

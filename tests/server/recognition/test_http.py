"""The recogniser with a real HTTP server: answers, failures and cleanup."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("httpx", reason="the extra http is not installed")

from rt_cli.errors import UsageError
from rt_cli.server.recognition.http import open_http
from rt_cli.server.recognition.interface import Hints, Hypothesis, RecognizerFailed
from rt_cli.server.recognition.registry import open_recognizer
from tests.fakes import run
from tests.server.transcription_server import Server, Upload, transcription_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.server.recognition.interface import RecognizerSession, Transcription

SECOND = bytes(range(256)) * 125
"""A second at 16 kHz."""


async def all_hypotheses(item: Transcription) -> list[Hypothesis]:
    """All hypotheses of an item."""
    return [hypothesis async for hypothesis in item.hypotheses()]


async def texts_of(session: RecognizerSession, pcm: bytes = SECOND, hints: Hints | None = None) -> list[str]:
    """The texts of an item, the final one last."""
    item = await session.open(16_000, hints or Hints())
    await item.feed(pcm)
    item.finish()
    hypotheses = await all_hypotheses(item)
    assert [each.final for each in hypotheses] == [False] * (len(hypotheses) - 1) + [True]
    return [each.text for each in hypotheses]


@asynccontextmanager
async def recognizing(script: Any, **options: Any) -> AsyncIterator[tuple[Server, RecognizerSession]]:
    """A server, and a session with it as recogniser."""
    async with (
        transcription_server(script) as server,
        open_http(server.url, **options) as recognizer,
        recognizer.session() as session,
    ):
        yield server, session


async def hello(upload: Upload) -> None:
    """A simple answer."""
    await upload.answer({"text": " Hello. "})


def test_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    """An item is one upload with samples, rate, model, hints and key."""
    monkeypatch.setenv("RT_RECOGNIZER_API_KEY", "sk-made-up")

    async def scenario() -> None:
        async with recognizing(hello, model="large") as (server, session):
            assert await texts_of(session, SECOND, Hints("de-CH", "Grüezi")) == ["Hello."]
            (upload,) = server.uploads
        assert upload.path == "/v1/audio/transcriptions"
        assert (upload.pcm, upload.rate_hz) == (SECOND, 16_000)
        assert upload.headers["authorization"] == "Bearer sk-made-up"
        fixed = {"model": "large", "response_format": "json", "stream": "true"}
        assert upload.fields == {**fixed, "language": "de", "prompt": "Grüezi"}

    run(scenario())


def test_no_key_no_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without key and hints the request has none; other keys of the environment are not used."""
    monkeypatch.delenv("RT_RECOGNIZER_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")

    async def scenario() -> None:
        async with (
            transcription_server(hello) as server,
            open_recognizer(f"http:{server.url}/v1") as recognizer,
            recognizer.session() as session,
        ):
            await texts_of(session)
            (upload,) = server.uploads
        assert "authorization" not in upload.headers
        assert upload.fields == {"model": "whisper-1", "response_format": "json", "stream": "true"}
        assert "127.0.0.1" in recognizer.notice

    run(scenario())


def test_key_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid key is a usage error that does not show the key."""
    monkeypatch.setenv("RT_RECOGNIZER_API_KEY", "two\nlines")

    async def scenario() -> None:
        async with open_http("http://localhost"):
            pass

    with pytest.raises(UsageError, match="RT_RECOGNIZER_API_KEY") as caught:
        run(scenario())
    assert "two" not in str(caught.value)


def test_streamed_words_come_before_the_end() -> None:
    """Partial texts come while the answer is incomplete."""
    more = asyncio.Event()

    async def script(upload: Upload) -> None:
        await upload.stream()
        await upload.event({"type": "transcript.text.delta", "delta": "One "})
        await more.wait()
        await upload.event({"type": "transcript.text.delta", "delta": "two"})
        await upload.event({"type": "transcript.text.done", "text": "One two."})
        await upload.end()

    async def scenario() -> None:
        async with recognizing(script) as (_, session):
            item = await session.open(16_000)
            await item.feed(SECOND)
            item.finish()
            texts = []
            async for hypothesis in item.hypotheses():
                texts.append(hypothesis.text)
                more.set()
        assert (texts[0], texts[-1]) == ("One", "One two.")

    run(scenario())


def test_server_that_does_not_know_streams() -> None:
    """After a rejected ``stream`` field, the recogniser never sends the field again."""

    async def script(upload: Upload) -> None:
        if "stream" in upload.fields:
            await upload.answer({"detail": "unknown field"}, "422 Unprocessable Entity")
        else:
            await hello(upload)

    async def scenario() -> None:
        async with recognizing(script) as (server, session):
            assert await texts_of(session) == ["Hello."]
            assert await texts_of(session) == ["Hello."]
            assert ["stream" in upload.fields for upload in server.uploads] == [True, False, False]

    run(scenario())


async def no_json(upload: Upload) -> None:
    """Half of an answer."""
    await upload.answer(b"\x00{]")


async def nothing(_: Upload) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def no_http(upload: Upload) -> None:
    """An answer that is not HTTP."""
    await upload.raw(b"220 mail.example.com ESMTP\r\n")
    upload.writer.close()


async def drip(upload: Upload) -> None:
    """An endless stream without text."""
    await upload.stream()
    while True:
        await upload.event({"type": "of.no.use"})
        await asyncio.sleep(0.01)


async def flood(upload: Upload) -> None:
    """An endless answer."""
    await upload.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await upload.raw(b"10000\r\n" + bytes(65_536) + b"\r\n")


def refusal(status: str) -> Any:
    """An answer with an error."""

    async def script(upload: Upload) -> None:
        await upload.answer({"error": {"message": "no \x1b[31mluck"}}, status)

    return script


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(refusal("401 Unauthorized"), "HTTP 401: no luck: check RT_RECOGNIZER_API_KEY", id="401"),
        pytest.param(refusal("500 Oops"), "HTTP 500: no luck", id="500"),
        pytest.param(refusal("400 Bad"), "HTTP 400: no luck", id="400"),
        pytest.param(refusal("307 Elsewhere"), "HTTP 307", id="redirection"),
        pytest.param(no_json, "the answer has no text", id="garbage"),
        pytest.param(no_http, "cannot be used", id="another protocol"),
        pytest.param(nothing, "did not answer within", id="hang"),
        pytest.param(drip, "did not answer within", id="slow"),
        pytest.param(flood, "longer than", id="endless"),
    ],
)
def test_failures(script: Any, reason: str) -> None:
    """The item fails with one line that names the server; the session continues."""
    now: Any = None

    async def answer(upload: Upload) -> None:
        await now(upload)

    async def scenario() -> None:
        nonlocal now
        # The deadline includes the length of the audio.
        async with recognizing(answer, answer_s=1 if "within" in reason else 15) as (server, session):
            now = script
            with pytest.raises(RecognizerFailed, match=reason) as caught:
                await texts_of(session, SECOND[:3200])
            assert server.url.removeprefix("http://") in str(caught.value)
            assert str(caught.value).isprintable()
            now = hello
            if "within" not in reason:
                assert await texts_of(session) == ["Hello."]

    run(scenario())


def test_unreachable_server() -> None:
    """An unreachable server fails the item."""

    async def scenario() -> None:
        async with transcription_server(hello) as server:
            pass
        async with open_http(server.url) as recognizer, recognizer.session() as session:
            with pytest.raises(RecognizerFailed, match="cannot be used"):
                await texts_of(session)

    run(scenario())


def test_connection_that_was_closed_meanwhile() -> None:
    """A closed connection is tried once more."""
    asked = []

    async def script(upload: Upload) -> None:
        asked.append(upload)
        if len(asked) == 1:
            upload.writer.close()
        else:
            await hello(upload)

    async def scenario() -> None:
        async with recognizing(script) as (_, session):
            assert await texts_of(session) == ["Hello."]
        assert len(asked) == 2

    run(scenario())


def test_abandoned_upload_ends() -> None:
    """The connection closes at once, and its slot is free for the next item."""

    async def script(upload: Upload) -> None:
        if len(upload.pcm) == len(SECOND):
            await asyncio.Event().wait()
        await hello(upload)

    async def scenario() -> None:
        async with recognizing(script, workers=1) as (server, session):
            item = await session.open(16_000)
            await item.feed(SECOND)
            item.finish()
            await server.received(1)
            item.abandon()
            await server.left.wait()
            with pytest.raises(RecognizerFailed):
                await all_hypotheses(item)
            assert (await texts_of(session, SECOND[:3200]))[-1] == "Hello."

    run(scenario())


def test_end_of_session_ends_uploads() -> None:
    """No upload continues after the session."""

    async def scenario() -> None:
        async with transcription_server(nothing) as server, open_http(server.url) as recognizer:
            async with recognizer.session() as session:
                item = await session.open(16_000)
                await item.feed(SECOND)
                item.finish()
                await server.received(1)
            await server.left.wait()

    run(scenario())


def test_long_items_go_in_pieces() -> None:
    """Long items are split in order, at a pause if possible, and the texts are joined."""

    async def script(upload: Upload) -> None:
        await upload.answer({"text": str(len(upload.pcm))})

    async def scenario() -> None:
        async with recognizing(script, piece_bytes=10_000) as (server, session):
            item = await session.open(16_000)
            await item.feed(SECOND[:4_000])
            item.pause()
            await item.feed(SECOND[4_000:6_000])
            item.pause()
            await item.feed(SECOND[6_000:])
            item.finish()
            assert (await all_hypotheses(item))[-1] == Hypothesis("6000 10000 10000 6000", final=True)
            assert b"".join(upload.pcm for upload in server.uploads) == SECOND

    run(scenario())


def test_uploads_at_once_are_bounded() -> None:
    """Concurrent uploads are limited, and a session has one at a time."""
    allowed = 2

    async def scenario() -> None:
        go = asyncio.Event()

        async def script(upload: Upload) -> None:
            await go.wait()
            await hello(upload)

        async with transcription_server(script) as server, open_http(server.url, workers=allowed) as recognizer:

            async def session(items: int) -> None:
                async with recognizer.session() as session, asyncio.TaskGroup() as group:
                    for _ in range(items):
                        group.create_task(texts_of(session))

            async with asyncio.TaskGroup() as group:
                group.create_task(session(4))
                await server.received(1)
                group.create_task(session(1))
                await server.received(allowed)
                go.set()
        assert server.most_at_once == allowed
        assert len(server.uploads) == 5

    run(scenario())

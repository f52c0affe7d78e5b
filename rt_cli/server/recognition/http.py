"""Recogniser over HTTP: one upload per item to any server of OpenAI's ``POST /v1/audio/transcriptions``."""

from __future__ import annotations

import asyncio
import io
import os
import wave
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.protocol.endpoint.key_source import clean_key
from rt_cli.protocol.endpoint.url import is_loopback
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.server.http_body import AnswerTooLong, limited_chunks
from rt_cli.server.recognition.base.batch import PIECE_BYTES, Batch, Speech
from rt_cli.server.recognition.http_answers import StreamedText, reason_of, text_of, transcriptions_url
from rt_cli.server.recognition.interface import Hints, RecognizerFailed
from rt_cli.server.sse import EventStream, EventTooLong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

KEY_VARIABLE = "RT_RECOGNIZER_API_KEY"
DEFAULT_MODEL = "whisper-1"
_UPLOADS = 4
ANSWER_S = 60.0
"""Deadline of a complete answer; the length of the audio is added."""
_CONNECT_S = 10.0
_STALL_S = 30.0
_MAX_ANSWER = 4 * 1024 * 1024
_TRIES = 2
"""Two tries, because a server may close an idle kept-alive connection exactly when the next upload begins."""
_REJECTING_STATUSES = frozenset({400, 415, 422})
"""Status codes of servers that reject an unknown field."""


@asynccontextmanager
async def open_http(
    url: str,
    *,
    workers: int | None = None,
    model: str = DEFAULT_MODEL,
    answer_s: float = ANSWER_S,
    piece_bytes: int = PIECE_BYTES,
) -> AsyncIterator[Batch]:
    """Open the recogniser behind a URL. Sends nothing before the first item.

    The key comes only from the environment variable ``RT_RECOGNIZER_API_KEY``.

    Args:
        url: URL of the server, with or without path.
        workers: Most uploads at once; None: 4.
        model: Model name for the server.
        answer_s: Deadline of an answer in seconds; the length of the audio is added.
        piece_bytes: Longer items are split into several uploads.

    Raises:
        UsageError: The URL or the key cannot be used.
    """
    uploads = workers or _UPLOADS
    key_text = os.environ.get(KEY_VARIABLE, "")
    key = clean_key(key_text, KEY_VARIABLE) if key_text.strip() else None
    target = transcriptions_url(url, with_key=key is not None)
    host = urlsplit(target).hostname or ""
    async with httpx.AsyncClient(
        headers={"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})},
        timeout=httpx.Timeout(_STALL_S, connect=_CONNECT_S, read=None, pool=None),
        limits=httpx.Limits(max_connections=uploads, max_keepalive_connections=uploads),
        trust_env=not is_loopback(host),  # a proxy cannot reach loopback
    ) as client:
        engine = _Uploads(client, target, model, answer_s)
        notice = f"words by {host} ({printable(model)}), which receives the audio of every turn"
        yield Batch(engine, notice=notice, slots=uploads, piece_bytes=piece_bytes)


class _Uploads:
    def __init__(self, client: httpx.AsyncClient, url: str, model: str, answer_s: float) -> None:
        self._client = client
        self._url = url
        self._name = f"the recogniser at {urlsplit(url).netloc}"
        self._model = model
        self._answer_s = answer_s
        self._streams = True
        """Request a stream; set to False after the server has rejected ``stream``."""

    async def transcribe(self, speech: Speech, hints: Hints, on_partial: Callable[[str], None]) -> str:
        deadline_s = self._answer_s + speech.seconds
        try:
            async with asyncio.timeout(deadline_s):
                return await self._transcribe(await asyncio.to_thread(_wav, speech), hints, on_partial)
        except TimeoutError:
            raise RecognizerFailed(f"{self._name} did not answer within {deadline_s:.0f} s") from None
        except (httpx.HTTPError, httpx.StreamError) as exc:
            detail = masked(printable(str(exc))) or type(exc).__name__
            raise RecognizerFailed(f"{self._name} cannot be used: {detail}") from exc
        except EventTooLong:
            raise RecognizerFailed(f"{self._name} streams without an end") from None
        except AnswerTooLong as too_long:
            raise RecognizerFailed(f"{self._name} sent {too_long}") from None
        except RecognizerFailed as failure:
            raise RecognizerFailed(f"{self._name}: {failure}") from failure

    async def _transcribe(self, wav: bytes, hints: Hints, on_partial: Callable[[str], None]) -> str:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._upload(wav, hints, on_partial)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                if not tries_left:
                    raise
        raise AssertionError

    async def _upload(self, wav: bytes, hints: Hints, on_partial: Callable[[str], None]) -> str:
        fields = {"model": self._model, "response_format": "json", **_hint_fields(hints)}
        if self._streams:
            try:
                return await self._post(wav, {**fields, "stream": "true"}, on_partial)
            except _RequestRejected:
                pass  # ``stream`` may be unknown to the server: try again without it
            text = await self._post(wav, fields, on_partial)
            self._streams = False
            return text
        return await self._post(wav, fields, on_partial)

    async def _post(self, wav: bytes, fields: dict[str, str], on_partial: Callable[[str], None]) -> str:
        files = {"file": ("audio.wav", wav, "audio/wav")}
        async with self._client.stream("POST", self._url, data=fields, files=files) as answer:
            if answer.status_code == httpx.codes.OK:
                if answer.headers.get("content-type", "").startswith("text/event-stream"):
                    return await _read_stream(answer, on_partial)
                return text_of(await _read_body(answer))
            reason = reason_of(answer.status_code, await _read_body(answer))
            raise _RequestRejected(reason) if answer.status_code in _REJECTING_STATUSES else RecognizerFailed(reason)


class _RequestRejected(RecognizerFailed):
    """The server rejects the request, maybe because of an unknown field."""


def _hint_fields(hints: Hints) -> dict[str, str]:
    fields = {"language": (hints.language or "").split("-")[0].lower(), "prompt": hints.prompt or ""}
    return {name: printable(value) for name, value in fields.items() if value}


async def _read_stream(answer: httpx.Response, on_partial: Callable[[str], None]) -> str:
    events, streamed = EventStream(), StreamedText()
    async with aclosing(limited_chunks(answer, _MAX_ANSWER)) as chunks:
        async for chunk in chunks:
            for data in events.push(chunk):
                streamed.push(data)
            if streamed.complete:
                break
            on_partial(streamed.text.strip())
    return streamed.finish()


async def _read_body(answer: httpx.Response) -> bytes:
    return b"".join([chunk async for chunk in limited_chunks(answer, _MAX_ANSWER)])


def _wav(speech: Speech) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(speech.rate_hz)
        file.writeframes(speech.pcm)
    return buffer.getvalue()

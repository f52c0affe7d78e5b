"""Any server of OpenAI's ``POST /v1/audio/transcriptions`` as the recogniser: an upload per item."""

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
from rt_cli.server.recognition.batch import PIECE_BYTES, Batch, Speech
from rt_cli.server.recognition.http_answers import StreamedText, reason_of, text_of, transcriptions_url
from rt_cli.server.recognition.interface import Hints, RecognizerFailed
from rt_cli.server.sse import EventStream, EventTooLong

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

KEY_VARIABLE = "RT_RECOGNIZER_API_KEY"
DEFAULT_MODEL = "whisper-1"
DEFAULT_UPLOADS = 4
ANSWER_S = 60.0
"""For an answer to be whole, besides the length of the audio."""
_CONNECT_S = 10.0
_STALL_S = 30.0
_MAX_ANSWER = 4 * 1024 * 1024
_TRIES = 2
"""A connection that was kept open may be closed by the server just as the next upload begins."""
_UNWELCOME = frozenset({400, 415, 422})
"""What servers answer to a field that they do not know."""


@asynccontextmanager
async def open_http(
    url: str,
    *,
    model: str = DEFAULT_MODEL,
    uploads: int = DEFAULT_UPLOADS,
    answer_s: float = ANSWER_S,
    piece_bytes: int = PIECE_BYTES,
) -> AsyncIterator[Batch]:
    """The recogniser behind a URL; nothing is sent before there is something to recognise.

    The key is taken from ``RT_RECOGNIZER_API_KEY``, and only from there.

    Args:
        url: Of the server, with or without its path.
        model: The server's name for what shall be used.
        uploads: How many there are at once.
        answer_s: Deadline of an answer; the length of the audio is added.
        piece_bytes: Longer items are uploaded in pieces.

    Raises:
        UsageError: The URL or the key cannot be used.
    """
    given = os.environ.get(KEY_VARIABLE, "")
    key = clean_key(given, KEY_VARIABLE) if given.strip() else None
    target = transcriptions_url(url, keyed=key is not None)
    host = urlsplit(target).hostname or ""
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(_STALL_S, connect=_CONNECT_S, read=None, pool=None),
        limits=httpx.Limits(max_connections=uploads, max_keepalive_connections=uploads),
        trust_env=not is_loopback(host),  # no proxy leads back to this machine
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
        """Until the server has refused to."""

    async def transcribe(self, speech: Speech, hints: Hints, tell: Callable[[str], None]) -> str:
        deadline_s = self._answer_s + speech.seconds
        try:
            async with asyncio.timeout(deadline_s):
                return await self._transcribe(await asyncio.to_thread(_wav, speech), hints, tell)
        except TimeoutError:
            raise RecognizerFailed(f"{self._name} did not answer within {deadline_s:.0f} s") from None
        except (httpx.HTTPError, httpx.StreamError) as exc:
            said = masked(printable(str(exc))) or type(exc).__name__
            raise RecognizerFailed(f"{self._name} cannot be used: {said}") from exc
        except EventTooLong:
            raise RecognizerFailed(f"{self._name} streams without an end") from None
        except RecognizerFailed as failure:
            raise RecognizerFailed(f"{self._name}: {failure}") from failure

    async def _transcribe(self, wav: bytes, hints: Hints, tell: Callable[[str], None]) -> str:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._upload(wav, hints, tell)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                if not tries_left:
                    raise
        raise AssertionError

    async def _upload(self, wav: bytes, hints: Hints, tell: Callable[[str], None]) -> str:
        fields = {"model": self._model, "response_format": "json", **_hinted(hints)}
        if self._streams:
            try:
                return await self._ask(wav, {**fields, "stream": "true"}, tell)
            except _Unwelcome:
                pass  # it may be the field that is unknown, or anything else: the next try tells
            text = await self._ask(wav, fields, tell)
            self._streams = False
            return text
        return await self._ask(wav, fields, tell)

    async def _ask(self, wav: bytes, fields: dict[str, str], tell: Callable[[str], None]) -> str:
        files = {"file": ("audio.wav", wav, "audio/wav")}
        async with self._client.stream("POST", self._url, data=fields, files=files) as answer:
            if answer.status_code == httpx.codes.OK:
                if answer.headers.get("content-type", "").startswith("text/event-stream"):
                    return await _streamed(answer, tell)
                return text_of(await _whole(answer))
            reason = reason_of(answer.status_code, await _whole(answer))
            raise _Unwelcome(reason) if answer.status_code in _UNWELCOME else RecognizerFailed(reason)


class _Unwelcome(RecognizerFailed):
    """The server does not take the request as it is."""


def _hinted(hints: Hints) -> dict[str, str]:
    fields = {"language": (hints.language or "").split("-")[0].lower(), "prompt": hints.prompt or ""}
    return {name: printable(value) for name, value in fields.items() if value}


async def _streamed(answer: httpx.Response, tell: Callable[[str], None]) -> str:
    events, streamed = EventStream(), StreamedText()
    async with aclosing(_bounded(answer)) as chunks:
        async for chunk in chunks:
            for data in events.push(chunk):
                streamed.push(data)
            if streamed.complete:
                break
            tell(streamed.text.strip())
    return streamed.finish()


async def _whole(answer: httpx.Response) -> bytes:
    return b"".join([chunk async for chunk in _bounded(answer)])


async def _bounded(answer: httpx.Response) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in answer.aiter_bytes():
        size += len(chunk)
        if size > _MAX_ANSWER:
            raise RecognizerFailed(f"the answer is longer than {_MAX_ANSWER >> 20} MiB")
        yield chunk


def _wav(speech: Speech) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(speech.rate_hz)
        file.writeframes(speech.pcm)
    return buffer.getvalue()

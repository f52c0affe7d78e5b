"""A test client of the embedded endpoint: real WebSocket, every event validated by OpenAI's own types."""

from __future__ import annotations

import asyncio
import base64
import json
import wave
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter
from websockets.asyncio.client import ClientConnection, connect

from rt_cli.server.server import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

DATA = Path(__file__).parents[1] / "data"
TRANSCRIBE = {"model": "any"}
PREFIX = "conversation.item.input_audio_transcription."
DELTA, COMPLETED, FAILED = (PREFIX + name for name in ("delta", "completed", "failed"))
STARTED, STOPPED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
COMMITTED = "input_audio_buffer.committed"


BEYOND = frozenset({"session.id", "session.object", "session.expires_at"})
"""What OpenAI sends although its types do not have it."""
validated: dict[str, str] = {}
"""Every type of event that was received, and the model that it was checked by."""


@cache
def _oracle() -> TypeAdapter[Any]:
    return TypeAdapter(RealtimeServerEvent)


def check(event: dict[str, Any]) -> None:
    """Validate an event strictly: JSON types, all required fields, no unknown fields."""
    model = _oracle().validate_python(_at_24_khz(event), strict=True)
    assert model.type == event["type"]
    assert set(_unknown(model)) <= BEYOND
    assert event["event_id"]
    validated[event["type"]] = type(model).__name__


def _unknown(value: Any, path: str = "") -> Iterator[str]:
    """Paths of the fields that the model does not have."""
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}".lstrip(".") for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _unknown(item, path)


def _at_24_khz(event: dict[str, Any]) -> dict[str, Any]:
    """The event with 24 kHz: other rates, our extension, are invalid in OpenAI's types."""
    if event["type"] not in {"session.created", "session.updated"}:
        return event
    session = event["session"]
    format_ = session["audio"]["input"]["format"]
    if format_["type"] != "audio/pcm":
        return event
    assert 8_000 <= format_["rate"] <= 48_000
    plain = {**session["audio"]["input"], "format": {"type": "audio/pcm", "rate": 24_000}}
    return {**event, "session": {**session, "audio": {**session["audio"], "input": plain}}}


def recording(name: str, rate_hz: int = 24_000) -> bytes:
    """A clip of a human voice as s16le mono."""
    with wave.open(str(DATA / f"{name}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        resampled = soxr.resample(samples, file.getframerate(), rate_hz)
    return bytes(resampled.astype("<i2").tobytes())


def noise(seconds: float, rate_hz: int = 24_000, rms: float = 1000.0) -> bytes:
    """White noise, by default at -30 dBFS."""
    samples = np.random.default_rng(1).normal(0, rms, int(seconds * rate_hz))
    return bytes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


def silence(seconds: float, rate_hz: int = 24_000) -> bytes:
    """Digital silence."""
    return bytes(int(seconds * rate_hz) * 2)


class Client:
    """One session."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def send(self, type_: str, **fields: Any) -> None:
        """Send an event."""
        await self.socket.send(json.dumps({"type": type_, **fields}))

    async def receive(self) -> dict[str, Any]:
        """The next event, validated as a member of OpenAI's union."""
        event: dict[str, Any] = json.loads(await self.socket.recv())
        check(event)
        self.seen.append(event)
        return event

    async def until(self, *types: str) -> dict[str, Any]:
        """The next event of one of these types."""
        while True:
            event = await self.receive()
            if event["type"] in types:
                return event

    async def answer(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Send an event and return the next one."""
        await self.send(type_, **fields)
        return await self.receive()

    async def configure(self, **audio_input: Any) -> dict[str, Any]:
        """Update ``session.audio.input``."""
        session = {"type": "transcription", "audio": {"input": audio_input}}
        return await self.answer("session.update", session=session)

    async def converse(self, *, input: Any = None, output: Any = None, **settings: Any) -> dict[str, Any]:  # noqa: A002 - the field's name
        """Configure a conversation, without turn detection unless ``input`` says otherwise."""
        audio = {"input": {"turn_detection": None, **(input or {})}, "output": output or {}}
        return await self.answer("session.update", session={"type": "realtime", "audio": audio, **settings})

    async def say(self, text: str, **fields: Any) -> dict[str, Any]:
        """Create a text item and return it."""
        content = [{"type": "input_text", "text": text}]
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": content, **fields}
        )
        return (await self.until("conversation.item.done", "error")).get("item", {})  # type: ignore[no-any-return]  # JSON

    async def append(self, pcm: bytes, piece: int = 48_000) -> None:
        """Send audio as fast as possible."""
        for start in range(0, len(pcm), piece):
            audio = base64.b64encode(pcm[start : start + piece]).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    async def barrier(self) -> list[dict[str, Any]]:
        """All events before the answer to an event that is sent now."""
        before = len(self.seen)
        await self.send("no.such.event", event_id="barrier")
        while True:
            event = await self.receive()
            if event["type"] == "error" and event["error"]["event_id"] == "barrier":
                return self.seen[before:-1]

    def of(self, *types: str) -> list[dict[str, Any]]:
        """The received events of these types."""
        return [event for event in self.seen if event["type"] in types]


@asynccontextmanager
async def session(url: str, query: str = "?intent=transcription", **options: Any) -> AsyncIterator[Client]:
    """A connected client that has received ``session.created``."""
    async with connect(url + query, compression=None, max_size=None, **options) as socket:
        client = Client(socket)
        async with asyncio.timeout(5):
            assert (await client.receive())["type"] == "session.created"
        yield client


@asynccontextmanager
async def endpoint(query: str = "?intent=transcription", **options: Any) -> AsyncIterator[Client]:
    """A new server, and a client with a session."""
    async with serve(**{"recognizer": "none", **options}) as server, session(server.url, query) as client:
        yield client

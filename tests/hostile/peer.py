"""One connection on a raw socket, as an endpoint sees it: any bytes can be sent on it."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
from typing import TYPE_CHECKING, Any

from websockets.utils import accept_key

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
STRANGE = "\x1b]0;owned\x07\x1b[2J$(id)`id`\u202e\r\n\0'\""
"""Text that a terminal or a shell would act on."""
ITEM = "conversation.item.input_audio_transcription"


def frame(opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0) -> bytes:
    """A frame of a server."""
    size = len(payload)
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    return head + (struct.pack(">BH", 126, size) if size < 65_536 else struct.pack(">BQ", 127, size)) + payload


def event(kind: str, **fields: Any) -> bytes:
    """An event in a frame."""
    return frame(TEXT, json.dumps({"type": kind, **fields}).encode())


class Peer:
    """One connection of a client.

    Args:
        reader: From the client.
        writer: To the client.
        chance: Of this connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random) -> None:
        self.chance = chance
        self.request = b""
        self.session: dict[str, Any] = {}
        """What the client asked for."""
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)

    async def send(self, data: bytes) -> None:
        """Write bytes; waits while the client does not read."""
        self._writer.write(data)
        await self._writer.drain()

    async def say(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        await self.send(event(kind, **fields))

    async def accept(self, *headers: str) -> None:
        """Answer the request for a WebSocket."""
        self.request = await self._reader.readuntil(b"\r\n\r\n")
        lines = (line.split(b":", 1) for line in self.request.split(b"\r\n") if b":" in line)
        keys = {name.lower(): value.strip() for name, value in lines}
        proof = accept_key(keys.get(b"sec-websocket-key", b"").decode())
        head = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
        await self.send("\r\n".join((*head, f"Sec-WebSocket-Accept: {proof}", *headers, "", "")).encode())

    async def greet(self, **session: Any) -> None:
        """Accept, create and configure a session."""
        await self.accept()
        await self.say("session.created", session={"id": "s", **session})
        await self.until("session.update")
        await self.say("session.updated", session={**self.session, **session})

    async def receive(self) -> dict[str, Any]:
        """The next event of the client; pings are answered."""
        while True:
            first, second = await self._reader.readexactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8))
            mask = await self._reader.readexactly(4) if second & 0x80 else bytes(4)
            payload = await self._reader.readexactly(size)
            plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if size < 2000 else None
            match first & 0x0F:
                case 1 if plain is not None:
                    got: dict[str, Any] = json.loads(plain)
                    self.session = got.get("session", self.session)
                    return got
                case 1:
                    return {"type": "input_audio_buffer.append", "event_id": None}
                case 8:
                    await self.send(frame(CLOSE, (plain or b"")[:2]))
                    raise ConnectionResetError
                case 9:
                    await self.send(frame(PONG, plain or b""))

    async def until(self, kind: str) -> dict[str, Any]:
        """Receive events up to one of this type."""
        while (got := await self.receive())["type"] != kind:
            pass
        return got

    async def read_on(self) -> None:
        """Receive until the client goes, answering commits as a good endpoint does."""
        while True:
            got = await self.receive()
            if got["type"] == "input_audio_buffer.commit":
                item = f"item_{next(self._numbers)}"
                await self.say("input_audio_buffer.committed", item_id=item, previous_item_id=None)
                await self.say(f"{ITEM}.completed", item_id=item, content_index=0, transcript="words")
            elif got["type"] == "input_audio_buffer.clear":
                await self.say("input_audio_buffer.cleared")

    async def ignore(self) -> None:
        """Receive until the client goes, and answer only pings."""
        while True:
            await self.receive()

    async def swallow(self) -> None:
        """Read until the client goes, and answer nothing."""
        while await self._reader.read(65_536):
            pass

    async def repeat(self, make: Callable[[int], bytes], every_s: float = 0.0) -> None:
        """Send without end."""
        for number in itertools.count():
            await self.send(make(number))
            await asyncio.sleep(every_s)

    def reset(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()


async def both(*actions: Awaitable[None]) -> None:
    """Read and write at the same time, until one of them ends."""
    tasks = [asyncio.ensure_future(action) for action in actions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

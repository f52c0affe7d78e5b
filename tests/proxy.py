"""A TCP proxy between a client and a real server, with planned faults."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of one connection. The default is no fault."""

    cut_after: int | None = None
    """Bytes from the client after which the connection is cut, also inside a frame."""
    cut_down_after: int | None = None
    """Bytes from the server after which the connection is cut."""
    how: Literal["rst", "fin", "half"] = "rst"
    """A reset; FIN without a close frame; FIN towards the client only."""
    delay_s: float = 0.0
    """Delay of each direction, seconds."""
    jitter: float = 0.0
    """Variation of the delay, as a share of it."""
    bytes_per_s: float | None = None
    """Bandwidth from the client."""
    slice: int | None = None
    """Bytes per TCP segment, in both directions."""
    refuse: bool = False
    """Whether to reset the connection at once."""


class Proxy:
    """Forwards connections to a port on this machine.

    Args:
        plan: The fault of each connection, by its number from 0.
        seed: For jitter.
    """

    def __init__(self, plan: Callable[[int], Fault] = lambda _number: Fault(), *, seed: int = 0) -> None:
        self.opened: list[float] = []
        """Time of each connection, seconds of the event loop."""
        self.cuts = 0
        self.port = 0
        self.target = 0
        self._plan = plan
        self._chance = random.Random(seed)
        self._refusing = False
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def connections(self) -> int:
        """Return the number of connections so far."""
        return len(self.opened)

    @asynccontextmanager
    async def serving(self, target: int) -> AsyncIterator[Proxy]:
        """Listen during the block."""
        self.target = target
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._flowing.set()
            server.close()

    def black_hole(self) -> None:
        """Stop forwarding, without any error."""
        self._flowing.clear()

    def refuse(self) -> None:
        """Reset all connections, and new ones."""
        self._refusing = True
        for pair in self._pairs:
            for each in pair:
                _reset(each)

    def heal(self) -> None:
        """Forward again, also the held data, and accept connections."""
        self._refusing = False
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._plan(self.connections)
        self.opened.append(asyncio.get_running_loop().time())
        if fault.refuse or self._refusing:
            _reset(writer)
            return
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        self._pairs.add((writer, upstream_writer))
        up = asyncio.create_task(self._forward(reader, upstream_writer, fault, limit=fault.cut_after))
        back = replace(fault, bytes_per_s=None)
        down = asyncio.create_task(self._forward(upstream_reader, writer, back, limit=fault.cut_down_after))
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        cut = any(each.done() and each.result() for each in (up, down))
        self.cuts += cut
        if cut and fault.how == "half":
            writer.write_eof()
            await asyncio.wait((down,), timeout=30)
        self._pairs.discard((writer, upstream_writer))
        down.cancel()
        up.cancel()
        await asyncio.wait((up, down))
        for each in (writer, upstream_writer):
            if cut and fault.how == "rst":
                _reset(each)
            else:
                each.close()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault, *, limit: int | None
    ) -> bool:
        """Forward bytes. True when the limit cuts the connection, False when the sender ends it."""
        passed, due = 0, 0.0
        loop = asyncio.get_running_loop()
        try:
            while data := await reader.read(_PIECE if limit is None else min(_PIECE, limit - passed)):
                await self._flowing.wait()
                if fault.delay_s:
                    # Several pieces are delayed at the same time, and keep their order.
                    delay = fault.delay_s * (1 + fault.jitter * self._chance.uniform(-1, 1))
                    due = max(due + 1e-6, loop.time() + delay)
                    loop.call_at(due, writer.write, data)
                else:
                    await self._write(writer, data, fault)
                passed += len(data)
                if limit is not None and passed >= limit:
                    return True
            await asyncio.sleep(due - loop.time())
        except OSError:
            pass
        return False

    async def _write(self, writer: asyncio.StreamWriter, data: bytes, fault: Fault) -> None:
        rate = fault.bytes_per_s
        size = fault.slice or (round(rate / 20) if rate else len(data))
        for at in range(0, len(data), size):
            writer.write(data[at : at + size])
            await writer.drain()
            if rate:
                await asyncio.sleep(size / rate)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

"""How a connection is broken below its WebSocket: cut, held still, deaf to pings."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine

_RST = struct.pack("ii", 1, 0)
_OP_PING, _OP_PONG = 9, 10
_POLL_S = 0.5
"""How often a connection that stands still is looked at: whether there is still somebody."""
_LONGEST_S = 600.0
"""To stand still without a length; then it is cut, for where nobody can look, somebody may have left long ago."""


class FaultTarget(Protocol):
    """What faults need of a WebSocket connection."""

    transport: Any
    """Of asyncio."""
    protocol: Any
    """With ``send_frame``, through which pings and pongs go."""
    recv_messages: Any
    """With ``paused``: the library itself reads no further."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a frame."""


class ConnectionFaults:
    """A connection that can be broken.

    Args:
        connection: Open.
    """

    def __init__(self, connection: FaultTarget) -> None:
        self._connection = connection
        self._not_stalled = asyncio.Event()
        self._not_stalled.set()
        self._stalls = self._mutes = 0
        self._filtered = False

    async def wait_while_stalled(self) -> None:
        """Wait while the connection stands still."""
        await self._not_stalled.wait()

    def cut(self, how: str) -> None:
        """End it without a close frame.

        Args:
            how: ``rst`` resets it, whatever is on its way; ``fin`` ends it in order.
        """
        transport = self._connection.transport
        if how == "fin":
            transport.close()
        else:
            peer = transport.get_extra_info("socket")
            if peer is not None and peer.fileno() >= 0:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            transport.abort()
        self._not_stalled.set()

    def write(self, data: bytes) -> None:
        """Write past the framing."""
        if not self._connection.transport.is_closing():
            self._connection.transport.write(data)

    def stall(self, seconds: float | None) -> Coroutine[None, None, None]:
        """Neither read nor write, from now on.

        Args:
            seconds: None is for good: until the client is gone (Linux shows it), or for ten minutes.

        Returns:
            To be awaited; it moves again at the end of it. Cancelled, it never does.
        """
        self._stalls += 1
        self._filter_frames()
        self._not_stalled.clear()
        self._connection.transport.pause_reading()
        return self._end_stall(seconds)

    async def _end_stall(self, seconds: float | None) -> None:
        transport, now = self._connection.transport, asyncio.get_running_loop().time
        end = now() + (_LONGEST_S if seconds is None else seconds)
        while (remaining_s := end - now()) > 0 and not _is_closed(transport):  # noqa: ASYNC110 - nothing tells us, we have to look
            await asyncio.sleep(min(remaining_s, _POLL_S))
        self._stalls -= 1
        if seconds is None or _is_closed(transport):
            self.cut("rst")
        elif not self._stalls:
            if not self._connection.recv_messages.paused:
                transport.resume_reading()
            self._not_stalled.set()

    def mute(self, seconds: float | None) -> Coroutine[None, None, None]:
        """Answer no pings, from now on.

        Args:
            seconds: None is for good.

        Returns:
            To be awaited; they are answered again at the end of it.
        """
        self._mutes += 1
        self._filter_frames()
        return self._end_mute(seconds)

    async def _end_mute(self, seconds: float | None) -> None:
        if seconds is not None:
            await asyncio.sleep(seconds)
            self._mutes -= 1

    def _filter_frames(self) -> None:
        """The library answers pings by itself and has no switch for it; once is enough for all faults."""
        if self._filtered:
            return
        self._filtered = True
        protocol = self._connection.protocol
        send_frame = protocol.send_frame

        def filtered(frame: Any) -> None:
            muted = frame.opcode == _OP_PONG and self._mutes
            suppressed = frame.opcode == _OP_PING and self._stalls
            if not (muted or suppressed):
                send_frame(frame)

        protocol.send_frame = filtered


def _is_closed(transport: Any) -> bool:
    """Whether the client has left, as far as can be seen without reading."""
    peer = transport.get_extra_info("socket")
    if transport.is_closing() or peer is None or peer.fileno() < 0:
        return True
    if not hasattr(select, "POLLRDHUP"):
        return False
    poller = select.poll()
    poller.register(peer.fileno(), select.POLLRDHUP)
    return bool(poller.poll(0))

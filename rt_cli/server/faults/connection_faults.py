"""Faults of a connection below the WebSocket: cut, stall, unanswered pings."""

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
"""Interval at which a stalled connection is checked for a disconnect."""
_LONGEST_S = 600.0
"""Longest stall without a given length; then the connection is cut. Needed where a disconnect is not detectable."""


class FaultTarget(Protocol):
    """The parts of a WebSocket connection that faults use."""

    transport: Any
    """The asyncio transport."""
    protocol: Any
    """Has ``send_frame``, which sends pings and pongs."""
    recv_messages: Any
    """Has ``paused``: True while the library itself does not read."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a frame."""


class ConnectionFaults:
    """Faults of one connection.

    Args:
        connection: An open connection.
    """

    def __init__(self, connection: FaultTarget) -> None:
        self._connection = connection
        self._not_stalled = asyncio.Event()
        self._not_stalled.set()
        self._stalls = self._mutes = 0
        self._filtered = False

    async def wait_while_stalled(self) -> None:
        """Wait while the connection is stalled."""
        await self._not_stalled.wait()

    def cut(self, how: str) -> None:
        """End the connection without a close frame.

        Args:
            how: ``rst``: reset, unsent data is lost; ``fin``: send buffered data first.
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
        """Write raw bytes, without WebSocket framing."""
        if not self._connection.transport.is_closing():
            self._connection.transport.write(data)

    def stall(self, seconds: float | None) -> Coroutine[None, None, None]:
        """Stop reading and writing now.

        Args:
            seconds: Length of the stall. None: until the client disconnects (detected on Linux), at most ten minutes;
                then the connection is cut.

        Returns:
            A coroutine that waits and then ends the stall. Its cancellation leaves the connection stalled.
        """
        self._stalls += 1
        self._filter_frames()
        self._not_stalled.clear()
        self._connection.transport.pause_reading()
        return self._end_stall(seconds)

    async def _end_stall(self, seconds: float | None) -> None:
        transport, now = self._connection.transport, asyncio.get_running_loop().time
        end = now() + (_LONGEST_S if seconds is None else seconds)
        while (remaining_s := end - now()) > 0 and not _is_closed(transport):  # noqa: ASYNC110 - no event exists, poll
            await asyncio.sleep(min(remaining_s, _POLL_S))
        self._stalls -= 1
        if seconds is None or _is_closed(transport):
            self.cut("rst")
        elif not self._stalls:
            if not self._connection.recv_messages.paused:
                transport.resume_reading()
            self._not_stalled.set()

    def mute(self, seconds: float | None) -> Coroutine[None, None, None]:
        """Stop answering pings now.

        Args:
            seconds: None: until the end of the connection.

        Returns:
            A coroutine that waits and then answers pings again.
        """
        self._mutes += 1
        self._filter_frames()
        return self._end_mute(seconds)

    async def _end_mute(self, seconds: float | None) -> None:
        if seconds is not None:
            await asyncio.sleep(seconds)
            self._mutes -= 1

    def _filter_frames(self) -> None:
        """Replace ``send_frame`` once: the library answers pings itself and has no option to disable that."""
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
    """True if the connection is closed, as far as this is detectable without reading."""
    peer = transport.get_extra_info("socket")
    if transport.is_closing() or peer is None or peer.fileno() < 0:
        return True
    if not hasattr(select, "POLLRDHUP"):
        return False
    poller = select.poll()
    poller.register(peer.fileno(), select.POLLRDHUP)
    return bool(poller.poll(0))

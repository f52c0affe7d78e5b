"""A server that is a program: its process, its messages on stdin and stdout, the end of its stderr."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from rt_cli.protocol.sanitize import masked_foreign, printable
from rt_cli.talk.mcp.http_streams import MAX_MESSAGE_BYTES
from rt_cli.talk.tools.run_tool import clean_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import ObjectReceiveStream, ObjectSendStream
    from mcp.client._transport import TransportStreams

    from rt_cli.talk.mcp.guard import Guard
    from rt_cli.talk.mcp.server_file import McpServer

_ENDS_ITSELF_WITHIN_S = 1.0
"""From the end of its stdin."""
_TERMINATES_WITHIN_S = 1.0
_KILLED_WITHIN_S = 1.0
_SEEN_ENDED_WITHIN_S = 0.2
"""From the end of its stdout."""
_READ_BYTES = 64 * 1024
_LAST_WORDS_CHARS = 300
_log = logging.getLogger("rt.mcp")


class ServerProcess:
    """The process of a server, in a session of its own.

    Args:
        server: The server.
        guard: Ends it when ``rt`` is gone.
        on_end: Called when it says nothing more.
    """

    def __init__(self, server: McpServer, guard: Guard, on_end: Callable[[], None]) -> None:
        self.exit_code: int | None = None
        """None while it runs, and if it was ended."""
        self.last_words = ""
        """The last line of its stderr, or of its stdout if that is no message; printable."""
        self.problem = ""
        """Why nothing more is read from it, although it runs."""
        self._server = server
        self._guard = guard
        self._on_end = on_end
        self._closing = False

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[TransportStreams]:
        """Run the process during the block. At its end, or by cancellation, the process and its children are ended.

        Yields:
            Messages of the server, and messages to it.

        Raises:
            OSError: It cannot be started.
        """
        process = await asyncio.create_subprocess_exec(
            *self._server.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**_environment(), **self._server.env},
            cwd=self._server.cwd,
            start_new_session=True,
            limit=MAX_MESSAGE_BYTES,
        )
        to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, process, to_session)
                tasks.start_soon(self._write, process, from_session)
                tasks.start_soon(self._listen, process)
                try:
                    await self._guard.watch(process.pid)
                    yield from_server, to_server
                finally:
                    self._closing = True
                    with anyio.CancelScope(shield=True):
                        for stream in (from_server, to_server):
                            stream.close()
                        await self._end(process)
                    tasks.cancel_scope.cancel()
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            self._guard.forget(process.pid)
            for end in (to_session, from_server, to_server, from_session):
                end.close()

    async def _read(
        self, process: asyncio.subprocess.Process, to_session: ObjectSendStream[SessionMessage | Exception]
    ) -> None:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        async with to_session:
            try:
                while line := await process.stdout.readline():
                    message = self._message(line)
                    if message is not None:
                        await to_session.send(message)
            except ValueError:  # from readline
                self.problem = f"a message of it is longer than {MAX_MESSAGE_BYTES} bytes"
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
                pass  # the session is closed
            if not self._closing:
                if not self.problem:
                    await _ended(process, _SEEN_ENDED_WITHIN_S)
                self.exit_code = process.returncode
                self._on_end()
        while await process.stdout.read(_READ_BYTES):
            pass  # a full pipe would keep it from ending

    def _message(self, line: bytes) -> SessionMessage | None:
        """Return the message of a line; None for a line that is none, as some servers greet with."""
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError:
            self.last_words = _shown(line) or self.last_words
            _log.debug("%s: %s", self._server.label, self.last_words)
            return None

    async def _write(
        self, process: asyncio.subprocess.Process, from_session: ObjectReceiveStream[SessionMessage]
    ) -> None:
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        # A server that reads nothing more is about to end, which the reader sees.
        with suppress(ConnectionError, RuntimeError):
            async for each in from_session:
                text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last line of stderr, which never reaches our own."""
        assert process.stderr is not None  # noqa: S101 - a pipe was asked for
        left = b""
        while piece := await process.stderr.read(_READ_BYTES):
            *lines, left = (left + piece)[-_READ_BYTES:].split(b"\n")
            for line in (*lines, left) if lines else (left,):
                if line.strip():
                    self.last_words = _shown(line)
            for line in lines:
                _log.debug("%s: %s", self._server.label, line.decode("utf-8", "replace"))

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Close stdin; end what does not end by that, and all that it started."""
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        process.stdin.close()
        if not await _ended(process, _ENDS_ITSELF_WITHIN_S):
            _signal_group(process.pid, signal.SIGTERM)
            await _ended(process, _TERMINATES_WITHIN_S)
        _signal_group(process.pid, signal.SIGKILL)
        await _ended(process, _KILLED_WITHIN_S)
        # A child of it that has left its group may hold the pipes; nothing public closes our ends.
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()


def _environment() -> dict[str, str]:
    """Return what a server gets beside its own variables: where programs and files are, and none of our keys."""
    cleaned = clean_environment(get_default_environment(), "")
    del cleaned["RT_TOOL_ARGUMENTS"]
    return cleaned


def _shown(line: bytes) -> str:
    return masked_foreign(printable(line.decode("utf-8", "replace").strip()))[:_LAST_WORDS_CHARS]


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


async def _ended(process: asyncio.subprocess.Process, within_s: float) -> bool:
    """Return whether the process ends in time, whatever its children do with its pipes."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    # Process.wait() also waits for the end of the pipes.
    while process.returncode is None and loop.time() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return process.returncode is not None

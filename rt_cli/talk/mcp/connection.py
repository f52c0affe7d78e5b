"""The connection to one server: made, used and ended by a task of its own."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import anyio
from httpx2 import HTTPError
from mcp import MCPError
from mcp.client.client import Client
from mcp_types import CONNECTION_CLOSED, Implementation

import rt_cli
from rt_cli.errors import EndpointError, RefusedError, RtError, UnreachableError, UsageError
from rt_cli.events import Warned
from rt_cli.masking import masked_foreign
from rt_cli.protocol.sanitize import printable
from rt_cli.talk.mcp.http_streams import http_streams
from rt_cli.talk.mcp.result import EXIT_FAILED, tool_result
from rt_cli.talk.mcp.server_process import ServerProcess
from rt_cli.talk.tools.run_tool import ToolResult, failure

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from mcp.client._transport import TransportStreams
    from mcp_types import Tool

    from rt_cli.events import EventHandler
    from rt_cli.talk.mcp.guard import Guard
    from rt_cli.talk.mcp.server_file import McpServer

MAX_TOOLS = 512
"""Of one server; a list that does not end is none."""
_MAX_PAGES = 100
_ENDS_WITHIN_S = 2.0
_MAX_MESSAGE_CHARS = 300
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _SERVER_ERROR = 401, 403, 404, 500


class McpConnection:
    """A server, from its start to its end. Implements :class:`rt_cli.talk.mcp.mcp_tool.Caller`.

    A program is started once. A URL is connected to again by the next call after a loss; no call is sent again.

    Args:
        server: The server.
        guard: Ends its process when ``rt`` is gone.
        on_event: Receives a warning when it ends by itself.
    """

    def __init__(self, server: McpServer, guard: Guard, on_event: EventHandler) -> None:
        self.server = server
        self._on_event = on_event
        self._over = asyncio.Event()
        self._wanted = asyncio.Event()
        """A call waits for the next connection."""
        self._attempted = asyncio.Event()
        """That connection is there, or could not be made."""
        self._scope = anyio.CancelScope()
        self._client: Client | None = None
        self._stopping = False
        self._reported = False
        self._status: int | None = None
        """Status of its last HTTP response."""
        self._listed: asyncio.Future[list[Tool]] = asyncio.get_running_loop().create_future()
        # Where several servers cannot be used, the error of one is enough.
        self._listed.add_done_callback(lambda listed: listed.exception())
        self._process = ServerProcess(server, guard, self._over.set) if server.command else None

    # -- from other tasks ---------------------------------------------------------------------------------------------

    async def listed(self) -> list[Tool]:
        """Wait until the server runs, and return its tools; none if it was stopped before. Safe to cancel.

        Raises:
            RtError: It cannot be used.
        """
        return await asyncio.shield(self._listed)

    def stop(self) -> None:
        """Let it end. Idempotent."""
        self._stopping = True
        if self._client is None:
            self._scope.cancel()
        else:
            self._scope.deadline = anyio.current_time() + _ENDS_WITHIN_S
        self._over.set()
        self._wanted.set()
        self._attempted.set()

    async def call(self, name: str, arguments: dict[str, Any], timeout_s: float) -> ToolResult:
        """Call a tool, as :meth:`rt_cli.talk.mcp.mcp_tool.Caller.call`: sent once, whatever happens to it."""
        try:
            async with asyncio.timeout(timeout_s):
                client = await self._connected()
                if client is None:
                    return failure(f"{self.server.label} has ended")
                # The method of the session: that of the client may send a call again.
                result = await client.session.call_tool(name, arguments)
        except TimeoutError:
            return failure(f"it took longer than {timeout_s:g} s")
        except MCPError as exc:
            if exc.error.code == CONNECTION_CLOSED:
                return failure(f"{self.server.label} has ended")
            if self._status == _NOT_FOUND:
                self._over.set()  # it has forgotten the session
            return failure(_said(exc), EXIT_FAILED)
        except Exception as exc:  # noqa: BLE001 - whatever the library makes of an answer; the model and the user get it
            return failure(_said(exc))
        return tool_result(result)

    async def _connected(self) -> Client | None:
        """Return the client, of a new connection if that is possible; None if there is none."""
        if self._client is None and self._process is None and not self._stopping:
            self._attempted.clear()
            self._wanted.set()
            await self._attempted.wait()
        return self._client

    # -- its own task -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the server until :meth:`stop`, or until its process ends. Cancellation ends it at once."""
        await self._connect()
        while self._process is None and not self._stopping:
            await self._wanted.wait()
            self._wanted.clear()
            if self._client is None and not self._stopping:
                self._over.clear()
                self._scope, self._reported = anyio.CancelScope(), False
                await self._connect()

    async def _connect(self) -> None:
        """Hold one connection until its end."""
        problem: Exception | None = None
        was_made = asyncio.Event()
        self._scope.deadline = anyio.current_time() + self.server.start_timeout_s
        try:
            with self._scope:
                await self._hold(was_made)
        except Exception as exc:  # noqa: BLE001 - an error of any type is that the server cannot be used
            problem = _first(exc)
        finally:
            self._client = None
            self._conclude(problem)
            if not was_made.is_set():
                self._attempted.set()

    def _conclude(self, problem: Exception | None) -> None:
        if self._listed.done():
            # A connection that breaks down does so with an exception.
            self._report_end(problem)
        elif self._stopping:
            self._listed.set_result([])
        else:
            self._listed.set_exception(self._start_error(problem))

    async def _hold(self, was_made: asyncio.Event) -> None:
        about = Implementation(name="rt", version=rt_cli.__version__)
        async with Client(self._streams(), client_info=about, cache=None) as client:
            tools = await _tools_of(client, self.server)
            self._client = client
            self._scope.deadline = math.inf
            if not self._listed.done():
                self._listed.set_result(tools)
            was_made.set()
            self._attempted.set()
            await self._over.wait()
            self._client = None
            self._report_end(None)
            self._scope.deadline = anyio.current_time() + _ENDS_WITHIN_S

    def _streams(self) -> AbstractAsyncContextManager[TransportStreams]:
        if self._process is not None:
            return self._process.streams()
        return http_streams(self.server, self._note_status)

    def _note_status(self, status: int) -> None:
        self._status = status

    # -- its end ------------------------------------------------------------------------------------------------------

    def _report_end(self, problem: Exception | None) -> None:
        if not self._stopping and not self._reported:
            self._reported = True
            why = _said(problem) if problem is not None else self._process_end()
            then = "the next call connects again" if self._process is None else "its tools fail from now on"
            message = f"{self.server.label} has ended: {why}; {then}"
            self._on_event(Warned("mcp_server_ended", message))

    def _process_end(self) -> str:
        process = self._process
        if process is None:
            return "it closed the connection"
        if process.problem:
            return process.problem
        said = process.last_words
        code = "it was ended" if process.exit_code is None else f"exit code {process.exit_code}"
        return f"{code}, {said}" if said else code

    def _start_error(self, problem: Exception | None) -> RtError:
        """Return the error for a server that could not be started; without a problem, the time is over."""
        label, process = self.server.label, self._process
        match problem:
            case RtError():
                return problem
            case OSError() if process is not None:
                return UsageError(f"{label} cannot be started: {problem.strerror}", "see its command")
            case None:
                said = f"; it wrote: {process.last_words}" if process is not None and process.last_words else ""
                seconds = self.server.start_timeout_s
                return UnreachableError(
                    f"{label} gives no answer within {seconds:g} s{said}",
                    'see whether it starts by hand, or give it a longer "start_timeout"',
                )
        if process is not None:
            why = self._process_end() if self._over.is_set() else _said(problem)
            return EndpointError(f"{label} cannot be used: {why}", "run its command by hand to see more")
        return self._http_error(problem)

    def _http_error(self, problem: Exception | None) -> RtError:
        label, status = self.server.label, self._status
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            return RefusedError(f"{label} refuses access: HTTP {status}", "see its headers")
        if isinstance(problem, HTTPError) or (status is not None and status >= _SERVER_ERROR):
            why = f"HTTP {status}" if status is not None else _said(problem)
            return UnreachableError(f"{label} cannot be reached: {why}", "see its url, and whether it runs")
        why = f"HTTP {status}" if status == _NOT_FOUND else _said(problem)
        return EndpointError(f"{label} cannot be used: {why}", "see its url: it speaks MCP over streamable HTTP?")


async def _tools_of(client: Client, server: McpServer) -> list[Tool]:
    """Return all tools of a server.

    Raises:
        EndpointError: It has too many of them.
    """
    tools: list[Tool] = []
    cursor: str | None = None
    if client.server_capabilities.tools is None:
        return tools
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None or len(tools) > MAX_TOOLS:
            break
    if cursor is not None or len(tools) > MAX_TOOLS:
        raise EndpointError(f"{server.label} has more than {MAX_TOOLS} tools", "use another server")
    return tools


def _first(exc: BaseException) -> Exception:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc if isinstance(exc, Exception) else RuntimeError(type(exc).__name__)


def _said(problem: Exception | None) -> str:
    """Return one printable line of an error."""
    text = "" if problem is None else str(_first(problem)) or type(problem).__name__
    return masked_foreign(printable(text.strip()))[:_MAX_MESSAGE_CHARS]

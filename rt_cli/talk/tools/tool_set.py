"""The tools of a conversation: runs the calls of the endpoint, each in a task, and passes their outputs on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from rt_cli.conversation_events import ToolCalled
from rt_cli.errors import UsageError, did_you_mean
from rt_cli.masking import without_secrets
from rt_cli.protocol.sanitize import printable
from rt_cli.talk.tools.confirm import Confirmer, can_ask
from rt_cli.talk.tools.run_tool import ToolResult, failure
from rt_cli.talk.tools.tool import CallRefused, Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.protocol.conversation.actions import RunTool
    from rt_cli.talk.tools.tool import CallableTool

    OnEnded = Callable[[RunTool, str, ToolCalled], None]
    """Takes a call, its output and the event that reports it."""

MAX_AT_ONCE = 8
_MAX_NAME_CHARS = 64


class ToolSet:
    """The tools by name.

    Args:
        tools: The tools.
        timeout_s: Longest run of a tool that has no timeout of its own, seconds.
    """

    def __init__(self, tools: Sequence[CallableTool], timeout_s: float) -> None:
        self.called: list[str] = []
        """Names of the tools that were run, in order."""
        self.confirmer = Confirmer()
        self._tools = {tool.name: tool for tool in tools}
        self._timeout_s = timeout_s
        self._group: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._lane = asyncio.Semaphore(MAX_AT_ONCE)
        self._on_ended: OnEnded = lambda _call, _output, _event: None
        self.on_failed: Callable[[str], None] = lambda _problem: None
        """Takes what is wrong with a run."""

    def add(self, tools: Sequence[CallableTool], whose: str, hint: str) -> None:
        """Add tools.

        Args:
            tools: The tools.
            whose: Who has them, for the error.
            hint: What to do about two of one name.

        Raises:
            UsageError: One has the name of another.
        """
        for tool in tools:
            if tool.name in self._tools:
                raise UsageError(f"two tools are named {tool.name}, one of {whose}", hint)
            self._tools[tool.name] = tool

    def check_names(self, names: Sequence[str]) -> None:
        """Check that tools are there which are expected to be run.

        Raises:
            UsageError: One is not.
        """
        for name in names:
            if name not in self._tools:
                known = did_you_mean(name, self._tools) or "name it with --tool, --tools or --mcp"
                raise UsageError(f"--expect-tool {name}: there is no such tool", known)

    @property
    def declarations(self) -> list[dict[str, object]]:
        """The tools as the session object has them."""
        return [tool.declaration for tool in self._tools.values()]

    def never_allowed(self) -> list[str]:
        """Return the names of the tools that are to be confirmed, if there is no terminal to ask at. Blocks briefly."""
        own = [tool for tool in self._tools.values() if isinstance(tool, Tool)]
        names = [tool.name for tool in own if tool.confirm == "always"]
        return names if names and not can_ask() else []

    def begin(self, group: asyncio.TaskGroup, on_ended: OnEnded) -> None:
        """Run calls in this group from now on."""
        self._group, self._on_ended = group, on_ended

    def end(self) -> None:
        """End all tools that run."""
        for task in self._running:
            task.cancel()

    def start(self, call: RunTool) -> None:
        """Run a call; returns at once."""
        if self._group is not None:
            task = self._group.create_task(self._run(call), name=f"tool {call.name[:40]}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, call: RunTool) -> None:
        began = time.monotonic()
        async with self._lane:
            result = await self._result(call)
        ms = round((time.monotonic() - began) * 1000)
        # The endpoint chooses the name, which may be that of no tool at all.
        name = without_secrets(printable(call.name))[:_MAX_NAME_CHARS]
        if result.problem is not None:
            self.on_failed(f"the tool {name}: {without_secrets(printable(result.problem))}")
        event = ToolCalled(name, printable(call.arguments), result.exit_code, ms)
        self._on_ended(call, result.output, event)

    async def _result(self, call: RunTool) -> ToolResult:
        tool = self._tools.get(call.name)
        if tool is None:
            return failure("there is no such tool")
        timeout_s = tool.timeout_s or self._timeout_s
        try:
            checked = tool.check(call.arguments)
        except CallRefused as exc:
            return failure(str(exc))
        if checked.confirm:
            answer = await self.confirmer.confirmed(checked.shown, timeout_s)
            if not answer:
                return failure("nobody is there to allow it" if answer is None else "the user did not allow it")
        self.called.append(call.name)
        return await checked.run(timeout_s)

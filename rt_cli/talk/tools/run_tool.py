"""Run a tool: no shell, no keys in its environment, bounded time and output."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rt_cli.masking import without_secrets
from rt_cli.protocol.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_OUTPUT_BYTES = 32 * 1024
OWN_SECRETS = {
    "RT_API_KEY",
    "RT_SERVE_TOKEN",
    *(dialect.key_variable for dialect in DIALECTS.values() if dialect.key_variable),
}
_ENDED_WITHIN_S = 1.0
_LAST_WORDS_S = 0.2
_LONGEST_COMPLAINT = 500
"""Bytes of stderr that may be shown."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a run."""

    exit_code: int | None
    """None if the program was not started, or was ended."""
    output: str
    """What it wrote to stdout, cut at 32 KiB; or an object with ``error``."""
    problem: str | None = None
    """What the user is told of a run that failed, with the last line of its stderr; the model is not."""


def failure(message: str, exit_code: int | None = None, last_line: str = "") -> ToolResult:
    """Return the result of a run that failed."""
    problem = f"{message}: {last_line}" if last_line else message
    return ToolResult(exit_code, json.dumps({"error": message}), problem)


def clean_environment(environ: Mapping[str, str], arguments: str) -> dict[str, str]:
    """Return the environment of a tool: none of our keys, whatever variable has them.

    Args:
        environ: Ours.
        arguments: JSON of the arguments.
    """
    kept = {
        name: value for name, value in environ.items() if name not in OWN_SECRETS and without_secrets(value) == value
    }
    return {**kept, "RT_TOOL_ARGUMENTS": arguments}


async def run_tool(argv: Sequence[str], arguments: Mapping[str, Any], timeout_s: float) -> ToolResult:
    """Run a program with the arguments as JSON on its stdin. Cancellation ends it, and all that it started.

    Args:
        argv: Program and arguments.
        arguments: Of the call.
        timeout_s: After which it is ended.
    """
    text = json.dumps(arguments, ensure_ascii=False)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=clean_environment(os.environ, text),
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        return failure(f"{argv[0]} cannot be run: {getattr(exc, 'strerror', None) or 'invalid argument'}")
    try:
        async with asyncio.timeout(timeout_s):
            output, last_line, exit_code = await _communicate(process, text)
    except TimeoutError:
        return failure(f"it took longer than {timeout_s:g} s")
    finally:
        await _end(process)
    if exit_code != 0:
        said = output[:500].strip()
        return failure(f"it failed with exit code {exit_code}{': ' if said else ''}{said}", exit_code, last_line)
    return ToolResult(0, output)


async def _communicate(process: asyncio.subprocess.Process, text: str) -> tuple[str, str, int]:
    """Return stdout, the last line of stderr, and the exit code."""
    assert process.stdout is not None  # noqa: S101 - pipes were asked for
    assert process.stderr is not None  # noqa: S101
    end = bytearray()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_write_arguments(process, text))
        complaint = tasks.create_task(_keep_end(process.stderr, end))
        output = await _beginning(process.stdout)
        exit_code = await process.wait()
        # What the program leaves behind may hold its stderr open.
        await asyncio.wait([complaint], timeout=_LAST_WORDS_S)
        complaint.cancel()
    lines = [line.strip() for line in end.decode("utf-8", "replace").splitlines() if line.strip()]
    return output.decode("utf-8", "replace"), lines[-1] if lines else "", exit_code


async def _write_arguments(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    # A program that reads no arguments has closed its stdin.
    with suppress(ConnectionError):
        process.stdin.write(text.encode())
        await process.stdin.drain()
    process.stdin.close()


async def _beginning(stream: asyncio.StreamReader) -> bytes:
    """Return the first 32 KiB, and read the rest."""
    output = bytearray()
    while piece := await stream.read(MAX_OUTPUT_BYTES):
        output += piece[: MAX_OUTPUT_BYTES - len(output)]
    return bytes(output)


async def _keep_end(stream: asyncio.StreamReader, end: bytearray) -> None:
    while piece := await stream.read(MAX_OUTPUT_BYTES):
        end += piece
        del end[:-_LONGEST_COMPLAINT]


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program and all that it started, which has its own session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(_ENDED_WITHIN_S):
            await process.communicate()  # to the end of its pipes, which closes them

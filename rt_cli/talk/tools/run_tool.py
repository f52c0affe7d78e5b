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


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a run."""

    exit_code: int | None
    """None if the program was not started, or was ended."""
    output: str
    """What it wrote to stdout, cut at 32 KiB; or an object with ``error``."""


def failure(message: str, exit_code: int | None = None) -> ToolResult:
    """Return the result of a run that failed."""
    return ToolResult(exit_code, json.dumps({"error": message}))


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
            stderr=asyncio.subprocess.DEVNULL,
            env=clean_environment(os.environ, text),
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        return failure(f"{argv[0]} cannot be run: {getattr(exc, 'strerror', None) or 'invalid argument'}")
    try:
        async with asyncio.timeout(timeout_s):
            output, exit_code = await _communicate(process, text)
    except TimeoutError:
        return failure(f"it took longer than {timeout_s:g} s")
    finally:
        await _end(process)
    if exit_code != 0:
        return failure(f"it failed with exit code {exit_code}: {output[:500].strip()}", exit_code)
    return ToolResult(0, output)


async def _communicate(process: asyncio.subprocess.Process, text: str) -> tuple[str, int]:
    assert process.stdin is not None  # noqa: S101 - pipes were asked for
    assert process.stdout is not None  # noqa: S101
    # A program that reads no arguments has closed its stdin.
    with suppress(ConnectionError):
        process.stdin.write(text.encode())
        await process.stdin.drain()
    process.stdin.close()
    output = bytearray()
    while piece := await process.stdout.read(MAX_OUTPUT_BYTES):
        output += piece[: MAX_OUTPUT_BYTES - len(output)]
    return output.decode("utf-8", "replace"), await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program and all that it started, which has its own session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(_ENDED_WITHIN_S):
            await process.wait()

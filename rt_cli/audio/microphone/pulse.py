"""PulseAudio and PipeWire: pin the default source, and detect when the server moves the recording to another one.

These servers offer one ALSA device for the microphone that they choose. When that microphone disappears, or another one
is plugged in, they choose another one and move the recording to it. ``rt`` stays with the source that was the default
at the start of capture: :class:`DefaultSource` pins it, and :func:`watch_moves` reports a move.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_VARIABLE = "PULSE_SOURCE"
"""The client library of the servers reads this variable when it opens a stream."""
_DEADLINE_S = 1.0
_LABEL = "Default Source: "
_OWNER = re.compile(r'^\s*application\.process\.id = "(\d+)"', re.MULTILINE)
_SOURCE = re.compile(r"^\s*Source: (\d+)", re.MULTILINE)
_EVENT = re.compile(rb"'(new|change)' on source-output ")


class DefaultSource:
    """A query for the default source, which runs while PortAudio starts; a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        if sys.platform != "linux" or _VARIABLE in os.environ:
            return
        try:
            self._process = subprocess.Popen(
                ["pactl", "info"],  # noqa: S607  # its folder differs, and PATH is the user's own
                env=_english_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError:  # no such program
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        """End the query."""
        if self._process is not None:
            with self._process as process:
                process.kill()

    def pin(self) -> None:
        """Wait at most 1 s for the answer, and make this process record only from that source.

        Without a server, or if the user has set ``PULSE_SOURCE``, nothing changes.
        """
        if self._process is None:
            return
        try:
            answer, _ = self._process.communicate(timeout=_DEADLINE_S)
        except subprocess.TimeoutExpired:
            return
        name = default_source(answer)
        if name is not None:
            os.environ[_VARIABLE] = name


def default_source(info: str) -> str | None:
    """Parse the name of the default source from the output of ``pactl info``; None if there is none."""
    names = [line.removeprefix(_LABEL).strip() for line in info.splitlines() if line.startswith(_LABEL)]
    return names[0] if names and names[0] else None


async def ask(*arguments: str) -> str | None:
    """Run ``pactl`` and return its output, in English. Safe to cancel.

    Returns:
        None without ``pactl``, without a server, or without an answer within 1 s.
    """
    try:
        process = await _pactl(*arguments)
    except OSError:  # no such program
        return None
    try:
        async with asyncio.timeout(_DEADLINE_S):
            answer, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        await _end(process)
    return answer.decode(errors="replace") if process.returncode == 0 else None


async def watch_moves(on_moved: Callable[[], None], process_id: int | None = None, source: int | None = None) -> None:
    """Call ``on_moved`` when the server moves the recording of a process to another source, then return.

    Returns earlier without a server, or when the server ends. A cancellation ends the ``pactl`` process.

    Args:
        on_moved: Called at most once.
        process_id: The process that records; None for this one.
        source: Number of the source it records from; None for the source of the first answer.
    """
    owner = os.getpid() if process_id is None else process_id
    try:
        subscription = await _pactl("subscribe")
    except OSError:  # no such program
        return
    try:
        first = frozenset[int]() if source is None else frozenset({source})
        line: bytes = b"'new' on source-output "  # check once at the start: the move may be over
        while line:
            if _EVENT.search(line):
                now = await _sources(owner)
                first = first or now
                if not now <= first:
                    on_moved()
                    return
            line = await _line(subscription)
    finally:
        await _end(subscription)


def sources_of(process_id: int, text: str) -> frozenset[int]:
    """Parse the numbers of the sources that a process records from, from ``pactl list source-outputs``."""
    found = set()
    for output in text.split("Source Output #"):
        owner, source = _OWNER.search(output), _SOURCE.search(output)
        if owner and source and int(owner[1]) == process_id:
            found.add(int(source[1]))
    return frozenset(found)


async def _sources(process_id: int) -> frozenset[int]:
    """Query the numbers of the sources that a process records from; empty without an answer."""
    return sources_of(process_id, await ask("list", "source-outputs") or "")


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None  # noqa: S101  # it is a pipe
    return await process.stdout.readline()


async def _pactl(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "pactl",
        *arguments,
        env=_english_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


def _english_environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}

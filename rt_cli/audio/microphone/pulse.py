"""Which microphone a sound server means by its default one.

PulseAudio, and PipeWire in its place, offer one ALSA device that is whatever microphone they choose; when that goes
away, or another one is plugged in, they choose another, and move whoever records. What was the default when capture
began is what we stay with: it is pinned, and a move is noticed.
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
"""Read by the servers' client library whenever a stream is opened."""
_DEADLINE_S = 1.0
_LABEL = "Default Source: "
_OWNER = re.compile(r'^\s*application\.process\.id = "(\d+)"', re.MULTILINE)
_SOURCE = re.compile(r"^\s*Source: (\d+)", re.MULTILINE)
_NEWS = re.compile(rb"'(new|change)' on source-output ")


class DefaultSource:
    """A question to the sound server, asked while PortAudio is still starting; a context manager."""

    def __init__(self) -> None:
        self._asking: subprocess.Popen[str] | None = None
        if sys.platform != "linux" or _VARIABLE in os.environ:
            return
        try:
            self._asking = subprocess.Popen(
                ["pactl", "info"],  # noqa: S607  # where it is differs, and PATH is the user's own
                env=_plain_english(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError:  # no such program: nobody can be asked
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        """Ask no longer."""
        if self._asking is not None:
            with self._asking as asking:
                asking.kill()

    def pin(self) -> None:
        """Wait for the answer, 1 s at most, and have this process record from that source and from no other.

        Where there is no server, or a setting of the user's, nothing changes.
        """
        if self._asking is None:
            return
        try:
            answer, _ = self._asking.communicate(timeout=_DEADLINE_S)
        except subprocess.TimeoutExpired:
            return
        name = default_source(answer)
        if name is not None:
            os.environ[_VARIABLE] = name


def default_source(info: str) -> str | None:
    """The name of the default source in what ``pactl info`` prints; None where it names none."""
    names = [line.removeprefix(_LABEL).strip() for line in info.splitlines() if line.startswith(_LABEL)]
    return names[0] if names and names[0] else None


async def ask(*arguments: str) -> str | None:
    """What ``pactl`` answers, in English; None where there is no such program, no server, or no answer within 1 s.

    Safe to cancel.
    """
    try:
        asking = await _pactl(*arguments)
    except OSError:  # no such program
        return None
    try:
        async with asyncio.timeout(_DEADLINE_S):
            answer, _ = await asking.communicate()
    except TimeoutError:
        return None
    finally:
        await _end(asking)
    return answer.decode(errors="replace") if asking.returncode == 0 else None


async def watch_moves(on_moved: Callable[[], None], process_id: int | None = None, source: int | None = None) -> None:
    """Call ``on_moved`` when the server has a process record from another source than at first; then end.

    Ends sooner where there is no server, or when it goes. Cancelling it ends the program that it listens to.

    Args:
        on_moved: Called once.
        process_id: Whose recording it is; None: this process's.
        source: What it records from, by number; None: where it is found first.
    """
    owner = os.getpid() if process_id is None else process_id
    try:
        news = await _pactl("subscribe")
    except OSError:  # no such program
        return
    try:
        first = frozenset[int]() if source is None else frozenset({source})
        line: bytes = b"'new' on source-output "  # it may have happened before anybody listened
        while line:
            if _NEWS.search(line):
                now = await _sources(owner)
                first = first or now
                if not now <= first:
                    on_moved()
                    return
            line = await _line(news)
    finally:
        await _end(news)


def sources_of(process_id: int, listed: str) -> frozenset[int]:
    """The sources that a process records from, by number, in what ``pactl list source-outputs`` prints."""
    found = set()
    for output in listed.split("Source Output #"):
        owner, source = _OWNER.search(output), _SOURCE.search(output)
        if owner and source and int(owner[1]) == process_id:
            found.add(int(source[1]))
    return frozenset(found)


async def _sources(process_id: int) -> frozenset[int]:
    """Those of a process, now; none where the server does not say."""
    return sources_of(process_id, await ask("list", "source-outputs") or "")


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None  # noqa: S101  # it is a pipe
    return await process.stdout.readline()


async def _pactl(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "pactl",
        *arguments,
        env=_plain_english(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


def _plain_english() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}

"""The microphones that are there now, and as they come and go, for ``rt devices`` and for the shell."""

from __future__ import annotations

import asyncio
import json as jsonlib
import sys
from typing import TYPE_CHECKING, Any

from rt_cli.audio.microphone.devices import changes, devices_now, do_not_wait_at_exit
from rt_cli.cli.process import on_signals
from rt_cli.errors import AudioError
from rt_cli.output.line_writer import LineWriter
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.audio.microphone.devices import InputDevice

LOOK_EVERY_S = 1.0
_LAST_LINES_S = 1.0
_OFFER_WITHIN_S = 2.0
_HEAD = ("index", "name", "host API", "channels", "rate", "")


async def tell(*, json: bool, watch: bool) -> int:
    """Print the microphones that are there, and with ``watch`` how they come and go; returns the exit code.

    Raises:
        AudioError: There is none, no PortAudio, or the sound system does not answer.
    """
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    with on_signals(ended.set):
        found = await devices_now()
        if not found and not watch:
            raise AudioError("no microphone found", "connect one, then rt doctor", code="no_microphone")

        def end() -> None:  # from the writer's thread
            loop.call_soon_threadsafe(ended.set)

        lines = LineWriter(sys.stdout, on_broken=end)
        try:
            for line in map(jsonlib.dumps, map(shape, found)) if json else table(found):
                lines.write(line)
            if watch:
                await _watch(found, lines, ended, json=json)
        finally:
            lines.close(_LAST_LINES_S)
        lines.check()
    return 0


async def _watch(found: list[InputDevice], lines: LineWriter, ended: asyncio.Event, *, json: bool) -> None:
    while not await _ended_within(ended, LOOK_EVERY_S):
        before, found = found, await devices_now(again=True)
        for change, device in changes(before, found):
            event = shape(device) | {"type": change}
            lines.write(jsonlib.dumps(event) if json else f"{change:<8}  {printable(device.full_name)}")


async def _ended_within(ended: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return False
    return True


def shape(device: InputDevice) -> dict[str, Any]:
    """A device as NDJSON."""
    return {
        "type": "device",
        "index": device.index,
        "name": device.name,
        "hostapi": device.hostapi,
        "channels": device.channels,
        "rate_hz": device.rate_hz,
        "default": device.is_default,
        "loopback": device.is_loopback,
    }


def table(found: Sequence[InputDevice]) -> list[str]:
    """The devices as lines of aligned columns, the head first."""
    rows = [_HEAD, *(_row(device) for device in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    numbers = {0, 3, 4}
    return [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(device: InputDevice) -> tuple[str, ...]:
    marks = [word for word, holds in (("default", device.is_default), ("loopback", device.is_loopback)) if holds]
    numbers = str(device.index), str(device.channels), str(device.rate_hz)
    return numbers[0], printable(device.name), printable(device.hostapi), *numbers[1:], ", ".join(marks)


async def offered(incomplete: str) -> list[tuple[str, str]]:
    """Names that hold what was typed, and their host APIs; none where PortAudio fails or takes more than 2 s."""
    try:
        async with asyncio.timeout(_OFFER_WITHIN_S):
            found = await devices_now()
    except (AudioError, TimeoutError):  # whoever presses a key wants no message in the middle of the line
        do_not_wait_at_exit()
        return []
    folded = incomplete.casefold()
    return [(device.name, device.hostapi) for device in found if folded in device.name.casefold()]

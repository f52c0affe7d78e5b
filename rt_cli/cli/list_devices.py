"""List microphones, and watch them appear and vanish, for ``rt devices`` and for shell completion."""

from __future__ import annotations

import asyncio
import json as jsonlib
from typing import TYPE_CHECKING, Any

from rt_cli.audio.microphone.devices import changes, devices_now, do_not_wait_at_exit
from rt_cli.cli.process import printing_until_ended
from rt_cli.errors import AudioError
from rt_cli.output.line_writer import LineWriter
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.audio.microphone.devices import InputDevice
    from rt_cli.run.interrupts import Interrupts

POLL_INTERVAL_S = 1.0
_COMPLETION_DEADLINE_S = 2.0
_HEAD = ("index", "name", "host API", "channels", "rate", "")


async def list_devices(interrupts: Interrupts, *, json: bool, watch: bool) -> int:
    """Print the microphones. With ``watch``, also print each one that appears or vanishes. Returns the exit code.

    Raises:
        AudioError: No microphone, no PortAudio, or the sound system does not answer.
    """
    with printing_until_ended(interrupts) as (lines, ended):
        devices = await devices_now()
        if not devices and not watch:
            raise AudioError("no microphone found", "connect one, then rt doctor", code="no_microphone")
        for line in map(jsonlib.dumps, map(device_event, devices)) if json else table(devices):
            lines.write(line)
        if watch:
            await _watch(devices, lines, ended, json=json)
    return 0


async def _watch(devices: list[InputDevice], lines: LineWriter, ended: asyncio.Event, *, json: bool) -> None:
    while not await _wait_for_end(ended, POLL_INTERVAL_S):
        before, devices = devices, await devices_now(again=True)
        for change, device in changes(before, devices):
            event = device_event(device) | {"type": change}
            lines.write(jsonlib.dumps(event) if json else f"{change:<8}  {printable(device.full_name)}")


async def _wait_for_end(ended: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return False
    return True


def device_event(device: InputDevice) -> dict[str, Any]:
    """Return the NDJSON object of a device."""
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


def table(devices: Sequence[InputDevice]) -> list[str]:
    """Return the devices as lines of aligned columns, with a head line."""
    rows = [_HEAD, *(_row(device) for device in devices)]
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


async def complete_names(incomplete: str) -> list[tuple[str, str]]:
    """Return names that contain the typed text, and their host APIs. Empty if PortAudio fails or takes over 2 s."""
    try:
        async with asyncio.timeout(_COMPLETION_DEADLINE_S):
            devices = await devices_now()
    except (AudioError, TimeoutError):  # a message would break the command line that the user is typing
        do_not_wait_at_exit()
        return []
    part = incomplete.casefold()
    return [(device.name, device.hostapi) for device in devices if part in device.name.casefold()]

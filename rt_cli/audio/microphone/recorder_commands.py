"""Programs of the system that record from a microphone, and how they are called. Pure.

``pw-record`` of PipeWire, ``parec`` of PulseAudio, ``arecord`` of ALSA: all of them write raw sound into a pipe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rt_cli.audio.microphone.devices import InputDevice, select
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

PROGRAMS = ("pw-record", "parec", "arecord")
"""In the order in which they are tried."""
_RATE_HZ = 48_000
"""Where nobody can be asked for the native rate: it is that of nearly all hardware and of both servers."""
_SOURCE = re.compile(r"^Source #(\d+)$", re.MULTILINE)
_FIELD = re.compile(r"^\t(Name|Description|Sample Specification): (.*)$", re.MULTILINE)
_SPEC = re.compile(r"(\d+)ch (\d+)Hz")


@dataclass(frozen=True, slots=True)
class RecorderCommand:
    """A call of a program that writes interleaved float32 in this machine's byte order to its stdout."""

    program: str
    arguments: tuple[str, ...]
    name: str
    """What a person calls the device."""
    rate_hz: int
    channels: int
    source: str | None = None
    """The name of the sound server's source, if it is known."""


def parse_sources(listed: str) -> list[tuple[str, InputDevice]]:
    """The sources in what ``pactl list sources`` prints: the server's name of each, and what a person is told."""
    _, *pieces = _SOURCE.split(listed)
    found = []
    for index, text in zip(pieces[::2], pieces[1::2], strict=True):
        fields = dict(_FIELD.findall(text))
        spec = _SPEC.search(fields.get("Sample Specification", ""))
        name = fields.get("Name", "")
        if not name or spec is None:
            continue
        described = fields.get("Description") or name
        device = InputDevice(int(index), described, "PulseAudio", int(spec[1]), int(spec[2]), is_default=False)
        found.append((name, device))
    return found


def choose_source(sources: Sequence[tuple[str, InputDevice]], wanted: str | None, default: str | None) -> int | None:
    """Which source is meant, by its place; None for the default where the server names none.

    Args:
        sources: As :func:`parse_sources` gives them.
        wanted: As :func:`rt_cli.audio.microphone.devices.select` takes it, with the server's names, else with its
            descriptions.
        default: The server's name of its default source.

    Raises:
        AudioError: None is meant.
        UsageError: Several are meant.
    """
    names = [name for name, _ in sources]
    if wanted is None:
        return names.index(default) if default in names else None
    described = [device for _, device in sources]
    named = [replace(device, name=name) for name, device in sources]
    try:
        return named.index(select(named, wanted))
    except AudioError as unknown:
        try:
            return described.index(select(described, wanted))
        except AudioError:
            raise unknown from None


def parse_pcms(listed: str) -> list[InputDevice]:
    """The devices in what ``arecord -L`` prints that convert to any rate; the bare hardware does not."""
    names = [line.strip() for line in listed.splitlines() if line and not line[0].isspace()]
    usable = [name for name in names if not name.startswith(("hw:", "null"))]
    return [InputDevice(at, name, "ALSA", 1, _RATE_HZ, is_default=False) for at, name in enumerate(usable)]


def server_recorders(
    programs: Collection[str], source: str, device: InputDevice, least: int = 1, *, raw: bool
) -> list[RecorderCommand]:
    """How to record from a source of the sound server, the best first.

    Args:
        programs: Those that are installed.
        source: Its name.
        device: What it is.
        least: How many channels are wanted at least.
        raw: Whether pw-record has to be told to write no header.
    """
    channels = max(min(device.channels, 2), least)
    recorders: dict[str, tuple[str, ...]] = {
        "pw-record": _pw_record(device.rate_hz, channels, source, raw=raw),
        "parec": _parec(device.rate_hz, channels, source),
    }
    return [
        RecorderCommand(program, arguments, device.name, device.rate_hz, channels, source)
        for program, arguments in recorders.items()
        if program in programs
    ]


def lone_recorders(
    programs: Collection[str], pcm: str | None, channels: int = 1, *, raw: bool
) -> list[RecorderCommand]:
    """How to record where no sound server tells of its sources.

    Args:
        programs: Those that are installed.
        channels: How many are wanted.
        pcm: A device of ALSA, which only arecord knows; None: the default of each program.
        raw: As :func:`server_recorders` has it.
    """
    # Left to itself it asks for buffers of seconds, and sound comes as late.
    soon = ("--buffer-time=400000", "--period-time=40000")
    alsa = (
        "-q",
        "-t",
        "raw",
        "-f",
        "FLOAT_LE",
        "-r",
        str(_RATE_HZ),
        "-c",
        str(channels),
        "-D",
        pcm or "default",
        *soon,
    )
    recorders: dict[str, tuple[str, ...]] = {"arecord": alsa}
    if pcm is None:
        recorders = {
            "pw-record": _pw_record(_RATE_HZ, channels, None, raw=raw),
            "parec": _parec(_RATE_HZ, channels, None),
            **recorders,
        }
    return [
        RecorderCommand(program, arguments, pcm or "default", _RATE_HZ, channels)
        for program, arguments in recorders.items()
        if program in programs
    ]


def _pw_record(rate_hz: int, channels: int, source: str | None, *, raw: bool) -> tuple[str, ...]:
    target = () if source is None else ("--target", source)
    shape = ("--rate", str(rate_hz), "--channels", str(channels), "--format", "f32")
    return (*(("--raw",) if raw else ()), *target, *shape, "--latency", "40ms", "-")


def _parec(rate_hz: int, channels: int, source: str | None) -> tuple[str, ...]:
    device = () if source is None else (f"--device={source}",)
    shape = (f"--rate={rate_hz}", f"--channels={channels}", "--format=float32ne")
    return ("--raw", *device, *shape, "--latency-msec=40", "--client-name=rt")

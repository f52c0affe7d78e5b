"""Command lines of the recording programs of the system. Pure.

``pw-record`` of PipeWire, ``parec`` of PulseAudio and ``arecord`` of ALSA write raw audio into a pipe.
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
"""The programs in the order in which they are tried."""
_RATE_HZ = 48_000
"""Rate if the native rate is unknown: the rate of nearly all hardware and of both servers."""
_SOURCE = re.compile(r"^Source #(\d+)$", re.MULTILINE)
_FIELD = re.compile(r"^\t(Name|Description|Sample Specification): (.*)$", re.MULTILINE)
_SPEC = re.compile(r"(\d+)ch (\d+)Hz")


@dataclass(frozen=True, slots=True)
class RecorderCommand:
    """The command line of a program that writes interleaved float32 in native byte order to its stdout."""

    program: str
    arguments: tuple[str, ...]
    name: str
    """Name of the device for the user."""
    rate_hz: int
    channels: int
    source: str | None = None
    """The sound server's name of the source, if known."""


def parse_sources(output: str) -> list[tuple[str, InputDevice]]:
    """Parse the output of ``pactl list sources``: the server's name and the device of each source."""
    _, *pieces = _SOURCE.split(output)
    found = []
    for index, text in zip(pieces[::2], pieces[1::2], strict=True):
        fields = dict(_FIELD.findall(text))
        spec = _SPEC.search(fields.get("Sample Specification", ""))
        name = fields.get("Name", "")
        if not name or spec is None:
            continue
        description = fields.get("Description") or name
        device = InputDevice(int(index), description, "PulseAudio", int(spec[1]), int(spec[2]), is_default=False)
        found.append((name, device))
    return found


def choose_source(sources: Sequence[tuple[str, InputDevice]], query: str | None, default: str | None) -> int | None:
    """Select a source and return its index; None for the default if the server has no default source.

    Args:
        sources: Result of :func:`parse_sources`.
        query: Query for :func:`rt_cli.audio.microphone.devices.select`, compared with the server's names first, then
            with the descriptions.
        default: The server's name of its default source.

    Raises:
        AudioError: No source matches.
        UsageError: Several sources match.
    """
    names = [name for name, _ in sources]
    if query is None:
        return names.index(default) if default in names else None
    by_description = [device for _, device in sources]
    by_name = [replace(device, name=name) for name, device in sources]
    try:
        return by_name.index(select(by_name, query))
    except AudioError as unknown:
        try:
            return by_description.index(select(by_description, query))
        except AudioError:
            raise unknown from None


def parse_pcms(output: str) -> list[InputDevice]:
    """Parse the output of ``arecord -L``, without the hardware devices, which do not convert to other rates."""
    names = [line.strip() for line in output.splitlines() if line and not line[0].isspace()]
    pcms = [name for name in names if not name.startswith(("hw:", "null"))]
    return [InputDevice(at, name, "ALSA", 1, _RATE_HZ, is_default=False) for at, name in enumerate(pcms)]


def server_recorders(
    programs: Collection[str], source: str, device: InputDevice, least: int = 1, *, raw: bool
) -> list[RecorderCommand]:
    """Commands that record from a source of the sound server, the best first.

    Args:
        programs: The installed programs.
        source: Name of the source.
        device: Device of the source.
        least: Smallest pcms number of channels.
        raw: True if pw-record needs ``--raw`` to write no header.
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


def serverless_recorders(
    programs: Collection[str], pcm: str | None, channels: int = 1, *, raw: bool
) -> list[RecorderCommand]:
    """Commands that record without a list of sources from a sound server.

    Args:
        programs: The installed programs.
        pcm: Name of an ALSA device, which only arecord can open; None for the default device of each program.
        channels: Number of channels.
        raw: See :func:`server_recorders`.
    """
    # By default arecord uses buffers of several seconds, which would delay the audio by as much.
    latency = ("--buffer-time=400000", "--period-time=40000")
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
        *latency,
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

"""Check the sound system: PortAudio, the devices, the microphone."""

from __future__ import annotations

import asyncio
import platform
from typing import TYPE_CHECKING

from rt_cli.audio.microphone.devices import devices_now, load_sounddevice, select
from rt_cli.audio.microphone.input_health import silence_hint
from rt_cli.audio.microphone.pulse import ask
from rt_cli.audio.microphone.reconnecting import WITHOUT_PORTAUDIO, open_reconnecting
from rt_cli.audio.microphone.recorder_process import installed
from rt_cli.doctor.finding import Finding, error_finding
from rt_cli.doctor.level import measure
from rt_cli.doctor.machine import environment_kind
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.audio.microphone.devices import InputDevice
    from rt_cli.doctor.finding import ReportFinding
    from rt_cli.doctor.level import SpeechLevel

LISTEN_S = 1.5
RATE_HZ = 24_000
DEADLINE_S = 40.0
"""Longer than the sum of the deadlines inside the check."""

_NO_DEVICE = {
    "container": "give the container one: --device /dev/snd, or the socket of PulseAudio and PULSE_SERVER",
    "wsl": "sound in WSL needs WSLg (wsl --update), libasound2-plugins, and Windows' leave to use the microphone",
    "Darwin": "connect one; it shows up in System Settings > Sound > Input",
    "Windows": "connect one; it shows up in Settings > System > Sound > Input",
}
_LEVEL_UP = {
    "Darwin": "turn it up in System Settings > Sound > Input",
    "Windows": "turn it up in Settings > System > Sound > Input",
    "Linux": "turn it up: pactl set-source-volume @DEFAULT_SOURCE@ +20%, or alsamixer",
}
_LEVEL_DOWN = {
    "Darwin": "turn it down in System Settings > Sound > Input",
    "Windows": "turn it down in Settings > System > Sound > Input",
    "Linux": "turn it down: pactl set-source-volume @DEFAULT_SOURCE@ -20%, or alsamixer",
}


async def check_sound(report: ReportFinding, device: str | None) -> None:
    """Check PortAudio, the devices, then 1.5 s of the microphone, opened in the same way as in a run."""
    try:
        devices = await devices_now()
    except AudioError as error:
        if error.code not in WITHOUT_PORTAUDIO:
            report(error_finding("portaudio", error))
            return
        programs = installed()
        if not programs:
            report(error_finding("portaudio", error))
            return
        detail = f"{error.message}; there is {', '.join(programs)} to record with"
        report(Finding("portaudio", "warn", detail, error.hint))
    else:
        report(Finding("portaudio", "ok", load_sounddevice().get_portaudio_version()[1]))
        programs = installed()
        report(devices_finding(devices, environment_kind(), programs))
        if devices:
            select(devices, device)
        elif not programs:
            return
    await check_microphone(report, device)


def devices_finding(devices: Sequence[InputDevice], environment: str, programs: Sequence[str] = ()) -> Finding:
    """Return the finding about the input devices.

    Args:
        devices: The input devices.
        environment: As returned by :func:`rt_cli.doctor.machine.environment_kind`.
        programs: The installed recording programs, which are tried if there is no device.
    """
    if not devices and programs:
        detail = f"PortAudio lists no microphone; there is {', '.join(programs)} to record with"
        return Finding("devices", "warn", detail, "install libasound2-plugins if there is a sound server")
    if not devices:
        hint = _NO_DEVICE.get(
            environment, "connect one; is PulseAudio or PipeWire running, are you in the group audio?"
        )
        return Finding("devices", "fail", "no microphone found", hint, AudioError.exit_code)
    names = ", ".join(f'"{device.full_name}"{" (default)" if device.is_default else ""}' for device in devices)
    return Finding("devices", "ok", f"{len(devices)}: {names}")


async def check_microphone(report: ReportFinding, device: str | None) -> None:
    """Record the microphone for 1.5 s, and rate its level."""
    warnings: list[str] = []
    source = await open_reconnecting(
        device, wire_rate_hz=RATE_HZ, warn=lambda code, _message: warnings.append(code), retry_for_s=0
    )
    pcm = bytearray()
    stop_timer = asyncio.get_running_loop().call_later(LISTEN_S, source.stop)
    try:
        async for block in source.blocks():
            pcm += block.pcm
    finally:
        stop_timer.cancel()
        await source.aclose()
    level = measure(bytes(pcm), RATE_HZ, clipped="clipping" in warnings)
    microphone = f'"{source.info.name}" at {source.info.rate_hz} Hz'
    report(level_finding(level, microphone, platform.system(), muted=await _muted()))


def level_finding(level: SpeechLevel, microphone: str, system: str, *, muted: bool) -> Finding:
    """Return the finding about the level, with a fix for this system.

    Args:
        level: The measured level.
        microphone: Name and sample rate of the microphone, in words.
        system: As returned by ``platform.system()``.
        muted: Whether the default source of the sound server is muted.
    """
    detail = f"{level.rating}: {level.speech_dbfs:.0f} dBFS, peak {level.peak_dbfs:.0f}  {level.bars}  {microphone}"
    match level.rating:
        case "silent":
            unmute = "it is muted: pactl set-source-mute @DEFAULT_SOURCE@ 0"
            return Finding(
                "microphone", "fail", detail, unmute if muted else silence_hint(system), AudioError.exit_code
            )
        case "quiet":
            hint = _LEVEL_UP.get(system, "turn it up")
            return Finding("microphone", "warn", detail, f"speak while rt doctor listens; if you did, {hint}")
        case "clipping":
            return Finding("microphone", "warn", detail, _LEVEL_DOWN.get(system, "turn it down"))
        case _:
            return Finding("microphone", "ok", detail)


async def _muted() -> bool:
    return "yes" in (await ask("get-source-mute", "@DEFAULT_SOURCE@") or "")

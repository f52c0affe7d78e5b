"""The sound system: PortAudio, the devices, and the microphone itself."""

from __future__ import annotations

import asyncio
import platform
from typing import TYPE_CHECKING

from rt_cli.audio.microphone.devices import devices_now, load_sounddevice, select
from rt_cli.audio.microphone.input_health import silence_hint
from rt_cli.audio.microphone.pulse import ask
from rt_cli.audio.microphone.reconnecting import WITHOUT_PORTAUDIO, open_reconnecting
from rt_cli.audio.microphone.recorder_process import installed
from rt_cli.doctor.finding import Finding, failed
from rt_cli.doctor.level import measure
from rt_cli.doctor.machine import this_place
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.audio.microphone.devices import InputDevice
    from rt_cli.doctor.finding import ReportFinding
    from rt_cli.doctor.level import SpeechLevel

LISTEN_S = 1.5
RATE_HZ = 24_000
DEADLINE_S = 40.0
"""Longer than the deadlines of all that is waited for inside."""

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


async def look_at_sound(tell: ReportFinding, device: str | None) -> None:
    """PortAudio, the devices, then 1.5 s of the microphone as the main job would open it."""
    try:
        found = await devices_now()
    except AudioError as error:
        if error.code not in WITHOUT_PORTAUDIO:
            tell(failed("portaudio", error))
            return
        programs = installed()
        if not programs:
            tell(failed("portaudio", error))
            return
        detail = f"{error.message}; there is {', '.join(programs)} to record with"
        tell(Finding("portaudio", "warn", detail, error.hint))
    else:
        tell(Finding("portaudio", "ok", load_sounddevice().get_portaudio_version()[1]))
        tell(devices_finding(found, this_place()))
        if not found:
            return
        select(found, device)
    await look_at_microphone(tell, device)


def devices_finding(found: Sequence[InputDevice], place: str) -> Finding:
    """Whether there is anything to capture from.

    Args:
        found: The input devices.
        place: As :func:`rt_cli.doctor.machine.this_place` calls it.
    """
    if not found:
        hint = _NO_DEVICE.get(place, "connect one; is PulseAudio or PipeWire running, are you in the group audio?")
        return Finding("devices", "fail", "no microphone found", hint, AudioError.exit_code)
    named = ", ".join(f'"{device.full_name}"{" (default)" if device.is_default else ""}' for device in found)
    return Finding("devices", "ok", f"{len(found)}: {named}")


async def look_at_microphone(tell: ReportFinding, device: str | None) -> None:
    """Listen for 1.5 s, and judge what was heard."""
    warnings: list[str] = []
    source = await open_reconnecting(
        device, wire_rate_hz=RATE_HZ, warn=lambda code, _message: warnings.append(code), retry_for_s=0
    )
    pcm = bytearray()
    ending = asyncio.get_running_loop().call_later(LISTEN_S, source.stop)
    try:
        async for block in source.blocks():
            pcm += block.pcm
    finally:
        ending.cancel()
        await source.aclose()
    level = measure(bytes(pcm), RATE_HZ, clipped="clipping" in warnings)
    opened = f'"{source.info.name}" at {source.info.rate_hz} Hz'
    tell(level_finding(level, opened, platform.system(), muted=await _muted()))


def level_finding(level: SpeechLevel, opened: str, system: str, *, muted: bool) -> Finding:
    """The verdict, with what to do on this system.

    Args:
        level: What was heard.
        opened: What was listened to.
        system: As ``platform.system()`` calls it.
        muted: The sound server says that its default source is.
    """
    detail = f"{level.verdict}: {level.speech_dbfs:.0f} dBFS, peak {level.peak_dbfs:.0f}  {level.drawing}  {opened}"
    match level.verdict:
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

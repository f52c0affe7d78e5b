"""List, select and recognise input devices."""

from __future__ import annotations

import platform
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rt_cli.audio.microphone.call_in_thread import call_in_thread
from rt_cli.audio.microphone.native_stderr import off_stderr
from rt_cli.errors import AudioError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Change = Literal["appeared", "vanished", "default"]
DEADLINE_S = 10.0
_INSTALL = {
    "debian": "sudo apt-get install libportaudio2",
    "ubuntu": "sudo apt-get install libportaudio2",
    "fedora": "sudo dnf install portaudio",
    "rhel": "sudo dnf install portaudio",
    "centos": "sudo dnf install portaudio",
    "arch": "sudo pacman -S portaudio",
    "alpine": "sudo apk add portaudio",
    "suse": "sudo zypper install libportaudio2",
    "opensuse": "sudo zypper install libportaudio2",
}
_LOOPBACKS = re.compile(
    r"monitor of|\bmonitor(?: \d+)?$|loopback|stereo mix|what u hear|wave out mix|blackhole|soundflower|cable output",
    re.IGNORECASE,
)
"""Names of inputs that record the output of this machine: PulseAudio, ALSA, Windows, macOS."""
_ALSA_NUMBERS = re.compile(r" \(hw:\d+,\d+\)$")
_PIPE_HINT = "connect one, or pipe sound into `rt stream -`"


@dataclass(frozen=True, slots=True)
class InputDevice:
    """An input device."""

    index: int
    """PortAudio's index. It is valid only in this process."""
    name: str
    hostapi: str
    """The sound system of the device: ALSA, Core Audio, Windows WASAPI, ..."""
    channels: int
    """Largest number of input channels; 32 for some virtual devices."""
    rate_hz: int
    """The default rate of the driver."""
    is_default: bool

    @property
    def is_loopback(self) -> bool:
        """True if the name is that of an input that records the output of this machine."""
        return _LOOPBACKS.search(self.name) is not None

    @property
    def full_name(self) -> str:
        """``hostapi:name``, the least ambiguous name."""
        return f"{self.hostapi}:{self.name}"

    @property
    def lasting_name(self) -> str:
        """Name without ALSA's card number, which may change when the device is plugged in again."""
        return _ALSA_NUMBERS.sub("", self.full_name)


@dataclass(frozen=True, slots=True)
class Identity:
    """Properties by which a device is recognised after a reconnection."""

    name: str
    """See :attr:`InputDevice.lasting_name`."""
    twins: int
    """Number of devices with this name, itself included. ``place`` identifies one only if all of them are present."""
    place: int
    """Index among the devices with this name."""


def identify(devices: Sequence[InputDevice], device: InputDevice) -> Identity:
    """Return the identity of ``device``, which is one of ``devices``."""
    twins = [each for each in devices if each.lasting_name == device.lasting_name]
    return Identity(device.lasting_name, len(twins), twins.index(device))


def recognise(devices: Sequence[InputDevice], identity: Identity) -> InputDevice:
    """Find the device with an identity. Its index may have changed.

    Raises:
        AudioError: The device is missing, or the number of devices with its name has changed (``no_such_device``).
    """
    twins = [each for each in devices if each.lasting_name == identity.name]
    if len(twins) != identity.twins:
        raise AudioError(f'the microphone "{identity.name}" is not there', "plug it in again", code="no_such_device")
    return twins[identity.place]


def load_sounddevice() -> Any:
    """Import sounddevice, which loads and initialises PortAudio. Blocks, for seconds on some machines.

    Raises:
        AudioError: The PortAudio library is missing (``no_portaudio``), or its initialisation fails
            (``portaudio_failed``).
    """
    try:
        import sounddevice
    except OSError as error:
        raise AudioError(
            f"no microphone without PortAudio ({error})", this_install_hint(), code="no_portaudio"
        ) from error
    except Exception as error:
        # By name, because the class is in sounddevice, whose import has failed.
        if type(error).__name__ != "PortAudioError":
            raise
        hint = "check the sound system's configuration, or pipe sound into `rt stream -`"
        raise AudioError(f"PortAudio does not start ({error})", hint, code="portaudio_failed") from error
    return sounddevice


def restart_portaudio() -> None:
    """Restart PortAudio, which searches for devices only at its start. Blocks.

    No stream may be open: the restart would close it and free its memory.

    Raises:
        AudioError: See :func:`load_sounddevice`. After an error the function may be called again.
    """
    sounddevice = load_sounddevice()
    # Not sounddevice._initialize(), which closes stderr for the whole process while it runs.
    try:
        if sounddevice._initialized:  # noqa: SLF001  # its exit handler uses this counter
            sounddevice._terminate()  # noqa: SLF001  # there is no public name for it
        sounddevice._check(sounddevice._lib.Pa_Initialize())  # noqa: SLF001  # the same
        sounddevice._initialized = 1  # noqa: SLF001  # the same
    except sounddevice.PortAudioError as error:
        raise AudioError(f"PortAudio does not start ({error})", code="portaudio_failed") from error


def do_not_wait_at_exit() -> None:
    """Remove the exit handler of sounddevice. After a call that hangs, PortAudio's shutdown would hang too."""
    sounddevice = sys.modules.get("sounddevice")
    if sounddevice is not None:
        import atexit

        atexit.unregister(sounddevice._exit_handler)  # noqa: SLF001  # there is no public name for it


async def devices_now(*, again: bool = False) -> list[InputDevice]:
    """List all input devices within 10 s. After a cancellation the thread of the search ends by itself.

    Args:
        again: True restarts PortAudio, so that it finds new devices. No microphone may be open.

    Raises:
        AudioError: See :func:`load_sounddevice`; or the sound system does not answer (``device_timeout``).
    """

    def search() -> list[InputDevice]:
        if again:
            restart_portaudio()
        return input_devices()

    with off_stderr():
        try:
            return await call_in_thread(search, deadline_s=DEADLINE_S)
        except TimeoutError as error:
            do_not_wait_at_exit()
            message = f"the sound system does not answer within {DEADLINE_S:.0f} s"
            raise AudioError(message, "is the sound server alive?", code="device_timeout") from error


def changes(before: Sequence[InputDevice], after: Sequence[InputDevice]) -> Iterator[tuple[Change, InputDevice]]:
    """Yield the changes between two lists: vanished devices, then new ones, then the new default.

    A new index or a new ALSA card number is no change.
    """
    yield from (("vanished", device) for device in _surplus(before, after))
    yield from (("appeared", device) for device in _surplus(after, before))
    defaults = {device.lasting_name for device in before if device.is_default}
    yield from (("default", device) for device in after if device.is_default and device.lasting_name not in defaults)


def _surplus(some: Sequence[InputDevice], others: Sequence[InputDevice]) -> Iterator[InputDevice]:
    """Yield the devices of ``some`` that are not in ``others``. Of devices with one name, yield the surplus."""
    left = [device.lasting_name for device in others]
    for device in some:
        if device.lasting_name in left:
            left.remove(device.lasting_name)
        else:
            yield device


def input_devices() -> list[InputDevice]:
    """List all input devices in PortAudio's order, as of its last start. Blocks.

    Raises:
        AudioError: See :func:`load_sounddevice`.
    """
    sounddevice = load_sounddevice()
    hostapis = sounddevice.query_hostapis()
    default = sounddevice.default.device[0]
    return [
        InputDevice(
            index=int(info["index"]),
            name=str(info["name"]),
            hostapi=str(hostapis[info["hostapi"]]["name"]),
            channels=int(info["max_input_channels"]),
            rate_hz=round(info["default_samplerate"]),
            is_default=info["index"] == default,
        )
        for info in sounddevice.query_devices()
        if info["max_input_channels"] > 0
    ]


def select(devices: Sequence[InputDevice], query: str | None) -> InputDevice:
    """Select a device.

    Args:
        devices: All input devices.
        query: None for the default; an index; or a name. A name is compared in this order: exact, ignoring case,
            ``hostapi:name``, part of a name, ``hostapi:part``; all but the first ignore case.

    Raises:
        AudioError: There is no device or no default (``no_microphone``), or no device matches (``no_such_device``).
        UsageError: Several devices match; the message lists them (``ambiguous_device``).
    """
    if not devices:
        raise AudioError("no microphone found", _PIPE_HINT, code="no_microphone")
    if query is None:
        return _default(devices)
    matches = _matches(devices, query.strip())
    if not matches:
        raise AudioError(f'no input device is called "{query}"', f"there is {_listing(devices)}", code="no_such_device")
    if len(matches) > 1:
        raise UsageError(f'"{query}" may be {_listing(matches)}', "name one, or its index", code="ambiguous_device")
    return matches[0]


def _default(devices: Sequence[InputDevice]) -> InputDevice:
    for device in devices:
        if device.is_default:
            return device
    raise AudioError("no default microphone", f"name one with --device: {_listing(devices)}", code="no_microphone")


def _matches(devices: Sequence[InputDevice], query: str) -> list[InputDevice]:
    if query.isdecimal():
        return [device for device in devices if device.index == int(query)]
    for rule in _rules(query):
        matches = [device for device in devices if rule(device)]
        if matches:
            return matches
    return []


def _rules(query: str) -> Iterator[Any]:
    """Yield the predicates for a name, the strictest first. The first one that matches any device is used."""
    folded = query.casefold()
    hostapi, _, part = folded.partition(":")
    yield lambda device: device.name == query
    yield lambda device: device.name.casefold() == folded
    yield lambda device: device.full_name.casefold() == folded
    yield lambda device: folded in device.name.casefold()
    yield lambda device: device.hostapi.casefold() == hostapi and part in device.name.casefold()


def _listing(devices: Sequence[InputDevice]) -> str:
    return ", ".join(f'{device.index} "{device.full_name}"' for device in devices)


def this_install_hint() -> str:
    """Return how to install PortAudio on this machine."""
    try:
        os_release = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        os_release = ""
    return install_hint(platform.system(), os_release)


def install_hint(system: str, os_release: str) -> str:
    """Return how to install PortAudio.

    Args:
        system: Value of ``platform.system()``.
        os_release: Text of ``/etc/os-release``; empty if there is no such file.
    """
    if system == "Darwin":
        return "brew install portaudio"
    if system == "Windows":
        return "pip install --force-reinstall sounddevice (its wheel contains PortAudio)"
    for name in _distributions(os_release):
        if name in _INSTALL:
            return _INSTALL[name]
    return "install your system's PortAudio library"


def _distributions(os_release: str) -> list[str]:
    """Return ``ID``, then the names of ``ID_LIKE``, the closest first."""
    values = dict(line.partition("=")[::2] for line in os_release.splitlines() if "=" in line)
    names = f"{values.get('ID', '')} {values.get('ID_LIKE', '')}"
    try:
        return " ".join(shlex.split(names)).lower().split()
    except ValueError:  # an unclosed quote
        return []

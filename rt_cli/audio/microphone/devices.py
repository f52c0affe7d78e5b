"""Which microphones there are, and which one is meant."""

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
"""Names of inputs that hear what this machine plays, by system: PulseAudio, ALSA, Windows, macOS."""
_ALSA_NUMBERS = re.compile(r" \(hw:\d+,\d+\)$")
_PIPE_HINT = "connect one, or pipe sound into `rt stream -`"


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that sound can be captured from."""

    index: int
    """PortAudio's number, valid in this process only: another process may count differently."""
    name: str
    hostapi: str
    """The sound system that offers it: ALSA, Core Audio, Windows WASAPI, ..."""
    channels: int
    """Most input channels; virtual devices may say 32."""
    rate_hz: int
    """What the driver calls its default rate."""
    is_default: bool

    @property
    def is_loopback(self) -> bool:
        """Whether it hears what this machine plays, as far as its name tells."""
        return _LOOPBACKS.search(self.name) is not None

    @property
    def full_name(self) -> str:
        """``hostapi:name``, the least ambiguous spelling."""
        return f"{self.hostapi}:{self.name}"

    @property
    def lasting_name(self) -> str:
        """What it will be called when it is plugged in again: ALSA may give the card another number then."""
        return _ALSA_NUMBERS.sub("", self.full_name)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device is recognised by when it comes back."""

    name: str
    """As :attr:`InputDevice.lasting_name`."""
    twins: int
    """How many devices had this name, itself included; they can only be told apart while all of them are there."""
    place: int
    """Its place among them."""


def identify(devices: Sequence[InputDevice], device: InputDevice) -> Identity:
    """What to recognise one of ``devices`` by later."""
    twins = [each for each in devices if each.lasting_name == device.lasting_name]
    return Identity(device.lasting_name, len(twins), twins.index(device))


def recognise(devices: Sequence[InputDevice], identity: Identity) -> InputDevice:
    """Find a device again, whatever its number is now, and never take another one for it.

    Raises:
        AudioError: It is not there (``no_such_device``), or it cannot be told from its twins.
    """
    twins = [each for each in devices if each.lasting_name == identity.name]
    if len(twins) != identity.twins:
        raise AudioError(f'the microphone "{identity.name}" is not there', "plug it in again", code="no_such_device")
    return twins[identity.place]


def load_sounddevice() -> Any:
    """Import sounddevice, which loads and starts PortAudio. Blocks, for seconds on some machines.

    Raises:
        AudioError: No PortAudio library (``no_portaudio``), or it does not start (``portaudio_failed``).
    """
    try:
        import sounddevice
    except OSError as error:
        raise AudioError(
            f"no microphone without PortAudio ({error})", this_install_hint(), code="no_portaudio"
        ) from error
    except Exception as error:
        # The error class of sounddevice cannot be had where the import of sounddevice is what failed.
        if type(error).__name__ != "PortAudioError":
            raise
        hint = "check the sound system's configuration, or pipe sound into `rt stream -`"
        raise AudioError(f"PortAudio does not start ({error})", hint, code="portaudio_failed") from error
    return sounddevice


def look_again() -> None:
    """Make PortAudio forget the devices that it found when it started, and search anew. Blocks.

    Every open stream would be closed and its memory freed: no stream may be open.

    Raises:
        AudioError: As :func:`load_sounddevice`; another call starts it again.
    """
    sounddevice = load_sounddevice()
    # Not sounddevice._initialize: it turns the whole process's stderr off for as long as it takes.
    try:
        if sounddevice._initialized:  # noqa: SLF001  # what its shutdown at exit counts by
            sounddevice._terminate()  # noqa: SLF001  # there is no public name for it
        sounddevice._check(sounddevice._lib.Pa_Initialize())  # noqa: SLF001  # the same
        sounddevice._initialized = 1  # noqa: SLF001  # the same
    except sounddevice.PortAudioError as error:
        raise AudioError(f"PortAudio does not start ({error})", code="portaudio_failed") from error


def do_not_wait_at_exit() -> None:
    """PortAudio hangs in one of its calls, so it would hang in its shutdown at exit too."""
    sounddevice = sys.modules.get("sounddevice")
    if sounddevice is not None:
        import atexit

        atexit.unregister(sounddevice._exit_handler)  # noqa: SLF001  # there is no public name for it


async def devices_now(*, again: bool = False) -> list[InputDevice]:
    """All input devices, within 10 s. Cancelling it leaves a thread behind that ends by itself.

    Args:
        again: This process has looked before, and must search anew; no microphone may be open.

    Raises:
        AudioError: As :func:`load_sounddevice`; or the sound system does not answer (``device_timeout``).
    """

    def look() -> list[InputDevice]:
        if again:
            look_again()
        return input_devices()

    with off_stderr():
        try:
            return await call_in_thread(look, deadline_s=DEADLINE_S)
        except TimeoutError as error:
            do_not_wait_at_exit()
            message = f"the sound system does not answer within {DEADLINE_S:.0f} s"
            raise AudioError(message, "is the sound server alive?", code="device_timeout") from error


def changes(before: Sequence[InputDevice], after: Sequence[InputDevice]) -> Iterator[tuple[Change, InputDevice]]:
    """What happened between two looks: first what vanished, then what appeared, then which is the default now.

    A device that only has another index, or another number of ALSA, has not changed.
    """
    yield from (("vanished", device) for device in _beyond(before, after))
    yield from (("appeared", device) for device in _beyond(after, before))
    defaults = {device.lasting_name for device in before if device.is_default}
    yield from (("default", device) for device in after if device.is_default and device.lasting_name not in defaults)


def _beyond(some: Sequence[InputDevice], others: Sequence[InputDevice]) -> Iterator[InputDevice]:
    """Those of ``some`` that are not among ``others``; of twins as many as there are more."""
    left = [device.lasting_name for device in others]
    for device in some:
        if device.lasting_name in left:
            left.remove(device.lasting_name)
        else:
            yield device


def input_devices() -> list[InputDevice]:
    """All input devices, in PortAudio's order; as they were when this process last looked. Blocks.

    Raises:
        AudioError: As :func:`load_sounddevice`.
    """
    sounddevice = load_sounddevice()
    hostapis = sounddevice.query_hostapis()
    default = sounddevice.default.device[0]
    return [
        InputDevice(
            index=int(found["index"]),
            name=str(found["name"]),
            hostapi=str(hostapis[found["hostapi"]]["name"]),
            channels=int(found["max_input_channels"]),
            rate_hz=round(found["default_samplerate"]),
            is_default=found["index"] == default,
        )
        for found in sounddevice.query_devices()
        if found["max_input_channels"] > 0
    ]


def select(devices: Sequence[InputDevice], wanted: str | None) -> InputDevice:
    """Choose the device that is meant.

    Args:
        devices: All there are.
        wanted: None for the default; an index; or a name, tried in this order: exact, ``hostapi:name``, part of a
            name, ``hostapi:part``; all but the first without regard to case.

    Raises:
        AudioError: There is no device or no default (``no_microphone``), or none that is meant (``no_such_device``).
        UsageError: Several are meant; the message names them (``ambiguous_device``).
    """
    if not devices:
        raise AudioError("no microphone found", _PIPE_HINT, code="no_microphone")
    if wanted is None:
        return _default(devices)
    matches = _matches(devices, wanted.strip())
    if not matches:
        raise AudioError(f'no input device is called "{wanted}"', f"there is {_listed(devices)}", code="no_such_device")
    if len(matches) > 1:
        raise UsageError(f'"{wanted}" may be {_listed(matches)}', "name one, or its index", code="ambiguous_device")
    return matches[0]


def _default(devices: Sequence[InputDevice]) -> InputDevice:
    for device in devices:
        if device.is_default:
            return device
    raise AudioError("no default microphone", f"name one with --device: {_listed(devices)}", code="no_microphone")


def _matches(devices: Sequence[InputDevice], wanted: str) -> list[InputDevice]:
    if wanted.isdecimal():
        return [device for device in devices if device.index == int(wanted)]
    for rule in _rules(wanted):
        found = [device for device in devices if rule(device)]
        if found:
            return found
    return []


def _rules(wanted: str) -> Iterator[Any]:
    """The ways to read a name, the strictest first; the first that any device meets decides."""
    folded = wanted.casefold()
    hostapi, _, part = folded.partition(":")
    yield lambda device: device.name == wanted
    yield lambda device: device.name.casefold() == folded
    yield lambda device: device.full_name.casefold() == folded
    yield lambda device: folded in device.name.casefold()
    yield lambda device: device.hostapi.casefold() == hostapi and part in device.name.casefold()


def _listed(devices: Sequence[InputDevice]) -> str:
    return ", ".join(f'{device.index} "{device.full_name}"' for device in devices)


def this_install_hint() -> str:
    """How to install PortAudio on this machine."""
    try:
        os_release = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        os_release = ""
    return install_hint(platform.system(), os_release)


def install_hint(system: str, os_release: str) -> str:
    """How to install PortAudio.

    Args:
        system: As ``platform.system()`` calls it.
        os_release: The text of ``/etc/os-release``; empty where there is none.
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
    """``ID``, then what it is like, the closest first."""
    values = dict(line.partition("=")[::2] for line in os_release.splitlines() if "=" in line)
    names = f"{values.get('ID', '')} {values.get('ID_LIKE', '')}"
    try:
        return " ".join(shlex.split(names)).lower().split()
    except ValueError:  # a quote that is never closed
        return []

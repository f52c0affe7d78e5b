"""Select and recognise input devices."""

from __future__ import annotations

import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.microphone.devices import InputDevice, identify, install_hint, recognise, select
from rt_cli.errors import AudioError, RtError, UsageError

ROOT = Path(__file__).parents[3]


def device(index: int, name: str, hostapi: str = "ALSA", *, is_default: bool = False) -> InputDevice:
    """A device of which only the name is relevant."""
    return InputDevice(index, name, hostapi, channels=2, rate_hz=48_000, is_default=is_default)


DEVICES = [
    device(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)"),
    device(3, "USB Audio: Blue Yeti (hw:1,0)"),
    device(4, "pulse", is_default=True),
    device(7, "Microphone", "MME"),
    device(8, "Microphone", "Windows WASAPI"),
    device(9, "Microphone Array", "Windows WASAPI"),
    device(12, "PULSE monitor 7", "JACK"),
]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        pytest.param(None, 4, id="default"),
        pytest.param("3", 3, id="index"),
        pytest.param(" 3 ", 3, id="index with spaces"),
        pytest.param("7", 7, id="index before a name with that digit"),
        pytest.param("pulse", 4, id="exact before substring"),
        pytest.param("Pulse", 4, id="exact in another case before substring"),
        pytest.param("yeti", 3, id="substring in another case"),
        pytest.param("hw:0,0", 0, id="substring with a colon"),
        pytest.param("mme:microphone", 7, id="hostapi and name"),
        pytest.param("Windows WASAPI:Microphone", 8, id="hostapi and exact name before hostapi and part"),
        pytest.param("windows wasapi:array", 9, id="hostapi and part"),
        pytest.param("USB Audio: Blue Yeti (hw:1,0)", 3, id="exact with a colon"),
    ],
)
def test_select(query: str | None, index: int) -> None:
    """The strictest rule that matches any device is used."""
    assert select(DEVICES, query).index == index


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        pytest.param("Microphone", ["MME:Microphone", "Windows WASAPI:Microphone"], id="exact, on two host APIs"),
        pytest.param("hw:", ["ALC257", "Yeti"], id="substring"),
        pytest.param("windows wasapi:micro", ["Microphone", "Microphone Array"], id="hostapi and part"),
    ],
)
def test_ambiguous(query: str, matches: list[str]) -> None:
    """Several matches are a UsageError that lists them in one line."""
    with pytest.raises(UsageError) as caught:
        select(DEVICES, query)

    assert (caught.value.code, str(caught.value).count("\n")) == ("ambiguous_device", 0)
    assert all(match in str(caught.value) for match in matches)


@pytest.mark.parametrize("query", ["Rode", "99", "MME:Array", "²"])
def test_no_such_device(query: str) -> None:
    """An unknown device is an AudioError that lists the existing ones."""
    with pytest.raises(AudioError) as caught:
        select(DEVICES, query)

    assert caught.value.code == "no_such_device"
    assert all(known.full_name in str(caught.value) for known in DEVICES)


@pytest.mark.parametrize(
    ("devices", "query"),
    [
        pytest.param([], None, id="none at all"),
        pytest.param([], "pulse", id="none at all, one named"),
        pytest.param([device(0, "mic")], None, id="no default"),
    ],
)
def test_no_microphone(devices: list[InputDevice], query: str | None) -> None:
    """A machine without a microphone, or without a default one, is an audio error."""
    with pytest.raises(AudioError) as caught:
        select(devices, query)

    assert caught.value.code == "no_microphone"


names = st.lists(st.text(min_size=1, max_size=8), unique=True, min_size=1, max_size=6)


@given(names, st.data())
def test_exact_name_always_finds_its_device(all_names: list[str], data: st.DataObject) -> None:
    """An exact name that is no number selects its device, whatever the other names are."""
    devices = [device(index, name) for index, name in enumerate(all_names)]
    query = data.draw(st.sampled_from(devices).filter(lambda d: d.name == d.name.strip() and not d.name.isdecimal()))

    assert select(devices, query.name) is query


@given(names, st.text(max_size=8))
def test_select_is_total(all_names: list[str], query: str) -> None:
    """Any query selects a device of the list or raises one of our errors."""
    devices = [device(index, name) for index, name in enumerate(all_names)]
    try:
        assert select(devices, query) in devices
    except RtError as error:
        assert error.exit_code in {2, 3}  # noqa: PT017  # either outcome is right


@pytest.mark.parametrize(
    ("system", "os_release", "command"),
    [
        pytest.param("Linux", "ID=debian\nVERSION_ID=12\n", "apt-get install libportaudio2", id="debian"),
        pytest.param("Linux", "ID=linuxmint\nID_LIKE='ubuntu debian'", "apt-get install libportaudio2", id="mint"),
        pytest.param("Linux", "ID=fedora", "dnf install portaudio", id="fedora"),
        pytest.param("Linux", 'ID="rocky"\nID_LIKE="rhel centos fedora"', "dnf install portaudio", id="rocky"),
        pytest.param("Linux", "ID=arch", "pacman -S portaudio", id="arch"),
        pytest.param("Linux", "ID=manjaro\nID_LIKE=arch", "pacman -S portaudio", id="manjaro"),
        pytest.param("Linux", "ID=alpine", "apk add portaudio", id="alpine"),
        pytest.param("Linux", 'ID="opensuse-leap"\nID_LIKE="suse opensuse"', "zypper install", id="opensuse"),
        pytest.param("Linux", "ID=unheard-of", "PortAudio library", id="unknown"),
        pytest.param("Linux", 'ID="never closed', "PortAudio library", id="broken"),
        pytest.param("Linux", "", "PortAudio library", id="no os-release"),
        pytest.param("Darwin", "", "brew install portaudio", id="macOS"),
        pytest.param("Windows", "", "sounddevice", id="Windows"),
    ],
)
def test_install_hint(system: str, os_release: str, command: str) -> None:
    """Each system has its own install command."""
    assert command in install_hint(system, os_release)


LIST = """
import sys
from rt_cli.audio.microphone.devices import input_devices
from rt_cli.audio.microphone.native_stderr import off_stderr
from rt_cli.errors import RtError
try:
    with off_stderr():
        print(len(input_devices()))
except RtError as error:
    print(error.code, error, sep="|")
    sys.exit(error.exit_code)
"""


def list_devices(environment: dict[str, str], *path: Path) -> subprocess.CompletedProcess[str]:
    """List the devices in a new process."""
    python_path = os.pathsep.join(str(folder) for folder in (*path, ROOT))
    return subprocess.run(
        [sys.executable, "-c", LIST],
        env={**os.environ, "PYTHONPATH": python_path, **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_without_portaudio(tmp_path: Path) -> None:
    """Without the PortAudio library there is an error with exit code 3."""
    (tmp_path / "sitecustomize.py").write_text("import ctypes.util\nctypes.util.find_library = lambda name: None\n")

    done = list_devices({}, tmp_path)

    assert (done.returncode, done.stdout.split("|")[0], done.stderr) == (3, "no_portaudio", "")


@pytest.mark.microphone
@pytest.mark.skipif(find_library("portaudio") is None, reason="PortAudio is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has ALSA")
def test_broken_sound_system(tmp_path: Path) -> None:
    """With a broken ALSA configuration there is one error of rt and no native output on stderr."""
    config = tmp_path / "asound.conf"
    config.write_text("garbage {{{")

    done = list_devices({"ALSA_CONFIG_PATH": str(config)})

    assert (done.returncode, done.stdout.split("|")[0], done.stderr) == (3, "portaudio_failed", "")


@pytest.mark.parametrize(
    ("before", "chosen", "after", "index"),
    [
        pytest.param(DEVICES, 2, DEVICES, 4, id="still there"),
        pytest.param(DEVICES, 1, [device(9, "USB Audio: Blue Yeti (hw:2,0)")], 9, id="other numbers"),
        pytest.param(
            DEVICES, 3, [device(1, "Microphone", "Windows WASAPI"), device(5, "Microphone", "MME")], 5, id="hostapi"
        ),
        pytest.param(DEVICES, 1, [], None, id="no device"),
        pytest.param(DEVICES, 2, [device(0, "HDA", is_default=True)], None, id="another default"),
        pytest.param([device(0, "Mic"), device(1, "Mic")], 1, [device(4, "Mic"), device(5, "Mic")], 5, id="twins"),
        pytest.param([device(0, "Mic"), device(1, "Mic")], 1, [device(0, "Mic")], None, id="its twin alone"),
        pytest.param([device(0, "Mic")], 0, [device(0, "Mic"), device(1, "Mic")], None, id="a twin that is new"),
    ],
)
def test_recognise(before: list[InputDevice], chosen: int, after: list[InputDevice], index: int | None) -> None:
    """A device is recognised by name and host API; an ambiguous match is an error."""
    identity = identify(before, before[chosen])
    if index is None:
        with pytest.raises(AudioError) as failure:
            recognise(after, identity)
        assert failure.value.code == "no_such_device"
    else:
        assert recognise(after, identity).index == index

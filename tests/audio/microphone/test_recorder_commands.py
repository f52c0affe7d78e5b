"""Which program records, and from which source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.microphone.devices import InputDevice
from rt_cli.audio.microphone.recorder_commands import (
    PROGRAMS,
    choose_source,
    parse_pcms,
    parse_sources,
    server_recorders,
    serverless_recorders,
)
from rt_cli.errors import AudioError, RtError, UsageError

LISTED = """\
Source #0
\tState: SUSPENDED
\tName: alsa_output.pci-0000_00_1f.3.analog-stereo.monitor
\tDescription: Monitor of Built-in Audio
\tSample Specification: s16le 2ch 44100Hz
\tMonitor of Sink: alsa_output.pci-0000_00_1f.3.analog-stereo
\tProperties:
\t\tdevice.description = "Monitor of Built-in Audio"
Source #1
\tState: RUNNING
\tName: alsa_input.usb-Blue_Yeti-00.analog-stereo
\tDescription: Yeti Stereo Microphone
\tSample Specification: s24le 2ch 48000Hz
\tMonitor of Sink: n/a
Source #7
\tName: array
\tDescription: Microphone Array
\tSample Specification: s16le 8ch 16000Hz
"""
SOURCES = parse_sources(LISTED)
PCMS = """\
null
    Discard all samples (playback) or generate zero samples (capture)
default:CARD=PCH
    HDA Intel PCH, ALC257 Analog
plughw:CARD=PCH,DEV=0
    HDA Intel PCH, ALC257 Analog
hw:CARD=PCH,DEV=0
    HDA Intel PCH, ALC257 Analog
"""


def test_sources() -> None:
    """Names, descriptions, rates and channels are read."""
    told = [(name, device.index, device.name, device.rate_hz, device.channels) for name, device in SOURCES]
    assert told[1:] == [
        ("alsa_input.usb-Blue_Yeti-00.analog-stereo", 1, "Yeti Stereo Microphone", 48_000, 2),
        ("array", 7, "Microphone Array", 16_000, 8),
    ]
    assert [device.is_loopback for _, device in SOURCES] == [True, False, False]


@given(st.text())
def test_any_list_is_read(listed: str) -> None:
    """Whatever the server says, it is read as sources or left out."""
    assert len(parse_sources(listed)) <= listed.count("Source #")
    assert all(pcm.name for pcm in parse_pcms(listed))


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        pytest.param(None, 2, id="default"),
        pytest.param("array", 2, id="exact name before part of a description"),
        pytest.param("usb-blue", 1, id="part of a name"),
        pytest.param("yeti stereo", 1, id="part of a description"),
        pytest.param("7", 2, id="index"),
        pytest.param("pulseaudio:yeti", 1, id="hostapi and part"),
    ],
)
def test_choose_source(wanted: str | None, place: int) -> None:
    """A source is called by the server's name, or by its description."""
    assert choose_source(SOURCES, wanted, "array") == place


def test_no_default_source() -> None:
    """A server without a default leaves the choice to the program."""
    assert choose_source(SOURCES, None, None) is None


def test_wrong_source() -> None:
    """What is not there, or may be several, is an error that names those that are there."""
    with pytest.raises(AudioError, match="usb-Blue_Yeti"):
        choose_source(SOURCES, "Rode", None)
    with pytest.raises(UsageError, match=r"Yeti Stereo Microphone.*Microphone Array"):
        choose_source(SOURCES, "Microphone", None)


@given(st.text(max_size=10))
def test_choice_is_total(wanted: str) -> None:
    """Any text finds a source, or is an error of ours."""
    try:
        assert choose_source(SOURCES, wanted, None) in range(len(SOURCES))
    except RtError as error:
        assert error.exit_code in {2, 3}  # noqa: PT017  # either outcome is right


def test_pcms() -> None:
    """Devices of ALSA that convert are known, the bare hardware is not."""
    assert [device.name for device in parse_pcms(PCMS)] == ["default:CARD=PCH", "plughw:CARD=PCH,DEV=0"]


@pytest.mark.parametrize("programs", [PROGRAMS, ("parec",), ("arecord",), ()], ids=" ".join)
def test_server_recorders(programs: tuple[str, ...]) -> None:
    """At the source's own rate, two channels at most, and each names the source; arecord knows none of them."""
    found = server_recorders(programs, *SOURCES[1], raw=True)

    assert [recorder.program for recorder in found] == [name for name in programs if name != "arecord"]
    for recorder in found:
        assert (recorder.rate_hz, recorder.channels, recorder.source) == (48_000, 2, SOURCES[1][0])
        assert any(SOURCES[1][0] in argument for argument in recorder.arguments)


@pytest.mark.parametrize(("raw", "first"), [(True, "--raw"), (False, "--target")])
def test_raw_pipe(*, raw: bool, first: str) -> None:
    """A pw-record that has the option is told to write no header."""
    (recorder,) = server_recorders(("pw-record",), *SOURCES[1], raw=raw)
    assert recorder.arguments[0] == first
    assert recorder.arguments[-1] == "-"


def test_more_channels() -> None:
    """A channel beyond the second is asked for where it is wanted."""
    (recorder,) = server_recorders(("parec",), *SOURCES[2], 5, raw=False)
    assert recorder.channels == 5
    assert "--channels=5" in recorder.arguments


@pytest.mark.parametrize(
    ("pcm", "programs"), [(None, list(PROGRAMS)), ("plughw:CARD=PCH,DEV=0", ["arecord"])], ids=["default", "named"]
)
def test_lone_recorders(pcm: str | None, programs: list[str]) -> None:
    """Without a server each records its default; a device of ALSA only arecord can name."""
    found = serverless_recorders(PROGRAMS, pcm, raw=True)
    assert [recorder.program for recorder in found] == programs
    assert (pcm or "default") in found[-1].arguments


def test_loopback_names() -> None:
    """Inputs that hear what the machine plays are told by their names."""
    heard = [
        "Monitor of Built-in",
        "Stereo Mix (Realtek)",
        "BlackHole 2ch",
        "PULSE monitor 7",
        "Loopback: PCM (hw:2,1)",
    ]
    real = ["Yeti", "HDA Intel PCH: ALC257 Analog (hw:0,0)", "Studio Monitor Microphone"]

    def loopback(name: str) -> bool:
        return InputDevice(0, name, "ALSA", 2, 48_000, is_default=False).is_loopback

    assert [loopback(name) for name in (*heard, *real)] == [True] * len(heard) + [False] * len(real)

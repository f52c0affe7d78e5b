"""Command lines of recording programs, and selection of the source."""

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
    """parse_sources() reads names, descriptions, rates and channels."""
    rows = [(name, device.index, device.name, device.rate_hz, device.channels) for name, device in SOURCES]
    assert rows[1:] == [
        ("alsa_input.usb-Blue_Yeti-00.analog-stereo", 1, "Yeti Stereo Microphone", 48_000, 2),
        ("array", 7, "Microphone Array", 16_000, 8),
    ]
    assert [device.is_loopback for _, device in SOURCES] == [True, False, False]


@given(st.text())
def test_any_list_is_read(output: str) -> None:
    """Any output of the server is parsed without an error."""
    assert len(parse_sources(output)) <= output.count("Source #")
    assert all(pcm.name for pcm in parse_pcms(output))


@pytest.mark.parametrize(
    ("query", "place"),
    [
        pytest.param(None, 2, id="default"),
        pytest.param("array", 2, id="exact name before part of a description"),
        pytest.param("usb-blue", 1, id="part of a name"),
        pytest.param("yeti stereo", 1, id="part of a description"),
        pytest.param("7", 2, id="index"),
        pytest.param("pulseaudio:yeti", 1, id="hostapi and part"),
    ],
)
def test_choose_source(query: str | None, place: int) -> None:
    """A source is selected by the server's name or by its description."""
    assert choose_source(SOURCES, query, "array") == place


def test_no_default_source() -> None:
    """Without a default source choose_source() returns None."""
    assert choose_source(SOURCES, None, None) is None


def test_wrong_source() -> None:
    """An unknown or ambiguous source is an error that lists the sources."""
    with pytest.raises(AudioError, match="usb-Blue_Yeti"):
        choose_source(SOURCES, "Rode", None)
    with pytest.raises(UsageError, match=r"Yeti Stereo Microphone.*Microphone Array"):
        choose_source(SOURCES, "Microphone", None)


@given(st.text(max_size=10))
def test_choice_is_total(query: str) -> None:
    """Any query selects a source or raises one of our errors."""
    try:
        assert choose_source(SOURCES, query, None) in range(len(SOURCES))
    except RtError as error:
        assert error.exit_code in {2, 3}  # noqa: PT017  # either outcome is right


def test_pcms() -> None:
    """parse_pcms() lists converting ALSA devices without the hardware devices."""
    assert [device.name for device in parse_pcms(PCMS)] == ["default:CARD=PCH", "plughw:CARD=PCH,DEV=0"]


@pytest.mark.parametrize("programs", [PROGRAMS, ("parec",), ("arecord",), ()], ids=" ".join)
def test_server_recorders(programs: tuple[str, ...]) -> None:
    """The commands use the rate of the source, at most two channels and its name; arecord is not among them."""
    found = server_recorders(programs, *SOURCES[1], raw=True)

    assert [recorder.program for recorder in found] == [name for name in programs if name != "arecord"]
    for recorder in found:
        assert (recorder.rate_hz, recorder.channels, recorder.source) == (48_000, 2, SOURCES[1][0])
        assert any(SOURCES[1][0] in argument for argument in recorder.arguments)


@pytest.mark.parametrize(("raw", "first"), [(True, "--raw"), (False, "--target")])
def test_raw_pipe(*, raw: bool, first: str) -> None:
    """pw-record gets ``--raw`` if it has the option."""
    (recorder,) = server_recorders(("pw-record",), *SOURCES[1], raw=raw)
    assert recorder.arguments[0] == first
    assert recorder.arguments[-1] == "-"


def test_more_channels() -> None:
    """More than two channels are requested if necessary."""
    (recorder,) = server_recorders(("parec",), *SOURCES[2], 5, raw=False)
    assert recorder.channels == 5
    assert "--channels=5" in recorder.arguments


@pytest.mark.parametrize(
    ("pcm", "programs"), [(None, list(PROGRAMS)), ("plughw:CARD=PCH,DEV=0", ["arecord"])], ids=["default", "named"]
)
def test_serverless_recorders(pcm: str | None, programs: list[str]) -> None:
    """Without a server each program uses its default; only arecord can open a named ALSA device."""
    found = serverless_recorders(PROGRAMS, pcm, raw=True)
    assert [recorder.program for recorder in found] == programs
    assert (pcm or "default") in found[-1].arguments


def test_loopback_names() -> None:
    """Inputs that record the output of the machine are recognised by name."""
    loopbacks = [
        "Monitor of Built-in",
        "Stereo Mix (Realtek)",
        "BlackHole 2ch",
        "PULSE monitor 7",
        "Loopback: PCM (hw:2,1)",
    ]
    real = ["Yeti", "HDA Intel PCH: ALC257 Analog (hw:0,0)", "Studio Monitor Microphone"]

    def loopback(name: str) -> bool:
        return InputDevice(0, name, "ALSA", 2, 48_000, is_default=False).is_loopback

    assert [loopback(name) for name in (*loopbacks, *real)] == [True] * len(loopbacks) + [False] * len(real)

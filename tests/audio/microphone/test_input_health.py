"""InputHealth: warnings for silence, low level and clipping."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.audio.microphone.input_health import InputHealth, silence_hint

RATE_HZ = 24_000
BLOCK_S = 0.04


def noise(seconds: float, dbfs: float) -> bytes:
    """White noise with an RMS level."""
    samples = np.random.default_rng(7).standard_normal(round(seconds * RATE_HZ))
    return np.clip(np.rint(samples * 32768 * 10 ** (dbfs / 20)), -32768, 32767).astype("<i2").tobytes()


def zeros(seconds: float) -> bytes:
    """Digital silence."""
    return bytes(2 * round(seconds * RATE_HZ))


def sine(seconds: float, gain: float, hz: float = 440) -> bytes:
    """A sine; a gain above 1 clips its peaks."""
    wave = gain * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    return np.clip(np.rint(wave * 32768), -32768, 32767).astype("<i2").tobytes()


def codes(*parts: bytes, block_s: float = BLOCK_S) -> list[str]:
    """Codes of the warnings for audio in blocks, including its end."""
    health = InputHealth(RATE_HZ, "Linux")
    pcm, size = b"".join(parts), 2 * round(block_s * RATE_HZ)
    warnings = [warning for at in range(0, len(pcm), size) for warning in health.take(pcm[at : at + size])]
    return [code for code, _ in [*warnings, *health.end()]]


SPEECH = noise(3, -20)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([SPEECH], [], id="speech"),
        pytest.param([zeros(3)], ["silent_input"], id="zeros from the start"),
        pytest.param([zeros(2.9), SPEECH], [], id="zeros that end in time"),
        pytest.param([SPEECH, zeros(29)], [], id="a pause after sound: noise suppression gives zeros"),
        pytest.param([SPEECH, zeros(30)], ["silent_input"], id="zeros after sound"),
        pytest.param([SPEECH, zeros(90)], ["silent_input"], id="a long silence is one"),
        pytest.param([zeros(3), SPEECH, zeros(30)], ["silent_input"] * 2, id="two silences"),
        pytest.param([zeros(3), SPEECH, zeros(29)], ["silent_input"], id="a pause after a silence that ended"),
        pytest.param([zeros(1)], ["silent_input"], id="all of a short run"),
        pytest.param([zeros(0.2)], [], id="all of a run that ended at once"),
        pytest.param([], [], id="nothing at all"),
        pytest.param([noise(10.1, -65)], ["quiet_input"], id="very quiet"),
        pytest.param([noise(60, -65)], ["quiet_input"], id="very quiet is said once"),
        pytest.param([noise(9.8, -65)], [], id="quiet for less than ten seconds"),
        pytest.param([noise(20, -55)], [], id="quiet, not very"),
        pytest.param([SPEECH, noise(20, -65)], [], id="a pause after speech"),
        pytest.param([noise(0.1, -10), noise(20, -65)], ["quiet_input"], id="a pop is no speech"),
        pytest.param([sine(1, 2.0)], ["clipping"], id="clipped"),
        pytest.param([sine(9.9, 2.0)], ["clipping"], id="clipped, said once"),
        pytest.param([sine(10.2, 2.0)], ["clipping"] * 2, id="clipped, said again after ten seconds"),
        pytest.param([sine(1, 1.0)], [], id="full scale without clipping"),
        pytest.param([sine(1, 1.0, 50)], [], id="full scale, low"),
        pytest.param([sine(0.0055, 2.0), SPEECH], [], id="a few clips"),
    ],
)
def test_warnings(parts: list[bytes], expected: list[str]) -> None:
    """Each condition causes the expected number of warnings at the expected time."""
    assert codes(*parts) == expected


@pytest.mark.parametrize(
    ("parts", "silent"),
    [
        pytest.param([zeros(1), zeros(1)], True, id="zeros"),
        pytest.param([zeros(1), b"\1\0"], False, id="one sample"),
        pytest.param([b""], False, id="no sound"),
    ],
)
def test_all_silent(parts: list[bytes], silent: bool) -> None:  # noqa: FBT001 - a table
    """all_silent is true if there were samples and all were zero."""
    health = InputHealth(RATE_HZ)
    for part in parts:
        health.take(part)

    assert health.all_silent is silent


@pytest.mark.parametrize("system", ["Darwin", "Windows", "Linux", "Plan 9"])
def test_silence_has_a_remedy(system: str) -> None:
    """The warning ends with the remedy for this system."""
    (_, message), *_ = InputHealth(RATE_HZ, system, name='"Blue Yeti"').take(zeros(3))

    assert message == f'no sound at all from "Blue Yeti": {silence_hint(system)}'
    assert len(f"warning: {message}") <= 100, "one row of a terminal"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9_600), max_size=20))
def test_clipping_does_not_depend_on_blocks(cuts: list[int]) -> None:
    """The one warning does not depend on the split into blocks."""
    pcm = sine(0.4, 2.0, 20)
    edges = [0, *sorted(cuts), 9_600]
    health = InputHealth(RATE_HZ)
    warnings = [warning for start, end in pairwise(edges) for warning in health.take(pcm[2 * start : 2 * end])]

    assert [code for code, _ in warnings] == ["clipping"]

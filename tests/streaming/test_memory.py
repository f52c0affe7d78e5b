"""Memory does not grow with the length of the audio."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.measure import SINK_ARGUMENTS, Run, run_rt, sink, write_wav

if TYPE_CHECKING:
    from pathlib import Path

MOST_GROWTH_MIB = 8
DETECTOR_MIB = 16
"""The speech detector and numpy, which look for speech in the last second, in which the endpoint told of none."""
MINUTES = [pytest.param(10, id="10 min"), pytest.param(180, id="3 h", marks=pytest.mark.long)]

pytestmark = [pytest.mark.alone, pytest.mark.skipif(sys.platform != "linux", reason="reads resident memory from /proc")]


def sent(path: Path, turns: str) -> tuple[Run, dict[str, Any]]:
    """Send a file at full speed; return the process result and the report of the endpoint."""
    with sink() as endpoint:
        options = ("--url", endpoint.url, "--speed", "max", "--turn-detection", turns)
        return run_rt("send", str(path), *options, *SINK_ARGUMENTS), endpoint.report()


@pytest.mark.parametrize("minutes", MINUTES)
@pytest.mark.parametrize(("rate_hz", "channels"), [(24_000, 1), (48_000, 2)], ids=["24 kHz mono", "48 kHz stereo"])
def test_memory_does_not_grow(rate_hz: int, channels: int, minutes: int, tmp_path: Path) -> None:
    """After ten seconds little but the detector of the last second is added; every sample arrives and settles."""
    path = write_wav(tmp_path / "long.wav", seconds=60 * minutes, rate_hz=rate_hz, channels=channels)
    run, report = sent(path, "server_vad")

    assert run.exit_code == 0
    assert run.summary["ledger"]["settled"] == report["samples"] == 60 * minutes * 24_000
    assert run.growth_mib(report["ten_s_at"]) <= MOST_GROWTH_MIB + DETECTOR_MIB


@pytest.mark.parametrize("minutes", [pytest.param(2, id="2 min"), pytest.param(60, id="1 h", marks=pytest.mark.long)])
def test_memory_does_not_grow_with_client_turn_detection(minutes: int, tmp_path: Path) -> None:
    """The detector runs and the marks are kept until they settle."""
    run, report = sent(write_wav(tmp_path / "long.wav", seconds=60 * minutes), "client")

    assert run.exit_code == 0
    assert run.growth_mib(report["ten_s_at"]) <= MOST_GROWTH_MIB

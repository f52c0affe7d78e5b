"""The pace of ``--speed 1``, by the clock of the endpoint."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import pytest

from tests.bench.measure import SINK_ARGUMENTS, lateness_s, run_rt, sink, write_wav

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.alone

SECONDS = [pytest.param(5, id="5 s"), pytest.param(300, id="5 min", marks=pytest.mark.long)]


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("chunk_ms", [20, 100], ids="{} ms".format)
def test_pace_does_not_drift(chunk_ms: int, seconds: int, tmp_path: Path) -> None:
    """The last second of audio is as punctual as the second one, to less than a chunk.

    The first second is no measure: what was captured during the handshake follows it at once.
    """
    path = write_wav(tmp_path / "paced.wav", seconds=seconds)
    with sink("--stamps") as endpoint:
        options = ("--speed", "1", "--chunk-ms", str(chunk_ms), "--turn-detection", "server_vad")
        run = run_rt("send", str(path), "--url", endpoint.url, *options, *SINK_ARGUMENTS)
        late = lateness_s(endpoint.report()["stamps"])
    second = 1000 // chunk_ms
    drift_s = statistics.median(late[-second:]) - statistics.median(late[second : 2 * second])

    assert run.exit_code == 0
    assert len(late) == run.summary["captured_ms"] // chunk_ms
    assert abs(drift_s) < chunk_ms / 1000

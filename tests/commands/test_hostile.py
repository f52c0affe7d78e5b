"""Hostile endpoints, one of each kind: no crash, an end in time, little memory. More: ``tests.bench.hostile``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.fakes import run
from tests.hostile.endpoint import attack
from tests.hostile.kinds import KINDS
from tests.program import DATA, read_wav, write_wav

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
SEEDS = [
    pytest.param(range(1), id="one variant"),
    pytest.param(range(1, 6), id="five variants", marks=pytest.mark.long),
]


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_endpoint(kind: str, seeds: range, tmp_path: Path) -> None:
    """The program ends by itself, or in time after a signal, with a summary that adds up."""
    pcm, rate_hz = read_wav(DATA / "sense_0870.wav")
    sound = write_wav(tmp_path / "sound.wav", pcm[: 4 * 2 * rate_hz], rate_hz)
    for seed in seeds:
        done = run(attack(kind, seed, sound, patience_s=2.0), seconds=50)
        assert not done.faults, f"seed {seed}: exit {done.exit}, {done.peak_mib:.0f} MiB, {done.err}"

"""The whole program in virtual time: thousands of seeds, all failures that were ever found, and faults planted into it.

Each test is a process of its own: the simulation replaces parts of the standard library.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import planted, planted_endings  # noqa: F401 - they plant
from tests.simulation.plant import PLANTED
from tests.simulation.regressions import MENDED, OPEN

ROOT = Path(__file__).parents[2]
SHARES = 8
SEEDS = 2_000
LONG_SEEDS = 200_000


def simulate(*arguments: str, seconds: float = 300) -> tuple[int, str]:
    """Run the simulation; return its exit code and what it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(ROOT) + os.pathsep + os.environ.get("PYTHONPATH", ""),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    return ran.returncode, ran.stdout


@pytest.mark.parametrize("share", range(SHARES))
def test_nothing_is_lost_and_nothing_is_hidden(share: int) -> None:
    """Eight shares of 250 seeds."""
    count = SEEDS // SHARES
    exit_code, said = simulate("--from", str(share * count), "--seeds", str(count))
    assert exit_code == 0, said


@pytest.mark.long
@pytest.mark.parametrize("share", range(100))
def test_a_long_time(share: int) -> None:
    """Two hundred thousand seeds, others than above."""
    count = LONG_SEEDS // 100
    exit_code, said = simulate("--from", str(10_000 + share * count), "--seeds", str(count), seconds=1_200)
    assert exit_code == 0, said


@pytest.mark.parametrize("why", MENDED)
def test_no_failure_comes_back(why: str) -> None:
    """Each failure that was ever found."""
    exit_code, said = simulate("--no-shrink", "--case", MENDED[why])
    assert exit_code == 0, said


@pytest.mark.parametrize("why", OPEN)
def test_known_failures_still_fail(why: str) -> None:
    """What is mended must move to the others."""
    exit_code, said = simulate("--no-shrink", "--case", OPEN[why])
    assert exit_code == 1, said


@pytest.mark.long
@pytest.mark.parametrize("fault", PLANTED)
def test_every_planted_fault_is_found(fault: str) -> None:
    """Within two thousand seeds, and by an invariant: not because the program stumbles over itself."""
    exit_code, said = simulate("--plant", fault, "--seeds", "2000", seconds=600)
    assert exit_code == 1, said
    assert "seed " in said
    assert "an unexpected error" not in said.partition("; ")[0]


def test_a_seed_is_a_history() -> None:
    """The same seeds, in another process: the same timelines, to the last line."""
    first, second = (simulate("--from", "100", "--seeds", "20", "--show")[1] for _ in range(2))
    assert _without_folders(first) == _without_folders(second)


def _without_folders(text: str) -> list[str]:
    return [line.split("/rt-simulation-")[0] for line in text.splitlines() if "processor time" not in line]

"""The zoo sees what it must see, and whole files are heard exactly. By hand, run ``tests/bench/zoo.py``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.zoo.changes import Change
from tests.zoo.formats import FORMATS, Format
from tests.zoo.hearing import Heard
from tests.zoo.sound import WIRE_HZ, Part, places, sound
from tests.zoo.verdict import judge

ROOT = Path(__file__).parents[2]
WHOLE = sound(0, 6, WIRE_HZ)
FLAC = next(form for form in FORMATS if form.name == "flac")
RAW = next(form for form in FORMATS if form.name == "raw s16le")
FRAME = 576
"""Samples of a short frame."""


def without(start: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the sound without some samples: what follows is early."""
    return np.concatenate((WHOLE[:start], WHOLE[start + count :]))


def silenced(start: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the sound with silence instead of some samples."""
    return np.concatenate((WHOLE[:start], np.zeros(count), WHOLE[start + count :]))


def test_whole_sound_is_at_its_place() -> None:
    """Every window is found, in time and as loud as it was."""
    seen = places(WHOLE, [Part(0)])

    assert (seen.missing, seen.delays, seen.gains) == ((), (0,), (1.0,))


def test_delay_of_a_coder_is_no_hole() -> None:
    """Sound that is late everywhere by the delay of a coder is at its place, and the delay is known to the sample."""
    seen = places(np.concatenate((np.zeros(1105), WHOLE)), [Part(0)])

    assert (seen.missing, seen.delays) == ((), (1105,))


def test_hole_is_seen_at_its_place() -> None:
    """A silent second misses its own windows, and no others."""
    missing = places(silenced(2 * WIRE_HZ, WIRE_HZ), [Part(0)]).missing

    assert {2.0, 2.4, 2.8} <= set(missing) <= {round(1.8 + number / 10, 2) for number in range(13)}


def test_lost_frame_moves_what_follows() -> None:
    """Of a sound that lacks 24 ms, only one side of the cut is at its place."""
    missing = places(without(2 * WIRE_HZ, FRAME), [Part(0)]).missing

    assert set(missing) >= {0.0, 1.0, 1.8}
    assert not set(missing) & {2.5, 3.0, 5.5}


@pytest.mark.parametrize(
    ("form", "change", "heard", "word"),
    [
        pytest.param(FLAC, ("whole", "all"), Heard(WHOLE, 0), "exact", id="whole"),
        pytest.param(FLAC, ("whole", "all"), Heard(WHOLE[:-10], 0), "SILENT", id="ten samples fewer"),
        pytest.param(FLAC, ("whole", "all"), Heard(WHOLE / 256, 0), "SILENT", id="too soft"),
        pytest.param(FLAC, ("whole", "all"), Heard(WHOLE, 3, ("cut",)), "FALSE ALARM", id="complaint"),
        pytest.param(FLAC, ("cut", "any"), Heard(WHOLE[:WIRE_HZ], 3, ("cut",)), "said", id="cut and said"),
        pytest.param(FLAC, ("cut", "any"), Heard(WHOLE[:WIRE_HZ], 3), "SILENT", id="exit 3 without a line"),
        pytest.param(FLAC, ("cut", "any"), Heard(WHOLE[:WIRE_HZ], 0), "SILENT", id="cut and not said"),
        pytest.param(FLAC, ("cut", "any"), Heard(WHOLE[:WIRE_HZ], 0, ("cut",)), "EXIT 0", id="warned only"),
        pytest.param(RAW, ("cut", "any"), Heard(WHOLE[:WIRE_HZ], 0), "as announced", id="nothing announced"),
        pytest.param(FLAC, ("damaged", "any"), Heard(without(48_000, FRAME), 0), "SILENT", id="moved"),
        pytest.param(
            FLAC,
            ("damaged", "any"),
            Heard(silenced(48_000, FRAME * 9), 7, ("hole",), ((2.0, 2.216),)),
            "said",
            id="hole",
        ),
        pytest.param(
            FLAC,
            ("damaged", "any"),
            Heard(silenced(48_000, WIRE_HZ), 7, ("hole",), ((4.0, 5.0),)),
            "SILENT",
            id="elsewhere",
        ),
        pytest.param(FLAC, ("cut", "any"), Heard(WHOLE[:0], -14), "BROKEN", id="killed"),
    ],
)
def test_judgement(form: Format, change: tuple[str, str], heard: Heard, word: str) -> None:
    """Each outcome gets its word."""
    reference = Heard(heard.samples if change[0] == "cut" else WHOLE, 0, ("damaged",))
    kind, want = change

    assert judge(form, Change(kind, "", b"", want), heard, reference).word == word  # type: ignore[arg-type]


@pytest.mark.skipif(shutil.which("ffmpeg") is None or shutil.which("sox") is None, reason="needs ffmpeg and sox")
def test_whole_files_are_exact() -> None:
    """Whole files of some formats are heard to the sample; through a pipe they are, or they are refused."""
    program = ROOT / "tests" / "bench" / "zoo.py"
    names = ("wav s16le", "wav stereo", "aiff s16", "flac stereo", "ogg opus", "mp3 cbr")
    done = subprocess.run(
        [sys.executable, str(program), "--kind", "whole", *names],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "| whole, file | 7 | 7 |" in done.stdout

"""``--gate`` as a program, against the embedded endpoint: two utterances twenty seconds apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.listening import RATE_HZ, played
from tests.program import DATA, assert_accounted, needs_words, rt, write_wav

if TYPE_CHECKING:
    from pathlib import Path

SPEECH = DATA / "sense_0930.wav"
GAP_S = 20


@needs_words
@pytest.mark.parametrize("turns", ["server_vad", "client"])
def test_times_are_those_of_the_source(tmp_path: Path, turns: str) -> None:
    """Both utterances are recognised at their times in the file, and less than a third of the file is sent."""
    said = (played(SPEECH) * 32_767).astype("<i2").tobytes()
    pcm = b"".join((bytes(2 * RATE_HZ), said, bytes(2 * GAP_S * RATE_HZ), said, bytes(6 * RATE_HZ)))
    wav = write_wav(tmp_path / "two.wav", pcm)
    ran = rt("send", "--local", "--gate", "--turn-detection", turns, "--json", str(wav), seconds=120)
    first, second = ran.of("final")
    apart_ms = (GAP_S + len(said) / 2 / RATE_HZ) * 1000

    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    assert all("might even have been" in final["text"] for final in (first, second))
    assert second["start_ms"] - first["start_ms"] == pytest.approx(apart_ms, abs=400)
    assert second["end_ms"] - first["end_ms"] == pytest.approx(apart_ms, abs=400)
    assert ran.summary["sent_ms"] < ran.summary["captured_ms"] / 3
    padding_ms = ran.summary["ledger"]["padding"] * 1000 / RATE_HZ
    assert ran.summary["sent_ms"] + ran.summary["gated_ms"] == pytest.approx(
        ran.summary["captured_ms"] + padding_ms, abs=2
    )
    assert_accounted(ran.summary)

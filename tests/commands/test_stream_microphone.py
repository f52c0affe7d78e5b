"""``rt stream --mic`` as a program, with a real microphone: words, and a device that is unplugged."""

from __future__ import annotations

import time
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import soxr

from tests.listening import RATE_HZ, Event, find, live, played, recorded, tone
from tests.program import DATA, Ran, assert_accounted, served
from tests.virtual_microphone import OTHER_SINK

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.virtual_microphone import VirtualMicrophone

pytestmark = pytest.mark.microphone

SPEECH = DATA / "sense_0930.wav"
SAID = ["he", "might", "even", "have", "been", "made", "amiable", "himself"]
OUTAGE_S = 3.0


def device_holes(ran: Ran) -> list[Event]:
    """Return the holes of the missing device."""
    return [event for event in ran.of("dropped") if event["reason"] == "device_lost"]


@pytest.fixture(scope="module")
def run_and_sound(
    virtual_microphone: VirtualMicrophone, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ran, NDArray[np.float64]]:
    """Return the output and the received sound."""
    folder = tmp_path_factory.mktemp("received")
    with (
        served("--recognizer", "pocketsphinx", "--save-audio", str(folder)) as (url, _),
        live(virtual_microphone.environment, "--url", url) as running,
    ):
        virtual_microphone.play(SPEECH).wait(30)
        ran = running.interrupt()
    return ran, recorded(folder)


class TestSpeech:
    """A recording played into the microphone, the embedded endpoint, Ctrl-C."""

    def test_words(self, run_and_sound: tuple[Ran, NDArray[np.float64]]) -> None:
        """Most words are right, including the first one."""
        words = " ".join(final["text"] for final in run_and_sound[0].of("final")).split()
        right = sum(match.size for match in SequenceMatcher(None, SAID, words).get_matching_blocks())
        print(f"{right} of {len(SAID)} words: {words}")
        assert SAID[0] in words[:2]
        assert right >= 0.6 * len(SAID)

    def test_complete(self, run_and_sound: tuple[Ran, NDArray[np.float64]]) -> None:
        """Nothing is dropped, everything is settled, and Ctrl-C is success."""
        ran = run_and_sound[0]
        assert_accounted(ran.summary)
        assert (ran.exit, ran.of("dropped"), ran.summary["complete"]) == (0, [], True), ran.err
        assert ran.summary["ledger"]["settled"] == ran.summary["ledger"]["captured"]

    def test_same_sound(self, run_and_sound: tuple[Ran, NDArray[np.float64]]) -> None:
        """The received sound is the played sound, from the first second to the last."""
        sound, received = played(SPEECH), run_and_sound[1]
        correlations = [find(part, received)[1] for part in (sound, sound[:RATE_HZ], sound[-RATE_HZ // 2 :])]
        print("correlations", correlations)
        assert min(correlations) > 0.99


@pytest.mark.parametrize("seconds", [10, pytest.param(60, marks=pytest.mark.long)], ids="{} s".format)
def test_no_drift(virtual_microphone: VirtualMicrophone, tmp_path: Path, seconds: int) -> None:
    """The first and the last second of a long sound keep their distance."""
    t = np.arange(48_000) / 48_000
    rising = 0.5 * np.sin(2 * np.pi * (100 * t + 3000 * t * t)) * np.hanning(len(t))
    falling = rising[::-1]
    soundfile.write(tmp_path / "long.wav", np.concatenate((rising, np.zeros((seconds - 2) * 48_000), falling)), 48_000)
    with (
        served("--recognizer", "none", "--save-audio", str(tmp_path)) as (url, _),
        live(virtual_microphone.environment, "--url", url) as running,
    ):
        virtual_microphone.play(tmp_path / "long.wav").wait(seconds + 20)
        ran = running.interrupt()
    (tmp_path / "long.wav").unlink()
    received = recorded(tmp_path)
    first, last = (find(soxr.resample(each, 48_000, RATE_HZ), received) for each in (rising, falling))
    drift = last[0] - first[0] - (seconds - 1) * RATE_HZ
    print(f"drift {drift} samples over {seconds} s, correlations {first[1]:.6f} {last[1]:.6f}")

    assert (ran.exit, ran.of("dropped")) == (0, []), ran.err
    assert min(first[1], last[1]) > 0.99
    assert abs(drift) <= 1


@pytest.fixture(scope="module")
def outage(
    virtual_microphone: VirtualMicrophone, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ran, NDArray[np.float64], float]:
    """Return the output, the received sound, and the seconds between the two recordings."""
    folder = tmp_path_factory.mktemp("outage")
    with (
        served("--recognizer", "pocketsphinx", "--save-audio", str(folder)) as (url, _),
        live(virtual_microphone.environment, "--url", url) as running,
    ):
        first = time.monotonic()
        virtual_microphone.play(SPEECH).wait(30)
        virtual_microphone.unload_source()
        try:
            running.warned("device_lost", 5)
            time.sleep(OUTAGE_S)  # the length of the outage is what is tested
        finally:
            virtual_microphone.load_source()
        running.warned("device_back", 10)
        second = time.monotonic()
        virtual_microphone.play(SPEECH).wait(30)
        ran = running.interrupt()
    return ran, recorded(folder), second - first


class TestOutage:
    """The device is unplugged for three seconds."""

    def test_gap_is_reported(self, outage: tuple[Ran, NDArray[np.float64], float]) -> None:
        """One gap, as long as the outage plus the time until the device gives sound again."""
        holes = device_holes(outage[0])
        dropped_s = (holes[-1]["end_ms"] - holes[0]["start_ms"]) / 1000
        print("dropped", dropped_s, len(holes))
        assert all(before["end_ms"] == after["start_ms"] for before, after in pairwise(holes))
        assert OUTAGE_S <= dropped_s <= OUTAGE_S + 5
        assert len(holes) == len(outage[0].of("dropped"))

    def test_timeline_stays_true(self, outage: tuple[Ran, NDArray[np.float64], float]) -> None:
        """The two recordings have the same distance on the timeline as in real time, and both are complete."""
        _, received, apart_s = outage
        sound = played(SPEECH)
        half = len(received) // 2
        before, after = find(sound, received[:half]), find(sound, received[half:])
        error_s = (half + after[0] - before[0]) / RATE_HZ - apart_s
        print(f"error {error_s:.3f} s, correlations {before[1]:.6f} {after[1]:.6f}")
        assert min(before[1], after[1]) > 0.99
        assert abs(error_s) < 0.3

    def test_words_go_on(self, outage: tuple[Ran, NDArray[np.float64], float]) -> None:
        """Both recordings are in the finals."""
        text = " ".join(final["text"] for final in outage[0].of("final"))
        assert text.count("might even have been") == 2

    def test_end(self, outage: tuple[Ran, NDArray[np.float64], float]) -> None:
        """The run is incomplete, and the ledger is balanced."""
        ran = outage[0]
        assert_accounted(ran.summary)
        assert (ran.exit, ran.summary["complete"]) == (7, False)
        ledger = ran.summary["ledger"]
        assert ledger["settled"] + ledger["dropped"] == ledger["captured"]


@pytest.mark.parametrize("alone", [False, True], ids=["sink and source", "the server moves the stream"])
def test_never_another_microphone(virtual_microphone: VirtualMicrophone, tmp_path: Path, *, alone: bool) -> None:
    """A second microphone, to which the sound server would move the stream, is never captured."""
    with (
        virtual_microphone.other(),
        served("--recognizer", "none", "--save-audio", str(tmp_path)) as (url, _),
        live(virtual_microphone.unpinned, "--url", url) as running,
    ):
        playing = virtual_microphone.play(tone(tmp_path / "tone.flac", 60), OTHER_SINK)
        virtual_microphone.play(SPEECH).wait(30)
        if alone:
            virtual_microphone.unload_source_alone()
        else:
            virtual_microphone.unload_source()
        try:
            running.warned("device_lost", 5)
            time.sleep(OUTAGE_S)  # time for the other one to be tried
        finally:
            # The server would move the tone to the new default.
            playing.kill()
            playing.wait()
            virtual_microphone.unload_source()
            virtual_microphone.load_source()
        running.warned("device_back", 10)
        ran = running.interrupt()
    received = recorded(tmp_path)
    window = np.hanning(2400)
    spectra = np.abs(np.fft.rfft(received[: len(received) // 2400 * 2400].reshape(-1, 2400) * window, axis=1))
    # 440 Hz is bin 44 of 1201; a tone alone has all of its power there.
    pure = spectra[:, 42:47].sum(axis=1) > 0.8 * np.maximum(spectra.sum(axis=1), 1e-6)

    assert ran.exit == 7, ran.err
    assert int(pure.sum()) == 0


def test_server_hangs(virtual_microphone: VirtualMicrophone) -> None:
    """A sound server that does not answer for seconds does not block the run, and is used again later."""
    with live(virtual_microphone.environment, "--local") as running:
        with virtual_microphone.frozen():
            running.warned("device_lost", 5)
            time.sleep(OUTAGE_S)  # for some attempts
        running.warned("device_back", 20)
        ran = running.interrupt()
    assert_accounted(ran.summary)
    assert ran.exit == 7, ran.err
    assert sum(event["end_ms"] - event["start_ms"] for event in device_holes(ran)) >= OUTAGE_S * 1000


def test_stop_while_away(virtual_microphone: VirtualMicrophone) -> None:
    """Ctrl-C ends the wait for the device soon, with the summary."""
    with live(virtual_microphone.environment, "--local") as running:
        virtual_microphone.unload_source()
        try:
            running.warned("device_lost", 5)
            began = time.monotonic()
            ran = running.interrupt()
            took_s = time.monotonic() - began
        finally:
            virtual_microphone.load_source()
    assert_accounted(ran.summary)
    assert ran.exit == 7, ran.err
    assert took_s < 10


def test_gives_up(virtual_microphone: VirtualMicrophone) -> None:
    """A device that is missing longer than ``--retry-for`` is an input error."""
    with live(virtual_microphone.environment, "--local", "--retry-for", "2") as running:
        virtual_microphone.unload_source()
        try:
            summary = running.until(lambda event: event["type"] == "summary", 20)
        finally:
            virtual_microphone.load_source()
        error = running.until(lambda event: event["type"] == "error")
    assert (summary["exit"], error["code"]) == (3, "device_lost")
    assert summary["dropped_ms"] == pytest.approx(2500, abs=1500)


def test_muted(virtual_microphone: VirtualMicrophone) -> None:
    """A muted microphone is a warning, and not a missing device."""
    with live(virtual_microphone.environment, "--local") as running:
        virtual_microphone.control("set-source-mute", "rt_microphone", "1")
        try:
            warning = running.warned("silent_input", 10)
        finally:
            virtual_microphone.control("set-source-mute", "rt_microphone", "0")
        ran = running.interrupt()
    assert "mute" in warning["message"]
    assert (ran.exit, device_holes(ran)) == (0, []), ran.err

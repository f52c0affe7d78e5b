"""``rt send`` against a real ``rt serve``, and against endpoints that record their events."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soxr

from tests.program import DATA, Ran, bytes_taken, needs_words, read_wav, rt, served, write_wav
from tests.servers import Client, polite, scripted, stops_reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG, SHORT = DATA / "sense_0870.wav", DATA / "sense_0930.wav"
SAID = """
and mister john dashwood had then leisure to consider how much there might be
prudently in his power to do for them
"""
MODEL = ("-m", "gpt-4o-transcribe")
NOISE = np.random.default_rng(1).integers(-3000, 3000, 48_000, dtype=np.int16).tobytes()
SECOND = 48_000
"""Bytes of a second of PCM16 at 24 kHz."""


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded endpoint with a recogniser."""
    with served("--recognizer", "pocketsphinx", "--save-audio", str(tmp_path_factory.mktemp("heard"))) as (url, _):
        yield url


def send(url: str, *args: str, **options: Any) -> Ran:
    """Run ``rt send --json`` at full speed, with a long drain timeout."""
    return rt("send", "--url", url, "--json", "--speed", "max", "--drain-timeout", "60", *MODEL, *args, **options)


def delivered(sound: Path, folder: Path, *args: str) -> tuple[Ran, bytes]:
    """Send a file to its own embedded endpoint; return the received samples."""
    with served("--recognizer", "none", "--save-audio", str(folder / "heard")) as (url, _):
        ran = send(url, *args, str(sound))
    (heard,) = (folder / "heard").glob("*.wav")
    pcm, rate_hz = read_wav(heard)
    assert rate_hz == 24_000
    return ran, pcm


@pytest.mark.parametrize("turns", ["server_vad", "client", "none"])
def test_every_sample_arrives(turns: str, tmp_path: Path) -> None:
    """24 kHz mono PCM16 arrives unchanged, and the ledger counts every sample, with each kind of turn detection."""
    sound = NOISE[:9602] + bytes(SECOND * 2) + NOISE
    ran, heard = delivered(write_wav(tmp_path / "s.wav", sound), tmp_path, "--turn-detection", turns)
    assert ran.exit == 0, ran.err
    assert heard == sound
    ledger = ran.summary["ledger"]
    assert ledger["captured"] == ledger["settled"] == len(sound) // 2
    assert ran.summary["complete"]


def test_resampled_sound_arrives(tmp_path: Path) -> None:
    """16 kHz speech arrives as a resampling of the whole file gives it, within one step of 65536."""
    ran, heard = delivered(SHORT, tmp_path)
    samples = np.frombuffer(read_wav(SHORT)[0], "<i2")
    expected = np.clip(np.rint(soxr.resample(samples.astype(np.float64), 16_000, 24_000)), -32768, 32767)
    got = np.frombuffer(heard, "<i2")
    assert ran.summary["ledger"]["captured"] == got.size
    assert abs(got.size - samples.size * 3 / 2) <= 1
    size = min(got.size, expected.size)
    assert np.abs(got[:size] - expected[:size]).max() <= 1


@needs_words
def test_words_and_partials(listener: str) -> None:
    """Real speech: at least three of four words, and partials before."""
    ran = send(listener, "--partials", str(LONG))
    kinds = [event["type"] for event in ran.events]
    said, heard = SAID.split(), " ".join(final["text"] for final in ran.of("final")).split()
    matched = SequenceMatcher(None, said, heard, autojunk=False).get_matching_blocks()
    assert sum(block.size for block in matched) >= 0.75 * len(said), heard
    assert kinds[: kinds.index("final")].count("partial") >= 2


@needs_words
def test_another_recording_gives_another_text(listener: str) -> None:
    """The words depend on the sound."""
    (final,) = send(listener, str(SHORT)).of("final")
    assert {"might", "even", "have", "been", "made"} <= set(final["text"].split())


@pytest.mark.parametrize("sound", [pytest.param(bytes(SECOND * 2), id="silence"), pytest.param(NOISE, id="noise")])
def test_no_speech_no_words(listener: str, sound: bytes, tmp_path: Path) -> None:
    """Silence and noise give no words, and both are delivered."""
    ran = send(listener, str(write_wav(tmp_path / "s.wav", sound)))
    assert ran.exit == 0, ran.err
    assert [final["text"] for final in ran.of("final") if final["text"]] == []
    assert ran.summary["ledger"]["settled"] == len(sound) // 2


@needs_words
def test_text_is_all_that_stdout_has(listener: str) -> None:
    """Without ``--json``: one line per turn; with ``-q`` also nothing on stderr."""
    ran = rt("send", "--url", listener, "--speed", "max", "--drain-timeout", "60", *MODEL, "-q", str(SHORT))
    assert ran.exit == 0
    assert ran.out.endswith("\n")
    assert "might even have been" in ran.out
    assert ran.err == ""


@needs_words
def test_partials_of_text_go_to_stderr(listener: str) -> None:
    """Stdout has finals alone."""
    options = ("--speed", "max", "--drain-timeout", "60", "--partials")
    ran = rt("send", "--url", listener, *options, *MODEL, str(SHORT))
    assert len(ran.out.splitlines()) == 1
    assert "turn 1: " in ran.err


def test_several_files(tmp_path: Path) -> None:
    """Results in the order of the arguments, each with its source; a failure stops no other; the worst exit code."""
    names = [str(write_wav(tmp_path / name, NOISE)) for name in ("b.wav", "a.wav")]
    missing = str(tmp_path / "no.wav")
    with scripted(polite("hello")) as server:
        ran = send(server.url, names[0], missing, names[1])
    assert ran.exit == 3
    assert [summary["source"] for summary in ran.of("summary")] == [names[0], missing, names[1]]
    assert [summary["exit"] for summary in ran.of("summary")] == [0, 3, 0]
    assert [final["source"] for final in ran.of("final")] == [names[0], names[1]]
    assert all("source" in event for event in ran.events if event["type"] not in {"total", "warning"})
    total = ran.summary
    assert (total["type"], total["exit"], total["sources"], total["finals"]) == ("total", 3, 3, 2)
    assert total["failed_sources"] == 1
    assert total["captured_ms"] == total["settled_ms"] == 2 * len(NOISE) // 48


def test_duration(tmp_path: Path) -> None:
    """``--duration`` ends a file like its end."""
    with scripted(polite("hello")) as server:
        ran = send(server.url, "--duration", "500ms", str(write_wav(tmp_path / "s.wav", NOISE)))
    assert ran.exit == 0
    assert ran.summary["ledger"]["captured"] == 12_000
    assert server.audio == NOISE[:24_000]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        pytest.param(
            (),
            {
                "transcription": {"model": "gpt-4o-transcribe"},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                },
            },
            id="by default",
        ),
        pytest.param(
            ("--vad-threshold", "0.7", "--silence-ms", "0.8s", "--prefix-ms", "100"),
            {
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.7,
                    "prefix_padding_ms": 100,
                    "silence_duration_ms": 800,
                }
            },
            id="server_vad as asked",
        ),
        pytest.param(
            ("--turn-detection", "semantic_vad"),
            {"turn_detection": {"type": "semantic_vad", "eagerness": "auto"}},
            id="semantic_vad",
        ),
        pytest.param(("--turn-detection", "client"), {"turn_detection": None}, id="client"),
        pytest.param(("--turn-detection", "none"), {"turn_detection": None}, id="none"),
        pytest.param(
            ("--language", "de", "--prompt", "Dashwood"),
            {"transcription": {"model": "gpt-4o-transcribe", "language": "de", "prompt": "Dashwood"}},
            id="language and prompt",
        ),
        pytest.param(
            ("--noise-reduction", "near_field"), {"noise_reduction": {"type": "near_field"}}, id="noise reduction"
        ),
        pytest.param(
            ("--set", "audio.input.transcription.x=[1]"),
            {"transcription": {"model": "gpt-4o-transcribe", "x": [1]}},
            id="--set",
        ),
        pytest.param((), {"format": {"type": "audio/pcm", "rate": 24_000}}, id="format"),
    ],
)
def test_session_as_received(args: tuple[str, ...], expected: dict[str, object], tmp_path: Path) -> None:
    """The session object that the endpoint receives before any sound."""
    sound = write_wav(tmp_path / "s.wav", NOISE[:9600])
    with scripted(polite("hello")) as server:
        ran = send(server.url, *args, str(sound))
    assert ran.exit == 0, ran.err
    update = server.received[0]
    assert update["type"] == "session.update"
    assert update["session"]["type"] == "transcription"
    asked = update["session"]["audio"]["input"]
    assert {name: asked[name] for name in expected} == expected


def test_finals_come_in_the_order_of_the_audio(tmp_path: Path) -> None:
    """Finals are printed in the order of the sound, in whatever order the endpoint sends them."""

    async def backwards(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.commit")
        items = ["a", "b", "c"]
        for at, item in enumerate(items):
            await client.say("input_audio_buffer.speech_started", item_id=item, audio_start_ms=300 * at)
            await client.say("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=300 * at + 250)
            previous = items[at - 1] if at else None
            await client.say("input_audio_buffer.committed", item_id=item, previous_item_id=previous)
        for item in reversed(items):
            await client.complete(item, f"text {item}")
        await client.fail("input_audio_buffer_commit_empty", event_id=client.last["event_id"])
        await client.until("nothing")

    with scripted(backwards) as server:
        ran = send(server.url, str(write_wav(tmp_path / "s.wav", NOISE)))
    assert ran.exit == 0, ran.err
    assert [final["text"] for final in ran.of("final")] == ["text a", "text b", "text c"]
    assert [final["turn"] for final in ran.of("final")] == [1, 2, 3]
    assert [final["start_ms"] for final in ran.of("final")] == [0, 300, 600]


def test_producer_waits_for_the_endpoint() -> None:
    """``rt send -``: while the endpoint reads nothing, ``rt`` does not read the pipe."""
    with scripted(stops_reading) as server:
        taken = bytes_taken("send", "--url", server.url, *MODEL, "--speed", "max", "-", at_most=8_000_000)
    assert taken < 20 * SECOND

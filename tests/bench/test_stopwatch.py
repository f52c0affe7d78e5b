"""The stopwatch of a session, against an endpoint with known delays, and with a blocked client."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from rt_cli.bench.levels import LevelPlan, LoadLevels
from rt_cli.bench.recording import Recording, RecordingSource, load
from rt_cli.bench.transcription import TranscriptionSessions
from rt_cli.clock import SystemClock
from rt_cli.errors import AudioError, UsageError
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import DeliverySettings, InputSettings, SessionSettings, Settings
from tests.fakes import FakeClock, run
from tests.program import noise, write_wav
from tests.servers import Client, Server, cannot_transcribe, polite, scripted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rt_cli.bench.level import Level, SessionResult
    from rt_cli.bench.limits import Limit

RATE_HZ = 24_000
SECOND = Recording("second.wav", noise(RATE_HZ), RATE_HZ)
LONGER = Recording("longer.wav", noise(RATE_HZ * 3), RATE_HZ)
PIECE_MS = 40
PIECE = PIECE_MS * RATE_HZ // 1000
SETTINGS = Settings(
    input=InputSettings(chunk_ms=PIECE_MS),
    session=SessionSettings(turn_detection="none"),
    delivery=DeliverySettings(retry_for_s=0, connect_timeout_s=5),
)


def load_levels(
    server: Server,
    *levels: int,
    limits: Sequence[Limit] = (),
    rounds: int = 1,
    spread_s: float = 0.0,
    recordings: Sequence[Recording] = (SECOND,),
    results: list[SessionResult | Level] | None = None,
) -> LoadLevels:
    """Return levels of sessions without turn detection: each session has one turn, committed at its end."""
    endpoint = resolve(SETTINGS.endpoint, server.url, None, embedded=False)
    session = endpoint.dialect.request(SETTINGS.session, endpoint.model, "none", embedded=False)
    plan = LevelPlan(
        levels=levels,
        rounds=rounds,
        spread_s=spread_s,
        limits=limits,
    )
    sessions = TranscriptionSessions(
        endpoint, session, SETTINGS, recordings, bill=None, clock=SystemClock(), piece_s=PIECE_MS / 1000
    )
    return LoadLevels(
        plan, sessions.open, SystemClock(), lambda ended, _level: None if results is None else results.append(ended)
    )


def most(level: Level, measure: str) -> float:
    """The largest value of a measure, milliseconds."""
    results = level.measures[measure].percentiles()
    assert results is not None, f"no {measure}"
    return results.max


def test_known_delays_are_measured() -> None:
    """Each delay of the endpoint appears in its own measure, and in no earlier one."""
    greets_after, words_after, final_after = 0.5, 0.3, 0.7

    async def script(client: Client) -> None:
        await asyncio.sleep(greets_after)
        await client.greet()
        await client.until("input_audio_buffer.commit")
        item = await client.commit()
        await asyncio.sleep(words_after)
        delta = "conversation.item.input_audio_transcription.delta"
        await client.say(delta, item_id=item, content_index=0, delta="so")
        await asyncio.sleep(final_after - words_after)
        await client.complete(item, "so it is")
        await client.until("nothing")

    with scripted(script) as server:
        (level,) = run(load_levels(server, 1).run())
    (result,) = level.results
    assert result.flawless, result
    connect, ready, final, first = (most(level, name) for name in ("connect", "ready", "final", "first_partial"))
    sound, spent = SECOND.seconds * 1000, 1 + result.wall_ms
    assert greets_after * 1000 * 0.99 <= ready <= spent
    assert connect <= ready
    # The speech ends with the sound, a second after the session was ready. Each measure is at most the duration of the
    # whole run, less the parts before it.
    assert final_after * 1000 * 0.99 <= final <= spent - ready * 0.99 - sound
    assert words_after * 1000 * 0.99 <= first - sound <= final
    assert most(level, "rtf") == pytest.approx(1 + final / sound, rel=0.02)


def test_blocked_client_measures_its_lateness() -> None:
    """Every chunk that was due while the client was blocked counts as late."""
    blocked_s = 0.6

    async def scenario() -> Level:
        with scripted(polite("so it is")) as server:
            levels_run = load_levels(server, 1, recordings=(LONGER,))
            running = asyncio.create_task(levels_run.run())
            await _wait_for_sound(levels_run)
            time.sleep(blocked_s)  # noqa: ASYNC251  # block the loop on purpose
            return (await running)[0]

    lateness = run(scenario()).measures["lateness"]
    late = sum(value > PIECE_MS for value in _values(lateness.curve(), lateness.n))
    assert lateness.n == LONGER.samples // PIECE
    assert max(_values(lateness.curve(), lateness.n)) >= blocked_s * 1000 - 2 * PIECE_MS
    assert late >= blocked_s * 1000 / PIECE_MS - 3


async def _wait_for_sound(levels_run: LoadLevels) -> None:
    """Wait until sound is being sent."""
    while not levels_run.levels or levels_run.levels[0].measures["lateness"].n < 5:  # noqa: ASYNC110 # no signal to wait for
        await asyncio.sleep(0.01)


def _values(curve: list[tuple[float, float]], count: int) -> list[float]:
    """Return all values of a distribution."""
    values: list[float] = []
    for value, share in curve:
        values += [value] * (round(share * count) - len(values))
    return values


def test_sessions_at_once() -> None:
    """A level runs its sessions in parallel, in rounds, with the recordings in rotation; the next level has more."""
    most_at_once = {"now": 0, "most": 0}
    short = Recording("short.wav", SECOND.pcm[:RATE_HZ], RATE_HZ)

    async def script(client: Client) -> None:
        most_at_once["now"] += 1
        most_at_once["most"] = max(most_at_once.values())
        try:
            await polite("yes")(client)
        finally:
            most_at_once["now"] -= 1

    results: list[SessionResult | Level] = []
    with scripted(script) as server:
        levels = run(load_levels(server, 1, 3, rounds=2, recordings=(SECOND, short), results=results).run())
    assert [level.sessions for level in levels] == [1, 3]
    assert [len(level.results) for level in levels] == [2, 6]
    assert most_at_once["most"] == 3
    assert {(result.number, result.round, result.recording) for result in levels[1].results} == {
        (number, round_, ("second.wav", "short.wav")[(number + round_) % 2])
        for number in (1, 2, 3)
        for round_ in (1, 2)
    }
    assert [type(each).__name__ for each in results] == ["SessionResult"] * 2 + ["Level"] + ["SessionResult"] * 6 + [
        "Level"
    ]
    for level in levels:
        assert level.measures["final"].n == level.measures["connect"].n == len(level.results)
        assert level.measures["round_trip"].n > 0
        assert level.client_cpu is not None


def test_starts_are_spread() -> None:
    """The third of three sessions starts after two thirds of the spread time."""
    with scripted(polite("yes")) as server:
        (level,) = run(load_levels(server, 3, spread_s=0.6).run())
    began = sorted(result.began_ms for result in level.results)
    assert began[1] >= 200
    assert began[2] >= 400


def test_errors_are_counted_by_code() -> None:
    """A failed turn is an error of its session; a level of errors alone is the last one."""
    with scripted(cannot_transcribe) as server:
        levels = run(load_levels(server, 2, 4).run())
    assert [level.sessions for level in levels] == [2]
    assert levels[0].errors == 1
    assert levels[0].error_codes["audio_unintelligible"] == 2


def test_an_interrupted_level_does_not_hold() -> None:
    """Running sessions finish normally, no new ones start, and the level does not hold."""

    async def scenario() -> list[Level]:
        with scripted(polite("so it is")) as server:
            levels_run = load_levels(server, 2, 4, rounds=50)
            running = asyncio.create_task(levels_run.run())
            await _wait_for_sound(levels_run)
            levels_run.interrupt(130)
            return await running

    levels = run(scenario())
    assert [level.interrupted for level in levels] == [True]
    assert [result.complete for result in levels[0].results] == [True, True]


@pytest.mark.parametrize(
    ("samples", "start", "end", "positions"),
    [
        (2400, 0, 960, [960]),
        (2400, 0, 1919, [960]),
        (2400, 960, 1920, [1920]),
        (2400, 0, 2400, [960, 1920, 2400]),
        (2400, 2400, 2400, []),
        (1920, 0, 1920, [960, 1920]),
        (1920, 1920, 960, []),
    ],
)
def test_due_times_of_blocks(samples: int, start: int, end: int, positions: list[int]) -> None:
    """Each block has its own due time, also a shorter last block."""
    source = RecordingSource(Recording("some.wav", bytes(2 * samples), RATE_HZ), FakeClock(), PIECE)
    source.began_at = 100.0
    assert list(source.dues(start, end)) == [pytest.approx(100 + position / RATE_HZ) for position in positions]


# -- recordings -------------------------------------------------------------------------------------------------------


def _loaded(path: Path, limit_s: float | None = None) -> Recording:
    return run(load(str(path), RATE_HZ, lambda _code, _message: None, limit_s=limit_s, reference=None))


def test_recording_is_read_whole_or_to_its_limit(tmp_path: Path) -> None:
    """A recording is read at the wire rate, up to the limit."""
    path = write_wav(tmp_path / "talk.wav", bytes(2 * RATE_HZ * 3))
    assert _loaded(path).seconds == 3
    assert _loaded(path, 1.5).seconds == 1.5


def test_recording_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """A recording that is too long for memory is an error; with a limit it is accepted."""
    path = write_wav(tmp_path / "talk.wav", bytes(2 * RATE_HZ * 601))
    with pytest.raises(UsageError, match="--duration"):
        _loaded(path)
    assert _loaded(path, 10).seconds == 10


def test_recording_without_sound_is_refused(tmp_path: Path) -> None:
    """A recording without sound is an error."""
    with pytest.raises(AudioError):
        _loaded(write_wav(tmp_path / "talk.wav", b""))

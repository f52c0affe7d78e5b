"""One session's stopwatch, against an endpoint with delays that are known, and a client that is held up."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from rt_cli.bench.levels import LevelPlan, LoadLevels, opened
from rt_cli.bench.recording import Recording, Spoken, load
from rt_cli.clock import SystemClock
from rt_cli.errors import AudioError, UsageError
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import DeliverySettings, InputSettings, SessionSettings, Settings
from rt_cli.streaming.job import Job
from tests.fakes import FakeClock, run
from tests.program import write_wav
from tests.servers import Client, Server, cannot_transcribe, polite, scripted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rt_cli.bench.level import Level, SessionResult
    from rt_cli.bench.limits import Limit
    from rt_cli.bench.stopwatch import Stopwatch

RATE_HZ = 24_000
SECOND = Recording("second.wav", bytes(2 * RATE_HZ), RATE_HZ)
LONGER = Recording("longer.wav", bytes(2 * RATE_HZ * 3), RATE_HZ)
PIECE_MS = 40
PIECE = PIECE_MS * RATE_HZ // 1000
SETTINGS = Settings(
    input=InputSettings(chunk_ms=PIECE_MS),
    session=SessionSettings(turn_detection="none"),
    delivery=DeliverySettings(retry_for_s=0, connect_timeout_s=5),
)


def ramp(
    server: Server,
    *levels: int,
    limits: Sequence[Limit] = (),
    rounds: int = 1,
    spread_s: float = 0.0,
    recordings: Sequence[Recording] = (SECOND,),
    told: list[SessionResult | Level] | None = None,
) -> LoadLevels:
    """A ramp over sessions without turn detection: each has one turn, which is committed at its end."""
    endpoint = resolve(SETTINGS.endpoint, server.url, None, embedded=False)
    session = endpoint.dialect.session(SETTINGS.session, endpoint.model, "none")

    def job(spoken: Spoken, watch: Stopwatch) -> Job:
        return Job(spoken.info.name, partial(opened, spoken), endpoint, "none", session, SETTINGS, probe=watch)

    course = LevelPlan(
        levels=levels,
        rounds=rounds,
        spread_s=spread_s,
        recordings=recordings,
        limits=limits,
        piece_s=PIECE_MS / 1000,
    )
    return LoadLevels(course, job, SystemClock(), lambda ended, _level: None if told is None else told.append(ended))


def most(level: Level, measure: str) -> float:
    """The largest value of a measure, milliseconds."""
    told = level.measures[measure].percentiles()
    assert told is not None, f"no {measure}"
    return told.max


def test_planted_delays_are_found() -> None:
    """Each delay of the endpoint is in the figure that it belongs to, and in no other before it."""
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
        (level,) = run(ramp(server, 1).run())
    (result,) = level.results
    assert result.flawless, result
    connect, ready, final, first = (most(level, name) for name in ("connect", "ready", "final", "first_partial"))
    sound, spent = SECOND.seconds * 1000, 1 + result.wall_ms
    assert greets_after * 1000 * 0.99 <= ready <= spent
    assert connect <= ready
    # The speech ends with the sound, a second after the session was ready. What is not waited for elsewhere is in the
    # run as a whole, and so it bounds each figure from above.
    assert final_after * 1000 * 0.99 <= final <= spent - ready * 0.99 - sound
    assert words_after * 1000 * 0.99 <= first - sound <= final
    assert most(level, "rtf") == pytest.approx(1 + final / sound, rel=0.02)


def test_a_client_that_is_held_up_sees_all_of_its_lateness() -> None:
    """Every chunk that was due in the meantime is late, each by what is left of it: nothing is omitted."""
    held_up = 0.6

    async def scenario() -> Level:
        with scripted(polite("so it is")) as server:
            climbing = ramp(server, 1, recordings=(LONGER,))
            running = asyncio.create_task(climbing.run())
            await _speaking(climbing)
            time.sleep(held_up)  # noqa: ASYNC251  # it is to be felt
            return (await running)[0]

    lateness = run(scenario()).measures["lateness"]
    late = sum(value > PIECE_MS for value in _values(lateness.curve(), lateness.n))
    assert lateness.n == LONGER.samples // PIECE
    assert max(_values(lateness.curve(), lateness.n)) >= held_up * 1000 - 2 * PIECE_MS
    assert late >= held_up * 1000 / PIECE_MS - 3


async def _speaking(climbing: LoadLevels) -> None:
    """Wait until sound is being sent."""
    while not climbing.levels or climbing.levels[0].measures["lateness"].n < 5:  # noqa: ASYNC110 # it rings no changed
        await asyncio.sleep(0.01)


def _values(curve: list[tuple[float, float]], count: int) -> list[float]:
    """All the values of a distribution."""
    values: list[float] = []
    for value, share in curve:
        values += [value] * (round(share * count) - len(values))
    return values


def test_sessions_at_once() -> None:
    """A level has its sessions at once, in rounds, with all recordings in turns; the next one has more."""
    most_at_once = {"now": 0, "most": 0}
    short = Recording("short.wav", SECOND.pcm[:RATE_HZ], RATE_HZ)

    async def script(client: Client) -> None:
        most_at_once["now"] += 1
        most_at_once["most"] = max(most_at_once.values())
        try:
            await polite("yes")(client)
        finally:
            most_at_once["now"] -= 1

    told: list[SessionResult | Level] = []
    with scripted(script) as server:
        levels = run(ramp(server, 1, 3, rounds=2, recordings=(SECOND, short), told=told).run())
    assert [level.sessions for level in levels] == [1, 3]
    assert [len(level.results) for level in levels] == [2, 6]
    assert most_at_once["most"] == 3
    assert {(result.number, result.round, result.recording) for result in levels[1].results} == {
        (number, round_, ("second.wav", "short.wav")[(number + round_) % 2])
        for number in (1, 2, 3)
        for round_ in (1, 2)
    }
    assert [type(each).__name__ for each in told] == ["SessionResult"] * 2 + ["Level"] + ["SessionResult"] * 6 + [
        "Level"
    ]
    for level in levels:
        assert level.measures["final"].n == level.measures["connect"].n == len(level.results)
        assert level.measures["round_trip"].n > 0
        assert level.client_cpu is not None


def test_starts_are_spread() -> None:
    """The third of three sessions starts after two thirds of the time."""
    with scripted(polite("yes")) as server:
        (level,) = run(ramp(server, 3, spread_s=0.6).run())
    began = sorted(result.began_ms for result in level.results)
    assert began[1] >= 200
    assert began[2] >= 400


def test_errors_are_counted_by_code() -> None:
    """A turn without words makes a session bad; a level of nothing else is the last."""
    with scripted(cannot_transcribe) as server:
        levels = run(ramp(server, 2, 4).run())
    assert [level.sessions for level in levels] == [2]
    assert levels[0].errors == 1
    assert levels[0].troubles["audio_unintelligible"] == 2


def test_an_interrupted_level_does_not_hold() -> None:
    """Its sessions come to a good end all the same, and no more are begun."""

    async def scenario() -> list[Level]:
        with scripted(polite("so it is")) as server:
            climbing = ramp(server, 2, 4, rounds=50)
            running = asyncio.create_task(climbing.run())
            await _speaking(climbing)
            climbing.interrupt(130)
            return await running

    levels = run(scenario())
    assert [level.cut for level in levels] == [True]
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
def test_pieces_that_go_together_are_all_due(samples: int, start: int, end: int, positions: list[int]) -> None:
    """Each piece has its own moment, the last one, too, if it is shorter."""
    spoken = Spoken(Recording("some.wav", bytes(2 * samples), RATE_HZ), FakeClock(), PIECE)
    spoken.began_at = 100.0
    assert list(spoken.dues(start, end)) == [pytest.approx(100 + position / RATE_HZ) for position in positions]


# -- recordings -------------------------------------------------------------------------------------------------------


def _loaded(path: Path, limit_s: float | None = None) -> Recording:
    return run(load(str(path), RATE_HZ, lambda _code, _message: None, limit_s=limit_s, reference=None))


def test_recording_is_read_whole_or_to_its_limit(tmp_path: Path) -> None:
    """At the wire rate."""
    path = write_wav(tmp_path / "talk.wav", bytes(2 * RATE_HZ * 3))
    assert _loaded(path).seconds == 3
    assert _loaded(path, 1.5).seconds == 1.5


def test_recording_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """All sessions keep it in memory; its beginning will do."""
    path = write_wav(tmp_path / "talk.wav", bytes(2 * RATE_HZ * 601))
    with pytest.raises(UsageError, match="--duration"):
        _loaded(path)
    assert _loaded(path, 10).seconds == 10


def test_recording_without_sound_is_refused(tmp_path: Path) -> None:
    """There is nothing to measure with."""
    with pytest.raises(AudioError):
        _loaded(write_wav(tmp_path / "talk.wav", b""))

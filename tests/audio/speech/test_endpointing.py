"""Endpointer and TurnDetector, by tables and by properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.speech.endpointing import Endpointer, SpeechStarts, SpeechStops, TurnCloses, TurnDetector, TurnOpens

FRAME = 768
RATE = 24_000
PREFIX = 7_200
"""300 ms."""
SILENCE_FRAMES = 16
"""500 ms in frames of 32."""
LOUD, SOFT = -20.0, -60.0

probabilities = st.lists(st.sampled_from([0.0, 0.1, 0.4, 0.5, 0.9]), max_size=400)
frames = st.lists(st.tuples(st.sampled_from([0.0, 0.4, 0.9]), st.sampled_from([-90.0, -40.0, -20.0])), max_size=400)


def endpointer(
    *, threshold: float = 0.5, silence_ms: float = 500, prefix_ms: float = 300, start: int = 0
) -> Endpointer:
    """An Endpointer with OpenAI's defaults."""
    return Endpointer(FRAME, RATE, threshold=threshold, silence_ms=silence_ms, prefix_ms=prefix_ms, start=start)


def turn_detector(
    *, max_turn_s: float = 30, silence_ms: float = 500, prefix_ms: float = 300, start: int = 0
) -> TurnDetector:
    """A TurnDetector with the default settings."""
    return TurnDetector(
        FRAME, RATE, threshold=0.5, silence_ms=silence_ms, prefix_ms=prefix_ms, max_turn_s=max_turn_s, start=start
    )


def speech_events(machine: Endpointer, values: list[float]) -> list[SpeechStarts | SpeechStops]:
    """Events of an Endpointer for these probabilities."""
    return [event for value in values if (event := machine.push(value)) is not None]


def turn_events(machine: TurnDetector, values: list[tuple[float, float]]) -> list[TurnOpens | TurnCloses]:
    """Events of a TurnDetector for these frames."""
    return [event for value, level in values for event in machine.push(value, level)]


def test_starts_at_the_onset_minus_the_prefix() -> None:
    """Speech from frame 20 starts 300 ms before frame 20."""
    assert speech_events(endpointer(), [0.0] * 20 + [0.9] * 5) == [SpeechStarts(20 * FRAME - PREFIX)]


def test_stops_where_the_silence_is_complete() -> None:
    """The end includes the silence that ends the speech."""
    heard = speech_events(endpointer(), [0.0] * 20 + [0.9] * 10 + [0.0] * 40)

    assert heard[1:] == [SpeechStops((30 + SILENCE_FRAMES) * FRAME)]


def test_starts_no_earlier_than_the_stream() -> None:
    """The prefix is clipped at the first sample."""
    assert speech_events(endpointer(start=100), [0.9] * 2) == [SpeechStarts(100)]


def test_starts_no_earlier_than_the_previous_turn() -> None:
    """The prefix of a turn does not overlap the previous turn."""
    heard = speech_events(endpointer(silence_ms=32), [0.9] * 2 + [0.0] + [0.9] * 2)

    assert heard == [SpeechStarts(0), SpeechStops(3 * FRAME), SpeechStarts(3 * FRAME)]


def test_click_is_no_speech() -> None:
    """A single speech frame starts no turn."""
    assert speech_events(endpointer(), [0.0, 0.9, 0.0] * 20) == []


def test_hysteresis_keeps_speech_going() -> None:
    """A probability between the two thresholds is not the silence that ends a turn."""
    assert speech_events(endpointer(), [0.9] * 2 + [0.4] * 100) == [SpeechStarts(0)]


@pytest.mark.parametrize("threshold", [0.05, 0.1, 0.15, 0.5, 1.0])
def test_silence_ends_speech_at_every_threshold(threshold: float) -> None:
    """At every threshold, probability 0 ends the speech."""
    heard = speech_events(endpointer(threshold=threshold), [1.0] * 2 + [0.0] * SILENCE_FRAMES)

    assert heard == [SpeechStarts(0), SpeechStops((2 + SILENCE_FRAMES) * FRAME)]


def test_manual_cut_during_speech() -> None:
    """After a manual cut, speech continues in a new turn without a SpeechStops for the old one."""
    machine = endpointer()
    speech_events(machine, [0.9] * 10)
    machine.cut(10 * FRAME + 5)

    assert speech_events(machine, [0.9] * 2) == [SpeechStarts(10 * FRAME + 5)]


@given(values=probabilities, silence_ms=st.integers(0, 1000), prefix_ms=st.integers(0, 1000))
def test_speech_is_ordered_and_disjoint(values: list[float], silence_ms: int, prefix_ms: int) -> None:
    """Starts and stops alternate, and positions never decrease."""
    heard = speech_events(endpointer(silence_ms=silence_ms, prefix_ms=prefix_ms), values)
    positions = [event.at for event in heard]

    assert positions == sorted(positions)
    assert [type(event) for event in heard] == [SpeechStarts, SpeechStops] * (len(heard) // 2) + [SpeechStarts] * (
        len(heard) % 2
    )


@given(values=probabilities, cuts=st.lists(st.booleans(), min_size=400, max_size=400), ahead=st.integers(0, 3000))
def test_cuts_keep_the_order(values: list[float], cuts: list[bool], ahead: int) -> None:
    """After a manual cut, even ahead of the pushed frames, no event has a position before the cut."""
    machine = endpointer()
    bound = 0
    for index, (value, cut) in enumerate(zip(values, cuts, strict=False)):
        event = machine.push(value)
        if event is not None:
            assert event.at >= bound
            bound = event.at
        if cut:
            bound = max(bound, (index + 1) * FRAME + ahead)
            machine.cut(bound)


def test_turn_opens_and_closes_around_speech() -> None:
    """A turn consists of the prefix, the speech and the silence that ends it."""
    events = turn_events(turn_detector(), [(0.0, SOFT)] * 20 + [(0.9, LOUD)] * 10 + [(0.0, SOFT)] * 40)

    assert events == [TurnOpens(20 * FRAME - PREFIX), TurnCloses((30 + SILENCE_FRAMES) * FRAME)]


@pytest.mark.parametrize(("resumed", "opens"), [(True, [TurnOpens(100), TurnCloses(100 + 17 * FRAME)]), (False, [])])
def test_the_rest_of_a_word_is_a_turn_where_a_run_resumes(
    *, resumed: bool, opens: list[TurnOpens | TurnCloses]
) -> None:
    """One frame of it is enough at the start: the audio before it may end within the word. Later it is a click."""
    machine = TurnDetector(
        FRAME, RATE, threshold=0.5, silence_ms=500, prefix_ms=300, max_turn_s=30, start=100, resumed=resumed
    )
    rest_and_click = [(0.9, LOUD), *[(0.0, SOFT)] * 20, (0.9, LOUD), *[(0.0, SOFT)] * 20]

    assert turn_events(machine, rest_and_click) == opens


def test_monologue_is_cut_at_the_longest_turn() -> None:
    """Speech without a pause ends the turn within one frame of the maximum; the next turn starts there."""
    events = turn_events(turn_detector(max_turn_s=10), [(0.9, LOUD)] * 400)
    close = events[1].at

    assert 10 * RATE - FRAME < close <= 10 * RATE
    assert events[:3] == [TurnOpens(0), TurnCloses(close), TurnOpens(close)]


@pytest.mark.parametrize(
    ("speech_s", "pause_frames", "closes"),
    [(4, 8, False), (6, 8, False), (8, 8, True), (8, 2, False), (9.7, 1, True)],
    ids=["young", "middle-aged", "old", "old-short", "at-the-end"],
)
def test_longer_turns_need_shorter_pauses(speech_s: float, pause_frames: int, *, closes: bool) -> None:
    """Up to half of the maximum the full pause is necessary, then less and less."""
    talk = [(0.9, LOUD)] * round(speech_s * RATE / FRAME)
    events = turn_events(turn_detector(max_turn_s=10), talk + [(0.0, SOFT)] * pause_frames)

    assert closes == (len(events) == 2)


def test_gap_between_words_is_enough_for_a_long_turn() -> None:
    """Near the maximum a frame far below the speech level ends the turn, even with a high probability of speech."""
    talk = [(0.9, LOUD)] * round(9.7 * RATE / FRAME)
    events = turn_events(turn_detector(max_turn_s=10), [*talk, (0.9, LOUD - 20)])

    assert events[1:] == [TurnCloses((len(talk) + 1) * FRAME)]


def test_finish_closes_an_open_turn() -> None:
    """The end of input ends the turn."""
    machine = turn_detector()
    turn_events(machine, [(0.9, LOUD)] * 10)

    assert machine.finish(10 * FRAME + 300) == TurnCloses(10 * FRAME + 300)
    assert machine.finish(10 * FRAME + 300) is None


def test_finish_never_closes_under_100_ms() -> None:
    """finish() closes a new turn at 100 ms; the caller adds silence."""
    machine = turn_detector(prefix_ms=0)
    turn_events(machine, [(0.9, LOUD)] * 2)

    assert machine.finish(2 * FRAME) == TurnCloses(2400)


def test_finish_of_silence_is_nothing() -> None:
    """finish() without an open turn returns None."""
    machine = turn_detector()
    turn_events(machine, [(0.0, SOFT)] * 10)

    assert machine.finish(10 * FRAME) is None


def test_max_turn_too_short_is_refused() -> None:
    """A too small max_turn_s raises ValueError in the constructor."""
    with pytest.raises(ValueError, match=r"at least 0\.5"):
        turn_detector(max_turn_s=0.2)


@given(
    values=frames,
    max_turn_s=st.floats(0.5, 8),
    silence_ms=st.integers(0, 1000),
    prefix_ms=st.integers(0, 2000),
    start=st.integers(0, 10**9),
)
def test_turns_are_ordered_disjoint_and_bounded(
    values: list[tuple[float, float]], max_turn_s: float, silence_ms: int, prefix_ms: int, start: int
) -> None:
    """Opens and closes alternate; a turn lasts from 100 ms to the maximum and does not overlap the previous one."""
    machine = turn_detector(max_turn_s=max_turn_s, silence_ms=silence_ms, prefix_ms=prefix_ms, start=start)
    events = turn_events(machine, values)
    if (last := machine.finish(start + len(values) * FRAME)) is not None:
        events.append(last)
    previous = start
    for opens, closes in zip(events[::2], events[1::2], strict=True):
        assert isinstance(opens, TurnOpens)
        assert isinstance(closes, TurnCloses)
        assert previous <= opens.at
        assert 0.1 * RATE <= closes.at - opens.at <= max_turn_s * RATE + 1
        previous = closes.at


@given(values=frames)
def test_closes_are_never_in_the_past(values: list[tuple[float, float]]) -> None:
    """A turn closes at the end of the latest frame, never earlier."""
    machine = turn_detector(max_turn_s=2)
    for index, (value, level) in enumerate(values):
        for event in machine.push(value, level):
            assert not isinstance(event, TurnCloses) or event.at == (index + 1) * FRAME


@given(
    values=frames,
    silence_ms=st.integers(0, 1000),
    prefix_ms=st.integers(0, 1000),
    max_turn_s=st.floats(0.5, 5),
    start=st.sampled_from([0, 100]),
)
def test_no_turn_closes_before_the_earliest_close(
    values: list[tuple[float, float]], silence_ms: int, prefix_ms: int, max_turn_s: float, start: int
) -> None:
    """Whatever frames follow; the bound is at or after the latest frame, at most 8 frames ahead."""
    machine = turn_detector(max_turn_s=max_turn_s, silence_ms=silence_ms, prefix_ms=prefix_ms, start=start)
    bound = start
    for index, (value, level) in enumerate(values):
        position = start + (index + 1) * FRAME
        closes = [event.at for event in machine.push(value, level) if isinstance(event, TurnCloses)]
        assert all(at >= bound for at in closes)
        assert position < machine.earliest_close <= position + 8 * FRAME
        bound = max(bound, machine.earliest_close)


@given(values=frames, silence_ms=st.integers(0, 200), max_turn_s=st.floats(0.5, 5))
def test_the_earliest_close_is_that_of_silence(
    values: list[tuple[float, float]], silence_ms: int, max_turn_s: float
) -> None:
    """Behind speech that opens a turn: no sound waits that no frames can close a turn before."""
    machine = turn_detector(max_turn_s=max_turn_s, silence_ms=silence_ms)
    opened = turn_events(machine, values)
    bound = machine.earliest_close
    if not opened or isinstance(opened[-1], TurnCloses):
        turn_events(machine, [(0.9, -1.0)] * (1 if values and values[-1][0] == 0.9 else 2))
    closes = [event.at for event in turn_events(machine, [(0.0, -90.0)] * 400)]

    assert closes[0] == bound or bound == (len(values) + 8) * FRAME < closes[0]

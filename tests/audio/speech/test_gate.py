"""SendRanges and Gate: which audio is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.speech.endpointing import ONSET_FRAMES
from rt_cli.audio.speech.gate import HANG_MS, PRE_ROLL_MS, Gate, SendRange, SendRanges
from tests.memory import held_count

RATE = 1000
FRAME = 32
SILENCE_MS = 500
AFTER = -(-(SILENCE_MS + HANG_MS) // FRAME) * FRAME
"""In whole frames."""


def send_ranges_of(probabilities: list[float], *, prefix_ms: int = 0, threshold: float = 0.5) -> SendRanges:
    """Send ranges for one probability per frame."""
    send_ranges = SendRanges()
    gate = Gate(send_ranges, FRAME, RATE, threshold=threshold, silence_ms=SILENCE_MS, prefix_ms=prefix_ms)
    for probability in probabilities:
        gate.push(probability, 0.0)
    send_ranges.decided(FRAME * len(probabilities))
    return send_ranges


def sent_ranges(send_ranges: SendRanges, end: int) -> list[tuple[int, int]]:
    """The ranges that are sent."""
    found, at = [], 0
    while at < end:
        send_range = send_ranges.at(at)
        if send_range.sent:
            found.append((at, min(end, send_range.until)))
        at = max(at + 1, send_range.until)
    return found


def test_two_utterances_far_apart() -> None:
    """Each utterance is sent with its pre-roll and hang time; the silence between them is not sent."""
    quiet, speech = [0.0] * 60, [1.0] * 20
    send_ranges = send_ranges_of([*quiet, *speech, *quiet, *speech, *quiet])
    first, second = 60 * FRAME, 140 * FRAME

    assert sent_ranges(send_ranges, 220 * FRAME) == [
        (first - PRE_ROLL_MS, first + 20 * FRAME + AFTER),
        (second - PRE_ROLL_MS, second + 20 * FRAME + AFTER),
    ]


@pytest.mark.parametrize(("start", "sent"), [(5000, [(5000, 5000 + FRAME + AFTER)]), (0, [])])
def test_the_rest_of_a_word_is_sent_where_a_run_resumes(start: int, sent: list[tuple[int, int]]) -> None:
    """One frame of it is enough there; at the start of the timeline it is a click."""
    send_ranges = SendRanges(start)
    gate = Gate(send_ranges, FRAME, RATE, threshold=0.5, silence_ms=SILENCE_MS, prefix_ms=0)
    for probability in (1.0, *[0.0] * 60):
        gate.push(probability, 0.0)
    found = [(first, end) for first, end in sent_ranges(send_ranges, start + 61 * FRAME) if first >= start]

    assert found == sent


def test_more_pre_roll_than_the_endpoint_keeps() -> None:
    """The turns of the endpoint start inside the sent audio."""
    ((start, _),) = sent_ranges(send_ranges_of([*[0.0] * 60, *[1.0] * 5], prefix_ms=400), 65 * FRAME)
    assert start == 60 * FRAME - 600


@pytest.mark.parametrize(("probability", "heard"), [(0.29, False), (0.31, True)])
def test_gate_is_more_sensitive_than_the_endpoint(probability: float, *, heard: bool) -> None:
    """The gate opens at a lower threshold than the endpoint."""
    assert bool(sent_ranges(send_ranges_of([probability] * 10), 320)) == heard


@given(st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.9]), max_size=200), st.sampled_from([0, 300, 800]))
def test_speech_is_sent_with_its_surroundings(probabilities: list[float], prefix_ms: int) -> None:
    """All speech is sent with its surroundings, without changing an earlier decision."""
    send_ranges = SendRanges()
    gate = Gate(send_ranges, FRAME, RATE, threshold=0.5, silence_ms=SILENCE_MS, prefix_ms=prefix_ms)
    at, sent = 0, set()
    for probability in [*probabilities, *[0.0] * 100]:
        gate.push(probability, 0.0)
        while (send_range := send_ranges.at(at)).until > at:
            sent |= set(range(at, send_range.until)) if send_range.sent else set()
            at = send_range.until
    speech = [p >= 0.5 for p in probabilities]
    runs = [i for i in range(1, len(speech)) if speech[i] and speech[i - 1]]
    before = max(PRE_ROLL_MS, prefix_ms + 200)

    for index in runs:
        wanted = range(max(0, (index - 1) * FRAME - before), (index + 1) * FRAME + SILENCE_MS + HANG_MS)
        assert sent.issuperset(wanted)
    if not any(probabilities):
        assert not sent
    # Whether the last silence is sent is not decided before it is sure that no speech follows it.
    assert at >= FRAME * (len(probabilities) + 100) - before - ONSET_FRAMES * FRAME


def test_settled_ranges_are_dropped() -> None:
    """Settled ranges are dropped, so that hours of audio use no memory."""
    send_ranges = SendRanges()
    for second in range(10_000):
        send_ranges.open(second * 1000)
        send_ranges.close(second * 1000 + 500)
        send_ranges.decided(second * 1000 + 900)
        send_ranges.forget(second * 1000)

    assert held_count(send_ranges, SendRange) <= 2
    assert send_ranges.at(9_999_600) == SendRange(sent=False, until=9_999_900, ends=False)


def test_decisions_are_final() -> None:
    """A range that is opened in the past starts at the end of the decided audio."""
    send_ranges = SendRanges()
    send_ranges.decided(1000)

    assert send_ranges.open(400) == 1000
    assert send_ranges.close(1500) == 1500
    assert send_ranges.open(1200) == 1500

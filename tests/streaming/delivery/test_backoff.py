"""When to try again, and when to stop."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import ConnectionLost, EndpointError, RefusedError, RtError, UnreachableError
from rt_cli.streaming.delivery.backoff import LONGEST_DELAY_S, Attempt, Backoff

LOST = ConnectionLost("cut")


def make(*, connect_timeout_s: float = 10, retry_for_s: float = 120, dice: float = 0.999) -> Backoff:
    """Retries that throw the same number every time."""
    return Backoff(connect_timeout_s=connect_timeout_s, retry_for_s=retry_for_s, began=0.0, dice=lambda: dice)


@pytest.mark.parametrize("code", ["rate_limited", "no_room", "session_limit_reached"])
def test_a_full_endpoint_is_waited_for_while_others_of_ours_will_make_room(code: str) -> None:
    """That costs no patience; another error does, and so does a full endpoint where nobody of ours is inside."""
    full, others = UnreachableError("full", code=code), [True]
    retries = Backoff(
        connect_timeout_s=10, retry_for_s=120, began=0.0, dice=lambda: 0.0, wait_for_room=lambda: others[0]
    )
    for now in range(0, 100, 7):
        assert retries.after(attempt(full, now=now, opened=True)) is not None
    others[0] = False
    assert retries.after(attempt(full, now=107)) is not None
    assert retries.after(attempt(full, now=108.1)) is None

    others[0] = True
    retries = Backoff(connect_timeout_s=10, retry_for_s=120, began=0.0, dice=lambda: 0.0, wait_for_room=lambda: True)
    assert retries.after(attempt(now=9.9)) is not None
    assert retries.after(attempt(now=10.1)) is None


def attempt(
    error: RtError = LOST, *, now: float = 0.0, opened: bool = False, ready: bool = False, progressed: bool = False
) -> Attempt:
    """How a connection ended; by default it never opened."""
    return Attempt(error, now, opened, ready, progressed)


@pytest.mark.parametrize(
    "error",
    [RefusedError("no"), EndpointError("no"), UnreachableError("bad certificate", final=True), RtError("bug")],
    ids=["refused", "endpoint", "certificate", "bug"],
)
def test_what_cannot_help_is_not_tried_again(error: RtError) -> None:
    """Only what may pass is retried."""
    assert make().after(attempt(error)) is None


def test_the_first_retry_comes_within_a_quarter_of_a_second() -> None:
    """An outage of one packet should not be felt."""
    delay = make().after(attempt(ready=True, opened=True, progressed=True))

    assert delay is not None
    assert delay <= 0.25


def test_delays_double_up_to_eight_seconds() -> None:
    """0.25, 0.5, ... 8, 8, with full jitter below each."""
    retries = make(dice=1.0)
    delays = [retries.after(attempt(ready=True, progressed=index == 0)) for index in range(8)]

    assert delays == [0.25, 0.5, 1, 2, 4, 8, 8, 8]


def test_before_the_first_readiness_the_connect_timeout_is_the_budget() -> None:
    """A wrong address is found within the time for connecting."""
    retries = make(connect_timeout_s=10, dice=0.0)

    assert retries.after(attempt(now=9.9)) is not None
    assert retries.after(attempt(now=10.0)) is None


def test_after_it_each_outage_has_its_own_budget() -> None:
    """The clock of an outage starts when progress was last made."""
    retries = make(retry_for_s=120, dice=0.0)
    assert retries.after(attempt(now=1000, opened=True, ready=True, progressed=True)) is not None
    assert retries.after(attempt(now=1119)) is not None
    assert retries.after(attempt(now=1121)) is None


def test_three_fruitless_connections_in_a_row_are_enough() -> None:
    """An endpoint that greets and drops ends soon, however willing it is to greet."""
    retries = make(dice=0.0)
    ended = attempt(opened=True, ready=True)

    assert [retries.after(ended) is None for _ in range(3)] == [False, False, True]


def test_an_endpoint_that_drops_but_makes_progress_never_stops_it() -> None:
    """Every two seconds for a day."""
    retries = make(dice=0.5)

    assert all(
        retries.after(attempt(now=2.0 * index, opened=True, ready=True, progressed=True)) is not None
        for index in range(43_200)
    )


def test_refusals_to_connect_are_not_fruitless_connections() -> None:
    """A network that is down for a minute is an outage, not a broken endpoint."""
    retries = make(dice=0.0)
    assert retries.after(attempt(opened=True, ready=True, progressed=True)) is not None

    assert all(retries.after(attempt(now=index)) is not None for index in range(100))


def test_retry_after_is_honoured() -> None:
    """What the endpoint asks for is waited at least."""
    error = UnreachableError("busy", retry_after_s=3.0)

    assert make(dice=0.0).after(attempt(error)) == 3.0


def test_a_retry_after_beyond_the_budget_ends_it_at_once() -> None:
    """Nobody waits for what cannot come in time."""
    error = UnreachableError("busy", retry_after_s=60.0)

    assert make(connect_timeout_s=10).after(attempt(error)) is None


@given(dice=st.floats(0, 1, exclude_max=True), fails=st.integers(1, 50))
def test_a_delay_is_never_negative_nor_above_the_longest(dice: float, fails: int) -> None:
    """Whatever the dice say."""
    retries = make(retry_for_s=math.inf, dice=dice)
    retries.after(attempt(opened=True, ready=True, progressed=True))

    for _ in range(fails):
        delay = retries.after(attempt())
        assert delay is not None
        assert 0 <= delay <= LONGEST_DELAY_S


def test_silence_is_not_held_against_an_endpoint_three_times() -> None:
    """It was we who left; an outage has its whole budget, as has an endpoint that is slow to begin again."""
    retries = make(retry_for_s=120, dice=0.0)
    retries.after(attempt(opened=True, ready=True, progressed=True))
    dead = ConnectionLost("no sign of life", code="dead")
    mute = EndpointError("no session.created", code="no_session")

    for now in range(0, 120, 10):
        assert retries.after(attempt(dead if now % 20 else mute, now=now, opened=True)) is not None
    assert retries.after(attempt(mute, now=121, opened=True)) is None


def test_who_never_began_a_session_is_no_endpoint() -> None:
    """Silence after the handshake is final as long as no session was ever ready."""
    assert make().after(attempt(EndpointError("no session.created", code="no_session"), opened=True)) is None


def test_an_endpoint_without_room_is_asked_until_the_budget_ends() -> None:
    """It may still count the session whose connection was lost."""
    retries = make(retry_for_s=120, dice=0.0)
    retries.after(attempt(opened=True, ready=True, progressed=True))
    full = ConnectionLost("closed with 1013", retry_after_s=5.0)

    assert all(retries.after(attempt(full, now=now, opened=True)) is not None for now in range(0, 115, 5))
    assert retries.after(attempt(full, now=116, opened=True)) is None

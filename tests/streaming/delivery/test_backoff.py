"""When to reconnect, and when to give up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import ConnectionLost, EndpointError, RefusedError, RtError, UnreachableError
from rt_cli.streaming.delivery.backoff import LONGEST_DELAY_S, Attempt, Backoff

LOST = ConnectionLost("cut")


def make(*, connect_timeout_s: float = 10, retry_for_s: float = 120, jitter: float = 0.999) -> Backoff:
    """A backoff with a constant jitter."""
    return Backoff(connect_timeout_s=connect_timeout_s, retry_for_s=retry_for_s, began=0.0, jitter=lambda: jitter)


@pytest.mark.parametrize("code", ["rate_limited", "no_room", "session_limit_reached"])
def test_a_full_endpoint_costs_no_budget_while_another_session_will_end(code: str) -> None:
    """Another error costs budget, and so does a full endpoint without another session of this run."""
    full, others = UnreachableError("full", code=code), [True]
    backoff = Backoff(
        connect_timeout_s=10, retry_for_s=120, began=0.0, jitter=lambda: 0.0, wait_for_room=lambda: others[0]
    )
    for now in range(0, 100, 7):
        assert backoff.after(attempt(full, now=now, opened=True)) is not None
    others[0] = False
    assert backoff.after(attempt(full, now=107)) is not None
    assert backoff.after(attempt(full, now=108.1)) is None

    others[0] = True
    backoff = Backoff(connect_timeout_s=10, retry_for_s=120, began=0.0, jitter=lambda: 0.0, wait_for_room=lambda: True)
    assert backoff.after(attempt(now=9.9)) is not None
    assert backoff.after(attempt(now=10.1)) is None


def attempt(
    error: RtError = LOST, *, now: float = 0.0, opened: bool = False, ready: bool = False, progressed: bool = False
) -> Attempt:
    """The end of a connection; by default it never opened."""
    return Attempt(error, now, opened, ready, progressed)


@pytest.mark.parametrize(
    "error",
    [RefusedError("no"), EndpointError("no"), UnreachableError("bad certificate", final=True), RtError("bug")],
    ids=["refused", "endpoint", "certificate", "bug"],
)
def test_final_errors_are_not_retried(error: RtError) -> None:
    """Only transient errors are retried."""
    assert make().after(attempt(error)) is None


def test_the_first_retry_comes_within_a_quarter_of_a_second() -> None:
    """The outage of one packet must not be noticeable."""
    delay = make().after(attempt(ready=True, opened=True, progressed=True))

    assert delay is not None
    assert delay <= 0.25


def test_delays_double_up_to_eight_seconds() -> None:
    """0.25, 0.5, ... 8, 8, with full jitter below each."""
    backoff = make(jitter=1.0)
    delays = [backoff.after(attempt(ready=True, progressed=index == 0)) for index in range(8)]

    assert delays == [0.25, 0.5, 1, 2, 4, 8, 8, 8]


def test_before_the_first_readiness_the_connect_timeout_is_the_budget() -> None:
    """A wrong address fails within the connect timeout."""
    backoff = make(connect_timeout_s=10, jitter=0.0)

    assert backoff.after(attempt(now=9.9)) is not None
    assert backoff.after(attempt(now=10.0)) is None


def test_after_it_each_outage_has_its_own_budget() -> None:
    """The time of an outage starts at the last progress."""
    backoff = make(retry_for_s=120, jitter=0.0)
    assert backoff.after(attempt(now=1000, opened=True, ready=True, progressed=True)) is not None
    assert backoff.after(attempt(now=1119)) is not None
    assert backoff.after(attempt(now=1121)) is None


def test_three_fruitless_connections_in_a_row_are_enough() -> None:
    """An endpoint that accepts sessions and ends them at once is given up soon."""
    backoff = make(jitter=0.0)
    ended = attempt(opened=True, ready=True)

    assert [backoff.after(ended) is None for _ in range(3)] == [False, False, True]


def test_progress_on_each_connection_allows_endless_reconnects() -> None:
    """A loss every two seconds for a day."""
    backoff = make(jitter=0.5)

    assert all(
        backoff.after(attempt(now=2.0 * index, opened=True, ready=True, progressed=True)) is not None
        for index in range(43_200)
    )


def test_failed_openings_do_not_count_as_connections_without_progress() -> None:
    """A network that is down for a minute is an outage, not a defective endpoint."""
    backoff = make(jitter=0.0)
    assert backoff.after(attempt(opened=True, ready=True, progressed=True)) is not None

    assert all(backoff.after(attempt(now=index)) is not None for index in range(100))


def test_retry_after_is_honoured() -> None:
    """Retry-After is the minimum delay."""
    error = UnreachableError("busy", retry_after_s=3.0)

    assert make(jitter=0.0).after(attempt(error)) == 3.0


def test_a_retry_after_beyond_the_budget_ends_it_at_once() -> None:
    """A delay beyond the budget makes no sense."""
    error = UnreachableError("busy", retry_after_s=60.0)

    assert make(connect_timeout_s=10).after(attempt(error)) is None


@given(jitter=st.floats(0, 1, exclude_max=True), fails=st.integers(1, 50))
def test_a_delay_is_never_negative_nor_above_the_longest(jitter: float, fails: int) -> None:
    """For any jitter."""
    backoff = make(retry_for_s=math.inf, jitter=jitter)
    backoff.after(attempt(opened=True, ready=True, progressed=True))

    for _ in range(fails):
        delay = backoff.after(attempt())
        assert delay is not None
        assert 0 <= delay <= LONGEST_DELAY_S


def test_silence_does_not_count_as_a_connection_without_progress() -> None:
    """This side ended the connection: an outage has its whole budget, also for an endpoint that recovers slowly."""
    backoff = make(retry_for_s=120, jitter=0.0)
    backoff.after(attempt(opened=True, ready=True, progressed=True))
    dead = ConnectionLost("no sign of life", code="dead")
    mute = EndpointError("no session.created", code="no_session")

    for now in range(0, 120, 10):
        assert backoff.after(attempt(dead if now % 20 else mute, now=now, opened=True)) is not None
    assert backoff.after(attempt(mute, now=121, opened=True)) is None


def test_no_session_is_final_before_the_first_session() -> None:
    """Silence after the handshake is final until a session was ready once."""
    assert make().after(attempt(EndpointError("no session.created", code="no_session"), opened=True)) is None


def test_a_full_endpoint_is_retried_until_the_budget_ends() -> None:
    """It may still count the session of the lost connection."""
    backoff = make(retry_for_s=120, jitter=0.0)
    backoff.after(attempt(opened=True, ready=True, progressed=True))
    full = ConnectionLost("closed with 1013", retry_after_s=5.0)

    assert all(backoff.after(attempt(full, now=now, opened=True)) is not None for now in range(0, 115, 5))
    assert backoff.after(attempt(full, now=116, opened=True)) is None


def test_what_fails_after_a_hand_over_is_a_new_outage() -> None:
    """However long ago the run began, and although no connection was ever lost before."""
    backoff = make(connect_timeout_s=10, retry_for_s=120)
    backoff.handed_over(3600.0)
    assert backoff.left_s(3600.0) == 120
    assert backoff.after(attempt(now=3610.0)) == pytest.approx(0.25, abs=0.01)
    assert backoff.after(attempt(now=3719.0)) is not None
    assert backoff.after(attempt(now=3720.0)) is None

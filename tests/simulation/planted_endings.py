"""Faults planted into what happens when sessions end, endpoints are slow, and memory is full."""

from __future__ import annotations

import math
from typing import Any

from tests.simulation.plant import plant, replace

RECONNECT, POLICY = "streaming.delivery.reconnect", "protocol.error_policy"
OVERFLOW = "streaming.capture.overflow_policy"


# -- sessions that end ------------------------------------------------------------------------------------------------


@plant
def _expiry_unheeded() -> None:
    """A session is used until it is cut."""
    replace(RECONNECT, "_before_expiry", lambda _old: lambda _link, _ahead_s, _share: math.inf)


@plant
def _expiry_is_fatal() -> None:
    """The error ``session_expired`` ends the run."""

    def make(old: Any) -> Any:
        def classify(error: Any) -> Any:
            from rt_cli.errors import EndpointError

            return EndpointError("the session expired") if error.code == "session_expired" else old(error)

        return classify

    replace(POLICY, "_by_code", make)


@plant
def _end_without_close_is_fatal() -> None:
    """A connection that ends without a close frame ends the run."""

    def make(old: Any) -> Any:
        def from_close(exc: Any, *args: Any, **options: Any) -> Any:
            error = old(exc, *args, **options)
            if exc.rcvd is None:
                error.final = True
            return error

        return from_close

    replace("streaming.transport.connection", "from_close", make)


@plant
def _second_session_demanded() -> None:
    """A run whose next session is refused beside the present one ends."""

    def make(old: Any) -> Any:
        async def wait(self: Any, link: Any) -> Any:
            from rt_cli.errors import EndpointError

            successor = await old(self, link)
            if successor is not None and successor.error is not None and not successor.ready:
                raise EndpointError("no second session")
            return successor

        return wait

    replace(RECONNECT, "Reconnector._wait_for_end", make)


# -- slow endpoints ---------------------------------------------------------------------------------------------------


@plant
def _slow_is_dead() -> None:
    """An endpoint that has not read for an eighth of a second is left."""

    def make(old: Any) -> Any:
        def health(vitals: Any, **options: Any) -> Any:
            slow = vitals.in_flight and vitals.now - vitals.progress_at > 0.125
            return "dead" if slow else old(vitals, **options)

        return health

    replace("streaming.delivery.link", "health", make)


@plant
def _catch_up_ignored() -> None:
    """What waits is sent as fast as it goes."""
    replace("streaming.delivery.next_action", "Allowance.take_now", lambda _old: lambda _self, _samples, _now: True)
    replace("streaming.delivery.next_action", "Allowance.take", lambda _old: lambda _self, _samples, now: now)


@plant
def _beginning_not_reported() -> None:
    """A turn of rt whose first frames were sent before the detector found speech has no beginning."""

    def make(old: Any) -> Any:
        def opens(self: Any, at: int, now: float) -> Any:
            began = old(self, at, now)
            return began if began is not None and began.turn % 3 else None

        return opens

    replace("protocol.session.connection_turns", "ConnectionTurns.speech_opens", make)


# -- endpoints with habits of their own -------------------------------------------------------------------------------


@plant
def _words_by_id_alone() -> None:
    """Words whose turn has another id, or none, belong to nobody."""
    replace(
        "protocol.session.turn_list", "TurnList.find_by_transcript", lambda _old: lambda self, name: self.find(name)
    )


@plant
def _offsets_from_the_start_alone() -> None:
    """Offsets that count from the last commit are taken for those of the session."""

    def make(_old: Any) -> Any:
        return lambda _self, offset, _earliest, sent: min(offset, sent)

    replace("protocol.session.offsets", "Offsets._wire", make)


# -- memory -----------------------------------------------------------------------------------------------------------


@plant
def _limit_ignored() -> None:
    """Any amount of sound may wait in memory."""
    replace(OVERFLOW, "OverflowPolicy.enforce", lambda _old: lambda _self: None)


@plant
def _full_not_said() -> None:
    """Sound that waited for too long is dropped without a word."""
    replace("streaming.capture.gaps", "Gaps.add", lambda _old: lambda _self, _holes: None)


@plant
def _fail_at_any_outage() -> None:
    """``--on-full fail`` does not wait until memory is full."""

    def make(old: Any) -> Any:
        def enforce(self: Any) -> Any:
            waits = self._policy == "fail" and self._tape.captured - self._tape.sent > self._tape.rate_hz
            return self._full_error() if waits else old(self)

        return enforce

    replace(OVERFLOW, "OverflowPolicy.enforce", make)

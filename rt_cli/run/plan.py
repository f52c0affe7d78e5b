"""What can be decided before anything is opened: the endpoint, the key, who makes the turns, the session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rt_cli.errors import EndpointError, UsageError
from rt_cli.keys.fetch import find_key
from rt_cli.protocol.endpoint.endpoint import Trust, choose, resolve, trust_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.protocol.endpoint.endpoint import Choice, Endpoint
    from rt_cli.settings import Settings, TurnDetection

_NOT_YET = "ws://127.0.0.1/v1/realtime"
"""Stands for the embedded endpoint until it listens."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that has its settings, and nothing else yet."""

    choice: Choice
    key: str | None = field(repr=False)
    turns: TurnDetection
    session: dict[str, object]

    @property
    def embedded(self) -> bool:
        """Whether the embedded endpoint is to be started."""
        return self.choice.url is None


def make_plan(settings: Settings, environ: Mapping[str, str]) -> Plan:
    """Decide. Blocks while a key command runs.

    Raises:
        UsageError: Settings that contradict each other or the endpoint.
        RefusedError: The endpoint wants a key, and there is none.
        EndpointError: The embedded endpoint cannot recognise speech here.
    """
    if settings.delivery.max_cost is not None and not settings.endpoint.price_per_minute:
        raise UsageError(
            "--max-cost without a price", "set price_per_minute, in the config file or RT_PRICE_PER_MINUTE"
        )
    choice = choose(settings.endpoint, environ)
    key = None if choice.url is None else find_key(settings.endpoint, choice.url, environ)
    if (trust := trust_of(settings.endpoint)) != Trust():
        from rt_cli.streaming.transport.tls import tls_context

        tls_context(trust)
    endpoint = endpoint_of(settings, choice, key, choice.url or _NOT_YET)
    wanted = settings.session.turn_detection
    if settings.input.ptt:
        wanted = _by_hand(wanted, gate=settings.input.gate)
    turns = endpoint.dialect.turn_detection(endpoint.model, wanted, embedded=endpoint.embedded)
    session = endpoint.dialect.session(settings.session, endpoint.model, turns)
    if endpoint.embedded:
        from rt_cli.server.recognition.registry import unavailable

        if (reason := unavailable()) is not None:
            raise EndpointError(reason, code="no_recognizer")
    return Plan(choice, key, turns, session)


def _by_hand(wanted: TurnDetection | None, *, gate: bool) -> TurnDetection:
    """With push to talk a turn is what is said between two keys, and so ``rt`` makes it."""
    if wanted not in {None, "client"}:
        raise UsageError(f"--ptt makes the turns, not {wanted}", "leave out --turn-detection")
    if gate:
        raise UsageError("both --ptt and --gate say what is sent", "give one of them")
    return "client"


def endpoint_of(settings: Settings, choice: Choice, key: str | None, url: str) -> Endpoint:
    """The endpoint at a URL."""
    return resolve(settings.endpoint, url, key, embedded=choice.url is None)

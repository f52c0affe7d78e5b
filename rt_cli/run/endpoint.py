"""The endpoint of a run, started if it is the embedded one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.events import Noted, Warned
from rt_cli.run.plan import endpoint_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.events import EventHandler
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.run.plan import Plan
    from rt_cli.settings import Settings


@dataclass(frozen=True, slots=True)
class OpenEndpoint:
    """An endpoint that can be connected to."""

    endpoint: Endpoint
    sessions: int | None = None
    """Most sessions at once; None if only the endpoint knows."""


@asynccontextmanager
async def open_endpoint(settings: Settings, plan: Plan, on_event: EventHandler) -> AsyncIterator[OpenEndpoint]:
    """Resolve the endpoint of a plan; the embedded one listens until the block is left.

    Args:
        settings: Of the run.
        plan: Made from these settings.
        on_event: Receives which endpoint it is and why, and warnings about it.

    Raises:
        EndpointError: The embedded endpoint cannot start.
    """
    if plan.choice.url is not None:
        yield OpenEndpoint(_resolved(settings, plan, plan.choice.url, on_event))
        return
    from rt_cli.server.access.limits import Limits
    from rt_cli.server.server import serve

    limits = Limits()
    async with serve(limits=limits) as server:
        on_event(Warned("demo_quality", server.notice))
        yield OpenEndpoint(_resolved(settings, plan, server.url, on_event), limits.sessions)


def _resolved(settings: Settings, plan: Plan, url: str, on_event: EventHandler) -> Endpoint:
    endpoint = endpoint_of(settings, plan.choice, plan.key, url)
    on_event(Noted(f"endpoint: {endpoint.shown} ({plan.choice.reason}), model {endpoint.model}"))
    if endpoint.trust.insecure and endpoint.url.startswith("wss:"):
        warning = "the certificate is not checked (--insecure): whoever is on the way can listen"
        on_event(Warned("insecure", warning))
    return endpoint

"""The endpoint, as the main job would use it: the way there, the session, the round trip."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rt_cli.doctor.finding import Finding, failed
from rt_cli.doctor.machine import proxy_finding
from rt_cli.doctor.network import place_of, proxy_for, reach
from rt_cli.errors import EndpointError, RtError, UsageError
from rt_cli.protocol.codec import decode, session_update_event
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.session.handshake import Handshake
from rt_cli.server.recognition.registry import unavailable
from rt_cli.server.server import serve
from rt_cli.streaming.transport.connection import connect
from rt_cli.streaming.transport.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.doctor.finding import ReportFinding
    from rt_cli.protocol.endpoint.endpoint import Choice, Endpoint
    from rt_cli.settings import Settings
    from rt_cli.streaming.transport.connection import Connection

PINGS = 3
_PING_S = 3.0


@dataclass(frozen=True, slots=True)
class Target:
    """Which endpoint, and with which key."""

    settings: Settings
    choice: Choice
    key: str | None = field(repr=False)
    keyless: bool = False
    """A key is needed and there is none: that was told already, and nothing beyond the way there can be tried."""


async def look_at_endpoint(tell: ReportFinding, target: Target) -> None:
    """Go the whole way to a session that takes audio, and back. No audio is sent."""
    async with _opened(target, tell) as endpoint:
        if endpoint is None:
            return
        tell(Finding("endpoint", "ok", f"{endpoint.shown} ({target.choice.reason}), model {endpoint.model}"))
        if not endpoint.embedded and not await _way(endpoint, tell):
            return
        if not target.keyless:
            await _converse(endpoint, target, tell)


@asynccontextmanager
async def _opened(target: Target, tell: ReportFinding) -> AsyncIterator[Endpoint | None]:
    """The endpoint; the embedded one runs while the block does."""
    settings = target.settings.endpoint
    if target.choice.url is not None:
        yield resolve(settings, target.choice.url, target.key)
        return
    if (reason := unavailable()) is not None:
        tell(failed("endpoint", EndpointError(reason, code="no_recognizer")))
        yield None
        return
    async with serve() as server:
        yield resolve(settings, server.url, None, embedded=True)


async def _way(endpoint: Endpoint, tell: ReportFinding) -> bool:
    """Whether the endpoint, or the proxy before it, can be reached."""
    context = tls_context(endpoint.trust)
    proxy = endpoint.proxy or (None if endpoint.loopback else proxy_for(endpoint.url))
    try:
        place = place_of(proxy or endpoint.url)
    except ValueError:
        fix = "write it like http://HOST:PORT"
        tell(Finding("proxy", "fail", "what is set as the proxy is no URL", fix, UsageError.exit_code))
        return False
    tell(proxy_finding(os.environ, used=proxy))
    # A proxy's clock is of no interest, and this machine's is its own.
    return await reach(place, context, tell, clock=proxy is None and not endpoint.loopback)


async def _converse(endpoint: Endpoint, target: Target, tell: ReportFinding) -> None:
    timeout_s = target.settings.delivery.connect_timeout_s
    began = time.perf_counter()
    try:
        connection = await connect(endpoint, timeout_s=timeout_s)
    except RtError as error:
        tell(failed("websocket", error))
        return
    tell(Finding("websocket", "ok", f"open in {_ms(began)}"))
    try:
        began = time.perf_counter()
        async with asyncio.timeout(timeout_s):
            await _configure(connection, endpoint, target.settings)
        tell(Finding("session", "ok", f"takes audio after {_ms(began)}"))
        tell(await _round_trip(connection))
    except TimeoutError:
        detail = f"not configured within {timeout_s:g} s"
        tell(
            Finding("session", "fail", detail, "is it an OpenAI-compatible realtime endpoint?", EndpointError.exit_code)
        )
    except RtError as error:
        tell(failed("session", error))
    finally:
        await connection.close()


async def _configure(connection: Connection, endpoint: Endpoint, settings: Settings) -> None:
    """The first words, to where audio would be sent. Raises what the endpoint has against them."""
    dialect, setup, said = endpoint.dialect, Handshake(), False
    turns = dialect.turn_detection(endpoint.model, settings.session.turn_detection, embedded=endpoint.embedded)
    session = dialect.session(settings.session, endpoint.model, turns)
    while not setup.configured:
        error = setup.receive(decode(await connection.receive(setup.last_error)))
        if error is not None:
            raise error
        if setup.greeted and not said:
            said = True
            await connection.send([session_update_event(session, "rt_doctor")])


async def _round_trip(connection: Connection) -> Finding:
    times = []
    try:
        async with asyncio.timeout(_PING_S):
            for _ in range(PINGS):
                began = time.perf_counter()
                await (await connection.ping())
                times.append(time.perf_counter() - began)
    except TimeoutError:
        detail = f"no answer to a ping within {_PING_S:g} s: what is acknowledged is known by its events alone"
        return Finding("round trip", "warn", detail)
    return Finding("round trip", "ok", f"{min(times) * 1000:.1f} ms, the best of {PINGS}")


def _ms(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.0f} ms"

"""Check the endpoint in the same way as a run: network, session, round trip."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rt_cli.doctor.finding import Finding, error_finding
from rt_cli.doctor.machine import proxy_finding
from rt_cli.doctor.network import check_connection, host_port_of, proxy_for
from rt_cli.errors import EndpointError, RtError, UsageError
from rt_cli.protocol.codec import decode, session_update_event
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.session.handshake import UPDATE_ID, Handshake, no_updated, updated_within_s
from rt_cli.protocol.session.readback import MAKES_TURNS, Readback, read_back
from rt_cli.server.recognition.registry import check_words, choose_engine
from rt_cli.server.server import serve
from rt_cli.streaming.transport.connection import connect
from rt_cli.streaming.transport.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rt_cli.doctor.finding import ReportFinding
    from rt_cli.protocol.endpoint.endpoint import Choice, Endpoint
    from rt_cli.settings import Settings
    from rt_cli.streaming.transport.connection import Connection

PINGS = 3
_PING_S = 3.0


@dataclass(frozen=True, slots=True)
class Target:
    """The endpoint to check, and its key."""

    settings: Settings
    choice: Choice
    key: str | None = field(repr=False)
    keyless: bool = False
    """A required key is missing. The key check reports that; here only the network can be checked."""


async def check_endpoint(report: ReportFinding, target: Target) -> None:
    """Open a session up to the point where it takes audio, and measure the round trip. Sends no audio."""
    async with _open_endpoint(target, report) as endpoint:
        if endpoint is None:
            return
        report(Finding("endpoint", "ok", f"{endpoint.shown} ({target.choice.reason}), model {endpoint.model}"))
        if not endpoint.embedded and not await _check_network(endpoint, report):
            return
        if not target.keyless:
            await _check_session(endpoint, target, report)


@asynccontextmanager
async def _open_endpoint(target: Target, report: ReportFinding) -> AsyncIterator[Endpoint | None]:
    """Yield the endpoint; None if it cannot be used. Runs the embedded endpoint during the block."""
    settings = target.settings.endpoint
    if target.choice.url is not None:
        yield resolve(settings, target.choice.url, target.key)
        return
    try:
        check_words(recognizer := choose_engine())
    except EndpointError as error:
        report(error_finding("endpoint", error))
        yield None
        return
    async with serve(recognizer=str(recognizer)) as server:
        yield resolve(settings, server.url, None, embedded=True, embedded_model=recognizer.kind)


async def _check_network(endpoint: Endpoint, report: ReportFinding) -> bool:
    """Check the network up to the endpoint, or up to its proxy. True if it is reachable."""
    context = tls_context(endpoint.trust)
    proxy = endpoint.proxy or (None if endpoint.loopback else proxy_for(endpoint.url))
    try:
        host_port = host_port_of(proxy or endpoint.url)
    except ValueError:
        fix = "write it like http://HOST:PORT"
        report(Finding("proxy", "fail", "what is set as the proxy is no URL", fix, UsageError.exit_code))
        return False
    report(proxy_finding(os.environ, proxy=proxy))
    # The clock of a proxy does not matter, and a loopback endpoint has the clock of this machine.
    return await check_connection(host_port, context, report, clock=proxy is None and not endpoint.loopback)


async def _check_session(endpoint: Endpoint, target: Target, report: ReportFinding) -> None:
    timeout_s = target.settings.delivery.connect_timeout_s
    began = time.perf_counter()
    try:
        connection = await connect(endpoint, timeout_s=timeout_s)
    except RtError as error:
        report(error_finding("websocket", error))
        return
    report(Finding("websocket", "ok", f"open in {_elapsed(began)}"))
    try:
        report(await _configure(connection, endpoint, target.settings))
        report(await _round_trip(connection))
    except TimeoutError:
        detail = f"not configured within {timeout_s:g} s"
        report(
            Finding("session", "fail", detail, "is it an OpenAI-compatible realtime endpoint?", EndpointError.exit_code)
        )
    except RtError as error:
        report(error_finding("session", error))
    finally:
        await connection.close()


async def _configure(connection: Connection, endpoint: Endpoint, settings: Settings) -> Finding:
    """Run the handshake up to the point where audio may be sent, and compare the answer with what was asked.

    Raises:
        RtError: The endpoint refuses the session, or changes it.
        TimeoutError: It does not greet; at an endpoint whose protocol is known, it does not answer.
    """
    dialect, handshake, began = endpoint.dialect, Handshake(), time.perf_counter()
    turns = dialect.turn_detection(endpoint.model, settings.session.turn_detection, embedded=endpoint.embedded)
    session = dialect.session(settings.session, endpoint.model, turns)
    timeout_s = settings.delivery.connect_timeout_s
    async with asyncio.timeout(timeout_s):
        await _receive_until(lambda: handshake.greeted, connection, handshake)
        await connection.send([session_update_event(session, UPDATE_ID)])
        if endpoint.known:
            await _receive_until(lambda: handshake.configured, connection, handshake)
    within_s = updated_within_s(timeout_s)
    try:
        async with asyncio.timeout(within_s):
            await _receive_until(lambda: handshake.configured, connection, handshake)
    except TimeoutError:
        return Finding("session", "warn", no_updated(within_s))
    answer = Readback() if handshake.effective is None else read_back(session, handshake.effective)
    if answer.error is not None:
        raise answer.error
    if answer.endpoint_makes_turns:
        return Finding("session", "warn", MAKES_TURNS)
    return Finding("session", "ok", f"takes audio after {_elapsed(began)}")


async def _receive_until(reached: Callable[[], bool], connection: Connection, handshake: Handshake) -> None:
    """Receive events up to a step of the handshake. Raises the errors of the endpoint."""
    while not reached():
        error = handshake.receive(decode(await connection.receive(handshake.last_error)))
        if error is not None:
            raise error


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


def _elapsed(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.0f} ms"

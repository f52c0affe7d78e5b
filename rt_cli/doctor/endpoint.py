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
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.endpoint.negotiation import Negotiation
from rt_cli.protocol.session.handshake import Handshake
from rt_cli.protocol.session.readback import MAKES_TURNS, Readback, read_back
from rt_cli.server.recognition.registry import check_words, choose_engine
from rt_cli.server.server import serve
from rt_cli.streaming.delivery.configure import configure
from rt_cli.streaming.transport.connection import connect
from rt_cli.streaming.transport.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rt_cli.doctor.finding import ReportFinding
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.protocol.endpoint.endpoint import Choice, Endpoint
    from rt_cli.protocol.endpoint.negotiation import Proposal
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
        model = f", model {endpoint.model}" if endpoint.model else ""
        report(Finding("endpoint", "ok", f"{endpoint.shown} ({target.choice.reason}){model}"))
        if not endpoint.embedded and not await _check_network(endpoint, report):
            return
        if not target.keyless:
            await _check_session(endpoint, target, report)


@asynccontextmanager
async def _open_endpoint(target: Target, report: ReportFinding) -> AsyncIterator[Endpoint | None]:
    """Yield the endpoint; None if it cannot be used. Runs the embedded endpoint during the block."""
    settings = target.settings.endpoint
    if target.choice.url is not None:
        yield resolve(settings, target.choice.url, target.key, session_type=target.settings.session.session_type)
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
    settings = target.settings
    try:
        session = endpoint.request(settings.session, settings.session.turn_detection)
    except RtError as error:
        report(error_finding("session", error))
        return
    negotiation = Negotiation(endpoint.with_query(session.query), session, settings.session)
    while True:
        proposal, attempt = negotiation.proposal, _Attempt()
        await attempt.run(proposal, settings.delivery.connect_timeout_s)
        failure = attempt.failure
        if failure is None or negotiation.after(proposal, failure, attempt.handshake.last_error) is None:
            break
    for finding in attempt.findings:
        report(finding)
    if failure is not None:
        report(error_finding("session" if attempt.findings else "websocket", negotiation.cause(failure)))
        return
    for _code, message in negotiation.accepted(proposal):
        report(Finding("session", "warn", message))


class _Attempt:
    """One connection, up to the point where the endpoint takes audio."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.failure: RtError | None = None
        self.handshake = Handshake()

    async def run(self, proposal: Proposal, timeout_s: float) -> None:
        """Proposal for a session. Cancellation closes the connection."""
        began = time.perf_counter()
        try:
            connection = await connect(proposal.endpoint, timeout_s=timeout_s)
        except RtError as error:
            self.failure = error
            return
        self.findings.append(Finding("websocket", "ok", f"open in {_elapsed(began)}"))
        try:
            self.findings.append(await self._configure(connection, proposal, timeout_s))
            self.findings.append(await _round_trip(connection))
        except RtError as error:
            self.failure = error
        finally:
            await connection.close()

    async def _configure(self, connection: Connection, proposal: Proposal, timeout_s: float) -> Finding:
        """Run the handshake up to the point where audio may be sent, and compare the answer with what was asked.

        Raises:
            RtError: The endpoint does not answer, refuses the session, or changes it.
        """
        began, dialect = time.perf_counter(), proposal.endpoint.dialect
        codec, handshake = dialect.codec(proposal.request), Handshake(greets=dialect.greets)
        self.handshake = handshake
        warning = await configure(
            handshake,
            proposal.endpoint,
            codec,
            send=lambda message: connection.send([message]),
            until=lambda reached: _receive_until(reached, connection, codec, handshake),
            timeout_s=timeout_s,
        )
        if warning is not None:
            return Finding("session", "warn", warning)
        answer = Readback() if handshake.effective is None else read_back(proposal.request, handshake.effective)
        if answer.error is not None:
            raise answer.error
        if answer.endpoint_makes_turns:
            return Finding("session", "warn", MAKES_TURNS)
        return Finding("session", "ok", f"takes audio after {_elapsed(began)}")


async def _receive_until(
    reached: Callable[[], bool], connection: Connection, codec: Codec, handshake: Handshake
) -> None:
    """Receive events up to a step of the handshake. Raises the errors of the endpoint."""
    while not reached():
        for event in codec.decode(await connection.receive(handshake.last_error)):
            if (error := handshake.receive(event)) is not None:
                raise error


async def _round_trip(connection: Connection) -> Finding:
    times = []
    try:
        async with asyncio.timeout(_PING_S):
            for _ in range(PINGS):
                began = time.perf_counter()
                await connection.round_trip()
                times.append(time.perf_counter() - began)
    except TimeoutError:
        detail = f"no answer to a ping within {_PING_S:g} s: what is acknowledged is known by its events alone"
        return Finding("round trip", "warn", detail)
    return Finding("round trip", "ok", f"{min(times) * 1000:.1f} ms, the best of {PINGS}")


def _elapsed(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.0f} ms"

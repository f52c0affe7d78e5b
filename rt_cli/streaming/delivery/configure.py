"""The handshake of a session over an open connection; a run and ``rt doctor`` do it by this code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rt_cli.errors import EndpointError
from rt_cli.protocol.endpoint.negotiation import OtherDialectError
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.protocol.session.handshake import UPDATE_ID, no_updated, updated_within_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.protocol.session.handshake import Handshake


_MORE_WITHIN_S = 1.0


async def configure(
    handshake: Handshake,
    endpoint: Endpoint,
    codec: Codec,
    *,
    send: Callable[[bytes], Awaitable[None]],
    until: Callable[[Callable[[], bool]], Awaitable[None]],
    timeout_s: float,
) -> str | None:
    """Configure the endpoint before any audio is sent.

    Args:
        handshake: Of this connection; ``until`` lets it receive the events of the endpoint.
        endpoint: Of this connection.
        codec: Of this connection.
        send: Sends a message that is not audio.
        until: Waits until a condition of the handshake holds.
        timeout_s: Limit for the greeting, and for the answer of an endpoint whose protocol is known in full.

    Returns:
        What to say if the endpoint gave no answer and audio is sent all the same; else None.

    Raises:
        EndpointError: No greeting, no answer, or the greeting of another dialect. Cancellation takes effect at once;
            what was sent stays sent.
    """
    expected = "session.created"
    try:
        async with asyncio.timeout(timeout_s):
            await until(lambda: handshake.greeted or _other_dialect(endpoint, handshake) is not None)
            if not handshake.greeted:
                await _wait_for_more(handshake, until)
            if (other := _other_dialect(endpoint, handshake)) is not None:
                raise OtherDialectError(other)
            expected = "session.updated"
            for message in codec.session_messages(UPDATE_ID):
                await send(message)
            if not endpoint.dialect.confirms:
                handshake.configured = True
                return None
            if endpoint.known:
                await until(lambda: handshake.configured)
    except TimeoutError:
        raise _no_answer(expected, timeout_s, handshake) from None
    within_s = updated_within_s(timeout_s)
    try:
        async with asyncio.timeout(within_s):
            await until(lambda: handshake.configured)
    except TimeoutError:
        handshake.configured = True
        return no_updated(within_s)
    return None


async def _wait_for_more(handshake: Handshake, until: Callable[[Callable[[], bool]], Awaitable[None]]) -> None:
    """Wait a moment for a greeting that may follow what looks like that of another dialect."""
    try:
        async with asyncio.timeout(_MORE_WITHIN_S):
            await until(lambda: handshake.greeted)
    except TimeoutError:
        return


def _other_dialect(endpoint: Endpoint, handshake: Handshake) -> str | None:
    """Return the dialect of an endpoint that nobody named; None where ours will do."""
    dialect, other = endpoint.dialect, handshake.looks_like
    if other is None or not dialect.negotiates or endpoint.known:
        return None
    # The others speak enough of OpenAI's protocol for a conversation.
    return other if dialect.transcribes or other == "vllm" else None


def _no_answer(expected: str, timeout_s: float, handshake: Handshake) -> EndpointError:
    error = handshake.last_error
    detail = f", but said: {masked(printable(error.message or error.code))}" if error else ""
    return EndpointError(
        f"the endpoint sent no {expected} within {timeout_s:g} s{detail}",
        "is it an OpenAI-compatible realtime endpoint?",
        code="no_session",
    )

"""Attacks before the end of the TLS handshake."""

from __future__ import annotations

import asyncio
import ssl

from rt_cli.server.access.limits import Limits
from rt_cli.server.access.tls import server_context
from rt_cli.server.server import serve
from tests.fakes import run
from tests.server.test_attacks import good_client, raw
from tests.servers import CERTIFICATE


def test_half_open_tls_counts_as_a_handshake() -> None:
    """Before and in the middle of the TLS handshake, and behind it: the oldest are cut, and a good client gets in."""

    async def scenario() -> int:
        tls = server_context(CERTIFICATE, None)
        trusting = ssl.create_default_context(cafile=CERTIFICATE)
        async with serve(recognizer="none", tls=tls, limits=Limits(handshakes=20, handshake_s=60)) as server:
            half_open = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(200)]
            for _, writer in half_open[::2]:
                writer.write(b"\x16\x03\x01")
            await asyncio.gather(*(reader.read() for reader, _ in half_open[:-20]))  # cut: each reads EOF
            alive = [reader for reader, _ in half_open if not reader.at_eof()]
            behind = [
                await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting, server_hostname="localhost")
                for _ in range(30)
            ]
            await asyncio.gather(*(reader.read() for reader, _ in behind[:-20]))
            await good_client(server, ssl=trusting, server_hostname="localhost")
            for _, writer in (*half_open, *behind):
                writer.close()
            return len(alive)

    assert run(scenario()) == 20


def test_slow_loris_over_tls() -> None:
    """An incomplete handshake is cut at the deadline, without an answer."""

    async def scenario() -> bytes:
        tls = server_context(CERTIFICATE, None)
        trusting = ssl.create_default_context(cafile=CERTIFICATE)
        async with serve(recognizer="none", tls=tls, limits=Limits(handshake_s=0.3)) as server:
            said = await raw(server, b"\x16\x03\x01")
        async with serve(recognizer="none", tls=tls) as server:
            await good_client(server, ssl=trusting, server_hostname="localhost")
            return said

    assert run(scenario()) == b""

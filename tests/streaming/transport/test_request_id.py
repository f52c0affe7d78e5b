"""The endpoint's own name of a connection, from the headers of its handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.server import ServerConnection, serve

from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import EndpointSettings
from rt_cli.streaming.transport.connection import connect
from tests.fakes import run

if TYPE_CHECKING:
    from websockets.http11 import Request, Response


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"X-Request-Id": "req_1"}, "req_1", id="OpenAI"),
        pytest.param({"apim-request-id": "a-b"}, "a-b", id="Azure"),
        pytest.param({"X-Request-Id": "r" * 2000}, "r" * 200, id="of a reasonable length"),
    ],
)
def test_table(headers: dict[str, str], request_id: str | None) -> None:
    """Whichever header the endpoint has."""

    def answer(_connection: ServerConnection, _request: Request, response: Response) -> Response:
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def scenario() -> str | None:
        async with serve(lambda peer: peer.wait_closed(), "127.0.0.1", 0, process_response=answer) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            connection = await connect(resolve(EndpointSettings(), url, None), timeout_s=5)
            await connection.close()
            return connection.request_id

    assert run(scenario()) == request_id

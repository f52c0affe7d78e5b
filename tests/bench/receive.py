"""What it costs to receive 100 ms of audio: ``python tests/bench/receive.py CLIENT URL COUNT``.

``rt`` plays nothing yet: it reads the event's type and skips its audio, as do those of its users who want words. Its
row ``rt+audio`` decodes the base64 as well, as all the others do.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.peers import SESSION

DELTA = "response.output_audio.delta"


async def receive_rt(url: str, count: int, *, audio: bool = False) -> None:
    """Connection and decoder of this project."""
    import msgspec
    import pybase64

    from rt_cli.protocol.endpoint.endpoint import resolve
    from rt_cli.protocol.openai.decode import decode
    from rt_cli.protocol.openai.encode import session_update_event
    from rt_cli.protocol.server_events import Ignored
    from rt_cli.settings import EndpointSettings
    from rt_cli.streaming.transport.connection import connect

    class Delta(msgspec.Struct):
        delta: str

    read = msgspec.json.Decoder(Delta).decode
    connection = await connect(resolve(EndpointSettings(url=url), url, None), timeout_s=10)
    await connection.send([session_update_event(SESSION, "first")])
    while count:
        message = await connection.receive()
        event = decode(message)
        if isinstance(event, Ignored) and event.type == DELTA:
            if audio:
                pybase64.b64decode(read(message).delta)
            count -= 1
    await connection.close()


async def receive_naive(url: str, count: int) -> None:
    """``websockets``, ``json`` and ``base64``."""
    from websockets.asyncio.client import connect

    async with connect(url, compression=None) as websocket:
        await websocket.send(json.dumps({"type": "session.update", "session": SESSION}))
        while count:
            event = json.loads(await websocket.recv())
            if event["type"] == DELTA:
                base64.b64decode(event["delta"])
                count -= 1


async def receive_openai(url: str, count: int) -> None:
    """The official client."""
    from openai import AsyncOpenAI

    base, query = url.split("?")
    client = AsyncOpenAI(api_key="none", websocket_base_url=base.removesuffix("/realtime"))
    deltas = {"deltas": query.partition("=")[2]}
    async with client.realtime.connect(model="whisper-1", extra_query=deltas) as connection:
        await connection.session.update(session=SESSION)  # type: ignore[arg-type] # a typed dict of theirs
        async for event in connection:
            if event.type == DELTA:
                base64.b64decode(event.delta)
                count -= 1
                if not count:
                    return


async def main(client: str, url: str, count: int) -> None:
    """Request this much audio, and read it."""
    url = f"{url}?deltas={count}"
    if client.startswith("rt"):
        await receive_rt(url, count, audio=client == "rt+audio")
    else:
        await {"naive": receive_naive, "openai": receive_openai}[client](url, count)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

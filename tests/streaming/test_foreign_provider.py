"""A provider with other events and binary audio needs a dialect and its line in the registry, and nothing else."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from rt_cli.clock import SystemClock
from rt_cli.doctor.endpoint import Target, check_endpoint
from rt_cli.protocol.dialects import DIALECTS
from rt_cli.protocol.endpoint.endpoint import choose, resolve
from rt_cli.settings import EndpointSettings, Settings
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer
from tests.exact import RATE, judge, read_back, turns
from tests.fakes import run
from tests.protocol.dialects.foreign import FOREIGN, LONGEST_MESSAGE
from tests.streaming.harness import MemorySource, Run, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.doctor.finding import Finding
    from rt_cli.events import Event


class ForeignServer:
    """Transcribes exact speech; a segment ends with the pause that the URL asks for, or with the end of the stream.

    Args:
        cut_after: Samples after which the first connection is cut; None for no cut.
        deaf: It never answers the end of the stream but closes.
    """

    def __init__(self, cut_after: int | None = None, *, deaf: bool = False) -> None:
        self.url = ""
        self.queries: list[dict[str, list[str]]] = []
        self.texts: list[str] = []
        self.longest = 0
        self._cut_after = cut_after
        self._deaf = deaf

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ForeignServer]:
        """Listen during the block."""
        async with serve(self._call, "127.0.0.1", 0, compression=None) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _call(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        query = parse_qs(urlsplit(connection.request.path).query)
        self.queries.append(query)
        pause = int(query["pause"][0]) * RATE // 1000
        heard, told, cut_after = np.zeros(0, "<i2"), 0, self._cut_after if len(self.queries) == 1 else None
        segment = 0
        try:
            async for message in connection:
                if isinstance(message, bytes):
                    self.longest = max(self.longest, len(message))
                    heard = np.concatenate((heard, np.frombuffer(message, "<i2")))
                else:
                    self.texts.append(message)
                ended = isinstance(message, str)
                while (found := segment_of(heard, told, pause, ended=ended)) is not None:
                    start, end, complete = found
                    if not complete:
                        await self._tell(connection, segment, start, end, heard, last=False)
                        break
                    await self._tell(connection, segment, start, end, heard, last=True)
                    segment, told = segment + 1, end
                if cut_after is not None and heard.size > cut_after:
                    connection.transport.abort()
                if ended:
                    if not self._deaf:
                        await connection.send(json.dumps({"finished": True}))
                    await connection.close()
        except ConnectionClosed:
            return

    async def _tell(
        self, connection: ServerConnection, segment: int, start: int, end: int, heard: np.ndarray, *, last: bool
    ) -> None:
        spoken = heard[start:end]
        words = read_back(spoken[: spoken.size // 2 * 2])
        fields = {"segment": segment, "from": start / RATE, "to": end / RATE, "words": words, "last": last}
        await connection.send(json.dumps(fields))


def segment_of(heard: np.ndarray, told: int, pause: int, *, ended: bool) -> tuple[int, int, bool] | None:
    """Start, end and completeness of the first segment after ``told``; None without one."""
    loud = np.flatnonzero(heard[told:])
    if not loud.size:
        return None
    gaps = np.flatnonzero(np.diff(loud) > pause)
    end = loud[gaps[0]] if gaps.size else loud[-1]
    complete = bool(gaps.size) or ended or heard.size - told - 1 - end >= pause
    return told + int(loud[0]), told + int(end) + 1, complete


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line in the registry."""
    monkeypatch.setitem(DIALECTS, FOREIGN.name, FOREIGN)


async def stream(server: ForeignServer, pcm: bytes) -> Run:
    """Send the sound, and return the run."""
    outcome, chosen = Run(), settings()
    named = EndpointSettings(url=server.url, dialect="foreign")
    endpoint = resolve(named, server.url, "secret")
    session = endpoint.dialect.request(chosen.session, endpoint.model, None, embedded=False)

    async def opened(*_: object) -> MemorySource:
        return MemorySource(pcm)

    def on_event(event: Event) -> None:
        outcome.events.append(event)

    job = Job("memory", opened, endpoint.with_query(session.query), session, chosen)
    outcome.ended = await Streamer(job, SystemClock(), on_event).run()
    return outcome


@pytest.mark.parametrize("trailing", [True, False], ids=["closed by silence", "closed by the end of the stream"])
@pytest.mark.parametrize("deaf", [False, True], ids=["answered", "closed"])
def test_words_come_through(*, trailing: bool, deaf: bool) -> None:
    """Every sample once, at its place; the last turn closes without a commit."""

    async def check() -> None:
        pcm, spans = turns(4)
        if not trailing:
            pcm = pcm[: -(400 * RATE // 1000) * 2]
        async with ForeignServer(deaf=deaf).serving() as server:
            outcome = await stream(server, pcm)
        assert outcome.summary.exit == 0
        assert judge([final.text for final in outcome.finals], spans).perfect
        assert [final.start_ms for final in outcome.finals] == [0, 1000, 2000, 3000]
        assert server.queries == [{"rate": ["24000"], "model": ["ears"], "pause": ["200"]}]
        assert [list(json.loads(text)) for text in server.texts] == [["finish"]]
        assert 0 < server.longest <= LONGEST_MESSAGE

    run(check())


def test_a_cut_loses_and_doubles_nothing() -> None:
    """The promise is kept behind any codec."""

    async def check() -> None:
        pcm, spans = turns(5)
        async with ForeignServer(cut_after=int(1.9 * RATE)).serving() as server:
            outcome = await stream(server, pcm)
        assert len(server.queries) == 2
        assert outcome.summary.exit == 0
        assert judge([final.text for final in outcome.finals], spans).perfect

    run(check())


def test_doctor_knows_it_too() -> None:
    """By the handshake of a run: nothing to wait for."""

    async def check() -> None:
        findings: list[Finding] = []
        async with ForeignServer().serving() as server:
            chosen = Settings(endpoint=EndpointSettings(url=server.url, dialect="foreign"))
            await check_endpoint(findings.append, Target(chosen, choose(chosen.endpoint, {}), None))
        assert {finding.check: finding.status for finding in findings if finding.check in {"websocket", "session"}} == {
            "websocket": "ok",
            "session": "ok",
        }
        assert server.queries == [{"rate": ["24000"], "model": ["ears"], "pause": ["500"]}]

    run(check())

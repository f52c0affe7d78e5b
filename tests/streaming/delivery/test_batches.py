"""Chunks sent together: the same messages, the same window, the same pings as one by one."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.protocol.openai.encode import append_event, append_events
from rt_cli.streaming.delivery.next_action import Allowance, ChunkSizes, Send, decide
from rt_cli.streaming.delivery.sender import Sender
from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import FakeClock, Peer, run
from tests.habits import Habits
from tests.streaming import harness

RATE = 24_000


@given(st.binary(max_size=600), st.integers(1, 100))
def test_messages_hold_all_audio_in_order(pcm: bytes, size: int) -> None:
    """Each message is as it would be alone."""
    messages = append_events(pcm, size)
    assert b"".join(b64decode(msgspec.json.decode(message)["audio"]) for message in messages) == pcm
    assert messages == [append_event(pcm[at : at + size]) for at in range(0, len(pcm), size)]


@given(
    more=st.integers(0, 5000),
    closes=st.none() | st.integers(1, 5000),
    usual=st.integers(1, 400),
    most=st.integers(400, 3000),
    ended=st.booleans(),
)
def test_alike_matches_single_decisions(more: int, closes: int | None, usual: int, most: int, *, ended: bool) -> None:
    """As many whole chunks as fit before the close, the end, or the known position."""
    sizes = ChunkSizes(usual, usual) if most % 2 else ChunkSizes(usual, most)
    step = decide(sent=0, known=more, captured=more, ended=ended, closes=closes, sizes=sizes)
    if isinstance(step, Send):
        limit = more if closes is None else min(more, closes)
        assert (step.alike + 1) * step.samples <= limit < (step.alike + 2) * step.samples


@pytest.mark.parametrize(("chunk_ms", "largest"), [(None, 2 * RATE), (20, 480)], ids=["by itself", "as asked"])
def test_chunks_of_a_batch_are_one_message(monkeypatch: pytest.MonkeyPatch, chunk_ms: int | None, largest: int) -> None:
    """Up to a quarter of the window, once the endpoint reads fast; not with a configured chunk size."""
    monkeypatch.setattr(harness, "BLOCK", 2 * 20 * RATE)
    pcm, spans = turns(100)
    chosen = harness.settings()
    chosen = replace(chosen, input=replace(chosen.input, chunk_ms=chunk_ms))

    async def scenario() -> None:
        async with ExactEndpoint(Habits()).serving() as endpoint:
            done = await harness.stream(endpoint.url, harness.MemorySource(pcm), chosen)
        assert judge([final.text for final in done.finals], spans).perfect
        [call] = endpoint.calls
        assert b"".join(call.audio) == pcm
        assert max(len(message) // 2 for message in call.audio) == largest

    run(scenario())


@pytest.mark.parametrize(("rate", "unlimited"), [(float("inf"), True), (48_000, False)])
def test_only_an_unlimited_allowance_makes_batches(rate: float, *, unlimited: bool) -> None:
    """With a limit each chunk has its own time."""
    assert Allowance(now=0, rate=rate, burst=100).unlimited is unlimited


def test_a_batch_fills_the_window_and_no_more() -> None:
    """Without pongs batches of a quarter of the window send as much as single chunks, with a ping every half of it."""

    async def scenario() -> None:
        peer = Peer()
        peer.answers = False
        sender = Sender(peer, FakeClock(), rate_hz=RATE)
        chunk, written = 480, 0

        async def flood() -> None:
            nonlocal written
            async with sender.stream():
                while True:
                    await sender.room(chunk)
                    count = max(1, sender.spare // chunk)
                    await sender.audio([b"x"] * count, count * chunk)
                    written += count

        flooding = asyncio.create_task(flood())
        for _ in range(100):
            await asyncio.sleep(0)
        assert sender.in_flight == sender.window == written * chunk
        assert len(peer.pongs) == 2, "one for each half"
        for pong in peer.pongs[:1]:
            pong.set_result(None)
        for _ in range(20):
            await asyncio.sleep(0)
        assert sender.acknowledged == sender.window // 2
        assert sender.in_flight == sender.window
        flooding.cancel()
        await asyncio.wait((flooding,))

    run(scenario())


def test_a_ping_without_waiting_takes_no_loop_iteration() -> None:
    """If the transport writes the ping at once, its pong counts all the same."""

    async def scenario() -> None:
        peer = Peer()
        peer.answers = False
        sender = Sender(peer, FakeClock(), rate_hz=RATE)
        sending = sender.audio([b"audio"], RATE)
        with pytest.raises(StopIteration):
            sending.send(None)  # a coroutine run by hand, to its first wait
        assert peer.log == [b"audio", b"ping"]
        peer.pongs[0].set_result(None)
        await asyncio.sleep(0)
        assert sender.acknowledged == RATE

    run(scenario())

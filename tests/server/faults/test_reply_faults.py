"""Faults in the middle of replies, observed by a real client that recognises every sample."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from rt_cli.server.faults.grammar import parse
from rt_cli.server.replies.counted import find_runs
from rt_cli.server.replies.registry import open_replier
from tests.fakes import run
from tests.server.client import Client, endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DELTA = "response.output_audio.delta"
TEXT = "abcdefghijklmnopqrst"
"""20 characters: 1200 ms in 6 pieces of 200 ms."""
PIECE = 4_800
TOOL = {"type": "function", "name": "clock"}
Pieces = list[tuple[int, int]]
"""First sample and number of samples, of each run."""


@asynccontextmanager
async def client(*specs: str, speed: float = float("inf"), text: str = TEXT) -> AsyncIterator[Client]:
    """A client in a conversation with an endpoint with these faults."""
    async with (
        open_replier("counted", reply_text=text, speed=speed) as replier,
        endpoint("", replier=replier, faults=parse(specs)) as connected,
    ):
        await connected.converse()
        yield connected


async def respond(connected: Client) -> dict[str, Any]:
    """One response, to its end."""
    await connected.send("response.create")
    done: dict[str, Any] = (await connected.until("response.done"))["response"]
    return done


def sound(connected: Client) -> bytes:
    """All sound of replies so far."""
    return b"".join(base64.b64decode(event["delta"]) for event in connected.of(DELTA))


def pieces(connected: Client) -> Pieces:
    """The runs in the sound so far; all of it must be counted samples."""
    runs = find_runs(sound(connected))
    assert sum(run_.samples for run_ in runs) * 2 == len(sound(connected))
    return [(run_.first, run_.samples) for run_ in runs]


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ("omit=output_audio.delta%3", [(0, 2 * PIECE), (3 * PIECE, 2 * PIECE)]),
        ("dup=output_audio.delta%4", [(0, 4 * PIECE), (3 * PIECE, 3 * PIECE)]),
        (
            "reorder=output_audio.delta",
            [(PIECE * at, PIECE) for at in (1, 0, 3, 2, 5, 4)],
        ),
        ("delay=output_audio.delta:100ms%2", [(0, 6 * PIECE)]),
        ("omit=output_audio.delta@reply1:600ms", [(0, 3 * PIECE)]),
        ("omit=output_audio.delta@reply1:600ms delay=200ms", [(0, 3 * PIECE)]),
        ("omit=output_audio.delta@reply2", [(0, 6 * PIECE)]),
        ("dup=output_audio.deltax1@reply1:600ms", [(0, 4 * PIECE), (3 * PIECE, 3 * PIECE)]),
    ],
)
def test_sound_of_a_reply(specs: str, expected: Pieces) -> None:
    """Which samples arrive, in which order: known to the sample, though the whole reply is one burst."""

    async def scenario() -> Pieces:
        async with client(*specs.split()) as connected:
            assert (await respond(connected))["status"] == "completed"
            while len(sound(connected)) < 2 * sum(samples for _, samples in expected):
                await connected.until(DELTA)  # a delayed delta comes after the end
            await connected.barrier()
            return pieces(connected)

    assert run(scenario()) == expected


@pytest.mark.parametrize("moment", ["reply1:400ms", "reply1:350ms"])
def test_the_connection_is_cut_in_a_reply(moment: str) -> None:
    """Everything up to the piece in which the moment is has arrived, and nothing after it."""

    async def scenario() -> Pieces:
        async with client(f"drop=fin@{moment}") as connected:
            with pytest.raises(ConnectionClosed):
                await respond(connected)
            return pieces(connected)

    assert run(scenario()) == [(0, 2 * PIECE)]


def test_the_connection_is_cut_as_the_second_reply_begins() -> None:
    """The first reply is whole, of the second there is only its first event."""

    async def scenario() -> Client:
        async with client("drop=fin@reply2") as connected:
            await respond(connected)
            with pytest.raises(ConnectionClosed):
                await respond(connected)
            return connected

    connected = run(scenario())
    assert pieces(connected) == [(0, 6 * PIECE)]
    assert connected.seen[-1]["type"] == "response.created"


def test_a_reply_is_cut_short() -> None:
    """It fails after exactly this much sound; the item has just that, and the next reply is whole."""

    async def scenario() -> tuple[dict[str, Any], dict[str, Any], Client]:
        async with client("cut=450msx1") as connected:
            failed = await respond(connected)
            await connected.send("conversation.item.retrieve", item_id=failed["output"][0]["id"])
            kept = (await connected.until("conversation.item.retrieved"))["item"]
            assert (await respond(connected))["status"] == "completed"
            return failed, kept, connected

    failed, kept, connected = run(scenario())
    assert failed["status"] == "failed"
    assert failed["status_details"]["error"]["message"] == "The reply was cut on request."
    assert failed["output"][0]["status"] == "incomplete"
    assert pieces(connected) == [(0, 450 * 24), (0, 6 * PIECE)]
    assert base64.b64decode(kept["content"][0]["audio"]) == sound(connected)[: 450 * 48]


def test_a_short_reply_and_a_text_are_cut_at_their_end() -> None:
    """The whole reply comes, and then it fails."""

    async def scenario() -> list[tuple[str, Any]]:
        async with client("cut=10s") as connected:
            spoken = await respond(connected)
            await connected.converse(output_modalities=["text"])
            written = await respond(connected)
            return [(each["status"], each["output"][0]["content"][0]) for each in (spoken, written)]

    assert run(scenario()) == [
        ("failed", {"type": "output_audio", "transcript": TEXT}),
        ("failed", {"type": "output_text", "text": TEXT}),
    ]


def test_a_reply_begins_late() -> None:
    """The response is there at once, its first word after the time; a cancellation does not wait for it."""

    async def scenario() -> tuple[float, str]:
        async with client("late=300msx1", "late=1m@reply2") as connected:
            await connected.send("response.create")
            await connected.until("response.created")
            began = asyncio.get_running_loop().time()
            await connected.until("response.output_item.added")
            waited = asyncio.get_running_loop().time() - began
            await connected.until("response.done")
            await connected.send("response.create")
            await connected.until("response.created")
            await connected.send("response.cancel")
            return waited, (await connected.until("response.done"))["response"]["status"]

    waited, status = run(scenario())
    assert waited >= 0.29
    assert status == "cancelled"


def test_sound_of_an_interrupted_reply_comes_late() -> None:
    """Deltas of a cancelled response arrive after its end, as if they had been on the way."""

    async def scenario() -> Client:
        async with client("delay=output_audio.delta:400ms", speed=1) as connected:
            await connected.send("response.create")
            await connected.until("response.output_audio_transcript.delta")
            await connected.send("response.cancel")
            await connected.until("response.done")
            await connected.until(DELTA)
            return connected

    connected = run(scenario())
    assert connected.seen[-1]["response_id"] == connected.of("response.done")[0]["response"]["id"]


def test_all_events_of_replies_late_or_doubled() -> None:
    """A group keeps its order; doubled items and calls have the same ids."""

    async def scenario() -> tuple[Client, list[str]]:
        async with client("delay=response.*:200ms", "dup=response.output_item.done") as connected:
            await connected.converse(tools=[TOOL])
            await connected.say("clock")
            await respond(connected)
            return connected, [event["type"] for event in connected.seen]

    connected, types = run(scenario())
    first, second = connected.of("response.output_item.done")
    assert first == second
    assert first["item"]["name"] == "clock"
    assert types.index("conversation.item.done") < types.index("response.created")
    assert [type_ for type_ in types if type_.startswith("response.")] == [
        "response.created",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.output_item.done",
        "response.done",
    ]

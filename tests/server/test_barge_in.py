"""Barge-in over a real connection, with replies at real time whose samples can be recognised."""

from __future__ import annotations

import base64
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.server.replies.counted import CountedRun, find_runs
from rt_cli.server.replies.registry import open_replier
from tests.fakes import run
from tests.server.client import Client, endpoint, recording, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SENTENCE = "One two three four five six seven eight nine ten."
"""49 characters, 2940 ms."""
VAD = {"type": "server_vad", "silence_duration_ms": 300}
DELTA = "response.output_audio.delta"
ROUNDS = 25


@asynccontextmanager
async def talking(*, speed: float = 1.0, **audio_input: Any) -> AsyncIterator[Client]:
    """A client that has heard at least 300 ms of a reply in progress."""
    async with (
        open_replier("counted", reply_text=SENTENCE, speed=speed) as replier,
        endpoint("", replier=replier) as client,
    ):
        await client.converse(input=audio_input)
        await client.send("response.create")
        while len(heard(client)) < 300 * 48:
            await client.until(DELTA)
        yield client


def heard(client: Client) -> bytes:
    """The audio of all replies so far."""
    return b"".join(base64.b64decode(event["delta"]) for event in client.of(DELTA))


def said(client: Client) -> str:
    """The transcript of all replies so far."""
    return "".join(event["delta"] for event in client.of("response.output_audio_transcript.delta"))


async def retrieve(client: Client, item_id: str) -> dict[str, Any]:
    """An item as the server has it."""
    await client.send("conversation.item.retrieve", item_id=item_id)
    item: dict[str, Any] = (await client.until("conversation.item.retrieved"))["item"]
    return item


def test_speech_interrupts_a_reply_and_is_answered() -> None:
    """The interrupted reply ends with the events of a whole one; none of its audio comes after ``response.done``."""

    async def scenario() -> Client:
        async with talking(turn_detection=VAD) as client:
            await client.append(silence(0.5) + recording("sense_0930") + silence(0.8))
            await client.until("response.done")
            await client.until(DELTA)
            return client

    client = run(scenario())
    types = [event["type"] for event in client.seen]
    started = types.index("input_audio_buffer.speech_started")
    done = types.index("response.done")
    assert started < done < types.index("input_audio_buffer.committed")

    first = client.of("response.done")[0]["response"]
    assert (first["status"], first["status_details"]["reason"]) == ("cancelled", "turn_detected")
    (item,) = first["output"]
    assert item["status"] == "incomplete"
    ending = [event["type"] for event in client.seen[started:done] if event.get("response_id") == first["id"]]
    assert [type_ for type_ in ending if not type_.endswith(".delta")] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    assert [event for event in client.seen[done + 1 :] if event.get("response_id") == first["id"]] == []

    before, after = find_runs(heard(client))
    assert (before.reply, before.first, after.reply, after.first) == (1, 0, 2, 0)
    assert 300 * 24 <= before.samples < len(SENTENCE) * 1_440


@pytest.mark.parametrize("cancels_first", [True, False])
def test_a_truncated_reply_is_what_was_heard(cancels_first: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The item keeps the samples that were played and no transcript, truncated during the reply or after it."""

    async def scenario() -> tuple[Client, dict[str, Any], dict[str, Any]]:
        async with talking() as client:
            item_id = client.of("response.output_item.added")[0]["item"]["id"]
            if cancels_first:
                await client.send("response.cancel")
                await client.until("response.done")
            truncation = {"item_id": item_id, "content_index": 0, "audio_end_ms": 250}
            await client.send("conversation.item.truncate", **truncation)
            truncated = await client.until("conversation.item.truncated", "error")
            if not cancels_first:
                await client.send("response.cancel")
                await client.until("response.done")
            return client, truncated, await retrieve(client, item_id)

    client, truncated, item = run(scenario())
    assert (truncated["type"], truncated["audio_end_ms"]) == ("conversation.item.truncated", 250)
    assert find_runs(base64.b64decode(item["content"][0]["audio"])) == [CountedRun(0, 1, 0, 6_000)]
    assert item["content"][0]["transcript"] == ""
    last = client.of("conversation.item.done")[-1]["item"]
    assert last["content"][0]["transcript"] == (said(client) if cancels_first else "")


def test_a_reply_cannot_be_truncated_where_nothing_was() -> None:
    """More than the item has is refused, with OpenAI's words; nothing has changed."""

    async def scenario() -> tuple[dict[str, Any], bytes]:
        async with talking(speed=float("inf")) as client:
            done = (await client.until("response.done"))["response"]
            item_id = done["output"][0]["id"]
            await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=2_941)
            error = (await client.until("error"))["error"]
            return error, base64.b64decode((await retrieve(client, item_id))["content"][0]["audio"])

    error, audio = run(scenario())
    assert error["message"] == "Audio content of 2940ms is already shorter than 2941ms"
    assert find_runs(audio) == [CountedRun(0, 1, 0, 2_940 * 24)]


def test_a_second_cancel_is_harmless() -> None:
    """A client that cancels what the server has interrupted gets one error, and the session goes on."""

    async def scenario() -> list[str]:
        async with talking() as client:
            response_id = client.of("response.created")[0]["response"]["id"]
            await client.send("response.cancel", response_id=response_id)
            await client.until("response.done")
            await client.send("response.cancel", response_id=response_id)
            code = (await client.until("error"))["error"]["code"]
            await client.send("response.create")
            await client.until(DELTA)
            return [code, client.of("response.done")[0]["response"]["status_details"]["reason"]]

    assert run(scenario()) == ["response_cancel_not_active", "client_cancelled"]


async def interrupt(client: Client, number: int, luck: random.Random) -> None:
    """Interrupt a reply at a random moment, by a random order of events, and check all that the server knows of it."""
    before = len(client.seen)
    await client.send("response.create")
    await client.until("response.created")
    for _ in range(luck.randrange(1, 12)):
        if (await client.until(DELTA, "response.done"))["type"] == "response.done":
            break
    deltas = [event for event in client.seen[before:] if event["type"] == DELTA]
    received = b"".join(base64.b64decode(event["delta"]) for event in deltas)
    played_ms = luck.randint(0, len(received) // 48)
    item_id = deltas[0]["item_id"]
    is_done = client.seen[-1]["type"] == "response.done"
    events = ["response.cancel", "conversation.item.truncate"][is_done:]
    luck.shuffle(events)
    for type_ in events:
        item = {"item_id": item_id, "content_index": 0, "audio_end_ms": played_ms} if type_ != "response.cancel" else {}
        await client.send(type_, **item)
    await client.barrier()
    if not [event for event in client.seen[before:] if event["type"] == "response.done"]:
        await client.until("response.done")
    types = [event["type"] for event in client.seen[before:]]
    assert types.count("response.done") == types.count("response.created") == 1
    assert types.count("conversation.item.truncated") == 1
    assert types.count("conversation.item.done") == 1

    deltas = [event for event in client.seen[before:] if event["type"] == DELTA]
    (sent,) = find_runs(b"".join(base64.b64decode(event["delta"]) for event in deltas))
    assert (sent.reply, sent.first) == (number % 200, 0)
    audio = base64.b64decode((await retrieve(client, item_id))["content"][0]["audio"])
    kept = [CountedRun(0, number % 200, 0, played_ms * 24)] if played_ms else []
    assert (find_runs(audio), len(audio)) == (kept, played_ms * 48)


@pytest.mark.parametrize("speed", [float("inf"), 10.0])
def test_random_interruptions(speed: float) -> None:
    """What the server believes was heard is what the client says, to the sample, whenever and in whatever order."""

    async def scenario() -> None:
        async with (
            open_replier("counted", reply_text=SENTENCE, speed=speed) as replier,
            endpoint("", replier=replier) as client,
        ):
            await client.converse()
            luck = random.Random(speed)
            for number in range(1, ROUNDS + 1):
                await interrupt(client, number, luck)

    run(scenario(), seconds=20 + ROUNDS)

"""Samples that spell their own numbers: written, and found again in what a client played."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.replies.counted import CountedRun, find_runs, spell
from rt_cli.server.replies.interface import Audio, ReplyRequest, Text
from rt_cli.server.replies.registry import open_replier
from tests.fakes import run
from tests.server.client import Client, endpoint, recording
from tests.server.replies.test_builtin import reply, sound, words, written

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 8_388_608
SEGMENTS = st.lists(
    st.tuples(st.integers(0, 199), st.integers(0, LONGEST - 9_000), st.integers(8, 9_000), st.integers(1, 700)),
    max_size=6,
)


def test_the_code_is_as_documented() -> None:
    """Position modulo 2048 above a digit of base 31, the lowest first; 1 is added to each digit."""
    samples = np.frombuffer(spell(7, 2048 * 3 + 5, 4), "<u2")
    number = 7 * 4096 + 3
    assert list(samples >> 5) == [5, 6, 7, 8]
    digits = {place: number // 31**place % 31 + 1 for place in range(4)}
    assert list(samples & 31) == [digits[1], digits[2], digits[3], digits[0]]


@given(SEGMENTS)
def test_every_segment_between_silences_is_found_exactly(segments: list[tuple[int, int, int, int]]) -> None:
    """Each segment is found with its reply, its first sample and its length, wherever it was cut."""
    played = bytearray()
    expected = []
    for number, first, samples, gap in segments:
        expected.append(CountedRun(len(played) // 2, number, first, samples))
        played += spell(number, first, samples) + bytes(2 * gap)
    assert find_runs(bytes(played)) == expected


@given(
    number=st.integers(0, 199),
    first=st.integers(0, 100_000),
    samples=st.integers(40, 9_000),
    at=st.integers(20, 9_000),
    change=st.sampled_from(["drop", "double", "swap"]),
)
def test_dropped_doubled_and_swapped_pieces(number: int, first: int, samples: int, at: int, change: str) -> None:
    """A piece of 20 ms that is missing, twice there or at the wrong place shows in the runs."""
    a, b, c = (first, at), (first + at, 480), (first + at + 480, samples)
    played = {"drop": [a, c], "double": [a, b, b, c], "swap": [b, a, c]}[change]
    runs = find_runs(b"".join(spell(number, *piece) for piece in played))
    merged = [a, (b[0], 480), (b[0], 480 + samples)] if change == "double" else played
    merged = [(first, at + 480), (b[0], 480 + samples)] if change == "double" else merged
    assert [(each.first, each.samples) for each in runs] == merged
    assert {each.reply for each in runs} == {number}


def test_no_sample_is_silence_and_other_sound_has_no_runs() -> None:
    """A gap is never taken for a sample, nor a voice for a reply."""
    assert 0 not in np.frombuffer(spell(0, 0, LONGEST // 16), "<u2")
    assert find_runs(recording("sense_0930")) == []
    assert find_runs(bytes(10_000)) == find_runs(b"") == find_runs(spell(1, 0, 7)) == []
    assert find_runs(spell(1, 2045, 8)) == [CountedRun(0, 1, 2045, 8)]
    assert find_runs(spell(3, LONGEST - 100, 200)) == [CountedRun(0, 3, LONGEST - 100, 200)]


def test_a_reply_is_its_text_at_60_ms_a_character() -> None:
    """Each word is followed by its samples; a text reply has none."""
    request = ReplyRequest([written("user", "one two")])
    parts = reply(request, "counted")
    assert words(parts) == "You said: one two"
    assert sound(parts) == spell(1, 0, 17 * 1_440)
    assert all(len(part.pcm) <= 9_600 for part in parts if isinstance(part, Audio))
    before = parts.index(Text("said: "))
    assert sound(parts[:before]) == spell(1, 0, 4 * 1_440)
    assert words(reply(ReplyRequest(request.items, with_audio=False), "counted")) == "You said: one two"


def test_replies_of_a_server_have_different_numbers() -> None:
    """A reply that is said twice and two equal replies are different sounds."""

    async def respond(client: Client) -> bytes:
        await client.send("response.create")
        before = len(client.seen)
        await client.until("response.done")
        deltas = [event for event in client.seen[before:] if event["type"] == "response.output_audio.delta"]
        return b"".join(base64.b64decode(event["delta"]) for event in deltas)

    async def scenario() -> Sequence[CountedRun]:
        async with (
            open_replier("counted", reply_text="Yes.") as replier,
            endpoint("", replier=replier) as client,
        ):
            await client.converse()
            return find_runs(await respond(client) + await respond(client))

    assert run(scenario()) == [CountedRun(0, 1, 0, 5_760), CountedRun(5_760, 2, 0, 5_760)]

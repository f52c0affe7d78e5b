"""How far a connection is, from its events."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.faults.event_names import COMMITTED
from rt_cli.server.faults.progress import AUDIO_DELTA, CREATED, ConnectionProgress


def created(response_id: str, type_: str = "audio/pcm") -> tuple[str, bytes]:
    """The first event of a response."""
    response = {"id": response_id, "audio": {"output": {"format": {"type": type_}, "voice": "alloy"}}, "output": []}
    return CREATED, json.dumps({"type": CREATED, "response": response}).encode()


def delta(response_id: str, audio: bytes) -> tuple[str, bytes]:
    """Sound of a response."""
    fields = {"response_id": response_id, "item_id": "i", "delta": base64.b64encode(audio).decode()}
    return AUDIO_DELTA, json.dumps({"type": AUDIO_DELTA, **fields}).encode()


def test_turns_and_replies_are_counted() -> None:
    """Each reply has its number and its own sound, in its own format; a doubled beginning is none."""
    progress = ConnectionProgress()
    steps: list[tuple[tuple[str, bytes], Any]] = [
        ((COMMITTED, b"{}"), ("turn", 1)),
        (created("a"), ("reply1", 0.0)),
        (delta("a", bytes(4_800)), ("reply1", 0.1)),
        (created("a"), None),
        (created("b", "audio/pcmu"), ("reply2", 0.0)),
        (delta("b", bytes(4_000)), ("reply2", 0.5)),
        (delta("a", bytes(4_800)), ("reply1", 0.2)),
        (delta("c", bytes(4_800)), None),
        ((COMMITTED, b"{}"), ("turn", 2)),
        (("response.done", b"{}"), None),
        ((CREATED, b'{"type":"response.cre'), None),
        ((AUDIO_DELTA, b'{"delta":3}'), None),
    ]
    assert [progress.count(*event) for event, _ in steps] == [reached for _, reached in steps]


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_the_sound_is_counted_to_the_byte(pieces: list[bytes]) -> None:
    """Padding of base64 is no sound."""
    progress = ConnectionProgress()
    progress.count(*created("a"))
    counted = [progress.count(*delta("a", piece)) for piece in pieces]
    assert not counted or counted[-1] is not None
    total = sum(map(len, pieces)) / 48_000
    assert not counted or counted[-1] == ("reply1", pytest.approx(total))

"""Events of the endpoint as ``--raw`` shows them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.protocol.raw_event import raw_event

AUDIO = b64encode(bytes(4_800)).decode()


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"type": "x", "n": 1}, {"type": "x", "n": 1}),
        ({"type": "x", "audio": AUDIO}, {"type": "x", "audio": {"bytes": 4_800}}),
        (
            {"type": "response.output_audio.delta", "delta": AUDIO},
            {"type": "response.output_audio.delta", "delta": {"bytes": 4_800}},
        ),
        (
            {"type": "session.output_audio.delta", "delta": AUDIO, "elapsed_ms": 200},
            {"type": "session.output_audio.delta", "delta": {"bytes": 4_800}, "elapsed_ms": 200},
        ),
        (
            {"type": "x", "item": {"content": [{"type": "input_audio", "audio": AUDIO}]}},
            {"type": "x", "item": {"content": [{"type": "input_audio", "audio": {"bytes": 4_800}}]}},
        ),
        ({"type": "x", "client_secret": {"value": "ek_1"}}, {"type": "x", "client_secret": "***"}),
    ],
)
def test_audio_is_its_size_and_secrets_are_masked(event: dict[str, Any], expected: dict[str, Any]) -> None:
    """Everything else is as it came."""
    assert raw_event(json.dumps(event)) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [("no JSON", "no JSON"), ("[1]", "[1]"), ("a\x1b[2Jb", "ab"), (b"\x00\x01", "<2 B>"), ("[" * 100_000, "[" * 500)],
)
def test_what_is_no_object_is_a_text(message: str | bytes, expected: str) -> None:
    """Its beginning, printable; of bytes their number."""
    assert raw_event(message) == expected


@given(st.text() | st.binary() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_it_never_raises(message: str | bytes) -> None:
    """Whatever comes, there is something to show."""
    assert isinstance(raw_event(message), str | dict)

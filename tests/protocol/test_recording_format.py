"""Reading of recordings; errors have their line number."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.protocol.recording_format import Entry, entries, size_of, with_silence, without_audio

HEAD: dict[str, Any] = {"type": "recording", "version": 1, "audio": False}
OPEN = {"type": "open", "connection": 1, "ms": 0}
EVENT = {"type": "event", "connection": 1, "ms": 1, "direction": "in", "event": {"type": "x"}}


def lines(*fields: object) -> list[bytes]:
    """Return the lines of a file."""
    return [json.dumps(each).encode() + b"\n" for each in fields]


def test_each_line_becomes_an_entry() -> None:
    """A complete recording."""
    append = {**EVENT, "direction": "out", "event": {"type": "input_audio_buffer.append", "audio": {"bytes": 8}}}
    found = list(entries(lines(HEAD, OPEN, EVENT, append, {"type": "dropped", "lines": 3}), "a"))
    assert [entry.type for entry in found] == ["recording", "open", "event", "event", "dropped"]
    assert [entry.appended for entry in found] == [None, None, None, 8, None]
    assert found[2] == Entry("event", 1, 1, "in", EVENT)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param([], "it is empty", id="empty"),
        pytest.param([b"RIFF\x00\xff\n"], "line 1 is no JSON", id="a sound file"),
        pytest.param([b'{"type":"recording"'], "line 1 is no JSON", id="torn at once"),
        pytest.param(lines({"type": "final"}), "line 1 is not the first line of a recording", id="other NDJSON"),
        pytest.param(lines({**HEAD, "version": 2}), "line 1 has version 2, and this program reads 1", id="newer"),
        pytest.param(lines(HEAD, [1]), "line 2 is no JSON object", id="a list"),
        pytest.param(lines(HEAD, {"type": ["x"]}), "line 2 has no type that is known", id="type"),
        pytest.param(lines(HEAD, EVENT), "line 2 belongs to a connection that was never opened", id="not opened"),
        pytest.param(lines(HEAD, {**OPEN, "connection": "1"}), "line 2 has no connection", id="connection"),
        pytest.param(lines(HEAD, {**OPEN, "ms": -1}), "line 2 has no time", id="time"),
        pytest.param(lines(HEAD, {**OPEN, "began_ms": "x"}), "line 2 has no beginning", id="beginning"),
        pytest.param(lines(HEAD, {**OPEN, "status": 9}), "line 2 has no HTTP status", id="status"),
        pytest.param(lines(HEAD, OPEN, {**EVENT, "direction": "up"}), "line 3 has no direction", id="direction"),
        pytest.param(lines(HEAD, OPEN, {**EVENT, "event": 1}), "line 3 has no event", id="event"),
        pytest.param(
            lines(HEAD, OPEN, {**EVENT, "type": "close", "code": 1004}), "line 3 has no close code", id="code"
        ),
        pytest.param([*lines(HEAD), b"[" * 100_000 + b"\n"], "line 2 nests too deep", id="deep"),
        pytest.param([*lines(HEAD), b"{\n", *lines(OPEN)], "line 2 is no JSON", id="torn in the middle"),
    ],
)
def test_a_wrong_line_is_a_usage_error(content: list[bytes], complaint: str) -> None:
    """The message has the line number and the problem."""
    with pytest.raises(UsageError, match="rt replay reads") as caught:
        list(entries(content, "a.ndjson"))
    assert caught.value.message == f"a.ndjson is no recording: {complaint}"
    assert caught.value.exit_code == 2


def test_invalid_base64_is_an_error() -> None:
    """It is found when the file is read, not during the replay."""
    bad = {"type": "event", "connection": 1, "ms": 1, "direction": "in", "base64": "!"}
    with pytest.raises(UsageError, match="line 3"):
        list(entries(lines(HEAD, OPEN, bad), "a"))


@given(st.integers(0, 400))
def test_an_incomplete_last_line_is_torn(cut: int) -> None:
    """For any cut, all lines before it are read."""
    whole = b"".join(lines(HEAD, OPEN, EVENT, EVENT))
    head = len(lines(HEAD)[0])
    text = whole[: head + cut % (len(whole) - head + 1)]
    found = [entry.type for entry in entries(text.splitlines(keepends=True), "a")]
    expected = ["recording", "open", "event", "event"][: text.count(b"\n")]
    assert found[: len(expected)] == expected
    assert found[len(expected) :] in ([], ["torn"], ["open"], ["event"])


@given(st.binary(max_size=200))
def test_silence_is_as_long_as_the_audio(sound: bytes) -> None:
    """Removed audio comes back as zero bytes of the same length, in every event."""
    text = b64encode(sound).decode()
    said = {"type": "response.output_audio.delta", "delta": text, "item": {"content": [{"audio": text, "x": 1}]}}
    short = without_audio(said)
    assert short["delta"] == {"bytes": len(sound)} == short["item"]["content"][0]["audio"]
    back = with_silence(short)
    assert size_of(back["delta"]) == len(sound) == size_of(back["item"]["content"][0]["audio"])
    assert without_audio(back) == short


def test_text_is_not_audio() -> None:
    """A text delta stays unchanged, and so does an object called audio."""
    said = {"type": "response.output_text.delta", "delta": "abcd", "session": {"audio": {"input": {"format": 1}}}}
    assert without_audio(said) == said == with_silence(said)

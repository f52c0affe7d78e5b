"""The official Python package's client of translations, unmodified, against the stand-in of ``rt serve``."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeTranslationServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import connect

from rt_cli.server.faults.grammar import parse
from rt_cli.server.server import serve
from tests.fakes import run
from tests.server.client import recording, silence

if TYPE_CHECKING:
    from pathlib import Path

SPANISH = {"audio": {"input": {"transcription": {"model": "any"}}, "output": {"language": "es"}}}
ORACLE: TypeAdapter[Any] = TypeAdapter(RealtimeTranslationServerEvent)


@pytest.fixture
def words(tmp_path: Path) -> str:
    """A recogniser that hears known words."""
    path = tmp_path / "words.txt"
    path.write_text("one two\nthree four\n")
    return f"script:{path}"


async def translate(
    recognizer: str, sound: bytes, *faults: str, session: Any = SPANISH
) -> tuple[list[Any], dict[str, str]]:
    """Send sound with the client; return all events, checked, and the texts of both languages."""
    events: list[Any] = []
    async with (
        serve(recognizer=recognizer, faults=parse(list(faults))) as server,
        AsyncOpenAI(api_key="any", base_url=f"http://127.0.0.1:{server.port}/v1", max_retries=0) as client,
        client.realtime.translations.connect(model="gpt-realtime-translate", max_retries=0) as connection,
    ):
        await connection.session.update(session=session)
        for at in range(0, len(sound), 9600):
            await connection.session.input_audio_buffer.append(audio=base64.b64encode(sound[at : at + 9600]).decode())
        await connection.session.close()
        async for event in connection:
            checked = ORACLE.validate_python(json.loads(event.to_json()), strict=True)
            assert not checked.model_extra
            events.append(checked)
            if event.type == "session.closed":
                break
    sides = ("input", "output")
    return events, {
        side: "".join(event.delta for event in events if event.type == f"session.{side}_transcript.delta")
        for side in sides
    }


def test_a_translation(words: str) -> None:
    """Both transcripts, the sound as it was, times of whole frames that do not go back, and the end."""
    sound = recording("sense_0870") + silence(2) + recording("sense_0930") + silence(0.1)

    async def scenario() -> None:
        events, texts = await translate(words, sound)
        assert texts == {"input": " one two. three four.", "output": " es:one es:two. es:three es:four."}
        kinds = [event.type for event in events]
        assert kinds[:2] == ["session.created", "session.updated"]
        assert kinds[-1] == "session.closed"
        assert events[0].session.type == "translation"
        assert events[0].session.model == "gpt-realtime-translate"
        assert events[1].session.audio.output.language == "es"
        audio = [event for event in events if event.type == "session.output_audio.delta"]
        assert b"".join(base64.b64decode(event.delta) for event in audio) == sound
        for kind in ("session.input_transcript.delta", "session.output_audio.delta"):
            times = [event.elapsed_ms for event in events if event.type == kind]
            assert times == sorted(times)
            assert not any(ms % 200 for ms in times)

    run(scenario(), 60)


def test_without_transcription_only_the_translation_is_written(words: str) -> None:
    """As the types of the package say."""

    async def scenario() -> None:
        _, texts = await translate(words, recording("sense_0870"), session={"audio": {"output": {"language": "de"}}})
        assert texts == {"input": "", "output": " de:one de:two."}

    run(scenario(), 60)


def test_silence_has_no_words(words: str) -> None:
    """Its sound comes back all the same."""

    async def scenario() -> None:
        events, texts = await translate(words, silence(3))
        assert texts == {"input": "", "output": ""}
        assert events[-1].type == "session.closed"
        assert not [event for event in events if event.type == "error"]

    run(scenario(), 60)


def test_a_broken_answer_is_noticed(words: str) -> None:
    """The oracle is one: an event without a field that it must have fails."""

    async def scenario() -> None:
        with pytest.raises(ValueError, match="delta"):
            ORACLE.validate_python({"type": "session.output_transcript.delta", "event_id": "x"}, strict=True)
        events, _ = await translate(words, recording("sense_0870"), "omit=session.updated")
        assert "session.updated" not in {event.type for event in events}

    run(scenario(), 60)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type":"input_audio_buffer.append","audio":"AAAA","event_id":"e"}', "invalid_value"),
        ('{"type":"session.input_audio_buffer.append","audio":"?","event_id":"e"}', "invalid_value"),
        ('{"type":"response.create","event_id":"e"}', "invalid_value"),
        ('{"type":"session.update","session":{"audio":{"output":{"language":7}}},"event_id":"e"}', "invalid_value"),
        ('{"type":"session.update","session":{"audio":[]},"event_id":"e"}', "invalid_type"),
        (
            '{"type":"session.update","session":{"audio":{"input":{"transcription":{}}}},"event_id":"e"}',
            "missing_required_parameter",
        ),
    ],
)
def test_what_the_route_does_not_take_is_answered_by_an_error(message: str, code: str) -> None:
    """The error names the event; the session goes on."""

    async def scenario() -> None:
        async with serve(recognizer="none") as server, connect(f"{server.url}/translations?model=m") as connection:
            assert json.loads(await connection.recv())["type"] == "session.created"
            await connection.send(message)
            error = json.loads(await connection.recv())
            assert (error["type"], error["error"]["code"], error["error"]["event_id"]) == ("error", code, "e")
            await connection.send('{"type":"session.close"}')
            assert json.loads(await connection.recv())["type"] == "session.closed"

    run(scenario(), 30)


MESSAGES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "session", "audio", "input", "output", "language", "transcription", "model"]),
            inner | st.sampled_from(["session.update", "session.input_audio_buffer.append", "AAA="]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=5)
@given(st.lists(MESSAGES, min_size=20, max_size=60))
def test_no_message_ends_a_session(messages: list[Any]) -> None:
    """Whatever it is, it is taken or answered by an error, and the session ends when it is asked to."""

    async def scenario() -> None:
        async with serve(recognizer="none") as server, connect(f"{server.url}/translations?model=m") as connection:
            for message in messages:
                await connection.send(json.dumps(message))
            await connection.send('{"type":"session.close"}')
            kinds = [json.loads(message)["type"] async for message in connection]
            assert kinds[-1] == "session.closed"
            allowed = {"session.created", "session.updated", "session.closed", "session.output_audio.delta", "error"}
            assert set(kinds) <= allowed

    run(scenario(), 60)

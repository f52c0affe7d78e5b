"""The embedded endpoint over a real WebSocket; every event is validated by OpenAI's types."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
import wave
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rt_cli.errors import UsageError
from rt_cli.server.access.limits import Limits
from rt_cli.server.server import serve
from tests.fakes import run
from tests.server.client import (
    COMMITTED,
    COMPLETED,
    STARTED,
    STOPPED,
    TRANSCRIBE,
    Client,
    endpoint,
    noise,
    recording,
    session,
    silence,
)

if TYPE_CHECKING:
    from pathlib import Path

SERVER_VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}


async def hello(query: str) -> dict[str, Any]:
    """The session object of the first event."""
    async with endpoint(query) as client:
        return client.seen[0]["session"]  # type: ignore[no-any-return]  # JSON


@pytest.mark.parametrize(
    ("query", "type_"),
    [
        ("?intent=transcription", "transcription"),
        ("?intent=transcription&model=any", "transcription"),
        ("?model=any&what=ever", "realtime"),
        ("", "realtime"),
    ],
)
def test_first_event(query: str, type_: str) -> None:
    """Any query is accepted; ``intent`` selects the type of the session."""
    assert type_ == run(hello(query))["type"]


def test_defaults() -> None:
    """A transcription session has OpenAI's defaults: 24 kHz, server VAD, no transcription, one hour."""
    created = run(hello("?intent=transcription"))

    assert created["object"] == "realtime.transcription_session"
    assert created["id"].startswith("sess_")
    assert created["expires_at"] == pytest.approx(time.time() + 3600, abs=10)
    assert created["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": SERVER_VAD | {"silence_duration_ms": 200},
    }


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/v1/elsewhere", {}, 404, id="path"),
        pytest.param("/v1/realtime", {"Origin": "https://evil.example"}, 403, id="origin"),
        pytest.param("/v1/realtime", {"Origin": "null"}, 403, id="opaque origin"),
        pytest.param("/v1/realtime", {"Origin": "http://localhost.evil.example"}, 403, id="origin that looks local"),
    ],
)
def test_refused_at_the_handshake(path: str, headers: dict[str, str], status: int) -> None:
    """Unknown paths and foreign origins get an HTTP status with a JSON body."""

    async def scenario() -> InvalidStatus:
        async with serve(recognizer="none") as server:
            with pytest.raises(InvalidStatus) as refusal:
                await connect(f"ws://127.0.0.1:{server.port}{path}", additional_headers=headers)
            return refusal.value

    response = run(scenario()).response
    assert status == response.status_code
    assert json.loads(response.body or b"")["error"]["message"]
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("key", ["Authorization", "api-key"])
def test_a_key_is_accepted_and_logged_nowhere(key: str, caplog: pytest.LogCaptureFixture) -> None:
    """Any key is accepted and appears in no log, even at debug level."""
    caplog.set_level("DEBUG")

    async def scenario() -> None:
        async with serve(recognizer="none") as server:
            headers = {key: "Bearer sk-very-secret", "Origin": "http://localhost:3000", "OpenAI-Beta": "realtime=v1"}
            async with session(server.url, additional_headers=headers, logger=logging.getLogger("test.client")):
                pass

    run(scenario())
    ours = [record.getMessage() for record in caplog.records if record.name != "test.client"]
    assert any("connection open" in message for message in ours)
    assert not any("secret" in message for message in ours)


def test_subprotocol() -> None:
    """The answer has the protocol and not the key."""

    async def scenario() -> str | None:
        offered = ["realtime", "openai-insecure-api-key.sk-secret"]
        async with (
            endpoint() as _,
            serve(recognizer="none") as server,
            session(server.url, subprotocols=offered) as client,
        ):
            return client.socket.subprotocol

    assert run(scenario()) == "realtime"


def test_health() -> None:
    """The health check works over plain HTTP."""

    async def scenario() -> bytes:
        async with serve(recognizer="none") as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            status = await reader.readline()
            writer.close()
            return status

    assert run(scenario()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        pytest.param("{", "invalid_json", None, id="bad JSON"),
        pytest.param(b"\x00", "invalid_event", None, id="binary"),
        pytest.param('{"type":"no.such"}', "invalid_value", "type", id="unknown type"),
        pytest.param('{"type":"input_audio_buffer.append","audio":"A"}', "invalid_value", "audio", id="bad audio"),
        pytest.param('{"type":"input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", None, id="empty"),
        pytest.param('{"type":"session.update","session":{}}', "missing_required_parameter", "session.type", id="type"),
        pytest.param('{"type":"response.create"}', "invalid_value", "type", id="no responses"),
    ],
)
def test_errors_keep_the_session(message: str | bytes, code: str, param: str | None) -> None:
    """An invalid event gets an error, and the session continues."""

    async def scenario() -> dict[str, Any]:
        async with endpoint() as client:
            await client.socket.send(message)
            answer = await client.receive()
            assert (await client.configure(turn_detection=None))["type"] == "session.updated"
            return answer

    error = run(scenario())["error"]
    assert (code, param) == (error["code"], error["param"])


def test_a_rejected_update_changes_nothing() -> None:
    """One invalid field rejects the whole update; the error has the field and the event id."""

    async def scenario() -> tuple[dict[str, Any], dict[str, Any]]:
        async with endpoint() as client:
            session = {"type": "transcription", "audio": {"input": {"turn_detection": None, "format": {"rate": 1}}}}
            refused = await client.answer("session.update", session=session, event_id="mine")
            return refused["error"], (await client.configure())["session"]

    error, config = run(scenario())
    assert (error["event_id"], error["param"]) == ("mine", "session.audio.input.format.rate")
    assert config["audio"]["input"]["turn_detection"] is not None


async def vad_turn(client: Client) -> list[str]:
    """The events of one clip with server VAD, in order."""
    await client.configure(transcription=TRANSCRIBE, turn_detection=SERVER_VAD)
    await client.append(silence(1) + recording("sense_0930") + silence(1))
    await client.until(COMPLETED)
    return [event["type"] for event in client.seen[2:]]


def test_server_vad_turn() -> None:
    """A turn has OpenAI's events in OpenAI's order, all for one item."""

    async def scenario() -> tuple[list[str], Client]:
        async with endpoint() as client:
            return await vad_turn(client), client

    types, client = run(scenario())
    assert types == [STARTED, STOPPED, COMMITTED, "conversation.item.added", "conversation.item.done", COMPLETED]
    ids = {event.get("item_id") or event["item"]["id"] for event in client.seen[2:]}
    assert len(ids) == 1
    assert client.of(STARTED)[0]["audio_start_ms"] == pytest.approx(900, abs=150)
    assert client.of(STOPPED)[0]["audio_end_ms"] == pytest.approx(1000 + 3290 + 300, abs=250)
    assert client.of(COMPLETED)[0]["usage"]["type"] == "duration"


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_other_rates(rate: int) -> None:
    """The milliseconds are right at any rate."""

    async def scenario() -> tuple[int, int]:
        async with endpoint() as client:
            await client.configure(format={"type": "audio/pcm", "rate": rate}, turn_detection=SERVER_VAD)
            await client.append(silence(1, rate) + recording("sense_0930", rate) + silence(1, rate), 2 * rate)
            stopped = await client.until(STOPPED)
            return client.of(STARTED)[0]["audio_start_ms"], stopped["audio_end_ms"]

    assert run(scenario()) == (pytest.approx(900, abs=150), pytest.approx(4600, abs=250))


def test_commit_during_speech() -> None:
    """A commit during speech ends the item at once, without speech_stopped."""

    async def scenario() -> Client:
        async with endpoint() as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=SERVER_VAD)
            clip = recording("sense_0930")
            await client.append(clip[: len(clip) // 2 // 2 * 2])
            await client.send("input_audio_buffer.commit")
            await client.until(COMPLETED)
            await client.append(clip[len(clip) // 2 // 2 * 2 :] + silence(1))
            await client.until(COMPLETED)
            return client

    client = run(scenario())
    first, second = client.of(COMMITTED)
    assert [second["item_id"]] == [event["item_id"] for event in client.of(STOPPED)]
    assert first["item_id"] == second["previous_item_id"]


@pytest.mark.parametrize("turn_detection", [SERVER_VAD, None], ids=["server vad", "manual"])
@pytest.mark.parametrize("sound", [silence(1), noise(1)], ids=["silence", "noise"])
def test_commit_without_speech(sound: bytes, turn_detection: dict[str, Any] | None) -> None:
    """A commit without speech creates an item with empty text."""

    async def scenario() -> str:
        async with endpoint() as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=turn_detection)
            await client.append(sound)
            await client.send("input_audio_buffer.commit")
            return str((await client.until(COMPLETED))["transcript"])

    assert run(scenario()) == ""


def test_too_little_to_commit() -> None:
    """A commit of less than 100 ms is rejected with the length; later audio is accepted."""

    async def scenario() -> dict[str, Any]:
        async with endpoint() as client:
            await client.configure(turn_detection=None)
            await client.append(silence(0.099))
            refused = await client.answer("input_audio_buffer.commit", event_id="early")
            await client.append(silence(0.001))
            assert (await client.answer("input_audio_buffer.commit"))["type"] == COMMITTED
            return refused["error"]  # type: ignore[no-any-return]  # JSON

    error = run(scenario())
    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "early")
    assert "99 ms" in error["message"]


def test_clear() -> None:
    """Cleared audio is in no item."""

    async def scenario() -> str:
        async with endpoint() as client:
            await client.append(silence(1))
            assert (await client.answer("input_audio_buffer.clear"))["type"] == "input_audio_buffer.cleared"
            return str((await client.answer("input_audio_buffer.commit"))["error"]["code"])

    assert run(scenario()) == "input_audio_buffer_commit_empty"


def test_recording_is_sample_exact(tmp_path: Path) -> None:
    """The WAV has exactly the sent samples at the session's rate; the reported length is right."""
    sound = noise(3.21, 44_100)
    seen: list[dict[str, Any]] = []

    async def scenario() -> None:
        async with endpoint(save_audio=tmp_path / "new", on_event=seen.append) as client:
            await client.configure(format={"type": "audio/pcm", "rate": 44_100})
            await client.append(sound, 7_778)
            await client.barrier()

    run(scenario())
    (path,) = (tmp_path / "new").iterdir()
    with wave.open(str(path)) as file:
        assert file.getframerate() == 44_100
        assert sound == file.readframes(file.getnframes())
    assert seen[-1]["type"] == "session_closed"
    assert len(sound) // 2 == seen[-1]["received_samples"]


def test_recording_that_fails(tmp_path: Path) -> None:
    """A failed recording is reported once, and the session continues."""
    seen: list[dict[str, Any]] = []

    async def scenario() -> None:
        async with endpoint(save_audio=tmp_path / "gone", on_event=seen.append) as client:
            (tmp_path / "gone").rmdir()
            await client.append(silence(3))
            await client.barrier()

    run(scenario())
    warnings = [event["message"] for event in seen if event["type"] == "warning"]
    assert len(warnings) == 1
    assert "not recorded" in warnings[0]
    assert seen[-1]["received_samples"] == 72_000


def test_a_conversation_is_transcribed() -> None:
    """A realtime session has turns and words, and keeps its reply settings."""

    async def scenario() -> dict[str, Any]:
        async with endpoint("?model=any") as client:
            audio = {"input": {"transcription": TRANSCRIBE, "turn_detection": None}, "output": {"voice": "marin"}}
            settings = {"type": "realtime", "instructions": "Be kind.", "output_modalities": ["audio"], "audio": audio}
            updated = await client.answer("session.update", session=settings)
            await client.append(silence(1))
            await client.send("input_audio_buffer.commit")
            await client.until(COMPLETED)
            return updated["session"]  # type: ignore[no-any-return]  # JSON

    described = run(scenario())
    assert (described["object"], described["instructions"]) == ("realtime.session", "Be kind.")
    assert described["audio"]["output"]["voice"] == "marin"


def test_session_limit() -> None:
    """A session above the limit gets 1013."""

    async def scenario() -> int | None:
        async with serve(recognizer="none") as server, asyncio.TaskGroup() as group:
            done = asyncio.Event()
            ready: asyncio.Queue[None] = asyncio.Queue()

            async def occupy() -> None:
                async with session(server.url):
                    ready.put_nowait(None)
                    await done.wait()

            for _ in range(Limits().sessions):
                group.create_task(occupy())
            for _ in range(Limits().sessions):
                await ready.get()
            async with connect(server.url) as extra:
                with pytest.raises(ConnectionClosed) as closed:
                    await extra.recv()
            done.set()
            return closed.value.rcvd.code if closed.value.rcvd else None

    assert run(scenario()) == 1013


def test_oversize() -> None:
    """A message above the limit gets close 1009."""

    async def scenario() -> int | None:
        async with serve(recognizer="none") as server:
            client = await connect(server.url)
            sending = asyncio.ensure_future(client.send("x" * (25 * 1024 * 1024)))
            await client.wait_closed()
            await asyncio.wait([sending])
            sending.exception()
            return client.close_code

    assert run(scenario()) == 1009


def test_shutdown() -> None:
    """The end of the server closes all sessions with 1001, without waiting for clients."""

    async def scenario() -> tuple[int | None, float]:
        async with asyncio.timeout(5):
            server = serve(recognizer="none")
            running = await server.__aenter__()
            _, mute = await asyncio.open_connection("127.0.0.1", running.port)
            async with session(running.url) as client:
                began = time.monotonic()
                await server.__aexit__(None, None, None)
                took = time.monotonic() - began
                with pytest.raises(ConnectionClosed) as closed:
                    await client.socket.recv()
            mute.close()
            return closed.value.rcvd.code if closed.value.rcvd else None, took

    code, took = run(scenario())
    assert code == 1001
    assert took < 4


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", ""])
def test_loopback_only(host: str) -> None:
    """Without a token the server listens on loopback only."""

    async def scenario() -> None:
        async with serve(host=host, recognizer="none"):
            pass

    with pytest.raises(UsageError, match="loopback"):
        run(scenario())


def test_port_in_use() -> None:
    """The error for a used port is one line."""

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            async with serve(port=taken.getsockname()[1], recognizer="none"):
                pass

    with pytest.raises(UsageError, match=r"port \d+ is taken \(another rt serve\?\)"):
        run(scenario())

"""The other engines behind the endpoint, from the view of a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.server.server import serve
from tests.fakes import run
from tests.server.client import COMPLETED, DATA, DELTA, FAILED, recording, session
from tests.server.transcription_server import Upload, transcription_server

if TYPE_CHECKING:
    from tests.server.client import Client

SPEECH = recording("sense_0930")


async def committed(client: Client, pcm: bytes, **transcription: Any) -> dict[str, Any]:
    """The events of a turn that the client commits."""
    await client.configure(transcription={"model": "any", **transcription}, turn_detection=None)
    await client.append(pcm)
    await client.send("input_audio_buffer.commit")
    return await client.until(COMPLETED, FAILED)


def test_transcription_server() -> None:
    """The words, the language and hints, and the failure of an HTTP recogniser."""
    pytest.importorskip("httpx", reason="the extra http is not installed")
    working = True

    async def script(upload: Upload) -> None:
        await upload.answer({"text": "Grüezi."} if working else {"error": "no"}, "200 OK" if working else "500 Oops")

    async def scenario() -> None:
        nonlocal working
        async with transcription_server(script) as other, serve(recognizer=f"http:{other.url}") as server:
            async with session(server.url) as client:
                completed = await committed(client, SPEECH, language="de", prompt="Zürich")
                working = False
                failed = await committed(client, SPEECH)
            first = other.uploads[0]
        assert completed["transcript"] == "Grüezi."
        assert (first.fields["language"], first.fields["prompt"]) == ("de", "Zürich")
        assert first.pcm in SPEECH
        assert len(first.pcm) > len(SPEECH) / 2
        assert failed["type"] == FAILED
        assert "HTTP 500: no" in failed["error"]["message"]

    run(scenario())


def test_sherpa() -> None:
    """Words come during the audio, the complete text at the end."""
    pytest.importorskip("sherpa_onnx", reason="the extra asr is not installed")

    async def scenario() -> None:
        async with serve(recognizer=f"sherpa:{DATA / 'tone_transducer'}") as server, session(server.url) as client:
            completed = await committed(client, SPEECH, language="fr")
            deltas = client.of(DELTA)
        assert completed["transcript"].startswith("tone on tone")
        assert len(deltas) > 1
        assert "".join(event["delta"] for event in deltas) == completed["transcript"]

    run(scenario(), 60)

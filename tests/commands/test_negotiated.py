"""``rt send`` to endpoints that refuse the first session."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.exact import judge, turns
from tests.fakes import run
from tests.program import rt, write_wav
from tests.standins import vllm
from tests.standins.conversing import ConversingScript
from tests.standins.standin import StandIn

if TYPE_CHECKING:
    from pathlib import Path


def test_the_files_of_a_command_meet_a_refusal_once(tmp_path: Path) -> None:
    """The recording has each connection at its own URL."""

    async def check() -> None:
        pcm, spans = turns(2)
        files = [str(write_wav(tmp_path / f"{name}.wav", pcm)) for name in "abc"]
        record = tmp_path / "wire.ndjson"
        async with StandIn(ConversingScript).serving() as server:
            ran = await asyncio.to_thread(
                rt, "send", "--json", "--url", server.url, "-m", "m", "--record", str(record), *files
            )
        assert ran.exit == 0, ran.err
        assert [call.query for call in server.calls] == [
            {"intent": ["transcription"], "model": ["m"]},
            *[{"model": ["m"]}] * 3,
        ]
        for name in files:
            finals = [event["text"] for event in ran.of("final") if event["source"] == name]
            assert judge(finals, spans).perfect
        assert [event["code"] for event in ran.of("warning") if not event.get("minor")] == ["session_type"]
        (ready, *_) = ran.of("session")
        assert ready["endpoint"] == f"{server.url}/v1/realtime?model=m"
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        urls = [line["url"] for line in lines if "url" in line]
        assert urls == [f"{server.url}/v1/realtime?{q}" for q in ("intent=transcription&model=m", *["model=m"] * 3)]

    run(check(), 60)


def test_a_dialect_by_its_name(tmp_path: Path) -> None:
    """Without a model there is nothing to ask for; with one its words come."""

    async def check() -> None:
        pcm, spans = turns(2)
        file = str(write_wav(tmp_path / "a.wav", pcm, 16_000))
        async with StandIn(vllm.VllmScript).serving() as server:
            options = ("--json", "--url", server.url, "--dialect", "vllm", "--silence-ms", "200")
            unnamed = await asyncio.to_thread(rt, "send", *options, file)
            named = await asyncio.to_thread(rt, "send", *options, "--turn-detection", "none", "-m", vllm.MODEL, file)
        assert (unnamed.exit, "add --model" in unnamed.err) == (2, True)
        assert named.exit == 0, named.err
        assert judge([event["text"] for event in named.of("final")], spans).perfect
        (usage,) = [event["usage"] for event in named.of("final")]
        assert usage == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}

    run(check(), 60)


def test_a_recognised_server(tmp_path: Path) -> None:
    """The files of a command recognise it once; ``rt doctor`` says so; its models have to be named."""

    async def check() -> None:
        pcm, _ = turns(1)
        files = [str(write_wav(tmp_path / f"{name}.wav", pcm)) for name in "ab"]
        async with StandIn(vllm.VllmScript).serving() as server:
            options = ("--json", "--url", server.url)
            sent = await asyncio.to_thread(rt, "send", *options, "-m", vllm.MODEL, "--turn-detection", "none", *files)
            calls = len(server.calls)
            unnamed = await asyncio.to_thread(rt, "send", *options, files[0])
            doctor = await asyncio.to_thread(rt, "doctor", "--no-mic", *options, "-m", vllm.MODEL)
        assert sent.exit == 0, sent.err
        assert calls == 3
        assert [event["code"] for event in sent.of("warning") if not event.get("minor")] == ["dialect"]
        assert {event["dialect"] for event in sent.of("session")} == {"vllm"}
        assert len(sent.of("final")) == 2
        assert (unnamed.exit, "add --model" in unnamed.err) == (6, True)
        findings = [each for each in doctor.of("finding") if each["check"] == "session"]
        assert [each["status"] for each in findings] == ["ok", "warn"]
        assert "--dialect vllm" in findings[1]["detail"]

    run(check(), 60)

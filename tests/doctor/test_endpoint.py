"""``session.updated`` as the doctor and as a run read it back: each answer, and none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.doctor.endpoint import Target, check_endpoint
from rt_cli.protocol.endpoint.endpoint import Choice, resolve
from rt_cli.settings import DeliverySettings, EndpointSettings, Settings
from tests.fakes import run
from tests.program import DATA, rt
from tests.servers import never_updates, scripted
from tests.standins.conversing import ConversingScript
from tests.standins.standin import StandIn

if TYPE_CHECKING:
    from rt_cli.doctor.finding import Finding
    from tests.servers import Client, Script


def updates(**changes: Any) -> Script:
    """Greets, and answers the update with the asked session after changes; answers commits with words.

    Args:
        changes: Values by path, with ``__`` for a dot; ``...`` takes the field out.
    """

    async def script(client: Client) -> None:
        await client.say("session.created", session={"id": "sess_1"})
        session = (await client.until("session.update"))["session"]
        for path, value in changes.items():
            *parents, name = path.split("__")
            place = session
            for parent in parents:
                place = place.setdefault(parent, {})
            place[name] = value
            if value is ...:
                del place[name]
        await client.say("session.updated", session=session)
        while True:
            await client.until("input_audio_buffer.commit")
            await client.complete(await client.commit(), "words")

    return script


def answers(session: object) -> Script:
    """Greets, and answers the update with this session, whatever was asked; answers commits with words."""

    async def script(client: Client) -> None:
        await client.say("session.created", session={"id": "sess_1"})
        await client.until("session.update")
        await client.say("session.updated", session=session)
        while True:
            await client.until("input_audio_buffer.commit")
            await client.complete(await client.commit(), "words")

    return script


def finding(script: Script, *options: str) -> tuple[dict[str, Any], int]:
    """The doctor's finding about the session, and its exit code."""
    with scripted(script) as server:
        ran = rt("doctor", "--json", "--no-mic", "--url", server.url, *options)
    lines = [json.loads(line) for line in ran.out.splitlines()]
    return next(line for line in lines if line.get("check") == "session"), ran.exit


CLIENT = ("--turn-detection", "client")
SERVER_VAD = ("--turn-detection", "server_vad", "--model", "whisper-1")
FLAT_16K: dict[str, Any] = {"input_audio_format": "pcm16", "input_audio_sample_rate": 16_000}


@pytest.mark.parametrize(
    ("script", "options", "names"),
    [
        pytest.param(updates(audio__input__format__rate=16_000), (), "16000 Hz", id="rate"),
        pytest.param(answers(FLAT_16K), (), "16000 Hz", id="rate, flat"),
        pytest.param(updates(audio__input__format={"type": "audio/pcmu"}), (), "mu-law", id="format"),
        pytest.param(answers({"input_audio_format": "g711_alaw"}), (), "A-law", id="format, flat"),
        pytest.param(updates(audio__input__transcription=None), (), "transcription", id="transcription"),
        pytest.param(answers({"input_audio_transcription": None}), (), "transcription", id="transcription, flat"),
        pytest.param(updates(audio__input__turn_detection=None), SERVER_VAD, "turn detection", id="turn detection"),
        pytest.param(answers({"turn_detection": None}), SERVER_VAD, "turn detection", id="turn detection, flat"),
    ],
)
def test_a_changed_session_is_a_failure(script: Script, options: tuple[str, ...], names: str) -> None:
    """With exit 6, and the words of a run."""
    found, exit_code = finding(script, *options)
    with scripted(script) as server:
        sent = rt("send", "--url", server.url, *options, str(DATA / "sense_0930.wav"))

    assert (found["status"], exit_code, sent.exit) == ("fail", 6, 6), found
    assert names in found["detail"]
    assert found["detail"] in sent.err


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(updates(), id="as asked"),
        pytest.param(updates(audio__input__format=..., audio__input__transcription=...), id="fields missing"),
        pytest.param(answers({}), id="an empty session"),
        pytest.param(answers(None), id="no session"),
        pytest.param(answers({"input_audio_format": "pcm16", "turn_detection": None}), id="flat, as asked"),
    ],
)
def test_what_the_answer_lacks_says_nothing(script: Script) -> None:
    """The session is all right."""
    found, exit_code = finding(script, *CLIENT)
    assert (found["status"], exit_code) == ("ok", 0), found


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(updates(audio__input__turn_detection={"type": "server_vad"}), id="nested"),
        pytest.param(answers({"turn_detection": {"type": "server_vad"}}), id="flat"),
        pytest.param(answers({"turn_detection": "server_vad"}), id="a name"),
    ],
)
def test_turn_detection_that_was_not_asked_for_is_said(script: Script) -> None:
    """A run takes the endpoint's word: no failure."""
    found, exit_code = finding(script, *CLIENT)
    assert (found["status"], exit_code) == ("warn", 0), found
    assert "makes the turns" in found["detail"]


def test_no_session_updated_is_said() -> None:
    """A run goes on after three seconds: no failure either."""
    found, exit_code = finding(never_updates)
    assert (found["status"], exit_code) == ("warn", 0), found
    assert "no session.updated within 3 s" in found["detail"]


def test_a_known_endpoint_has_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its maker's host silence is a failure, as in a run."""
    found: list[Finding] = []
    with scripted(never_updates) as server:
        settings = Settings(delivery=DeliverySettings(connect_timeout_s=1.0))
        endpoint = replace(resolve(settings.endpoint, server.url, None), official=True)
        monkeypatch.setattr("rt_cli.doctor.endpoint.resolve", lambda *_, **__: endpoint)
        target = Target(settings, Choice("url", server.url, "given"), None)
        run(check_endpoint(found.append, target))

    assert (found[-1].check, found[-1].status, found[-1].exit) == ("session", "fail", 6)


def test_another_session_is_asked_for_as_in_a_run() -> None:
    """A conversation where transcriptions are refused: no failure, but said."""

    async def check() -> None:
        found: list[Finding] = []
        async with StandIn(ConversingScript).serving() as server:
            settings = Settings(endpoint=EndpointSettings(url=server.url, model="m"))
            await check_endpoint(found.append, Target(settings, Choice("url", server.url, "given"), None))
        said = [(each.check, each.status) for each in found if each.check in {"websocket", "session"}]
        assert said == [("websocket", "ok"), ("session", "ok"), ("session", "warn")]
        assert "listening to a conversation" in found[-1].detail

    run(check())

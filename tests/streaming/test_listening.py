"""Listening to a conversation, and endpoints that refuse the first session: rt asks for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rt_cli.events import Errored, Warned
from rt_cli.settings import SessionSettings
from tests.exact import judge, turns
from tests.fakes import run
from tests.standins.conversing import (
    Closing,
    ConversingScript,
    NamingTheField,
    RefusingTheHandshake,
    Replying,
    SayingSo,
    SwitchingItOff,
    TranscribingScript,
    WithoutTurnDetection,
)
from tests.standins.runs import chosen_settings, listen
from tests.standins.standin import Faults, Script, StandIn

if TYPE_CHECKING:
    from tests.streaming.harness import Run

LISTENING = SessionSettings(silence_ms=200, prefix_ms=0, session_type="realtime")


def warned(outcome: Run) -> list[str]:
    """Codes of all warnings but those of a held-up machine."""
    return [each.code for each in outcome.events if isinstance(each, Warned) and each.code != "loop_lag"]


def test_a_conversation_is_listened_to() -> None:
    """Replies are off, the model is in the URL, and nothing is said."""

    async def check() -> None:
        pcm, spans = turns(3)
        async with StandIn(ConversingScript).serving() as server:
            outcome = await listen(server.url, pcm, chosen=chosen_settings(LISTENING))
        (call,) = server.calls
        (update,) = call.sent("session.update")
        assert call.query == {"model": ["whisper-1"]}
        assert update["session"] == {
            "type": "realtime",
            "output_modalities": ["text"],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": {"model": "whisper-1"},
                    "turn_detection": {
                        "type": "server_vad",
                        "threshold": 0.5,
                        "prefix_padding_ms": 0,
                        "silence_duration_ms": 200,
                        "create_response": False,
                        "interrupt_response": False,
                    },
                }
            },
        }
        assert outcome.summary.exit == 0
        assert judge([final.text for final in outcome.finals], spans).perfect
        assert not any(final.approx for final in outcome.finals)
        assert warned(outcome) == []

    run(check())


@pytest.mark.parametrize(
    ("script", "connections"),
    [(ConversingScript, 2), (NamingTheField, 3), (Closing, 3), (RefusingTheHandshake, 3), (SayingSo, 3)],
    ids=["by its type", "by its field", "by a close", "by HTTP 400", "in words"],
)
def test_where_a_transcription_is_refused_a_conversation_is_listened_to(script: type[Script], connections: int) -> None:
    """Said once; the sound of the meantime is not lost."""

    async def check() -> None:
        pcm, spans = turns(4)
        async with StandIn(script).serving() as server:
            outcome = await listen(server.url, pcm, live=True, speed=4)
        assert len(server.calls) == connections
        assert server.calls[-1].query == {"model": ["whisper-1"]}
        assert outcome.summary.exit == 0
        assert judge([final.text for final in outcome.finals], spans).perfect
        assert warned(outcome) == ["session_type"]
        assert outcome.states[0] == "ready"

    run(check())


def test_a_transcription_that_was_asked_for_is_not_replaced() -> None:
    """The refusal is the end."""

    async def check() -> None:
        chosen = chosen_settings(SessionSettings(session_type="transcription"))
        async with StandIn(ConversingScript).serving() as server:
            outcome = await listen(server.url, turns(1)[0], chosen=chosen)
        assert outcome.summary.exit == 6
        assert len(server.calls) == 1

    run(check())


def test_what_refuses_everything_has_refused_the_first_session() -> None:
    """Its error is the one that is reported; each session is asked for once."""

    class Refusing(ConversingScript):
        def configure(self, message: dict[str, object]) -> list[dict[str, object]]:
            del message
            number = len(server.calls)
            return [{"type": "error", "error": {"code": "invalid_model", "message": f"refusal {number}"}}]

    async def check() -> None:
        async with server.serving():
            outcome = await listen(server.url, turns(1)[0])
        assert outcome.summary.exit == 6
        assert len(server.calls) == 4
        (error,) = [event for event in outcome.events if isinstance(event, Errored)]
        assert "refusal 1" in error.message

    server = StandIn(Refusing)
    run(check())


@pytest.mark.parametrize(
    "faults",
    [
        Faults(cut_after=40_000),
        Faults(stall_after=30_000),
        Faults(lifetime_s=1.5),
    ],
    ids=["cut", "stall", "expiry"],
)
@pytest.mark.parametrize("script", [ConversingScript, Replying], ids=["silent", "replying"])
def test_every_recovery_works_while_listening(script: type[Script], faults: Faults) -> None:
    """Each sample is in one final."""

    async def check() -> None:
        pcm, spans = turns(6)
        async with StandIn(script, faults).serving() as server:
            outcome = await listen(server.url, pcm, chosen=chosen_settings(LISTENING), live=True, speed=2)
        assert outcome.summary.exit == 0
        assert judge([final.text for final in outcome.finals], spans).perfect
        if faults.stall_after is None:
            assert len(server.calls) > 1
        else:
            assert "stalled" in outcome.states

    run(check())


def test_rollover_while_listening() -> None:
    """A session of limited length is followed by another before it ends."""

    async def check() -> None:
        pcm, spans = turns(6)
        async with StandIn(ConversingScript).serving() as server:
            chosen = chosen_settings(LISTENING, max_session_s=1.5)
            outcome = await listen(server.url, pcm, chosen=chosen, live=True, speed=2)
        assert "rolled_over" in outcome.states
        assert outcome.summary.exit == 0
        assert judge([final.text for final in outcome.finals], spans).perfect

    run(check())


def test_a_model_that_replies_all_the_same_is_cancelled() -> None:
    """Each reply once; said once; its text is nobody's."""

    async def check() -> None:
        pcm, spans = turns(3)
        async with StandIn(Replying).serving() as server:
            outcome = await listen(server.url, pcm, chosen=chosen_settings(LISTENING))
        cancels = [message["response_id"] for message in server.calls[0].sent("response.cancel")]
        assert cancels == ["resp_1", "resp_2", "resp_3"]
        assert judge([final.text for final in outcome.finals], spans).perfect
        assert warned(outcome) == ["replies"]
        assert outcome.summary.exit == 0

    run(check())


def test_a_relay_that_takes_no_model_in_the_url_is_asked_without() -> None:
    """One more connection, said once."""

    async def check() -> None:
        pcm, spans = turns(3)
        async with StandIn(TranscribingScript).serving() as server:
            outcome = await listen(server.url, pcm)
        assert [call.query.get("model") for call in server.calls] == [["whisper-1"], None]
        assert [call.query["intent"] for call in server.calls] == [["transcription"]] * 2
        assert warned(outcome) == ["url_model"]
        assert judge([final.text for final in outcome.finals], spans).perfect

    run(check())


@pytest.mark.parametrize("script", [WithoutTurnDetection, SwitchingItOff])
@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_where_turn_detection_is_refused_rt_makes_the_turns(script: type[Script], *, live: bool) -> None:
    """From the first sample on, also of sound captured before the refusal."""

    async def check() -> None:
        pcm, spans = turns(4)
        async with StandIn(script).serving() as server:
            outcome = await listen(server.url, pcm, live=live, speed=4)
        assert len(server.calls) == 2
        assert len(server.calls[1].sent("input_audio_buffer.commit")) == 4
        assert judge([final.text for final in outcome.finals], spans).perfect
        assert warned(outcome) == ["own_turns"]
        assert outcome.summary.exit == 0

    run(check())


@pytest.mark.parametrize("script", [WithoutTurnDetection, SwitchingItOff])
def test_turn_detection_that_was_asked_for_is_not_replaced(script: type[Script]) -> None:
    """The refusal is the end."""

    async def check() -> None:
        chosen = chosen_settings(SessionSettings(turn_detection="server_vad"))
        async with StandIn(script).serving() as server:
            outcome = await listen(server.url, turns(1)[0], chosen=chosen)
        assert outcome.summary.exit == 6
        assert len(server.calls) == 1

    run(check())

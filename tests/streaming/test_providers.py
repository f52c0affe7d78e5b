"""Every dialect against the stand-in of its provider: words, partials, faults. Finals once, the ledger balanced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.events import Errored, Partial, Warned
from rt_cli.protocol.dialects import AZURE, DIALECTS, OPENAI, Dialect
from rt_cli.settings import SessionSettings
from tests.exact import judge, turns
from tests.fakes import run
from tests.standins.providers import PROVIDERS, Provider
from tests.standins.runs import chosen_settings, listen
from tests.standins.speaches import SpeachesScript
from tests.standins.standin import Faults, Message, StandIn

if TYPE_CHECKING:
    from tests.streaming.harness import Run

VLLM, SGLANG, LOCALAI, SPEACHES = PROVIDERS[:4]
every = pytest.mark.parametrize("provider", PROVIDERS, ids=[each.name for each in PROVIDERS])


def test_every_dialect_has_a_stand_in() -> None:
    """But those that have an endpoint of their own in the tests."""
    assert {each.dialect for each in PROVIDERS} == DIALECTS.keys() - {OPENAI.name, AZURE.name}


def dialect_of(provider: Provider) -> Dialect:
    """The dialect for what is asked for."""
    dialect = DIALECTS[provider.dialect]
    return dialect.for_listening() if provider.session_type == "realtime" else dialect


async def listen_to(provider: Provider, server: StandIn, pcm: bytes, **options: Any) -> Run:
    """Run with the dialect and the model of a provider."""
    options = {"model": provider.model, **options}
    chosen = options.get("chosen") or chosen_settings()
    if provider.session_type is not None:
        session = replace(chosen.session, session_type=provider.session_type)
        options["chosen"] = replace(chosen, session=session)
    return await listen(server.url, pcm, dialect=provider.dialect, **options)


def check_words(outcome: Run, provider: Provider, spans: list[range], *, exact: bool | None = None) -> None:
    """Check that every sample is in one final, and that nothing else is said."""
    assert [each for each in outcome.events if isinstance(each, Errored)] == []
    assert outcome.summary.exit == 0
    assert judge([final.text for final in outcome.finals], spans).perfect
    if dialect_of(provider).exact if exact is None else exact:
        assert not any(final.approx for final in outcome.finals)
    else:
        assert any(final.approx for final in outcome.finals)
    warned = {each.code for each in outcome.events if isinstance(each, Warned)} - {"loop_lag"}
    assert warned == ({"replies"} if provider.replies else set())


@every
@pytest.mark.parametrize("trailing", [True, False], ids=["closed by silence", "closed at the end"])
@pytest.mark.parametrize("live", [True, False], ids=["live", "file"])
def test_words(provider: Provider, *, trailing: bool, live: bool) -> None:
    """Every sample once, whether silence follows the last word or not."""

    async def check() -> None:
        pcm, spans = turns(4)
        if not trailing:
            pcm = pcm[: -(400 * 24) * 2]
        async with StandIn(provider.script).serving() as server:
            outcome = await listen_to(provider, server, pcm, live=live, speed=3)
        check_words(outcome, provider, spans)
        assert len(server.calls) == 1
        partials = [each for each in outcome.events if isinstance(each, Partial)]
        assert bool(partials) == dialect_of(provider).partials

    run(check())


@every
@pytest.mark.parametrize(
    "faults",
    [Faults(cut_after=30_000), Faults(stall_after=30_000), Faults(lifetime_s=1.5)],
    ids=["cut", "stall", "expiry"],
)
def test_faults(provider: Provider, faults: Faults) -> None:
    """Nothing is lost or doubled."""

    async def check() -> None:
        pcm, spans = turns(6)
        async with StandIn(provider.script, faults).serving() as server:
            outcome = await listen_to(provider, server, pcm, live=True, speed=2)
        check_words(outcome, provider, spans)
        if faults.stall_after is None:
            assert len(server.calls) > 1
        else:
            assert "stalled" in outcome.states

    run(check())


@every
def test_rollover(provider: Provider) -> None:
    """One session after the other."""

    async def check() -> None:
        pcm, spans = turns(6)
        async with StandIn(provider.script).serving() as server:
            chosen = chosen_settings(max_session_s=1.5)
            outcome = await listen_to(provider, server, pcm, chosen=chosen, live=True, speed=2)
        check_words(outcome, provider, spans)
        assert "rolled_over" in outcome.states

    run(check())


@every
def test_a_model_that_is_not_there(provider: Provider) -> None:
    """Exit 6 at once, in the words of the server."""

    async def check() -> None:
        async with StandIn(provider.script).serving() as server:
            outcome = await listen_to(provider, server, turns(1)[0], model="nobody")
        assert outcome.summary.exit == 6
        assert len(server.calls) == 1
        (error,) = [event for event in outcome.events if isinstance(event, Errored)]
        assert provider.refusal in error.message

    if provider.refusal:
        run(check())


@pytest.mark.parametrize("trailing", [True, False], ids=["closed by silence", "closed at the end"])
def test_the_turns_of_localai(*, trailing: bool) -> None:
    """They have no times that mean anything, and no commit ends them: only silence does."""

    async def check() -> None:
        pcm, spans = turns(4)
        if not trailing:
            pcm = pcm[: -(400 * 24) * 2]
        chosen = chosen_settings(SessionSettings(silence_ms=200, prefix_ms=0, turn_detection="server_vad"))
        async with StandIn(LOCALAI.script).serving() as server:
            outcome = await listen_to(LOCALAI, server, pcm, chosen=chosen)
        check_words(outcome, LOCALAI, spans, exact=False)
        assert server.calls[0].sent("input_audio_buffer.commit") == []

    run(check())


def test_the_turns_of_localai_after_a_cut() -> None:
    """Nothing is lost; what may be there twice says so."""

    async def check() -> None:
        pcm, spans = turns(6)
        chosen = chosen_settings(SessionSettings(silence_ms=200, prefix_ms=0, turn_detection="server_vad"))
        async with StandIn(LOCALAI.script, Faults(cut_after=30_000)).serving() as server:
            outcome = await listen_to(LOCALAI, server, pcm, chosen=chosen, live=True, speed=2)
        assert outcome.summary.exit == 0
        assert judge([final.text for final in outcome.finals], spans).lost == 0
        assert outcome.finals[0].approx

    run(check())


def test_a_minute_of_silence_does_not_end_sglang() -> None:
    """Silence is committed before the server has too much of it."""

    async def check() -> None:
        provider = SGLANG
        first, spans = turns(2)
        half = len(first) // 2
        pcm = first[:half] + bytes(24_000 * 2 * 130) + first[half:]
        async with StandIn(provider.script).serving() as server:
            outcome = await listen_to(provider, server, pcm)
        check_words(outcome, provider, spans)
        assert len(server.calls) == 1

    run(check())


def test_vllm_is_recognised_by_its_greeting() -> None:
    """Whoever does not name the dialect is told to: it wants another sample rate."""

    async def check() -> None:
        async with StandIn(VLLM.script).serving() as server:
            outcome = await listen(server.url, turns(1)[0], model="voxtral")
        (error,) = [event for event in outcome.events if isinstance(event, Errored)]
        assert outcome.summary.exit == 6
        assert error.hint == "use --dialect vllm"

    run(check())


def test_the_flat_shape_is_recognised_by_its_greeting() -> None:
    """An unknown server that greets flat is configured flat."""

    class Strict(SpeachesScript):
        def configure(self, message: Message) -> list[Message]:
            session = message["session"]
            self.silence_ms = session["turn_detection"]["silence_duration_ms"]
            return [{"type": "session.updated", "session": session}]

    async def check() -> None:
        pcm, spans = turns(3)
        async with StandIn(Strict).serving() as server:
            outcome = await listen(server.url, pcm)
        (update,) = server.calls[0].sent("session.update")
        assert update["session"] == {
            "modalities": ["text"],
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": "whisper-1"},
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 0,
                "silence_duration_ms": 200,
            },
        }
        assert judge([final.text for final in outcome.finals], spans).perfect

    run(check())

"""Every dialect against the stand-in of its provider: words, partials, faults. Finals once, the ledger balanced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rt_cli.events import Errored, Partial, SessionChanged, Warned
from rt_cli.protocol.dialects import AZURE, DIALECTS, OPENAI
from rt_cli.settings import SessionSettings
from tests.exact import judge, turns
from tests.fakes import run
from tests.standins import nvidia, vllm
from tests.standins.providers import PROVIDERS, Provider
from tests.standins.runs import chosen_settings, listen
from tests.standins.speaches import SpeachesScript
from tests.standins.standin import Faults, Message, Script, StandIn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.streaming.harness import Run

VLLM, SGLANG, LOCALAI, SPEACHES = PROVIDERS[:4]
every = pytest.mark.parametrize("provider", PROVIDERS, ids=[each.dialect for each in PROVIDERS])


def test_every_dialect_has_a_stand_in() -> None:
    """But those that have an endpoint of their own in the tests."""
    assert {each.dialect for each in PROVIDERS} == DIALECTS.keys() - {OPENAI.name, AZURE.name}


async def listen_to(provider: Provider, server: StandIn, pcm: bytes, **options: object) -> Run:
    """Run with the dialect and the model of a provider."""
    options = {"model": provider.model, **options}
    return await listen(server.url, pcm, dialect=provider.dialect, **options)  # type: ignore[arg-type]


def check_words(outcome: Run, provider: Provider, spans: list[range], *, exact: bool | None = None) -> None:
    """Check that every sample is in one final, and that nothing else is said."""
    assert [each for each in outcome.events if isinstance(each, Errored)] == []
    assert outcome.summary.exit == 0
    assert judge([final.text for final in outcome.finals], spans).perfect
    if DIALECTS[provider.dialect].exact if exact is None else exact:
        assert not any(final.approx for final in outcome.finals)
    else:
        assert any(final.approx for final in outcome.finals)
    assert [each.message for each in outcome.events if isinstance(each, Warned) and each.code != "loop_lag"] == []


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
        assert bool(partials) == DIALECTS[provider.dialect].partials

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


class Tones(Script):
    """Says how long each turn is: what is resampled spells no numbers."""

    def words(self, end: int) -> str:
        """The length of the tone, milliseconds at the rate of this server."""
        (loud,) = np.nonzero(np.abs(self.audio[self.done_to : end].astype(int)) > 1_000)
        self.done_to = end
        return str(round((loud[-1] - loud[0]) * 1000 / self.rate_hz)) if loud.size else ""


class VllmTones(Tones, vllm.VllmScript):
    """No interim text."""

    def hear(self, samples: NDArray[np.int16]) -> list[Message]:
        """Nothing."""
        del samples
        return []


class NvidiaTones(Tones, nvidia.NvidiaScript):
    """No interim text."""

    def interim(self, text: str) -> list[Message]:
        """Nothing."""
        del text
        return []


def tones(*lengths_ms: int) -> bytes:
    """Tones with silence behind each, at 24 kHz."""
    parts = []
    for length_ms in lengths_ms:
        times = np.arange(length_ms * 24) / 24_000
        parts += [(np.sin(2 * np.pi * 1_000 * times) * 10_000).astype("<i2").tobytes(), bytes(400 * 24 * 2)]
    return b"".join(parts)


@pytest.mark.parametrize("faults", [Faults(), Faults(cuts=(1 << 30, 25_000))], ids=["", "cut"])
@pytest.mark.parametrize("trailing", [True, False], ids=["closed by silence", "closed at the end"])
@pytest.mark.parametrize(
    ("script", "title", "model", "query"),
    [
        (VllmTones, "vLLM", vllm.MODEL, {}),
        (NvidiaTones, "NVIDIA Riva, Speech NIM", nvidia.MODEL, {"intent": ["transcription"]}),
        # Nobody names a model: rt had the turns, for the default of OpenAI.
        (NvidiaTones, "NVIDIA Riva, Speech NIM", OPENAI.default_model, {"intent": ["transcription"]}),
    ],
)
def test_a_server_with_another_rate_is_recognised_by_its_greeting(
    script: type[Script], title: str, model: str, query: dict[str, list[str]], faults: Faults, *, trailing: bool
) -> None:
    """It is asked again in its dialect, and the sound that was captured meanwhile is resampled; said once."""

    async def check() -> None:
        lengths = (300, 500, 700, 400, 600)
        pcm = tones(*lengths)
        if not trailing:
            pcm = pcm[: -(400 * 24) * 2]
        async with StandIn(script, faults).serving() as server:
            outcome = await listen(server.url, pcm, model=model, live=True, speed=2)
        assert outcome.summary.exit == 0
        heard = [int(final.text) for final in outcome.finals]
        assert all(abs(ms - length) < 10 for ms, length in zip(heard, lengths, strict=True)), heard
        (warned,) = (event.message for event in outcome.events if isinstance(event, Warned) and event.code == "dialect")
        assert not any(final.approx for final in outcome.finals)
        assert [event.code for event in outcome.events if isinstance(event, Warned) and not event.minor] == ["dialect"]
        assert warned.startswith(f"the endpoint is {title}: going on in its dialect at 16 kHz (--dialect ")
        first, second, *others = server.calls
        assert (first.query, first.messages, first.heard) == (
            {"intent": ["transcription"], "model": [model]},
            [],
            0,
        )
        assert second.query == query
        assert second.heard > 0
        assert bool(others) == bool(faults.cuts)

    run(check())


def test_what_vllm_does_not_take_is_said_where_it_is_recognised() -> None:
    """As if the dialect had been named."""

    async def check() -> None:
        chosen = chosen_settings(SessionSettings(language="en"))
        async with StandIn(VLLM.script).serving() as server:
            outcome = await listen(server.url, turns(1)[0], model=vllm.MODEL, chosen=chosen)
        (error,) = [event for event in outcome.events if isinstance(event, Errored)]
        assert outcome.summary.exit == 6
        assert (error.message, error.hint) == ("the endpoint is vLLM: vllm takes no --language", "leave out --language")
        assert len(server.calls) == 1

    run(check())


@pytest.mark.parametrize("provider", [SGLANG, LOCALAI, SPEACHES], ids=lambda provider: provider.dialect)
@pytest.mark.parametrize("live", [True, False], ids=["live", "file"])
def test_a_server_that_is_recognised_is_asked_in_its_dialect(provider: Provider, *, live: bool) -> None:
    """By its greeting, or by what it refuses; said once, after a cut, too."""

    async def check() -> None:
        pcm, spans = turns(5)
        async with StandIn(provider.script, Faults(cuts=(1 << 30, 40_000))).serving() as server:
            outcome = await listen(server.url, pcm, model=provider.model, live=live, speed=2)
        assert outcome.summary.exit == 0
        assert judge([final.text for final in outcome.finals], spans).perfect
        assert not any(final.approx for final in outcome.finals)
        warned = [event.code for event in outcome.events if isinstance(event, Warned) and not event.minor]
        assert warned == ["dialect"]
        sessions = [event for event in outcome.events if isinstance(event, SessionChanged)]
        assert {event.dialect for event in sessions} == {provider.dialect}
        assert len(server.calls) == 3

    run(check())


def test_the_flat_shape_is_recognised_by_its_greeting() -> None:
    """An unknown server that greets flat is configured flat."""

    class Strict(SpeachesScript):
        def greeting(self) -> list[Message]:
            del self._session["speech_model"]
            return super().greeting()

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

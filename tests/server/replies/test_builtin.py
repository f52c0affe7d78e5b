"""Built-in repliers: echo and a fixed sentence."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.server.replies.interface import Audio, Part, Pieces, Replier, ReplyRequest, Text
from rt_cli.server.replies.registry import AUTHORED, REPLIES, ReplyKind, open_replier
from rt_cli.server.replies.text import NO_WORDS, Template
from tests.fakes import run
from tests.server.client import recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST_BYTES = 24_000 // 5 * 2


def spoken(transcript: str | None) -> dict[str, Any]:
    """A spoken message of the user."""
    part = {"type": "input_audio"} | ({} if transcript is None else {"transcript": transcript})
    return {"type": "message", "role": "user", "content": [part]}


def written(role: str, text: str) -> dict[str, Any]:
    """A text message of the user."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


async def collect(parts: AsyncIterator[Part]) -> list[Part]:
    """All parts."""
    return [part async for part in parts]


def reply(request: ReplyRequest, name: Any, **options: Any) -> list[Part]:
    """All parts of one reply."""

    async def ask() -> list[Part]:
        async with open_replier(name, **options) as replier:
            assert replier is not None
            return await collect(replier.reply(request))

    return run(ask())


def sound(parts: list[Part]) -> bytes:
    """The audio of a reply."""
    return b"".join(part.pcm for part in parts if isinstance(part, Audio))


def words(parts: list[Part]) -> str:
    """The text of a reply."""
    return "".join(part.delta for part in parts if isinstance(part, Text))


def test_echo_is_the_turn_sample_for_sample() -> None:
    """At the output rate the samples are unchanged, in pieces of at most 200 ms."""
    heard = recording("sense_0930")
    parts = reply(ReplyRequest([spoken("hello there")], audio=heard), "echo")

    assert sound(parts) == heard
    assert words(parts) == "hello there"
    assert all(0 < len(part.pcm) <= MOST_BYTES for part in parts if isinstance(part, Audio))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_echo_of_another_rate_is_the_same_sound(rate_hz: int) -> None:
    """The pieces are equal to resampling the whole turn."""
    heard = recording("sense_0930", rate_hz)
    parts = reply(ReplyRequest(audio=heard, audio_rate_hz=rate_hz), "echo")
    echoed = np.frombuffer(sound(parts), "<i2").astype(float)
    whole = soxr.resample(np.frombuffer(heard, "<i2").astype(float), rate_hz, 24_000)

    assert abs(len(echoed) - len(whole)) <= 1
    length = min(len(echoed), len(whole))
    assert np.abs(echoed[:length] - whole[:length]).max() <= 2
    assert all(0 < len(part.pcm) <= MOST_BYTES for part in parts if isinstance(part, Audio))


def test_echo_needs_no_words() -> None:
    """Without transcript echo returns audio only; a text reply has a fixed text."""
    heard = recording("sense_0930")
    assert words(reply(ReplyRequest([spoken(None)], audio=heard), "echo")) == ""
    assert reply(ReplyRequest([spoken(None)], audio=heard, with_audio=False), "echo") == [Text(NO_WORDS)]
    assert reply(ReplyRequest([spoken("yes")], audio=heard, with_audio=False), "echo") == [Text("yes")]
    assert reply(ReplyRequest([written("user", "hi")]), "echo") == [Text("hi")]


@pytest.mark.parametrize(
    ("template", "items", "said"),
    [
        (None, [spoken("good day")], "You said: good day"),
        (None, [spoken(None)], NO_WORDS),
        (None, [], NO_WORDS),
        ("Always this.", [], "Always this."),
        ("{turn}: {transcript}", [written("user", "a"), written("assistant", "b"), spoken("c")], "2: c"),
        ("{{{transcript}}}", [written("user", "{turn}")], "{{turn}}"),
        ("[{instructions}]", [], "[be kind]"),
        ("<{transcript}>", [], "<>"),
    ],
)
@pytest.mark.parametrize("audio_is_wanted", [True, False])
def test_templates(template: str | None, items: list[dict[str, Any]], said: str, *, audio_is_wanted: bool) -> None:
    """Placeholders are filled once; their values are not parsed as templates."""
    request = ReplyRequest(items, instructions="be kind", with_audio=audio_is_wanted)
    assert reply(request, "text", reply_text=template) == [Text(said)]


@pytest.mark.parametrize("text", ["{", "{}", "{0}", "{name}", "{transcript!r}", "{turn:>9999}", "{turn.real}", "", " "])
def test_bad_templates_are_refused(text: str) -> None:
    """One line that names the option."""
    with pytest.raises(UsageError, match="--reply-text") as caught:
        Template(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("echo", {"llm": "http://localhost:1"}, "echo says your turn back: --llm needs --reply text or voice"),
        ("none", {"llm": "http://localhost:1"}, "--llm needs --reply text or voice"),
        ("echo", {"reply_text": "x"}, "--reply-text does not go with --reply echo"),
        ("none", {"reply_text": "x"}, "--reply-text does not go with --reply none"),
        ("text", {"reply_text": "x", "llm": "http://localhost:1"}, "give one of them"),
        ("text", {"llm_model": "x"}, "give --llm URL with it"),
        ("text", {"llm": "ftp://localhost"}, "scheme 'ftp'"),
        ("voice", {"llm": "localhost:8080"}, "--llm"),
    ],
)
def test_options_that_do_not_fit_are_refused(name: Any, options: dict[str, str], said: str) -> None:
    """Conflicting options raise UsageError before anything starts."""
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        reply(ReplyRequest(), name, **options)
    assert caught.value.exit_code == 2


def test_needs_words_where_words_are_used() -> None:
    """Only repliers that use the transcript wait for it."""

    async def needs(name: Any, **options: str) -> bool:
        async with open_replier(name, **options) as replier:
            assert isinstance(replier.needs_words if replier else None, bool)
            opened: Replier | None = replier
            return opened is not None and opened.needs_words

    assert not run(needs("echo"))
    assert run(needs("text"))
    assert not run(needs("text", reply_text="turn {turn}"))
    assert run(needs("text", reply_text="{transcript}"))
    assert run(needs("text", llm="http://localhost:1"))


def test_none_is_no_replier() -> None:
    """``none`` yields None."""

    async def opened() -> Replier | None:
        async with open_replier("none") as replier:
            return replier

    assert run(opened()) is None


@given(
    rate_hz=st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 48_000]),
    lengths=st.lists(st.integers(0, 30_000), max_size=12),
)
def test_pieces_lose_nothing(rate_hz: int, lengths: list[int]) -> None:
    """Any input pieces give the full amount of audio, in pieces of limited length."""
    pieces = Pieces(rate_hz)
    given_back = [piece for samples in lengths for piece in pieces.push(bytes(2 * samples))] + list(pieces.flush())
    assert all(0 < len(piece) <= MOST_BYTES and len(piece) % 2 == 0 for piece in given_back)
    assert abs(sum(map(len, given_back)) / 2 - sum(lengths) * 24_000 / rate_hz) <= 1


@pytest.mark.parametrize("kind", REPLIES.values(), ids=REPLIES)
def test_table(kind: ReplyKind) -> None:
    """Each line opens what it names, with an author where it says so."""
    opener = getattr(import_module(kind.module), kind.opener)
    assert len(inspect.signature(opener).parameters) == (kind.name in AUTHORED)
    assert bool(kind.no_author) == (kind.name not in AUTHORED)

"""sherpa-onnx with a small model that recognises tones, in place of models that need a download."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rt_cli.errors import UsageError
from rt_cli.server.recognition.base.text import whole_words
from rt_cli.server.recognition.interface import Hypothesis, RecognizerFailed
from rt_cli.server.recognition.registry import open_recognizer
from rt_cli.server.recognition.sherpa import ModelFiles, model_files
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.server.recognition.interface import RecognizerSession, Transcription

installed = pytest.importorskip("sherpa_onnx", reason="the extra asr is not installed")

MODEL = Path(__file__).parents[2] / "data" / "tone_transducer"
RATE_HZ = 24_000


def loud(seconds: float) -> bytes:
    """Noise at -20 dBFS; the model recognises ``tone on tone on ...``, one token per 0.32 s."""
    return np.random.default_rng(1).normal(0, 3_000, int(seconds * RATE_HZ)).astype("<i2").tobytes()


def quiet(seconds: float) -> bytes:
    """Digital silence."""
    return bytes(int(seconds * RATE_HZ) * 2)


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (
            ["encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt", "README.md"],
            ModelFiles("encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt"),
        ),
        (
            [
                *("encoder-epoch-99.onnx", "encoder-epoch-99.int8.onnx", "decoder-epoch-99.onnx", "tokens.txt"),
                *("decoder-epoch-99.int8.onnx", "joiner-epoch-99.onnx", "bpe.model"),
            ],
            ModelFiles(
                "encoder-epoch-99.int8.onnx", "decoder-epoch-99.int8.onnx", "joiner-epoch-99.onnx", "tokens.txt"
            ),
        ),
    ],
)
def test_files_are_found(names: list[str], files: ModelFiles) -> None:
    """Files are found by their role; int8 files are preferred."""
    assert model_files("dir", names) == files


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        ([], r"dir has no encoder\*.onnx, decoder\*.onnx, joiner\*.onnx, tokens.txt:"),
        (["encoder.onnx", "decoder.onnx", "joiner.txt", "tokens.txt"], r"dir has no joiner\*.onnx:"),
        (["encoder.onnx", "decoder.onnx", "joiner.onnx"], r"dir has no tokens.txt:"),
    ],
)
def test_missing_files_are_named(names: list[str], missing: str) -> None:
    """The message names the missing files."""
    with pytest.raises(UsageError, match=missing):
        model_files("dir", names)


@pytest.mark.parametrize(
    ("text", "whole"),
    [("", ""), ("hel", ""), ("hello wor", "hello"), ("你好", "你好"), ("ok 你", "ok 你"), ("你 o", "你")],
)
def test_whole_words(text: str, whole: str) -> None:
    """An incomplete last word is removed."""
    assert whole_words(text) == whole


async def recognise(session: RecognizerSession, *parts: bytes) -> list[Hypothesis]:
    """All hypotheses of some audio."""
    item = await session.open(RATE_HZ)

    async def feed() -> None:
        for part in parts:
            await item.feed(part)
        item.finish()

    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        return await all_hypotheses(item)


async def all_hypotheses(item: Transcription) -> list[Hypothesis]:
    """All hypotheses of an item whose audio is complete."""
    return [hypothesis async for hypothesis in item.hypotheses()]


def test_streaming() -> None:
    """Partial texts grow, the final one has all tokens; a silence ends a segment, not the item."""

    async def scenario() -> list[Hypothesis]:
        async with open_recognizer(f"sherpa:{MODEL}") as recognizer, recognizer.session() as session:
            assert "tone_transducer" in recognizer.notice
            return await recognise(session, loud(1.92), quiet(3.0), loud(1.92))

    *partials, final = run(scenario(), 60)
    assert final.final
    assert not any(each.final for each in partials)
    assert len({each.text for each in partials}) > 6
    words = final.text.split()
    assert all(each.text.split() == words[: len(each.text.split())] for each in partials)
    first = partials[len(partials) // 2].text.split()
    assert len(first) >= 3
    assert len(first) + 3 <= len(words) <= 10, "said once"


def test_silence_has_no_words() -> None:
    """Silence, and an item without audio, have an empty text."""

    async def scenario() -> None:
        async with open_recognizer(f"sherpa:{MODEL}") as recognizer, recognizer.session() as session:
            assert (await recognise(session, quiet(1)))[-1] == Hypothesis("", final=True)
            assert await recognise(session) == [Hypothesis("", final=True)]

    run(scenario(), 60)


def test_concurrent_items() -> None:
    """Each item has its own text, in one session and in several."""

    async def scenario() -> None:
        async with (
            open_recognizer(f"sherpa:{MODEL}", 2) as recognizer,
            recognizer.session() as one,
            recognizer.session() as other,
            asyncio.TaskGroup() as group,
        ):
            long = [group.create_task(recognise(session, loud(3.2))) for session in (one, other, other)]
            short = group.create_task(recognise(one, loud(0.64)))
        texts = [task.result()[-1].text for task in (*long, short)]
        assert texts[0] == texts[1] == texts[2]
        # The last token appears only with the silence that is appended at the end.
        assert texts[3] == "tone on"
        assert len(texts[0]) > len(texts[3])

    run(scenario(), 60)


def test_unrecognised_audio_is_limited() -> None:
    """feed() waits for a minute of audio to be recognised; an abandoned item frees it."""

    async def scenario() -> None:
        async with open_recognizer(f"sherpa:{MODEL}", 1) as recognizer, recognizer.session() as session:
            item = await session.open(RATE_HZ)
            feeding = asyncio.create_task(item.feed(loud(60)))
            most = 0.0
            async for hypothesis in item.hypotheses():
                most = max(most, item.waiting_s)  # type: ignore[attr-defined]
                if "tone" in hypothesis.text:
                    break
            assert most <= 5.01
            item.abandon()
            await feeding
            with pytest.raises(RecognizerFailed):
                await all_hypotheses(item)
            assert (await recognise(session, loud(1)))[-1].text

    run(scenario(), 60)


def garbage(model: Path) -> None:
    """A corrupt download."""
    (model / "joiner.onnx").write_bytes(b"<html>")


def another_kind(model: Path) -> None:
    """A model that is not streaming has the same file names; the library crashes on it."""
    shutil.copy(model / "joiner.onnx", model / "encoder.int8.onnx")


def wrong_tokens(model: Path) -> None:
    """A tokens.txt with other content."""
    (model / "tokens.txt").write_bytes(b"\xff\xfe nonsense\x1b[2J\n")


@pytest.mark.parametrize("spoil", [garbage, another_kind, wrong_tokens])
def test_models_that_cannot_be_loaded(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """UsageError with one line; this process survives."""
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    spoil(model)

    async def scenario() -> None:
        async with open_recognizer(f"sherpa:{model}"):
            pass

    with pytest.raises(UsageError, match=r"cannot be loaded .*streaming transducer") as caught:
        run(scenario(), 60)
    assert str(caught.value).isprintable()


def test_no_directory(tmp_path: Path) -> None:
    """A missing directory is a usage error."""

    async def scenario() -> None:
        async with open_recognizer(f"sherpa:{tmp_path / 'none'}"):
            pass

    with pytest.raises(UsageError, match="No such file"):
        run(scenario())

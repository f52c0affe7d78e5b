"""Specs of recognisers, errors for missing engines, and the common interface."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import UsageError
from rt_cli.server.recognition.registry import Spec, open_recognizer, parse_spec
from tests.fakes import run

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("pocketsphinx", Spec("pocketsphinx")),
        ("none", Spec("none")),
        ("http:http://localhost:8000", Spec("http", "http://localhost:8000")),
        ("http:https://host/v1", Spec("http", "https://host/v1")),
        ("http://localhost:8000", Spec("http", "http://localhost:8000")),
        ("https://host/v1", Spec("http", "https://host/v1")),
        ("sherpa:/models/with:colon", Spec("sherpa", "/models/with:colon")),
        (r"sherpa:C:\models", Spec("sherpa", r"C:\models")),
        ("whisper:base.en", Spec("whisper", "base.en")),
        ("whisper:owner/model", Spec("whisper", "owner/model")),
    ],
)
def test_spec(text: str, spec: Spec) -> None:
    """The documented forms, and a plain URL."""
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text", ["", ":", "sherpa", "sherpa:", "whisper:", "http:", "none:", "pocketsphinx:en", "vosk:dir", "\x1b[2J"]
)
def test_bad_spec(text: str) -> None:
    """One line with the valid forms, exit code 2."""
    with pytest.raises(UsageError, match="pocketsphinx, none, http:URL, sherpa:DIR or whisper:MODEL") as caught:
        parse_spec(text)
    assert caught.value.exit_code == 2
    assert str(caught.value).isprintable()


async def open_and_close(spec: str, model: str | None = None) -> str:
    """Open and close the recogniser."""
    async with open_recognizer(spec, model=model) as recognizer:
        return recognizer.notice


@pytest.mark.parametrize("spec", ["none", "pocketsphinx", "sherpa:.", "whisper:base"])
def test_model_without_http(spec: str) -> None:
    """Only ``http:`` takes a model name."""
    with pytest.raises(UsageError, match=r"takes no model by name: only http:URL does"):
        run(open_and_close(spec, "large"))


@pytest.mark.parametrize(
    ("spec", "module", "extra"),
    [
        ("http:http://localhost", "httpx", "http"),
        ("sherpa:.", "sherpa_onnx", "asr"),
        ("whisper:base", "faster_whisper", "whisper"),
    ],
)
def test_missing_extra(monkeypatch: pytest.MonkeyPatch, spec: str, module: str, extra: str) -> None:
    """The message has the install command."""
    there = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == module else there(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with pytest.raises(UsageError) as caught:
        run(open_and_close(spec))
    assert str(caught.value).endswith(f"pip install 'rt-cli[{extra}]'")


def test_model_is_rejected_by_other_engines(tmp_path: Path) -> None:
    """A model name without effect is rejected."""
    with pytest.raises(UsageError, match="only http:URL"):
        run(open_and_close(f"sherpa:{tmp_path}", model="large"))


def test_none_returns_empty_texts() -> None:
    """Without a recogniser each item has an empty final text."""

    async def scenario() -> None:
        async with open_recognizer("none") as recognizer, recognizer.session() as session:
            item = await session.open(24_000)
            await item.feed(bytes(4_800))
            item.finish()
            assert [(each.text, each.final) async for each in item.hypotheses()] == [("", True)]
            assert recognizer.languages is None

    run(scenario())

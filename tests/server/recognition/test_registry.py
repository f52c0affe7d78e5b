"""The table of recognisers: specs, what auto chooses, errors for missing engines, and the common interface."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import EndpointError, UsageError
from rt_cli.protocol.endpoint.endpoint import EMBEDDED_MODEL
from rt_cli.run.plan import make_plan
from rt_cli.server.recognition import registry
from rt_cli.server.recognition.model_places import find_model, model_name
from rt_cli.server.recognition.registry import (
    AUTO,
    DEFAULT,
    ENGINES,
    FORMS,
    Engine,
    Spec,
    choose_engine,
    open_recognizer,
    parse_spec,
)
from rt_cli.server.server import serve
from rt_cli.settings import EndpointSettings, Settings
from tests.fakes import run

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("auto", Spec("auto")),
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
    "text",
    [
        "",
        ":",
        "auto:",
        "auto:tiny",
        "sherpa",
        "sherpa:",
        "whisper:",
        "http:",
        "none:",
        "pocketsphinx:en",
        "vosk:dir",
        "\x1b[2J",
    ],
)
def test_bad_spec(text: str) -> None:
    """One line with the valid forms, exit code 2."""
    with pytest.raises(UsageError, match=f"it is one of {', '.join(FORMS[:-1])} or {FORMS[-1]}") as caught:
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
    without(monkeypatch, module)
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


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_table(engine: Engine) -> None:
    """Each line opens what it names, and its form is a spec."""
    opener = getattr(import_module(engine.module), engine.opener)
    parameters = inspect.signature(opener).parameters
    assert "workers" in parameters
    assert len([each for each in parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]) >= engine.takes_target
    assert str(parse_spec(engine.form)) == engine.form
    assert bool(engine.package) == bool(engine.extra)
    assert engine.form in FORMS


CHOICES = [
    pytest.param(set(), {}, "pocketsphinx", id="nothing installed"),
    pytest.param({"sherpa_onnx", "faster_whisper", "httpx"}, {}, "pocketsphinx", id="no model"),
    pytest.param(set(), {"sherpa": "/s", "whisper": "/w"}, "pocketsphinx", id="models of engines that are missing"),
    pytest.param({"faster_whisper"}, {"sherpa": "/s", "whisper": "/w"}, "whisper:/w", id="whisper"),
    pytest.param({"sherpa_onnx", "faster_whisper"}, {"whisper": "/w"}, "whisper:/w", id="sherpa has no model"),
    pytest.param({"sherpa_onnx", "faster_whisper"}, {"sherpa": "/s", "whisper": "/w"}, "sherpa:/s", id="both"),
    pytest.param({"httpx", "pocketsphinx"}, {"http": "http://host"}, "pocketsphinx", id="never a server"),
]


@pytest.mark.parametrize(("installed", "models", "chosen"), CHOICES)
def test_choice_of_auto(installed: set[str], models: dict[str, str], chosen: str) -> None:
    """The first engine with library and model, else pocketsphinx."""
    assert DEFAULT == EMBEDDED_MODEL
    assert str(choose_engine(installed.__contains__, lambda engine: models.get(engine.name))) == chosen


def files(folder: Path, *names: str) -> Path:
    """A folder with these files."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return folder


WHISPER = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")
SHERPA = ("encoder-1.int8.onnx", "decoder-1.onnx", "joiner-1.onnx", "tokens.txt")


def found(name: str, environ: dict[str, str]) -> str | None:
    """The model that an engine of the table finds."""
    engine = ENGINES[name]
    return find_model(engine.model_files, engine.repositories, environ)


def test_models_in_the_folder_of_rt(clean_environment: Path) -> None:
    """Each engine finds the first complete model of its kind."""
    models = clean_environment / "data" / "rt" / "models"
    assert found("sherpa", {}) is found("whisper", {}) is None
    files(models / "a", "model.bin", "config.json")
    files(models / "b", *SHERPA[1:])
    assert found("sherpa", {}) is found("whisper", {}) is None
    whisper, sherpa = files(models / "c", *WHISPER), files(models / "d", *SHERPA)
    files(models / "e", *WHISPER, *SHERPA)
    assert (found("whisper", {}), found("sherpa", {})) == (str(whisper), str(sherpa))


@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
        ("HOME", ".cache/huggingface/hub"),
    ],
)
def test_models_that_were_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, folder: str
) -> None:
    """The best one of a size that keeps up with speech, wherever the cache is; never an incomplete one."""
    cache = tmp_path / folder
    monkeypatch.setenv("HOME", str(tmp_path))
    environ = {variable: str(tmp_path)}

    def cached(size: str, *names: str) -> str:
        return str(files(cache / f"models--Systran--faster-whisper-{size}" / "snapshots" / "0a1b", *names))

    cached("large-v3", *WHISPER)
    cached("base", *WHISPER[:2])
    assert found("whisper", environ) is None
    tiny = cached("tiny.en", *WHISPER)
    assert found("whisper", environ) == tiny
    base = cached("base.en", *WHISPER)
    assert found("whisper", environ) == base
    assert found("sherpa", environ) is None
    assert model_name(base) == "Systran/faster-whisper-base.en"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tiny.en", "tiny.en"),
        ("/models/tiny", "tiny"),
        ("owner/model", "model"),
        (".", "."),
        ("/snapshots/a", "a"),
        ("/c/models--o--a--b/snapshots/1", "o/a--b"),
    ],
)
def test_name_of_a_model(path: str, name: str) -> None:
    """The folder, or the repository of a folder of the cache."""
    assert model_name(path) == name


def test_choice_is_cheap() -> None:
    """It imports no engine, no library of one, and nothing of asyncio."""
    code = "import sys; from rt_cli.server.recognition import registry as r; r.choose_engine(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    engines = {engine.module for engine in ENGINES.values()} | {engine.package for engine in ENGINES.values()}
    assert loaded & (engines | {"asyncio", "numpy", "huggingface_hub"}) == set()


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As if a module were not installed."""
    there = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == module else there(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)


def test_run_without_pocketsphinx(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that starts its own endpoint needs words: of another engine, or it says why there are none."""
    local = Settings(endpoint=EndpointSettings(local=True))
    without(monkeypatch, "pocketsphinx")
    with pytest.raises(EndpointError, match="pocketsphinx is not installed") as caught:
        make_plan(local, {})
    assert caught.value.code == "no_recognizer"
    monkeypatch.setattr(registry, "choose_engine", lambda: Spec("whisper", "/models/tiny"))
    plan = make_plan(local, {})
    assert plan.recognizer == Spec("whisper", "/models/tiny")
    assert plan.session.body["audio"]["input"]["transcription"]["model"] == "whisper"  # type: ignore[index]


def test_auto_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server names the engine that auto chose."""

    async def scenario() -> None:
        async with serve() as server:
            assert server.recognizer == "pocketsphinx"
            assert "pocketsphinx" in server.notice
        monkeypatch.setattr(registry, "choose_engine", lambda: Spec("none"))
        async with serve(recognizer=AUTO) as server:
            assert server.recognizer == "none"

    run(scenario())

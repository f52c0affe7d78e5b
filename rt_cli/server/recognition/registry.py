"""The engines by name: what a spec means, what it needs, and how each is started."""

from __future__ import annotations

import importlib.util
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.server.recognition.null import NullRecognizer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.server.recognition.interface import Recognizer

Kind = Literal["pocketsphinx", "none", "http", "sherpa", "whisper"]

NO_WORDS = "no recogniser: turns are found, but their text is empty"
_FORMS = "pocketsphinx, none, http:URL, sherpa:DIR or whisper:MODEL"
_NEEDED = {"http": ("httpx", "http"), "sherpa": ("sherpa_onnx", "asr"), "whisper": ("faster_whisper", "whisper")}
"""The module that an engine is made of, and the extra that brings it."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Which engine, and with what."""

    kind: Kind
    target: str = ""
    """URL, directory or model."""


def parse_spec(text: str) -> Spec:
    """Read what ``--recognizer`` says. A URL is understood without the ``http:`` before it, too.

    Raises:
        UsageError: It is none of the forms.
    """
    if text.startswith(("http://", "https://")):
        return Spec("http", text)
    kind, colon, target = text.partition(":")
    for known in get_args(Kind):
        if kind == known and bool(colon) == (known in _NEEDED) and bool(target) == bool(colon):
            return Spec(known, target)
    raise UsageError(f"unknown recogniser {printable(masked(text))!r}", f"it is one of {_FORMS}")


def check_installed(kind: Kind) -> None:
    """Raise UsageError, with the command that installs it, where an engine's library is missing."""
    module, extra = _NEEDED.get(kind, ("", ""))
    if module and importlib.util.find_spec(module) is None:
        raise UsageError(f"the recogniser {kind} is not installed", f"pip install 'rt-cli[{extra}]'")


def unavailable() -> str | None:
    """Why pocketsphinx cannot be used here and what to do, in one line; None if it can."""
    if importlib.util.find_spec("pocketsphinx") is not None:
        return None
    return (
        "pocketsphinx is not installed (it has no wheel for some Pythons and machines), so the embedded endpoint makes "
        "turns without words: install Python 3.11 or 3.13, or use a real endpoint with --url"
    )


@asynccontextmanager
async def open_recognizer(
    spec: str, workers: int | None = None, *, model: str | None = None
) -> AsyncIterator[Recognizer]:
    """The recogniser of a server; its processes, threads and connections end with the block.

    Where pocketsphinx is missing there are no words, and the notice says so.

    Args:
        spec: ``pocketsphinx``, ``none``, ``http:URL``, ``sherpa:DIR`` or ``whisper:MODEL``.
        workers: How many items are worked on at once; None: what fits the engine and the machine.
        model: The name that an ``http:`` server has for what shall be used.

    Raises:
        UsageError: The spec is wrong, or what it needs is not there; the message says how to get it.
    """
    engine = parse_spec(spec)
    if model is not None and engine.kind != "http":
        raise UsageError(f"the recogniser {engine.kind} takes no model by name", "only http:URL does")
    if engine.kind == "none":
        yield NullRecognizer(NO_WORDS)
    elif engine.kind == "pocketsphinx" and (reason := unavailable()) is not None:
        yield NullRecognizer(reason)
    else:
        async with _open_engine(engine, workers, model) as recognizer:
            yield recognizer


@asynccontextmanager
async def _open_engine(spec: Spec, workers: int | None, model: str | None) -> AsyncIterator[Recognizer]:
    """Start an engine; what it needs to load, it loads beside.

    Args:
        spec: Any but ``none``.
        workers: How many items are worked on at once; None: its default.
        model: For ``http`` alone.

    Raises:
        UsageError: What it needs is not there.
    """
    check_installed(spec.kind)
    if spec.kind == "http":
        from rt_cli.server.recognition.http import DEFAULT_MODEL, DEFAULT_UPLOADS, open_http

        async with open_http(spec.target, model=model or DEFAULT_MODEL, uploads=workers or DEFAULT_UPLOADS) as batch:
            yield batch
    elif spec.kind == "sherpa":
        from rt_cli.server.recognition.sherpa import open_sherpa

        async with open_sherpa(spec.target, workers) as sherpa:
            yield sherpa
    elif spec.kind == "whisper":
        from rt_cli.server.recognition.whisper import open_whisper

        async with open_whisper(spec.target, workers) as batch:
            yield batch
    else:
        from rt_cli.server.recognition.pocketsphinx.recognizer import Pocketsphinx

        sphinx = Pocketsphinx(workers)
        try:
            sphinx.warm_up()
            yield sphinx
        finally:
            await sphinx.aclose()

"""The recognition engines by name: parse ``--recognizer``, check requirements, start the engine."""

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
_REQUIREMENTS = {"http": ("httpx", "http"), "sherpa": ("sherpa_onnx", "asr"), "whisper": ("faster_whisper", "whisper")}
"""Module that an engine imports, and the extra that installs it."""


@dataclass(frozen=True, slots=True)
class Spec:
    """An engine and its target."""

    kind: Kind
    target: str = ""
    """URL, directory or model."""


def parse_spec(text: str) -> Spec:
    """Parse ``--recognizer``. A plain URL means ``http:URL``.

    Raises:
        UsageError: Unknown form.
    """
    if text.startswith(("http://", "https://")):
        return Spec("http", text)
    kind, colon, target = text.partition(":")
    for known in get_args(Kind):
        if kind == known and bool(colon) == (known in _REQUIREMENTS) and bool(target) == bool(colon):
            return Spec(known, target)
    raise UsageError(f"unknown recogniser {printable(masked(text))!r}", f"it is one of {_FORMS}")


def check_installed(kind: Kind) -> None:
    """Raise UsageError, with the install command, if the library of an engine is missing."""
    module, extra = _REQUIREMENTS.get(kind, ("", ""))
    if module and importlib.util.find_spec(module) is None:
        raise UsageError(f"the recogniser {kind} is not installed", f"pip install 'rt-cli[{extra}]'")


def unavailable() -> str | None:
    """One line: why pocketsphinx is unavailable and what to do; None if it is available."""
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
    """Open the recogniser of a server; its processes, threads and connections end with the block.

    If pocketsphinx is missing, the recogniser returns empty texts, and its notice says so.

    Args:
        spec: ``pocketsphinx``, ``none``, ``http:URL``, ``sherpa:DIR`` or ``whisper:MODEL``.
        workers: Items recognised at once; None: the default of the engine and the machine.
        model: Model name for an ``http:`` server.

    Raises:
        UsageError: The spec is invalid, or a requirement is missing; the message says how to install it.
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
    """Start an engine; its model loads in the background.

    Args:
        spec: Any spec but ``none``.
        workers: Items recognised at once; None: the engine's default.
        model: Model name; only for ``http``.

    Raises:
        UsageError: A requirement is missing.
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

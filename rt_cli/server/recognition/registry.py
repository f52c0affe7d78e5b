"""The recognition engines by name: parse ``--recognizer``, choose for ``auto``, check requirements, start the engine.

A new engine is a file with its opener, and a line in the table.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rt_cli.errors import EndpointError, UsageError
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.server.recognition.model_places import find_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rt_cli.server.recognition.interface import Recognizer

AUTO = "auto"
DEFAULT = "pocketsphinx"
_ROOM = "rt_cli.server.recognition"
_TRANSDUCER = ("*encoder*.onnx", "*decoder*.onnx", "*joiner*.onnx", "tokens.txt")
_CTRANSLATE2 = ("model.bin", "config.json", "tokenizer.json")
"""Without the last, faster-whisper downloads one."""
_WHISPER_MODELS = tuple(f"Systran/faster-whisper-{size}" for size in ("base", "base.en", "tiny", "tiny.en"))
"""What faster-whisper downloads by these names. Larger ones are slower than speech on most processors."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A line of the table. Nothing of an engine is imported before it is asked for."""

    form: str
    """As people write it: ``NAME`` or ``NAME:TARGET``."""
    module: str
    opener: str
    """Function of the module that opens a :class:`Recognizer`: ``opener([target], workers=..., [model=...])``."""
    package: str = ""
    """Module that the engine imports; empty: nothing that can be missing."""
    extra: str = ""
    """The extra that installs the library."""
    model_files: tuple[str, ...] = ()
    """Patterns of the files of a model in a folder, by which ``auto`` finds one; empty: ``auto`` never takes it."""
    repositories: tuple[str, ...] = ()
    """Models that ``auto`` takes from the cache of Hugging Face, the best first."""
    takes_model: bool = False
    """The opener takes a model by name."""

    @property
    def name(self) -> str:
        """The name without target."""
        return self.form.partition(":")[0]

    @property
    def takes_target(self) -> bool:
        """True if the form has a target."""
        return ":" in self.form


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("pocketsphinx", f"{_ROOM}.pocketsphinx.recognizer", "open_pocketsphinx"),
        Engine("none", f"{_ROOM}.null", "open_null"),
        Engine("script:FILE", f"{_ROOM}.script", "open_script"),
        Engine("http:URL", f"{_ROOM}.http", "open_http", "httpx", "http", takes_model=True),
        # First sherpa: rt finds its models only where somebody put them for rt.
        Engine("sherpa:DIR", f"{_ROOM}.sherpa", "open_sherpa", "sherpa_onnx", "asr", model_files=_TRANSDUCER),
        Engine(
            *("whisper:MODEL", f"{_ROOM}.whisper", "open_whisper", "faster_whisper", "whisper"),
            model_files=_CTRANSLATE2,
            repositories=_WHISPER_MODELS,
        ),
    )
}
"""The engines. ``auto`` takes the first that is installed and finds a model."""
FORMS = (AUTO, *(engine.form for engine in ENGINES.values()))
"""What ``--recognizer`` takes."""


@dataclass(frozen=True, slots=True)
class Spec:
    """An engine and its target."""

    kind: str
    target: str = ""
    """URL, directory or model."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}" if self.target else self.kind


def parse_spec(text: str) -> Spec:
    """Parse ``--recognizer``. A plain URL means ``http:URL``; ``auto`` has no engine yet.

    Raises:
        UsageError: Unknown form.
    """
    if text.startswith(("http://", "https://")):
        return Spec("http", text)
    kind, colon, target = text.partition(":")
    if text == AUTO:
        return Spec(AUTO)
    if (engine := ENGINES.get(kind)) is not None and engine.takes_target == bool(target) == bool(colon):
        return Spec(kind, target)
    forms = f"{', '.join(FORMS[:-1])} or {FORMS[-1]}"
    raise UsageError(f"unknown recogniser {printable(masked(text))!r}", f"it is one of {forms}")


def choose_engine(
    is_installed: Callable[[str], bool] | None = None, model_at_hand: Callable[[Engine], str | None] | None = None
) -> Spec:
    """The choice of ``auto``: the first engine that is installed and has a model at hand, else pocketsphinx.

    Imports and loads no engine, and downloads nothing. Blocks while it looks into a few folders.

    Args:
        is_installed: Whether a module can be imported; None: look.
        model_at_hand: The target that an engine finds; None: look.
    """
    is_installed, model_at_hand = is_installed or _is_installed, model_at_hand or _model_at_hand
    for engine in ENGINES.values():
        if engine.model_files and is_installed(engine.package) and (target := model_at_hand(engine)) is not None:
            return Spec(engine.name, target)
    return Spec(DEFAULT)


def check_words(spec: Spec) -> None:
    """Raise EndpointError if the choice of ``auto`` has no words; the message says what to do."""
    if spec.kind == DEFAULT and unavailable() is not None:
        raise EndpointError(*_missing(), code="no_recognizer")


def check_installed(kind: str) -> None:
    """Raise UsageError, with the install command, if the library of an engine is missing."""
    engine = ENGINES[kind]
    if engine.package and not _is_installed(engine.package):
        raise UsageError(f"the recogniser {kind} is not installed", f"pip install 'rt-cli[{engine.extra}]'")


def unavailable() -> str | None:
    """One line: why pocketsphinx is unavailable and what to do; None if it is available."""
    return None if _is_installed("pocketsphinx") else ": ".join(_missing())


def _missing() -> tuple[str, str]:
    from rt_cli.server.recognition.reinstall import missing_recognizer

    return missing_recognizer(sys.version_info[:2], sys.prefix)


async def resolve_spec(text: str) -> Spec:
    """Parse ``--recognizer`` and choose for ``auto``.

    Raises:
        UsageError: Unknown form.
    """
    import asyncio

    spec = parse_spec(text)
    return await asyncio.to_thread(choose_engine) if spec.kind == AUTO else spec


@asynccontextmanager
async def open_recognizer(
    spec: str | Spec, workers: int | None = None, *, model: str | None = None
) -> AsyncIterator[Recognizer]:
    """Open the recogniser of a server; its processes, threads and connections end with the block.

    The model loads in the background. If pocketsphinx is missing, the recogniser returns empty texts, and its notice
    says so.

    Args:
        spec: One of :data:`FORMS`, or what :func:`resolve_spec` made of it.
        workers: Items recognised at once; None: the default of the engine and the machine.
        model: Model name, for an engine that takes one.

    Raises:
        UsageError: The spec is invalid, or a requirement is missing; the message says how to install it.
    """
    spec = await resolve_spec(spec) if isinstance(spec, str) else spec
    engine = ENGINES[spec.kind]
    if model is not None and not engine.takes_model:
        takers = " or ".join(each.form for each in ENGINES.values() if each.takes_model)
        raise UsageError(f"the recogniser {spec.kind} takes no model by name", f"only {takers} does")
    check_installed(spec.kind)
    open_engine = getattr(import_module(engine.module), engine.opener)
    target = [spec.target] if engine.takes_target else []
    options: dict[str, Any] = {"workers": workers} if model is None else {"workers": workers, "model": model}
    async with open_engine(*target, **options) as recognizer:
        yield recognizer


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _model_at_hand(engine: Engine) -> str | None:
    return find_model(engine.model_files, engine.repositories)

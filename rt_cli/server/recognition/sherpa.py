"""Streaming recognition by sherpa-onnx, with a transducer model from a directory."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.server.recognition.base.incremental import Incremental
from rt_cli.server.recognition.base.model_threads import ModelThreads, default_workers
from rt_cli.server.recognition.sherpa_stream import SherpaStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sherpa_onnx import OnlineRecognizer

_TRIAL_S = 120.0
_TRIAL = """
import sys
from sherpa_onnx import OnlineRecognizer
OnlineRecognizer.from_transducer(**dict(each.split("=", 1) for each in sys.argv[1:]))
"""
_OTHER_MODEL = "give the directory of a streaming transducer for sherpa-onnx"
_ROLES = ("encoder", "decoder", "joiner")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """File names of a transducer model."""

    encoder: str
    decoder: str
    joiner: str
    tokens: str


def model_files(directory: str, names: Iterable[str]) -> ModelFiles:
    """Select the model files of a directory: int8 is preferred, then the shortest name. Pure.

    Raises:
        UsageError: Files are missing; the message names them.
    """
    names = sorted(names, key=lambda name: ("int8" not in name, len(name), name))
    by_role = {
        role: name for role in _ROLES for name in reversed(names) if role in name.lower() and name.endswith(".onnx")
    }
    missing = [f"{role}*.onnx" for role in _ROLES if role not in by_role]
    if "tokens.txt" not in names:
        missing.append("tokens.txt")
    if missing:
        raise UsageError(f"{printable(directory)} has no {', '.join(missing)}", _OTHER_MODEL)
    return ModelFiles(by_role["encoder"], by_role["decoder"], by_role["joiner"], "tokens.txt")


@asynccontextmanager
async def open_sherpa(directory: str, workers: int | None = None) -> AsyncIterator[Incremental[OnlineRecognizer]]:
    """Open the recogniser with the model of a directory; the model runs in threads of this process.

    Args:
        directory: Contains ``encoder*.onnx``, ``decoder*.onnx``, ``joiner*.onnx`` and ``tokens.txt``.
        workers: Sessions recognised at once.

    Raises:
        UsageError: The directory or a file is missing, or the files are not a streaming transducer.
    """
    workers = workers or default_workers()
    try:
        names = await asyncio.to_thread(os.listdir, directory)
    except OSError as exc:
        raise UsageError(f"{printable(directory)}: {exc.strerror}", "give the directory of a model") from None
    settings = _settings(Path(directory), model_files(directory, names))
    await _try(directory, settings)
    threads = ModelThreads(lambda: _load(settings), workers)
    async with threads.warm():
        notice = f"words by sherpa-onnx ({printable(Path(directory).name or directory)})"
        yield Incremental(threads, SherpaStream, notice=notice, workers=workers)


def _settings(directory: Path, files: ModelFiles) -> dict[str, str]:
    return {field.name: str(directory / getattr(files, field.name)) for field in fields(files)}


async def _try(directory: str, settings: dict[str, str]) -> None:
    """Load the model in another process first: with unsuitable files the library crashes the whole process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _TRIAL, *(f"{name}={value}" for name, value in settings.items())),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_TRIAL_S):
            _, stderr_ = await process.communicate()
    except TimeoutError:
        raise UsageError(f"{printable(directory)}: loading takes longer than {_TRIAL_S:.0f} s", _OTHER_MODEL) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = stderr_.decode(errors="replace").strip().rpartition("\n")[2]
        raise UsageError(f"{printable(directory)} cannot be loaded ({printable(last)[:200]})", _OTHER_MODEL)


def _load(settings: dict[str, str]) -> OnlineRecognizer:
    from sherpa_onnx import OnlineRecognizer

    return OnlineRecognizer.from_transducer(
        **settings,
        num_threads=1,  # parallel sessions use the cores better than parallel threads of one session
        enable_endpoint_detection=True,
    )

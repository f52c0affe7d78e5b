"""Where models are on this machine: rt's own folder, and the cache of Hugging Face. Imports and downloads nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def find_model(
    files: Iterable[str], repositories: Iterable[str], environ: Mapping[str, str] = os.environ
) -> str | None:
    """The folder of the first complete model; None if there is none. Blocks while it looks into a few folders.

    First in rt's own folder of models, by name, then in the cache of Hugging Face.

    Args:
        files: Patterns; a complete model has a file for each.
        repositories: ``OWNER/NAME`` of models in the cache, the best first.
        environ: Environment that may move the cache.
    """
    from platformdirs import user_data_path

    own = user_data_path("rt", appauthor=False) / "models"
    cached = (_cache(environ) / f"models--{name.replace('/', '--')}" / "snapshots" for name in repositories)
    files = tuple(files)
    return next((str(folder) for place in (own, *cached) for folder in _folders(place) if _has(folder, files)), None)


def _has(folder: Path, files: Iterable[str]) -> bool:
    return all(any(each.is_file() for each in folder.glob(pattern)) for pattern in files)


def model_name(path: str) -> str:
    """The name of a model in a folder: that of the repository, for a folder of the cache. Pure."""
    folder = Path(path)
    if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--"):
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
    return folder.name or path


def _cache(environ: Mapping[str, str]) -> Path:
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environ.get(variable):
            return _at_home(environ[variable])
    home = environ.get("HF_HOME") or os.path.join(environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")  # noqa: PTH118 - may begin with ~
    return _at_home(home) / "hub"


def _at_home(path: str) -> Path:
    return Path(os.path.expanduser(os.path.expandvars(path)))  # noqa: PTH111 - raises nothing without a home folder


def _folders(place: Path) -> list[Path]:
    try:
        return sorted(each for each in place.iterdir() if each.is_dir())
    except OSError:  # there is no such folder, or it may not be read: no model is at hand
        return []

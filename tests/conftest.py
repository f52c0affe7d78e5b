"""What every test stands on: nobody's keys and keyring, nobody's config, nobody's proxy."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.virtual_microphone import virtual_microphone

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["clean_environment", "virtual_microphone"]

# A busy machine is no defect: neither of an example that took long, nor of the making of many.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_FOREIGN = ("_API_KEY", "_PROXY", "_proxy")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No key, proxy, ``RT_*`` setting or config file of the user reaches a test or the programs it starts."""
    for name in list(os.environ):
        if name.endswith(_FOREIGN) or name.startswith("RT_") or name in {"FORCE_COLOR", "NO_COLOR", "CI"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    return home


def pytest_runtest_logfinish() -> None:
    """What a failed attempt left open is a part of that failure: it fails nothing else, and not the run at its end."""
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):  # they keep its frames
        if hasattr(sys, name):
            delattr(sys, name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()

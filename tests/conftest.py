"""The environment of all tests: no key, keyring, config file, proxy or model of the user."""

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

# On a busy machine, slow examples and slow generation are no failures.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_FOREIGN = ("_API_KEY", "_PROXY", "_proxy")
_OTHERS = {"FORCE_COLOR", "NO_COLOR", "CI", "PYTHONUNBUFFERED"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No key, proxy, ``RT_*`` setting, config file or model of the user reaches a test or the programs it starts."""
    for name in list(os.environ):
        if name.endswith(_FOREIGN) or name.startswith("RT_") or name in _OTHERS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    # With a model at hand, --local would have other words.
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "cache"))
    return home


def pytest_runtest_logfinish() -> None:
    """Collect what a failed test left open, so that its warnings do not fail another test or the end of the run."""
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):  # tracebacks keep frames alive
        if hasattr(sys, name):
            delattr(sys, name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()

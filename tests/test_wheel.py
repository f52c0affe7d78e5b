"""The wheel: what is in it, and that the main job runs from it in a clean environment."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.program import DATA, ROOT, needs_words

if TYPE_CHECKING:
    from pathlib import Path

TOPICS = {str(path.relative_to(ROOT)) for path in (ROOT / "rt_cli" / "help").glob("*.md")}
DATA_FILES = {"rt_cli/py.typed", *TOPICS}
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the tracked files, as a release is built."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = [name for name in files.split("\0") if name.startswith(("rt_cli/", "pyproject", "README", "LICENSE"))]
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*PIP, "wheel", "--no-deps", "-w", str(folder), str(source)], check=True, timeout=240)
    return next(folder.glob("*.whl"))


def test_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    """Every module and every data file, and no tests."""
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("rt_cli-")}
    package = ROOT / "rt_cli"
    modules = {str(path.relative_to(ROOT)) for path in package.rglob("*.py")}
    assert inside == modules | DATA_FILES
    assert {str(path.relative_to(ROOT)) for path in package.rglob("*") if path.is_file() and path.suffix in
            {".typed", ".toml", ".md"}} == DATA_FILES  # fmt: skip


@needs_words
def test_main_job_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """A new environment that has the wheel and its dependencies, and nothing of this folder."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=480, stdout=subprocess.DEVNULL)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RT_", "OPENAI"))}
    ran = subprocess.run(
        [str(tmp_path / "env" / "bin" / "rt"), "send", "--local", str(DATA / "sense_0930.wav")],
        cwd=tmp_path,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout == "he might even have been made amiable himself\n"
    told = subprocess.run(
        [str(tmp_path / "env" / "bin" / "rt"), "help", "recipes"],
        cwd=tmp_path,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.stdout.startswith("# recipes: ")
    shown = subprocess.run(
        [str(tmp_path / "env" / "bin" / "rt"), "config", "init", "--config", str(tmp_path / "config.toml")],
        cwd=tmp_path,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.stdout.strip() == str(tmp_path / "config.toml")
    assert (tmp_path / "config.toml").read_bytes() == (ROOT / "config.example.toml").read_bytes()

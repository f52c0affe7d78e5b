"""The config file: its path, its content, and the line of each key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Never

_LARGEST_FILE = 1 << 20


def config_path(environ: Mapping[str, str]) -> Path:
    """Return the default path of the config file: ``RT_CONFIG``, else the path in the user's config folder."""
    if environ.get("RT_CONFIG", "").strip():
        return expand_home(environ["RT_CONFIG"])
    from platformdirs import user_config_path

    return user_config_path("rt", appauthor=False) / "config.toml"


def expand_home(path: str) -> Path:
    """Replace a leading ``~`` by the home folder; no change if there is no home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


@dataclass(frozen=True, slots=True)
class Document:
    """A config file: parsed data, and the text for line numbers in error messages."""

    path: Path
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def reject(self, path: tuple[str, ...], problem: str, hint: str | None = None) -> Never:
        """Raise a UsageError that names file, line and key."""
        line = line_of(self.text, path)
        place = printable(f"{self.path}:{line}" if line else str(self.path))
        *tables, key = path
        name = f"[{'.'.join(tables)}] {key}" if tables else key
        raise UsageError(f"{place}: {printable(name)} {problem}", hint, code="config")


def read_document(config: Path | None, environ: Mapping[str, str]) -> Document:
    """Read a config file, or the one of :func:`config_path`. Only the file in the user's config folder may be missing.

    Raises:
        UsageError: The file cannot be read, or is no TOML; the message contains the line.
    """
    path = config or config_path(environ)
    must_exist = config is not None or bool(environ.get("RT_CONFIG", "").strip())
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as exc:
        if isinstance(exc, FileNotFoundError) and not must_exist:
            return Document(path)
        raise UsageError(f"cannot read the config file {printable(str(path))}: {exc.strerror}", code="config") from None
    if len(content) > _LARGEST_FILE:
        raise UsageError(f"{printable(str(path))}: too large for a config file", code="config")
    return _parse(path, content)


def _parse(path: Path, content: bytes) -> Document:
    name = printable(str(path))
    try:
        # utf-8-sig: Windows editors write a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise UsageError(f"{name}:{line}: not UTF-8", "save the config file as UTF-8", code="config") from None
    import tomllib

    try:
        return Document(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        found = re.fullmatch(r"(?s)(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(exc))
        problem, line_text = found.groups() if found else (str(exc), None)
        line = int(line_text or text.rstrip().count("\n") + 1)
        raise UsageError(f"{name}:{line}: not TOML: {printable(problem)}", code="config") from None
    except RecursionError:
        raise UsageError(f"{name}: nested too deeply", code="config") from None
    except ValueError:  # a number of thousands of digits, an impossible date
        raise UsageError(f"{name}: it has a value that no setting has", code="config") from None


_LINE = re.compile(r"\s*(?:\[\[?(?P<table>[^\[\]#]+)\]|(?P<key>[^=#\[\]]+?)\s*=)")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line of a key or table. If no line has exactly that path, the line of the nearest enclosing table."""
    best: tuple[int, int] | None = None
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        found = _LINE.match(line)
        if found is None:
            continue
        if found["table"] is not None:
            here = table = _parts(found["table"])
        else:
            here = (*table, *_parts(found["key"]))
        depth = len(path) if here[: len(path)] == path else len(here) if path[: len(here)] == here else 0
        if depth and (best is None or depth > best[0]):
            best = depth, number
    return None if best is None else best[1]


def _parts(dotted: str) -> tuple[str, ...]:
    quoted = re.findall(r"\s*(?:\"([^\"]*)\"|'([^']*)'|([^.\s\"']+))\s*\.?", dotted)
    return tuple(double or single or bare for double, single, bare in quoted)

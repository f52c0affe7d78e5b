"""The checks of ``rt doctor``, in order, and their findings as lines."""

from __future__ import annotations

import asyncio
import json as jsonlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rt_cli.config.config_file import config_path
from rt_cli.config.layers import load_settings
from rt_cli.doctor.finding import Finding, ReportFinding, exit_code, failed
from rt_cli.doctor.machine import look_at_disk, look_at_python
from rt_cli.doctor.run_checks import Check, examine
from rt_cli.errors import AudioError, RefusedError, UnreachableError, UsageError
from rt_cli.output.line_writer import LineWriter
from rt_cli.protocol.sanitize import masked, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.doctor.endpoint import Target
    from rt_cli.protocol.endpoint.url import Address
    from rt_cli.settings import EndpointSettings, Settings

_LAST_LINES_S = 1.0
_SHORT_S = 10.0
_KEY_S = 70.0
"""A key command may take a minute."""
_INDENT = " " * 19


def diagnose(given: dict[str, Any], *, microphone: bool, json: bool) -> int:
    """Make all checks, print what they find as they find it, and return how the main job would end.

    Args:
        given: Options by the names of the settings' keys, and ``config`` and ``profile``.
        microphone: Whether the main job has one.
        json: Print NDJSON.
    """
    lines = LineWriter(sys.stdout, on_broken=lambda: None)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        for line in [jsonlib.dumps(shape(finding))] if json else told(finding):
            lines.write(line)

    try:
        asyncio.run(examine(_Patient(given).checks(microphone=microphone), tell))
        lines.write(jsonlib.dumps(summary(findings)) if json else verdict(findings, microphone=microphone))
    finally:
        lines.close(_LAST_LINES_S)
    lines.check()
    return exit_code(findings)


class _Patient:
    """What one check finds out and a later one needs. Imports that a broken library breaks belong to its check."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._config: Path | None = given.pop("config")
        self._profile: str | None = given.pop("profile")
        self._given = given
        self._settings: Settings | None = None
        self._target: Target | None = None

    def checks(self, *, microphone: bool) -> list[Check]:
        """In the order in which they are made."""
        sound = Check("microphone", self._sound, 40.0, AudioError.exit_code)
        return [
            Check("python", look_at_python, 2 * _SHORT_S, 1),
            Check("config", self._look_at_config, _SHORT_S, UsageError.exit_code),
            *([sound] if microphone else []),
            Check("key", self._key, _KEY_S, RefusedError.exit_code),
            Check("endpoint", self._endpoint, 120.0, UnreachableError.exit_code),
            Check("disk", look_at_disk, _SHORT_S, 1),
        ]

    async def _look_at_config(self, tell: ReportFinding) -> None:
        path = self._config or config_path(os.environ)
        try:
            self._settings = self._load(self._config, self._profile)
        except UsageError as error:
            tell(failed("config", error))
            # What can be looked at without the file is looked at without it.
            self._settings = self._load(Path(os.devnull), None)
            return
        tell(Finding("config", "ok", str(path) if path.exists() else f"no file; it would be {path}"))

    def _load(self, config: Path | None, profile: str | None) -> Settings:
        return load_settings(self._given, config=config, profile=profile, environ=os.environ)

    async def _sound(self, tell: ReportFinding) -> None:
        from rt_cli.doctor.sound import LISTEN_S, look_at_sound

        if sys.stderr is not None and sys.stderr.isatty():
            print(f"say something: rt doctor listens for {LISTEN_S:g} s", file=sys.stderr)  # noqa: T201  # for people
        device = self._given["device"] if self._settings is None else self._settings.input.device
        await look_at_sound(tell, device)

    async def _key(self, tell: ReportFinding) -> None:
        if self._settings is None:
            return
        from rt_cli.doctor.endpoint import Target
        from rt_cli.doctor.key_shape import key_finding
        from rt_cli.keys.fetch import find_key
        from rt_cli.protocol.endpoint.endpoint import choose
        from rt_cli.protocol.endpoint.url import parse_address

        endpoint = self._settings.endpoint
        choice = choose(endpoint, os.environ)
        if choice.url is None:
            self._target = Target(self._settings, choice, None)
            tell(Finding("key", "skip", "the embedded endpoint needs none"))
            return
        self._target = Target(self._settings, choice, None, keyless=True)
        address = parse_address(choice.url, endpoint.dialect)
        key = await asyncio.to_thread(find_key, endpoint, choice.url, os.environ)
        self._target = Target(self._settings, choice, key)
        if key is None:
            tell(Finding("key", "ok", f"none, and {address.host} may need none"))
        else:
            tell(key_finding(_origin(endpoint, address), key, address.host))

    async def _endpoint(self, tell: ReportFinding) -> None:
        if self._target is None:
            return
        from rt_cli.doctor.endpoint import look_at_endpoint

        await look_at_endpoint(tell, self._target)


def _origin(settings: EndpointSettings, address: Address) -> str:
    """Where a key that was found is, for people."""
    from rt_cli.protocol.endpoint.key_source import KeyCommand, KeyFile, KeyVariable, key_source

    try:
        source = key_source(settings, address, os.environ)
    except RefusedError:
        source = None
    match source:
        case KeyVariable():
            return source.name
        case KeyFile():
            return f"the file {source.path}"
        case KeyCommand():
            return "the key command"
        case _:
            return "the keyring"


def shape(finding: Finding) -> dict[str, Any]:
    """A finding as NDJSON."""
    fix = {} if finding.fix is None else {"fix": _plain(finding.fix)}
    return {
        "type": "finding",
        "check": finding.check,
        "status": finding.status,
        "detail": _plain(finding.detail),
        **fix,
    }


def told(finding: Finding) -> list[str]:
    """A finding as lines for people."""
    lines = [f"{finding.status:<4}  {finding.check:<11}  {_plain(finding.detail)}"]
    return lines if finding.fix is None else [*lines, f"{_INDENT}fix: {_plain(finding.fix)}"]


def summary(findings: Sequence[Finding]) -> dict[str, Any]:
    """All findings as the last line of NDJSON."""
    counts = {status: sum(each.status == status for each in findings) for status in ("ok", "warn", "fail", "skip")}
    return {"type": "summary", "exit": exit_code(findings), **counts}


def verdict(findings: Sequence[Finding], *, microphone: bool) -> str:
    """All findings as the last line for people."""
    job = "rt stream --mic" if microphone else "rt send"
    code = exit_code(findings)
    return f"{job} would end with exit code {code}" if code else f"{job} would work"


def _plain(text: str) -> str:
    return masked(printable(text))

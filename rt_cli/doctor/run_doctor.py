"""``rt doctor``: its checks in order, and their findings as lines."""

from __future__ import annotations

import asyncio
import json as jsonlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rt_cli.config.config_file import config_path
from rt_cli.config.layers import load_settings
from rt_cli.config.variables import misspelt
from rt_cli.doctor.finding import Finding, ReportFinding, error_finding, exit_code
from rt_cli.doctor.machine import check_disk, check_python
from rt_cli.doctor.run_checks import Check, run_checks
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
"""Longer than the deadline of a key command, 60 s."""
_INDENT = " " * 19


async def diagnose(values: dict[str, Any], *, microphone: bool, json: bool, quiet: bool = False) -> int:
    """Run all checks, print each finding at once, and return the exit code that a run would have. Safe to cancel.

    Args:
        values: Options by settings key, and ``config`` and ``profile``.
        microphone: Whether to check the microphone.
        json: Print NDJSON, all of it.
        quiet: As text, print only what is wrong.
    """
    lines = LineWriter(sys.stdout, on_broken=lambda: None)
    findings: list[Finding] = []

    def report(finding: Finding) -> None:
        findings.append(finding)
        if quiet and not json and finding.status in {"ok", "skip"}:
            return
        for line in [jsonlib.dumps(finding_event(finding))] if json else finding_lines(finding):
            lines.write(line)

    try:
        await run_checks(_Checks(values).checks(microphone=microphone), report)
        if json:
            lines.write(jsonlib.dumps(summary(findings)))
        elif not quiet or exit_code(findings):
            lines.write(conclusion(findings, microphone=microphone))
    finally:
        lines.close(_LAST_LINES_S)
    lines.check()
    return exit_code(findings)


class _Checks:
    """The checks, and the results that later checks need.

    Each check imports its own libraries, so that a broken library fails only that check.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._config: Path | None = values.pop("config")
        self._profile: str | None = values.pop("profile")
        self._values = values
        self._settings: Settings | None = None
        self._target: Target | None = None

    def checks(self, *, microphone: bool) -> list[Check]:
        """Return the checks in the order of their execution."""
        sound = Check("microphone", self._check_sound, 40.0, AudioError.exit_code)
        return [
            Check("python", check_python, 2 * _SHORT_S, 1),
            Check("config", self._check_config, _SHORT_S, UsageError.exit_code),
            *([sound] if microphone else []),
            Check("key", self._check_key, _KEY_S, RefusedError.exit_code),
            Check("endpoint", self._check_endpoint, 120.0, UnreachableError.exit_code),
            Check("disk", check_disk, _SHORT_S, 1),
        ]

    async def _check_config(self, report: ReportFinding) -> None:
        path = self._config or config_path(os.environ)
        try:
            self._settings = self._load(self._config, self._profile)
        except UsageError as error:
            report(error_finding("config", error))
            # Later checks go on without the config file.
            self._settings = self._load(Path(os.devnull), None)
            return
        report(Finding("config", "ok", str(path) if path.exists() else f"no file; it would be {path}"))
        for warning in misspelt(os.environ):
            report(Finding("config", "warn", warning, "correct or unset it"))

    def _load(self, config: Path | None, profile: str | None) -> Settings:
        return load_settings(self._values, config=config, profile=profile, environ=os.environ)

    async def _check_sound(self, report: ReportFinding) -> None:
        from rt_cli.doctor.sound import LISTEN_S, check_sound

        if sys.stderr is not None and sys.stderr.isatty():
            print(f"say something: rt doctor listens for {LISTEN_S:g} s", file=sys.stderr)  # noqa: T201  # for people
        device = self._values["device"] if self._settings is None else self._settings.input.device
        await check_sound(report, device)

    async def _check_key(self, report: ReportFinding) -> None:
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
            report(Finding("key", "skip", "the embedded endpoint needs none"))
            return
        self._target = Target(self._settings, choice, None, keyless=True)
        wanted = self._settings.session.session_type
        address = parse_address(choice.url, endpoint.dialect, session_type=wanted)
        key = await asyncio.to_thread(find_key, endpoint, choice.url, os.environ, session_type=wanted)
        self._target = Target(self._settings, choice, key)
        if key is None:
            report(Finding("key", "ok", f"none, and {address.host} may need none"))
        else:
            report(key_finding(_origin(endpoint, address), key, address.host))

    async def _check_endpoint(self, report: ReportFinding) -> None:
        if self._target is None:
            return
        from rt_cli.doctor.endpoint import check_endpoint

        await check_endpoint(report, self._target)


def _origin(settings: EndpointSettings, address: Address) -> str:
    """Return the source of the key, in words."""
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


def finding_event(finding: Finding) -> dict[str, Any]:
    """Return the NDJSON object of a finding."""
    fix = {} if finding.fix is None else {"fix": _plain(finding.fix)}
    return {
        "type": "finding",
        "check": finding.check,
        "status": finding.status,
        "detail": _plain(finding.detail),
        **fix,
    }


def finding_lines(finding: Finding) -> list[str]:
    """Return the text lines of a finding."""
    lines = [f"{finding.status:<4}  {finding.check:<11}  {_plain(finding.detail)}"]
    return lines if finding.fix is None else [*lines, f"{_INDENT}fix: {_plain(finding.fix)}"]


def summary(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the NDJSON object of the last line: a summary of all findings."""
    counts = {
        status: sum(finding.status == status for finding in findings) for status in ("ok", "warn", "fail", "skip")
    }
    return {"type": "summary", "exit": exit_code(findings), **counts}


def conclusion(findings: Sequence[Finding], *, microphone: bool) -> str:
    """Return the last text line: a conclusion from all findings."""
    job = "rt stream --mic" if microphone else "rt send"
    code = exit_code(findings)
    return f"{job} would end with exit code {code}" if code else f"{job} would work"


def _plain(text: str) -> str:
    return masked(printable(text))

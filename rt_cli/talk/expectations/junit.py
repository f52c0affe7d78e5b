"""The outcome of a conversation as JUnit XML, for the report of a CI. Pure but for the file."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from rt_cli.disk.outfile import cannot_write, open_outfile, write_all
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rt_cli.errors import RtError
    from rt_cli.talk.expectations.expectations import ExpectationResult


def junit_xml(name: str, checks: Sequence[ExpectationResult], errors: Sequence[RtError], seconds: float) -> bytes:
    """Return a test suite: the conversation itself, and a test for each expectation.

    Args:
        name: Of the conversation.
        checks: The expectations and their outcomes.
        errors: Why the conversation was not held to its end.
        seconds: Its duration.
    """
    failures = sum(check.problem is not None for check in checks)
    counts = {"tests": str(len(checks) + 1), "failures": str(failures), "errors": str(int(bool(errors)))}
    suite = ET.Element("testsuite", {"name": "rt talk", **counts, "time": f"{seconds:.3f}"})
    whole = _case(suite, name, f"the conversation: {name}", seconds)
    if errors:
        ET.SubElement(whole, "error", {"message": _safe(str(errors[0])), "type": errors[0].code})
    for check in checks:
        case = _case(suite, name, check.name, 0)
        if check.problem is not None:
            ET.SubElement(case, "failure", {"message": _safe(check.problem), "type": "expectation"})
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True)) + b"\n"


class JunitFile:
    """The file of the report, open from the start: a path that cannot be written is told before the conversation.

    Args:
        path: Of the file.
        replace: Whether a file may be replaced.

    Raises:
        UsageError: It cannot be written, or has content and may not be replaced.
    """

    def __init__(self, path: Path, *, replace: bool) -> None:
        self._path = path
        self._file = open_outfile(path, replace=replace, what="the report")

    def write(self, xml: bytes) -> None:
        """Write the report, and close the file. Blocks.

        Raises:
            UsageError: The disk is full, or fails.
        """
        with self._file:
            try:
                write_all(self._file.fileno(), xml)
            except OSError as exc:
                raise cannot_write(self._path, exc, what="the report", hint="write it elsewhere") from exc


def _case(suite: ET.Element, name: str, title: str, seconds: float) -> ET.Element:
    return ET.SubElement(suite, "testcase", {"classname": _safe(name), "name": _safe(title), "time": f"{seconds:.3f}"})


def _safe(text: str) -> str:
    """Return text that XML can hold."""
    return printable(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")

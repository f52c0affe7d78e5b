"""The encoding of raw PCM: nobody chose the default that old example files state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rt_cli.config.layers import load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "expected"),
    [('encoding = "s16le"', None), ('encoding = "auto"', None), ('encoding = "alaw"', "alaw"), ("", None)],
)
def test_encoding_in_a_config_file(tmp_path: Path, line: str, expected: str | None) -> None:
    """The former default leaves recognition on; any other value is a choice."""
    path = tmp_path / "config.toml"
    path.write_text(f"[input]\n{line}\n")

    assert load_settings({}, config=path, environ={}).input.encoding == expected


def test_an_option_or_a_variable_is_a_choice() -> None:
    """The default, stated by the user of this run, switches recognition off."""
    assert load_settings({"encoding": "s16le"}, environ={}).input.encoding == "s16le"
    assert load_settings({}, environ={"RT_ENCODING": "s16le"}).input.encoding == "s16le"

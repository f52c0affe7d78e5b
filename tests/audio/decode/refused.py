"""What a file that cannot be read has in its error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rt_cli.audio.decode.files import open_file
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from pathlib import Path


def check_refused(path: Path, says: str) -> None:
    """Check that the error of a file is one line with the file, the problem and the remedy."""
    with pytest.raises(AudioError, match=says) as caught:
        open_file(path, wire_rate_hz=24_000)

    assert str(path) in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)

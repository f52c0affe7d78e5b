"""The end of an Ogg stream: whatever the pieces are, its last page is found or missed."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.decode.plan.ogg import page_length
from rt_cli.audio.decode.streamed.ending import OggEnd


def _ogg() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(40_000) * 0.05) * 0.5, 16_000, format="OGG")
    return file.getvalue()


OGG = _ogg()
LAST_PAGE = max(at for at in range(len(OGG)) if page_length(OGG, at))


def _says(*pieces: bytes) -> bool:
    ending = OggEnd()
    for piece in pieces:
        ending.see(piece)
    return ending.error(1.0) is not None


@given(st.data(), st.sampled_from([len(OGG), LAST_PAGE, len(OGG) - 1, LAST_PAGE + 5, LAST_PAGE // 2]))
def test_pieces_make_no_difference(data: st.DataObject, size: int) -> None:
    """Only the whole stream is whole; a cut between two pages is one, too."""
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=9)))
    bounds = [0, *cuts, size]
    pieces = [OGG[start:end] for start, end in pairwise(bounds)]

    assert _says(*pieces) == (size < len(OGG))


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_any_bytes_have_an_answer(pieces: list[bytes]) -> None:
    """Nothing is raised."""
    _says(b"OggS", *pieces)


@pytest.mark.parametrize(("second", "cut"), [(OGG, False), (OGG[:-1], True)])
def test_damage_between_two_streams(second: bytes, *, cut: bool) -> None:
    """The next page is found behind it."""
    assert _says(OGG + bytes(1000) + second) == cut


def test_streams_side_by_side() -> None:
    """The end of pictures is not that of the sound."""
    first = OGG[: page_length(OGG, 0)]
    other = first[:14] + b"abcd" + first[18:]

    assert not _says(first + other)

"""What `rt help endpoints` says of each dialect is what the runs of the matrix show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rt_cli.protocol.dialects import DIALECTS
from tests.bench.matrix import ROWS, measure
from tests.fakes import run

if TYPE_CHECKING:
    from tests.standins.providers import Provider


@pytest.mark.long
@pytest.mark.parametrize("row", ROWS, ids=[each.name for each in ROWS])
def test_the_table_says_what_is_so(row: Provider) -> None:
    """Words and expiry everywhere; partials, exact times and conversations where the dialect has them."""
    dialect = DIALECTS[row.dialect]
    sessions = dialect if row.session_type is None else dialect.for_listening()

    got = run(measure(row), 60)

    assert (got.words, got.expiry) == (True, True)
    assert got.partials == sessions.partials
    assert got.replay == ("exact" if sessions.exact else "approx")
    assert got.talk == ("no" if dialect.conversations is None else "yes")

"""Certificates that the variables of OpenSSL name: what cannot be used is named, before anything is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.endpoint import Trust
from rt_cli.streaming.transport.tls import check_tls_variables, tls_context
from tests.program import rt, write_wav
from tests.servers import CERTIFICATE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("variable", "content", "says"),
    [
        pytest.param("SSL_CERT_FILE", None, "SSL_CERT_FILE.*No such file", id="missing file"),
        pytest.param("SSL_CERT_FILE", "no PEM", "SSL_CERT_FILE.*no certificate", id="no certificate"),
        pytest.param("SSL_CERT_FILE", "", "SSL_CERT_FILE.*no certificate", id="empty file"),
        pytest.param("SSL_CERT_DIR", None, "SSL_CERT_DIR.*no folder", id="missing folder"),
        pytest.param("SSL_CERT_DIR", "a file", "SSL_CERT_DIR.*no folder", id="a file for a folder"),
    ],
)
def test_variables_are_checked(
    variable: str, content: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL would skip such a file, and refuse every certificate."""
    path = tmp_path / "it"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(UsageError, match=says):
        check_tls_variables()
    with pytest.raises(UsageError, match=says):
        tls_context(Trust())


def test_unwritable_key_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file for the secrets of connections, as in a shell profile of long ago."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "no" / "keys.log"))
    with pytest.raises(UsageError, match=r"SSLKEYLOGFILE.*No such file"):
        check_tls_variables()


def test_usable_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders that are there; without variables nothing is loaded."""
    check_tls_variables()
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    monkeypatch.setenv("SSL_CERT_DIR", f"/nowhere:{tmp_path}")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    check_tls_variables()
    assert tls_context(Trust()).get_ca_certs()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSLKEYLOGFILE"])
def test_program_names_the_variable(variable: str, tmp_path: Path) -> None:
    """One line, exit 2; an endpoint without TLS does not mind."""
    sound = write_wav(tmp_path / "sound.wav", bytes(9600))
    env = {variable: str(tmp_path / "no" / "it")}
    ran = rt("send", "--url", "wss://127.0.0.1:1", str(sound), env=env)
    assert (ran.exit, len(ran.causes)) == (2, 1), ran.err
    assert variable in ran.causes[0]
    assert rt("send", "--url", "ws://127.0.0.1:1", "--connect-timeout", "1", str(sound), env=env).exit == 5

"""``rt login`` and ``rt logout``, and the use of a stored key, with the real keyring library."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backends import fail

from rt_cli.errors import RefusedError, UsageError
from rt_cli.keys import keyring as keyrings
from rt_cli.keys.fetch import find_key
from rt_cli.settings import EndpointSettings
from tests.keyring_backend import FILE, FileKeyring, LockedKeyring
from tests.program import ROOT, Ran, noise, rt, write_wav
from tests.servers import CERTIFICATE, polite, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from keyring.backend import KeyringBackend

KEY = "sk-proj-0123456789abcdefghijklmnop"
CONFIG = '[profiles.work]\nurl = "https://work.test:8443"\n[profiles.rest]\nmodel = "m"\n'


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty keyring, for this process and its children."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tests.keyring_backend.FileKeyring")
    monkeypatch.setenv(FILE, str(tmp_path / "ring.json"))
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.setenv("RT_CONFIG", str(tmp_path / "config.toml"))
    with use_keyring(FileKeyring()):
        yield tmp_path / "ring.json"


@contextmanager
def use_keyring(backend: KeyringBackend) -> Iterator[None]:
    """Use this keyring in this process."""
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(before)


def keys_in(ring: Path) -> dict[str, str]:
    """Return the stored keys."""
    found: dict[str, str] = json.loads(ring.read_text()) if ring.exists() else {}
    return found


def login(*arguments: str, key: str = KEY, env: dict[str, str] | None = None) -> Ran:
    """Log in with a key from stdin; the output never contains the key."""
    ran = rt("login", *arguments, stdin=f"  {key}\r\n".encode(), env=env)
    assert key.strip() == "" or key not in ran.out + ran.err
    assert ran.out == ""
    return ran


@pytest.mark.parametrize(
    ("arguments", "account"),
    [
        ((), "api.openai.com"),
        (("--profile", "work"), "work@work.test:8443"),
        (("--url", "https://other.test/v1"), "other.test"),
        (("--url", "wss://OTHER.test:444"), "other.test:444"),
    ],
    ids=["openai", "profile", "url", "port"],
)
def test_login_and_logout(ring: Path, arguments: tuple[str, ...], account: str) -> None:
    """A key is stored under its host, or under its profile at the host, without white space around it."""
    stored = login(*arguments)
    assert (stored.exit, len(stored.err.splitlines())) == (0, 1)
    assert account in stored.err
    assert keys_in(ring) == {f"rt/{account}": KEY}

    removed = rt("logout", *arguments)
    assert (removed.exit, removed.out) == (0, "")
    assert keys_in(ring) == {}

    again = rt("logout", *arguments)
    assert (again.exit, len(again.err.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    "key", ["", "short", "two words of it", "line\nline", "k\x00eeeeeeeeey", "schlüssel-schlüssel"]
)
def test_what_is_no_key_is_not_stored(ring: Path, key: str) -> None:
    """One line, exit 2."""
    ran = login(key=key)

    assert (ran.exit, len(ran.err.splitlines())) == (2, 1)
    assert keys_in(ring) == {}


def test_a_key_of_another_shape_is_stored_with_a_warning(ring: Path) -> None:
    """A key with an unexpected format is stored, because providers change formats."""
    ran = login(key="0123456789abcdef0123456789abcdef")

    assert ran.exit == 0
    assert "warning" in ran.err
    assert len(keys_in(ring)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--url", "http://other.test"), "unencrypted"),
        (("--url", "https://a.test", "--profile", "work"), "both"),
        (("--profile", "none"), "unknown profile"),
        (("--profile", "rest"), "has no URL"),
    ],
    ids=["unencrypted", "both", "unknown", "no URL"],
)
def test_a_key_without_a_host_is_not_stored(ring: Path, arguments: tuple[str, ...], said: str) -> None:
    """A key without a clear host is an error."""
    ran = login(*arguments)

    assert (ran.exit, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err
    assert keys_in(ring) == {}


def test_a_stored_key_is_sent_and_not_printed(ring: Path, tmp_path: Path) -> None:
    """The endpoint receives the key; no output contains it, even with full logging."""
    sound = write_wav(tmp_path / "sound.wav", noise(4800))
    with scripted(polite("fine"), secure=True) as server:
        login("--url", server.url)
        common = ("send", "--url", server.url, "--cacert", str(CERTIFICATE), "-m", "whisper-1", "--speed", "max", "-vv")
        ran = rt(*common, str(sound))
        variable = rt(*common, str(sound), env={"RT_API_KEY": "of-the-variable"})

    assert (ran.exit, ran.out) == (0, "fine\n"), ran.err
    assert [head["authorization"] for head in server.headers] == [f"Bearer {KEY}", "Bearer of-the-variable"]
    assert KEY not in ran.err
    assert variable.exit == 0
    assert ring.exists()


def test_order_of_key_sources(ring: Path, tmp_path: Path) -> None:
    """File, command and variables come before the keyring; the profile's key before the host's."""
    ring.write_text(
        json.dumps({"rt/work@work.test:8443": "of-profile", "rt/work.test:8443": "of-host", "rt/o.test": "o"})
    )
    (tmp_path / "key").write_text("of-file")
    url = "https://work.test:8443"
    named = EndpointSettings(url=url, profile="work")
    given = EndpointSettings(url=url)

    assert find_key(named, url, {}) == "of-profile"
    assert find_key(given, url, {}) == "of-host"
    assert find_key(EndpointSettings(url=url, profile="play"), url, {}) == "of-host"
    assert find_key(given, url, {"RT_API_KEY": "of-variable"}) == "of-variable"
    assert find_key(EndpointSettings(url=url, api_key_file=str(tmp_path / "key")), url, {}) == "of-file"
    assert find_key(EndpointSettings(url=url, key_env="K", profile="work"), url, {}) == "of-profile"


@pytest.mark.parametrize(
    "url",
    ["https://work.test", "https://sub.work.test:8443", "ws://work.test:8443", "https://u:p@work.test:8443"],
    ids=["port", "host", "unencrypted", "credentials"],
)
def test_a_stored_key_goes_nowhere_else(ring: Path, url: str) -> None:
    """The key is not used for another port or host, an unencrypted URL, or a URL with a password."""
    ring.write_text(json.dumps({"rt/work.test:8443": "secret"}))

    assert find_key(EndpointSettings(url=url), url, {}) is None


def test_a_provider_gets_its_stored_key(ring: Path) -> None:
    """The keyring replaces the provider's variable; without both, the error names both."""
    openai = EndpointSettings(url="https://api.openai.com")
    with pytest.raises(RefusedError, match="OPENAI_API_KEY, or rt login"):
        find_key(openai, "https://api.openai.com", {})

    login()
    assert find_key(openai, "https://api.openai.com", {}) == KEY
    assert ring.exists()


def test_a_keyring_that_refuses(ring: Path) -> None:
    """Login fails with one line without the key; a run goes on without a key."""
    env = {"PYTHON_KEYRING_BACKEND": "tests.keyring_backend.LockedKeyring"}
    ran = login("--url", "https://other.test", env=env)

    assert (ran.exit, len(ran.err.splitlines())) == (2, 1)
    assert "does not work" in ran.err
    assert not ring.exists()


@pytest.mark.parametrize("backend", [LockedKeyring(), fail.Keyring()], ids=["locked", "none"])
def test_a_run_goes_on_without_a_keyring(backend: KeyringBackend) -> None:
    """A broken keyring is no error for an endpoint without a key."""
    with use_keyring(backend):
        assert find_key(EndpointSettings(url="https://a.test"), "https://a.test", {}) is None


def test_no_keyring_on_this_machine(ring: Path) -> None:
    """One line with the alternatives."""
    ran = login(env={"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"})

    assert (ran.exit, len(ran.err.splitlines())) == (2, 1)
    assert "--api-key-file" in ran.err
    assert not ring.exists()


@pytest.mark.parametrize("key", [KEY, ""], ids=["key", "none yet"])
def test_without_the_extra(key: str) -> None:
    """One line names the extra, before the prompt; a run goes on without a key."""
    hide = "import sys; sys.modules['keyring'] = None; from rt_cli.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", hide, "login"],
        input=key,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "rt-cli[keyring]" in done.stderr


def test_a_keyring_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyring that exceeds the deadline is an error."""
    monkeypatch.setattr(keyrings, "DEADLINE_S", 0.05)
    ended = threading.Event()
    monkeypatch.setattr("keyring.set_password", lambda *_: ended.wait())

    try:
        with pytest.raises(UsageError, match="no answer"):
            keyrings.store("account", "a key of some length")
    finally:
        ended.set()


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_prompt_does_not_echo(ring: Path) -> None:
    """The prompt on a terminal does not echo the key."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rt_cli", "login"], cwd=ROOT, stdin=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = read_until(ours, b"not shown): ")
    os.write(ours, f"{KEY}\n".encode())
    seen += read_until(ours, None)
    os.close(ours)

    assert process.wait(30) == 0, seen
    assert KEY not in seen.decode()
    assert keys_in(ring) == {"rt/api.openai.com": KEY}


def read_until(terminal: int, wanted: bytes | None) -> bytes:
    """Return the output of a terminal up to a text or to its end; fails after 30 s of silence."""
    seen = b""
    while wanted is None or wanted not in seen:
        assert select.select([terminal], [], [], 30)[0], seen
        try:
            piece = os.read(terminal, 1024)
        except OSError:  # Linux: the other end is closed
            piece = b""
        if not piece:
            assert wanted is None, seen
            break
        seen += piece
    return seen

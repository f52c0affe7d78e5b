"""Keys go only where they belong."""

from __future__ import annotations

import pytest

from rt_cli.errors import RefusedError, UsageError
from rt_cli.protocol.endpoint.key_source import KeyCommand, KeyFile, KeySource, KeyVariable, clean_key, key_source
from rt_cli.protocol.endpoint.url import parse_address
from rt_cli.settings import EndpointSettings

ALL = {
    "RT_API_KEY": "a",
    "OPENAI_API_KEY": "b",
    "AZURE_OPENAI_API_KEY": "c",
    "WORK_KEY": "d",
    "AZURE_VOICELIVE_API_KEY": "e",
    "XAI_API_KEY": "f",
    "DASHSCOPE_API_KEY": "g",
}
OPENAI, AZURE, OTHER = "https://api.openai.com", "https://r.openai.azure.com", "https://host.example"
PROVIDERS = {name: value for name, value in ALL.items() if name != "RT_API_KEY"}


def source(url: str, environ: dict[str, str], /, **settings: str) -> KeySource | None:
    """The source of the key for a URL."""
    return key_source(EndpointSettings(**settings), parse_address(url), environ)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "dialect", "variable"),
    [
        ("https://r.services.ai.azure.com/voice-live/realtime", None, "AZURE_VOICELIVE_API_KEY"),
        ("https://r.services.ai.azure.com", "azure-voicelive", "AZURE_VOICELIVE_API_KEY"),
        ("https://r.services.ai.azure.com", None, "AZURE_OPENAI_API_KEY"),
        ("https://api.x.ai", None, "XAI_API_KEY"),
        ("https://api.x.ai/v1/realtime", None, "XAI_API_KEY"),
        ("https://api.x.ai", "openai", "XAI_API_KEY"),
        ("https://w.eu-central-1.maas.aliyuncs.com", None, "DASHSCOPE_API_KEY"),
        ("https://api.x.ai.evil.example", "xai", None),
        ("https://evil-dashscope.aliyuncs.com", "qwen", None),
        ("https://r.services.ai.azure.com.evil.example/voice-live/realtime", "azure-voicelive", None),
    ],
)
def test_a_vendors_key_goes_to_its_hosts_alone(url: str, dialect: str | None, variable: str | None) -> None:
    """By the variable that the vendor names; the name of a dialect alone gets no key."""
    found = key_source(EndpointSettings(url="given"), parse_address(url, dialect), PROVIDERS)
    assert found == (None if variable is None else KeyVariable(variable))


@pytest.mark.parametrize(
    ("url", "environ", "settings", "expected"),
    [
        (OPENAI, ALL, {}, KeyVariable("OPENAI_API_KEY")),
        (OPENAI, ALL, {"url": OPENAI}, KeyVariable("RT_API_KEY")),
        (OPENAI, PROVIDERS, {"url": OPENAI}, KeyVariable("OPENAI_API_KEY")),
        ("https://eu.api.openai.com", PROVIDERS, {"url": "given"}, KeyVariable("OPENAI_API_KEY")),
        (AZURE, PROVIDERS, {"url": AZURE}, KeyVariable("AZURE_OPENAI_API_KEY")),
        (OTHER, ALL, {"url": OTHER}, KeyVariable("RT_API_KEY")),
        (OTHER, PROVIDERS, {"url": OTHER}, None),
        ("https://api.openai.com.evil.example", PROVIDERS, {"url": "given"}, None),
        ("https://openai.azure.com.evil.example", PROVIDERS, {"url": "given"}, None),
        ("https://notapi.openai.com", PROVIDERS, {"url": "given"}, None),
        (OTHER, ALL, {"url": OTHER, "profile": "p"}, None),
        (OPENAI, ALL, {"url": OPENAI, "profile": "p"}, KeyVariable("OPENAI_API_KEY")),
        (OTHER, ALL, {"url": OTHER, "profile": "p", "key_env": "OPENAI_API_KEY"}, KeyVariable("OPENAI_API_KEY")),
        (OTHER, ALL, {"url": OTHER, "profile": "p", "key_env": "WORK_KEY"}, KeyVariable("WORK_KEY")),
        (OTHER, ALL, {"url": OTHER, "api_key_file": "f"}, KeyFile("f")),
        (OPENAI, ALL, {"url": OPENAI, "api_key_cmd": "c"}, KeyCommand("c")),
        ("https://u:p@r.openai.azure.com", {}, {"url": "given"}, None),
        ("ws://localhost:1", {}, {"url": "given"}, None),
    ],
    ids=[
        "openai",
        "openai, given",
        "openai, given, its own key",
        "openai, region",
        "azure",
        "other",
        "other gets no provider's key",
        "look-alike of openai",
        "look-alike of azure",
        "sibling of openai",
        "a profile gets no RT_API_KEY",
        "a profile for openai",
        "a profile that names openai's",
        "a profile that names its own",
        "file",
        "command",
        "user and password",
        "no key",
    ],
)
def test_a_key_goes_where_it_belongs(
    url: str, environ: dict[str, str], settings: dict[str, str], expected: KeySource | None
) -> None:
    """To the hosts of the provider, to the URL of the settings, or to the URL of the profile; nowhere else."""
    assert expected == source(url, environ, **settings)


@pytest.mark.parametrize(
    ("url", "environ", "settings", "variable"),
    [
        (OPENAI, {"AZURE_OPENAI_API_KEY": "k"}, {"url": OPENAI}, "OPENAI_API_KEY"),
        (OPENAI, {"OPENAI_API_KEY": "  "}, {"url": OPENAI}, "OPENAI_API_KEY"),
        (AZURE, {"OPENAI_API_KEY": "k"}, {"url": AZURE}, "AZURE_OPENAI_API_KEY"),
        (OTHER, {"RT_API_KEY": "k"}, {"url": OTHER, "profile": "p", "key_env": "WORK_KEY"}, "WORK_KEY"),
    ],
    ids=["openai", "blank", "azure", "profile"],
)
def test_a_missing_key_names_the_host_and_the_variable(
    url: str, environ: dict[str, str], settings: dict[str, str], variable: str
) -> None:
    """Exit code 4 before any connection."""
    with pytest.raises(RefusedError, match=f"^no key for .*: set {variable}, or rt login$") as caught:
        source(url, environ, **settings)

    assert caught.value.exit_code == 4


def test_a_file_and_a_command_are_a_usage_error() -> None:
    """``rt`` does not guess which one to use."""
    with pytest.raises(UsageError):
        source(OTHER, {}, url=OTHER, api_key_file="f", api_key_cmd="c")


def test_white_space_around_a_key_is_removed() -> None:
    """Files end with a line end."""
    assert clean_key("\t sk-abc \r\n", "f") == "sk-abc"


@pytest.mark.parametrize("text", ["", " \n", "a\nb", "a\x00b", "a\x1bb", "schlüssel", "sk-\u200bx"], ids=repr)
def test_an_invalid_key_is_refused_and_not_printed(text: str) -> None:
    """The message names the source of the key, not the key."""
    with pytest.raises(UsageError, match="from key file") as caught:
        clean_key(text, "key file")

    assert not text.strip() or text.strip() not in str(caught.value)


BASE = PROVIDERS | {"OPENAI_BASE_URL": f"{OTHER}/v1"}


@pytest.mark.parametrize(
    ("url", "settings", "expected"),
    [
        pytest.param(f"{OTHER}/v1", {}, KeyVariable("OPENAI_API_KEY"), id="in use"),
        pytest.param(OTHER, {"url": OTHER}, None, id="another setting has the same URL"),
        pytest.param("https://evil.example", {"url": "given"}, None, id="another URL"),
        pytest.param("https://evil.example", {}, None, id="another host"),
        pytest.param(f"{OTHER}:8443", {}, None, id="another port"),
        pytest.param(AZURE, {"url": AZURE}, KeyVariable("AZURE_OPENAI_API_KEY"), id="azure keeps its own"),
    ],
)
def test_the_key_goes_to_the_base_url(url: str, settings: dict[str, str], expected: KeySource | None) -> None:
    """OpenAI's key goes to the host of OPENAI_BASE_URL, only when that is the URL in use."""
    assert source(url, BASE, **settings) == expected


def test_an_azure_base_url_gets_the_key_of_openai() -> None:
    """The variable says whose key it is."""
    environ = PROVIDERS | {"OPENAI_BASE_URL": f"{AZURE}/openai/v1"}
    assert source(f"{AZURE}/openai/v1", environ) == KeyVariable("OPENAI_API_KEY")

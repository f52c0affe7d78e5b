"""``[endpoint]``: the endpoint, its key, certificates and proxy, and its price."""

from dataclasses import dataclass, field

from rt_cli.settings.declaration import ALL, CONVERSATION, ENDPOINT, setting


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Endpoint, key, certificates, proxy and price."""

    local: bool = setting(
        False,
        "--local",
        "The embedded endpoint: no key, no network.",
        doc="Use the embedded endpoint, whatever else is configured.",
        commands=ENDPOINT,
        everyday=True,
        belongs_to_url=True,
    )
    url: str | None = setting(
        None,
        "--url URL",
        "http, https, ws or wss; /v1/realtime optional.",
        doc="http, https, ws or wss; with or without /v1 or /realtime.",
        auto="OpenAI if OPENAI_API_KEY is set, else the embedded one",
        commands=ENDPOINT,
        everyday=True,
    )
    dialect: str | None = setting(
        None,
        "--dialect NAME",
        "auto, {choices}.",
        doc="The protocol that the endpoint speaks: the name of a provider.",
        auto="by the host of the URL",
        commands=ENDPOINT,
        belongs_to_url=True,
        changes_result=True,
    )
    model: str | None = setting(
        None,
        "--model -m NAME",
        "Model that transcribes, or replies.",
        doc="The transcription model, in a conversation the model that replies; on Azure the name of the deployment.",
        auto="gpt-live-transcribe, in a conversation gpt-realtime-2, or the recogniser of the embedded endpoint",
        commands=ALL | CONVERSATION,
        everyday=True,
        changes_result=True,
    )
    profile: str | None = setting(
        None,
        "--profile -p NAME",
        "Profile of the config file.",
        doc="The profile of the config file whose values count; RT_API_KEY is not used for its URL.",
        commands=ENDPOINT,
        everyday=True,
        belongs_to_url=True,
        only="rt",
    )
    cacert: str | None = setting(
        None,
        "--cacert FILE",
        "PEM with more certificate authorities.",
        doc="A PEM file of certificate authorities to trust besides the usual ones.",
        auto="none",
        commands=ENDPOINT,
    )
    client_cert: str | None = setting(
        None,
        "--client-cert FILE",
        "PEM certificate to show the endpoint.",
        doc="A PEM file of the certificate to show the endpoint.",
        auto="none",
        commands=ENDPOINT,
        belongs_to_url=True,
    )
    client_key: str | None = setting(
        None,
        "--client-key FILE",
        "Its key, if in another file.",
        doc="A PEM file of the key of client_cert, if that is in another file.",
        auto="none",
        commands=ENDPOINT,
        belongs_to_url=True,
    )
    insecure: bool = setting(
        False,
        "--insecure -k",
        "Do not check the certificate.",
        doc="Do not check the certificate of the endpoint: anybody on the way can listen. It is said in every run.",
        commands=ENDPOINT,
        belongs_to_url=True,
    )
    proxy: str | None = setting(
        None,
        "--proxy URL",
        "http, https or socks5h [HTTPS_PROXY].",
        doc="http://, https://, socks5:// or socks5h:// (the proxy looks names up) and HOST:PORT.",
        auto="HTTPS_PROXY, ALL_PROXY and NO_PROXY, and no proxy for this machine",
        commands=ENDPOINT,
    )
    headers: tuple[tuple[str, str], ...] = setting(
        (),
        "--header -H 'K: V'",
        "Header of the handshake; repeatable.",
        doc="More headers of the handshake, none that carries a key. They stay with the URL that they are written "
        "beside.",
        sample='"X-Team" = "support"',
        commands=ENDPOINT,
        belongs_to_url=True,
    )
    api_key_file: str | None = setting(
        None,
        "--api-key-file FILE",
        "The key is in this file.",
        doc="A file that holds the key for the URL and nothing else.",
        auto="none",
        commands=ENDPOINT,
        everyday=True,
        belongs_to_url=True,
    )
    api_key_cmd: str | None = setting(
        None,
        "--api-key-cmd CMD",
        "This command prints the key.",
        doc="A command that prints the key for the URL and nothing else; it runs without a shell.",
        auto="none",
        commands=ENDPOINT,
        belongs_to_url=True,
    )
    key_env: str | None = setting(
        None,
        doc="Environment variable of the key, set by a profile: the key belongs to the URL of that profile.",
        belongs_to_url=True,
        only="profiles",
    )
    price_per_minute: float | None = setting(
        None,
        doc="What a minute of sound that is sent costs there, for the summary and for max_cost. It belongs to the URL "
        "that it is written beside, as a key does.",
        auto="unknown",
        low=0,
        belongs_to_url=True,
    )
    currency: str = setting("USD", doc="The currency of the price: any text.")
    url_origin: str | None = field(default=None, compare=False)
    """Where the URL comes from, set by the loader: an option, a variable, the config file."""

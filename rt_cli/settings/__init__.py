"""The settings, frozen values, each declared once. :mod:`rt_cli.config` loads them from options, environment and file.

One file per table. ``None`` means *auto*: the value depends on the source or the endpoint.
"""

from dataclasses import dataclass

from rt_cli.settings.declaration import table
from rt_cli.settings.delivery import DeliverySettings, OnFull
from rt_cli.settings.endpoint import EndpointSettings
from rt_cli.settings.input import Encoding, InputSettings
from rt_cli.settings.output import OutputFormat, OutputSettings, StatusMode
from rt_cli.settings.session import Delay, NoiseReduction, SessionSettings, SessionType, TurnDetection
from rt_cli.settings.talk import TalkSettings

__all__ = [
    "Delay",
    "DeliverySettings",
    "Encoding",
    "EndpointSettings",
    "InputSettings",
    "NoiseReduction",
    "OnFull",
    "OutputFormat",
    "OutputSettings",
    "SessionSettings",
    "SessionType",
    "Settings",
    "StatusMode",
    "TalkSettings",
    "TurnDetection",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run."""

    endpoint: EndpointSettings = table(EndpointSettings, "Endpoint")
    input: InputSettings = table(InputSettings, "Sound")
    session: SessionSettings = table(SessionSettings, "Words and turns")
    output: OutputSettings = table(OutputSettings, "Output")
    delivery: DeliverySettings = table(DeliverySettings, "Delivery")
    talk: TalkSettings = table(TalkSettings, "Conversation")

"""The broker's configuration: where settings come from, which of them wins, what they mean."""

from ottla.broker.configuration.broker_configuration import BrokerConfiguration, configuration_of
from ottla.broker.configuration.listeners import ListenerConfiguration
from ottla.broker.configuration.load import Flags, load_configuration
from ottla.broker.configuration.settings import ConfigurationError

__all__ = [
    "BrokerConfiguration",
    "ConfigurationError",
    "Flags",
    "ListenerConfiguration",
    "configuration_of",
    "load_configuration",
]

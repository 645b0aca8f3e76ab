"""Settings from ``KAFKA_*`` environment variables, named as the official images name them."""

from __future__ import annotations

from collections.abc import Mapping

from ottla.broker.configuration.settings import Setting

CLUSTER_ID_KEY = "cluster.id"

_PREFIX = "KAFKA_"
# What images and scripts put into the environment for the JVM, its logging and their own use.
_NOT_SETTINGS = frozenset(
    {
        "KAFKA_DEBUG",
        "KAFKA_HOME",
        "KAFKA_MODE",
        "KAFKA_OPTS",
        "KAFKA_USER",
        "KAFKA_VERSION",
    }
)
_NOT_SETTINGS_PREFIXES = (
    "KAFKA_CLASSPATH",
    "KAFKA_GC_LOG_",
    "KAFKA_HEAP_OPT",
    "KAFKA_JMX_",
    "KAFKA_JVM_",
    "KAFKA_LOG4J_",
    "KAFKA_TOOLS_LOG4J_",
    # Kubernetes sets these in every pod beside a service called "kafka".
    "KAFKA_PORT",
    "KAFKA_SERVICE_",
)


def environment_settings(environment: Mapping[str, str]) -> list[Setting]:
    """The settings among ``environment``'s variables, in the order of their names.

    ``KAFKA_LOG_RETENTION_MS`` is ``log.retention.ms``; two underscores stand for ``_``, three for
    ``-``. ``CLUSTER_ID`` is the cluster's id.
    """
    settings = []
    for name in sorted(environment):
        origin = f"environment variable {name}"
        if name == "CLUSTER_ID":
            settings.append(Setting(CLUSTER_ID_KEY, environment[name], origin))
        elif name.startswith(_PREFIX) and not _is_foreign(name):
            settings.append(Setting(_key_of(name), environment[name], origin))
    return settings


def _is_foreign(name: str) -> bool:
    return name in _NOT_SETTINGS or name.startswith(_NOT_SETTINGS_PREFIXES)


def _key_of(name: str) -> str:
    dotted = name.removeprefix(_PREFIX).lower().replace("_", ".")
    return dotted.replace("...", "-").replace("..", "_")

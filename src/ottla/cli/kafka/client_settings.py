"""What tools that produce and consume have in common: their client's settings and its failures."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ottla.cli.kafka.failures import ToolFailure, UsageError
from ottla.cli.kafka.options import Options
from ottla.cli.kafka.properties import load

if TYPE_CHECKING:
    from ottla import KafkaError, Producer

_LAST_SECONDS = 3.0
_SERVER = re.compile(r".*?\[?([0-9a-zA-Z\-%._:]*)\]?:([0-9]+)")


def server_list(options: Options) -> str:
    """``--bootstrap-server``, which must look like one.

    Raises:
        UsageError: it is missing, or names no port.
    """
    text = options.text("bootstrap-server")
    if not text:
        raise UsageError("Error while validating the bootstrap address\n")
    for server in text.split(","):
        if not _SERVER.fullmatch(server.strip()):
            raise UsageError("Please provide valid host:port like host1:9091,host2:9092\n ")
    return text


def config_file(options: Options, name: str) -> dict[str, str]:
    """The properties in the file that an option names; none without it."""
    return load(options.text(name)) if options.has(name) else {}


def agreed_group(
    options: Options, config: Mapping[str, str], extra: Mapping[str, str], config_option: str
) -> str | None:
    """The consumer's group, which may be named in three places but be only one.

    Args:
        options: may have ``--group``.
        config: properties of a file.
        extra: properties of the command line.
        config_option: the option of the file, as Java's tool calls it here.

    Raises:
        UsageError: there are several.
    """
    groups = {group for group in (config.get("group.id"), extra.get("group.id")) if group}
    groups |= {options.text("group")} if options.has("group") else set()
    if len(groups) > 1:
        detected = ", ".join(f"'{group}'" for group in sorted(groups))
        raise UsageError(
            "The group ids provided in different places (directly using '--group', via "
            f"'--consumer-property', or via '{config_option}') do not match. Detected group ids: "
            f"{detected}"
        )
    return groups.pop() if groups else None


@contextlib.contextmanager
def client_errors(servers: str) -> Iterator[None]:
    """Turn what a client raises into the end of the tool, told with its cause."""
    from ottla.client.errors import KafkaException

    try:
        yield
    except KafkaException as failure:
        error = failure.args[0]
        raise ToolFailure(error.str(), _hint(servers, error.name())) from None
    except (TypeError, ValueError) as failure:
        raise ToolFailure(str(failure)) from None


class Refused(ToolFailure):
    """The brokers don't let us in."""


def tell_trouble(error: KafkaError) -> None:
    """The ``error_cb`` of tools that produce and consume: what is wrong with brokers, not records.

    Raises:
        Refused: they don't let us in, and asking again with the same password leads nowhere.
    """
    if error.name() in ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"):
        raise Refused(error.str(), "check sasl.mechanism, user and password in the properties")
    print(error.str(), file=sys.stderr)


@contextlib.contextmanager
def producing(settings: Mapping[str, Any]) -> Iterator[Producer]:
    """A producer that delivers all it took; cut short, it doesn't wait for brokers for long."""
    from ottla import Producer

    with Producer({"error_cb": tell_trouble, **settings}) as producer:
        try:
            yield producer
            producer.flush()
        except Refused:
            producer.purge()
            raise
        except KeyboardInterrupt:
            producer.flush(_LAST_SECONDS)
            producer.purge()
            raise


def client_failures(options: Options) -> contextlib.AbstractContextManager[None]:
    """As ``client_errors``, for a tool that is told its brokers by ``--bootstrap-server``."""
    return client_errors(options.text("bootstrap-server"))


def _hint(servers: str, name: str) -> str:
    if name in ("_TRANSPORT", "_TIMED_OUT", "_ALL_BROKERS_DOWN", "_RESOLVE"):
        return f"is a broker listening at {servers}?"
    return ""

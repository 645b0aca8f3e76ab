"""``ottla broker`` and ``ottla up``: start a broker and keep it until told to stop."""

from __future__ import annotations

from collections.abc import Sequence

from ottla.cli.flags import Command, Flag, FlagValues

FLAGS = (
    Flag("--data", "DIR", "Where the data is kept; created when missing. Default: ./ottla-data"),
    Flag(
        "--listen",
        "HOST:PORT",
        "Where to listen; port 0 lets the system choose, an empty host means every interface. "
        "Repeatable. Default: 127.0.0.1:9092",
        repeatable=True,
    ),
    Flag(
        "--advertise",
        "HOST:PORT",
        "What clients are told to connect to, for the --listen in the same position. Default: the "
        "address listened on, or the one each client used when listening on every interface.",
        repeatable=True,
    ),
    Flag("--config", "FILE", "Read settings from FILE, written as Kafka's server.properties."),
    Flag("--set", "KEY=VALUE", "One setting by its Kafka name. Repeatable.", repeatable=True),
    Flag(
        "--log-format",
        "text|json",
        "text: for people, on standard error. json: one object per line, on standard output.",
        choices=("text", "json"),
    ),
    Flag(
        "--log-level",
        "LEVEL",
        "The least severe messages to log: debug, info, warning or error. Default: info",
        choices=("debug", "info", "warning", "error"),
    ),
)

_SETTINGS_HELP = """

A setting is taken from the first of these that has it:

\b
  1. --set
  2. --data, --listen, --advertise
  3. the environment: KAFKA_LOG_RETENTION_MS is log.retention.ms
     (two underscores stand for _, three for -), and CLUSTER_ID
  4. the file of --config
  5. Kafka's default

Ctrl-C or SIGTERM stops it cleanly; a second Ctrl-C stops it at once."""

EXIT_FAILED = 1


def _run(values: FlagValues) -> int:
    import gc

    # What starting allocates stays: collecting it over and over only delays the first answer.
    # The broker's process turns the collector on again once it listens.
    gc.disable()
    from ottla.broker.configuration import ConfigurationError
    from ottla.broker.process import StartError
    from ottla.cli.log_output import set_up_logging

    log_format = _single(values, "--log-format") or "text"
    set_up_logging(log_format, _single(values, "--log-level") or "info")
    try:
        return _start(values, log_format)
    except ConfigurationError as error:
        _report(error.problems, None, log_format)
    except StartError as error:
        _report([error.message], error.hint, log_format)
    return EXIT_FAILED


def _start(values: FlagValues, log_format: str) -> int:
    import os

    from ottla.broker.configuration import Flags, load_configuration
    from ottla.broker.process import run
    from ottla.cli.banner import announce

    flags = Flags(
        data_directory=_single(values, "--data"),
        listen=tuple(values.get("--listen", ())),
        advertise=tuple(values.get("--advertise", ())),
        settings=tuple(values.get("--set", ())),
        properties_file=_single(values, "--config"),
    )
    configuration = load_configuration(flags, os.environ)
    return run(configuration, lambda started: announce(started, configuration, log_format))


def _report(problems: Sequence[str], hint: str | None, log_format: str) -> None:
    if log_format == "json":
        import logging

        fields = {"event": "start_failed", "hint": hint}
        logging.getLogger("ottla.broker").error("; ".join(problems), extra=fields)
    else:
        from ottla.cli.report import report_errors

        report_errors(problems, hint)


def _single(values: FlagValues, name: str) -> str | None:
    given = values.get(name)
    return given[0] if given else None


BROKER = Command(
    "broker",
    "Start a broker.",
    "Start a Kafka broker that keeps its data in one directory." + _SETTINGS_HELP,
    FLAGS,
    _run,
)
# Schema registry, Connect and the console join here when they exist.
UP = Command(
    "up",
    "Start everything there is (today: the broker).",
    "Start everything Ottla has; today this is the broker." + _SETTINGS_HELP,
    FLAGS,
    _run,
)

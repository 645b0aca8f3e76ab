"""One script, two client libraries, equal histories.

A script is a function that gets a :class:`Run`: the library under its confluent_kafka names, topics
and groups of its own, and a notebook. What it notes (values, exceptions, callbacks with their
order, thread and the call they came from) is the run's history; two libraries behave the same when
their histories are equal.

    def script(run: Run) -> None:
        producer = run.producer({"queue.buffering.max.messages": 1})
        run.call("first", producer.produce, "t", b"1")
        run.call("second", producer.produce, "t", b"2")    # notes the BufferError

    assert not differences(script, [first_library, second_library], "localhost:9092")

What is told apart no further, because no program can rely on it:

* names and ids: topics, groups, producers, client instances, the broker's address;
* times: ``latency()``, time stamps that the script didn't choose, ``12ms`` in a text;
* the text of a ``TypeError``, ``OverflowError`` or ``AttributeError``, which says how a language
  binding looks at arguments.
"""

from __future__ import annotations

import difflib
import enum
import importlib
import inspect
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, NamedTuple

from ottla.testing.protocol import Connection
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually
from ottla.wire.api.k02_list_offsets import ListOffsetsRequest, PartitionToList, TopicToList

_PATIENCE_SECONDS = 20.0
_LIST_OFFSETS_VERSION = 7
_MILLISECONDS = re.compile(r"\b\d+ ?ms\b")
_INSTANCE = re.compile(r"\b[\w.-]+#(producer|consumer)-\d+")
_PRODUCER_ID = re.compile(r"PID\{Id:\d+")
_THREAD_ID = re.compile(r"\(id: \d+\)")
_RECENT_MS = 3_600_000
_names = itertools.count(1)


class Library(NamedTuple):
    """A client library with confluent_kafka's names."""

    name: str
    kafka: ModuleType
    admin: ModuleType


def library(name: str) -> Library:
    """Import a library and its ``admin`` module.

    Raises:
        ImportError: it isn't there, or lacks its main names.
    """
    module = importlib.import_module(name)
    for needed in ("Producer", "Consumer"):
        if not hasattr(module, needed):
            raise ImportError(f"{name} has no {needed}")
    return Library(name, module, importlib.import_module(f"{name}.admin"))


class Run:
    """One run of a script with one library.

    Args:
        used: the library the script is run with.
        bootstrap_servers: the broker.
    """

    def __init__(self, used: Library, bootstrap_servers: str) -> None:
        self.kafka: Any = used.kafka
        """The library's main module."""
        self.admin: Any = used.admin
        """Its ``admin`` module."""
        self.bootstrap_servers = bootstrap_servers
        self.history: list[str] = []
        """What was noted, in order."""
        self._label = used.name
        self._placeholders: dict[str, str] = {bootstrap_servers: "<broker>"}
        self._counts: dict[str, int] = {}
        self._thread = threading.get_ident()
        self._inside: list[str] = []
        self._to_close: list[Callable[[], object]] = []

    def name(self, kind: str) -> str:
        """A name nobody has used, the same placeholder in every run's history."""
        number = self._counts.get(kind, 0) + 1
        self._counts[kind] = number
        made = f"{self._label}-{kind}-{time.time_ns():x}-{next(_names)}"
        self._placeholders[made] = f"<{kind} {number}>"
        return made

    def topic(self, partitions: int = 1, **config: str) -> str:
        """A new topic, ready for use; ``_`` in a setting's name stands for a dot."""
        name = self.name("topic")
        settings = {key.replace("_", "."): value for key, value in config.items()}
        create_topic(self.bootstrap_servers, name, partitions, settings)
        _await_leaders(self.bootstrap_servers, name, partitions)
        return name

    def producer(self, settings: Mapping[str, Any] | None = None) -> Any:
        """A Producer on the broker, emptied when the run ends."""
        made = self.kafka.Producer(self._settings(settings))
        self._to_close.append(lambda: _discard(made))
        return made

    def consumer(self, settings: Mapping[str, Any] | None = None) -> Any:
        """A Consumer on the broker with a group of its own, closed when the run ends.

        It starts at the beginning, commits nothing by itself and waits only a moment for more
        messages than there are, unless told otherwise.
        """
        ours = {
            "group.id": "",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
            "fetch.error.backoff.ms": 10,
            "fetch.queue.backoff.ms": 10,
        }
        settings = {**ours, **(settings or {})}
        settings["group.id"] = settings["group.id"] or self.name("group")
        made = self.kafka.Consumer(self._settings(settings))
        self._to_close.append(made.close)
        return made

    def at_the_end(self, close: Callable[[], object]) -> None:
        """Have something closed when the run ends, before what was opened earlier."""
        self._to_close.append(close)

    def share_consumer(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        group: str | None = None,
        kind: str = "ShareConsumer",
    ) -> Any:
        """A ShareConsumer (or another ``kind`` of it) on the broker, closed when the run ends.

        Its group is its own unless one is named, and begins where topics begin.
        """
        group = group or self.name("group")
        entry = self.admin.ConfigEntry(
            "share.auto.offset.reset",
            "earliest",
            incremental_operation=self.admin.AlterConfigOpType.SET,
        )
        resource = self.admin.ConfigResource(
            self.admin.ResourceType.GROUP, group, incremental_configs=[entry]
        )
        admin = self.admin_client()  # confluent_kafka's takes its futures along when it goes
        [altered] = admin.incremental_alter_configs([resource]).values()
        altered.result(_PATIENCE_SECONDS)
        make = getattr(self.kafka, kind)
        made = make(self._settings({**(settings or {}), "group.id": group}))
        self._to_close.append(made.close)
        return made

    def shared(self, consumer: Any, label: str = "poll") -> list[Any]:
        """Poll a share consumer until it returns something, and note that."""
        found: list[Any] = []

        def polled() -> bool:
            found.extend(self.quietly(label, consumer.poll, 0.2) or ())
            return bool(found)

        eventually(polled, timeout_seconds=_PATIENCE_SECONDS, what="a shared message")
        self.note(label, found)
        return found

    def admin_client(self, settings: Mapping[str, Any] | None = None) -> Any:
        """An AdminClient on the broker."""
        return self.admin.AdminClient(self._settings(settings))

    def fill(self, topic: str, values: Sequence[bytes], partition: int = 0, **kwargs: Any) -> None:
        """Produce values and wait until they are there; nothing is noted."""
        producer = self.kafka.Producer(self._settings(None))
        for value in values:
            producer.produce(topic, value, partition=partition, **kwargs)
        assert producer.flush(_PATIENCE_SECONDS) == 0

    def note(self, label: str, *values: Any) -> None:
        """Put values down in the history."""
        described = ", ".join(repr(self.describe(value)) for value in values)
        self.history.append(f"{label}: {described}")

    def call(self, label: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something and note what it returned or raised; returns the value, or None."""
        try:
            with self.inside(label):
                value = function(*args, **kwargs)
        except Exception as error:
            self.note(f"{label} raised", error)
            return None
        self.note(label, value)
        return value

    def code_of(self, label: str, function: Callable[..., Any], *args: Any) -> None:
        """Call something that fails, and note of the error all but its text."""
        try:
            with self.inside(label):
                self.note(label, function(*args))
        except self.kafka.KafkaException as failure:
            self.note(f"{label} raised", {**self.describe(failure.args[0]), "text": "any"})

    def quietly(self, label: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something whose value isn't told by the contract; an exception is noted."""
        try:
            with self.inside(label):
                return function(*args, **kwargs)
        except Exception as error:
            self.note(f"{label} raised", error)
            return None

    @contextmanager
    def inside(self, label: str) -> Iterator[None]:
        """Callbacks that come meanwhile are noted as called from here."""
        self._inside.append(label)
        try:
            yield
        finally:
            self._inside.pop()

    def callback(
        self, label: str, then: Callable[..., Any] | None = None, *, only: Sequence[int] = ()
    ) -> Callable[..., Any]:
        """A callback that notes its arguments (or only those at some places), where and from what.

        Args:
            label: what to call it in the history.
            then: called with the same arguments afterwards.
            only: places of the arguments to note; all by default.
        """

        def called(*args: Any) -> Any:
            here = threading.get_ident() == self._thread
            where = self._inside[-1] if self._inside else "no call"
            where = where if here else "another thread"
            noted = [args[place] for place in only] if only else args
            self.note(f"{label} (in {where})", *noted)
            return then(*args) if then else None

        return called

    def messages(self, consumer: Any, count: int, label: str = "poll") -> list[Any]:
        """Poll until so many messages, or errors in their place, have come, and note each."""
        found: list[Any] = []

        def polled() -> bool:
            message = self.quietly(label, consumer.poll, 0.1)
            if message is not None:
                self.note(label, message)
                found.append(message)
            return len(found) >= count

        eventually(polled, timeout_seconds=_PATIENCE_SECONDS, what=f"{count} messages")
        return found

    def messages_in_any_order(self, consumer: Any, count: int, label: str = "poll") -> None:
        """As :meth:`messages`, noted by partition and offset: which comes first is open."""
        found: list[Any] = []

        def polled() -> bool:
            message = self.quietly(label, consumer.poll, 0.1)
            if message is not None:
                found.append(self.describe(message))
            return len(found) >= count

        eventually(polled, timeout_seconds=_PATIENCE_SECONDS, what=f"{count} messages")
        self.note(label, sorted(found, key=repr))

    def pause(self, seconds: float) -> None:
        """Let time pass, for what the passing of time does."""
        threading.Event().wait(seconds)

    def serve_until(self, client: Any, condition: Callable[[], Any], what: str) -> None:
        """Poll a client, whose callbacks note what they will, until something is true."""

        def served() -> Any:
            message = self.quietly("poll", client.poll, 0.05)
            if message is not None and not isinstance(message, int):
                self.note("poll", message)
            return condition()

        eventually(served, timeout_seconds=_PATIENCE_SECONDS, what=what)

    def assigned(self, consumer: Any, count: int) -> None:
        """Poll until the consumer holds so many partitions."""
        self.serve_until(consumer, lambda: len(consumer.assignment()) == count, "an assignment")

    def text(self, text: str) -> str:
        """A text without what differs between any two runs."""
        for name, placeholder in self._placeholders.items():
            text = text.replace(name, placeholder)
        text = _INSTANCE.sub("<instance>", text)
        text = _PRODUCER_ID.sub("PID{Id:<id>", text)
        text = _THREAD_ID.sub("(id: ?)", text)
        return _MILLISECONDS.sub("?ms", text)

    def describe(self, value: Any) -> Any:
        """A value of either library as plain data, without what differs between any two runs."""
        kind = type(value).__name__
        if kind in _DESCRIBED_BY:
            return _DESCRIBED_BY[kind](self, value)
        if isinstance(value, TypeError | OverflowError | AttributeError):
            return kind
        if isinstance(value, BaseException):
            return (kind, [self.describe(each) for each in value.args])
        if isinstance(value, enum.Enum):
            return str(value)
        if isinstance(value, type):
            return value.__name__
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.text(value.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._described_container(value)

    def end(self) -> None:
        """Close what the script opened."""
        with self.inside("the end"):
            while self._to_close:
                self._to_close.pop()()

    def _described_container(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self.describe(key): self.describe(each) for key, each in value.items()}
        if isinstance(value, set | frozenset):
            return sorted((self.describe(each) for each in value), key=repr)
        if isinstance(value, tuple):
            return tuple(self.describe(each) for each in value)
        if isinstance(value, Sequence):
            return [self.describe(each) for each in value]
        return (type(value).__name__, self._attributes(value))

    def _attributes(self, value: Any) -> dict[str, Any]:
        found = {name: getattr(value, name) for name in dir(value) if not name.startswith("_")}
        return {
            name: self.describe(each) for name, each in found.items() if not inspect.isroutine(each)
        }

    def _settings(self, settings: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"bootstrap.servers": self.bootstrap_servers, "log_level": 0, **(settings or {})}


Script = Callable[[Run], None]


def history_of(script: Script, used: Library, bootstrap_servers: str) -> list[str]:
    """Run a script with one library and return what it noted; what ends it early is noted, too."""
    run = Run(used, bootstrap_servers)
    try:
        script(run)
    except Exception as error:
        run.note(ENDED_EARLY, repr(error))
    finally:
        run.end()
    return run.history


ENDED_EARLY = "the script ended early"


def differences(script: Script, libraries: Sequence[Library], bootstrap_servers: str) -> str:
    """How the histories of two libraries differ, as a unified diff; empty when they don't.

    The first library has to get through the script, and the script has to note something.
    """
    first, second = libraries
    expected = history_of(script, first, bootstrap_servers)
    if not expected or expected[-1].startswith(ENDED_EARLY):
        return "\n".join([f"{first.name} alone:", *expected])
    actual = history_of(script, second, bootstrap_servers)
    lines = difflib.unified_diff(expected, actual, first.name, second.name, lineterm="", n=3)
    return "\n".join(lines)


def _await_leaders(bootstrap_servers: str, topic: str, partitions: int) -> None:
    """Kafka answers CreateTopics before its own broker half has heard of the topic."""
    wanted = [PartitionToList(partition_index=n, timestamp=-1) for n in range(partitions)]
    request = ListOffsetsRequest(
        replica_id=-1, topics=[TopicToList(name=topic, partitions=wanted)], timeout_ms=1000
    )

    def all_lead() -> bool:
        [listed] = connection.ask(request, _LIST_OFFSETS_VERSION).topics
        return all(partition.error_code == 0 for partition in listed.partitions)

    with Connection(bootstrap_servers) as connection:
        eventually(all_lead, what=f"{topic} has leaders")


def _discard(producer: Any) -> None:
    # The script may have closed it, or had it fenced.
    with suppress(Exception):
        producer.purge()
        producer.flush(0)


def _described_error(run: Run, error: Any) -> dict[str, Any]:
    flags = [
        name for name in ("fatal", "retriable", "txn_requires_abort") if getattr(error, name)()
    ]
    return {"code": error.name(), "text": run.text(error.str() or ""), "flags": flags}


def _described_partition(run: Run, partition: Any) -> tuple[Any, ...]:
    fields = (partition.topic, partition.partition, partition.offset, partition.metadata)
    return (*(run.describe(each) for each in fields), run.describe(partition.error))


def _described_message(run: Run, message: Any) -> dict[str, Any]:
    kind, timestamp_ms = message.timestamp()
    is_recent = abs(time.time() * 1000 - timestamp_ms) < _RECENT_MS
    return {
        "topic": run.describe(message.topic()),
        "partition": message.partition(),
        "offset": message.offset(),
        "key": run.describe(message.key()),
        "value": run.describe(message.value()),
        "headers": run.describe(message.headers()),
        "timestamp": (kind, "now" if is_recent else timestamp_ms),
        "latency": None if message.latency() is None else "a time",
        "leader epoch": message.leader_epoch(),
        "delivery count": message.delivery_count(),
        "error": run.describe(message.error()),
    }


def _described_messages(run: Run, messages: Any) -> list[Any]:
    return [run.describe(message) for message in messages]


def _named(_: Run, client: Any) -> str:
    return type(client).__name__


def _described_uuid(_: Run, __: Any) -> str:
    return "a Uuid"


_DESCRIBED_BY: Mapping[str, Callable[[Run, Any], Any]] = {
    "KafkaError": _described_error,
    "TopicPartition": _described_partition,
    "Message": _described_message,
    "Messages": _described_messages,
    "Uuid": _described_uuid,
    "Producer": _named,
    "Consumer": _named,
    "ShareConsumer": _named,
    "AdminClient": _named,
}

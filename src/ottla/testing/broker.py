"""An embedded broker: Kafka's real protocol on a real socket, in the process of the tests."""

from __future__ import annotations

import asyncio
import os
import re
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from ottla.broker.configuration import BrokerConfiguration, configuration_of
from ottla.broker.node import BrokerNode
from ottla.testing.loop_thread import LoopThread
from ottla.testing.storage import Storage, open_storage

if TYPE_CHECKING:
    from collections.abc import Callable

TEST_DEFAULTS: Mapping[str, str] = {
    # A group's first rebalance waits for more members to come: in tests nobody is late.
    "group.initial.rebalance.delay.ms": "0",
    # Short sessions make tests of failing consumers short; Kafka would refuse them.
    "group.min.session.timeout.ms": "100",
    # Clients can't tell one partition of __consumer_offsets from fifty, the first commit can.
    "offsets.topic.num.partitions": "1",
}
"""What an embedded broker sets unless its ``config`` says otherwise; all else is the default, but
for ``log.flush.policy=os`` where the data is thrown away anyway."""

_MAX_TOPIC_PREFIX_CHARACTERS = 180


class Broker:
    """A broker on a thread of this process, with an event loop of its own.

        with Broker() as broker:
            producer = Producer({"bootstrap.servers": broker.bootstrap_servers})

    Usable as ``async with`` too. A broker may be stopped and started again: with the same data on
    the same port.

    Args:
        storage: ``"memory"`` keeps the log in this process's memory, ``"temporary"`` in a
            directory removed when the broker is closed or the process ends; anything else is
            the path of a directory that stays.
        config: settings by their Kafka names, over :data:`TEST_DEFAULTS`.
        host: the address to listen on.
        port: the port to listen on; 0 lets the system choose.
    """

    def __init__(
        self,
        storage: str | os.PathLike[str] = "memory",
        *,
        config: Mapping[str, object] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.host = host
        self.port = port
        """The port listened on; chosen at the first start when 0 was asked for."""
        self._storage = open_storage(storage)
        self._config = {**TEST_DEFAULTS, **self._storage.settings} | {
            key: _as_text(value) for key, value in (config or {}).items()
        }
        self._node: BrokerNode | None = None
        self._thread: LoopThread | None = None
        self._topics_created = 0
        # A forked child inherits this object, but neither the thread nor the data is the child's.
        self._process_id = os.getpid()
        self._discard: Callable[[], object] = weakref.finalize(
            self, _discard_in_process, self._storage, self._process_id
        )

    @property
    def bootstrap_servers(self) -> str:
        """``host:port``, as every client wants it.

        Raises:
            RuntimeError: the broker has never been started.
        """
        if not self.port:
            raise RuntimeError("the broker has no port before it is started")
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def data_directory(self) -> str:
        """Where the data is; in memory, a path that exists only for the broker."""
        return self._storage.directory

    @property
    def settings(self) -> Mapping[str, str]:
        """What is set beyond the broker's defaults: the test defaults and ``config``."""
        return dict(self._config)

    @property
    def is_running(self) -> bool:
        """Whether clients can connect now."""
        return self._node is not None

    def start(self) -> None:
        """Listen; returns when clients can connect.

        Raises:
            StartError: the broker can't start, for example because the port is taken.
            ConfigurationError: ``config`` holds a value that can't be used.
            RuntimeError: it runs already.
        """
        if self._node is not None:
            raise RuntimeError("the broker runs already")
        configuration = self._configuration()
        self._thread = LoopThread("ottla-broker")
        try:
            self._node = self._thread.run(_start_node(configuration, self._storage))
        finally:
            if self._node is None:
                self._thread.close()
        (address,) = self._node.addresses.values()
        self.port = address.port

    def stop(self) -> None:
        """Stop cleanly, keeping the data; no effect on a broker that doesn't run."""
        node, self._node = self._node, None
        if node is None or os.getpid() != self._process_id:
            return
        assert self._thread is not None
        try:
            self._thread.run(node.stop())
        finally:
            self._thread.close()

    def restart(self) -> None:
        """Stop and start again: the same data, the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop, and forget temporary data."""
        try:
            self.stop()
        finally:
            self._discard()

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Broker:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    def create_topic(
        self, name: str, partitions: int = 1, *, config: Mapping[str, object] | None = None
    ) -> str:
        """Create a topic over the wire, as an admin client does; returns its name.

        Raises:
            ProtocolError: Kafka's error, for example that the topic exists.
            ConnectionError: the broker doesn't run.
        """
        from ottla.testing.topics import create_topic

        settings = {key: _as_text(value) for key, value in (config or {}).items()}
        create_topic(self.bootstrap_servers, name, partitions, settings)
        return name

    def create_unique_topic(self, prefix: str = "topic", partitions: int = 1) -> str:
        """Create a topic whose name no other call got; characters Kafka forbids become ``-``."""
        self._topics_created += 1
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", prefix).strip("-")[:_MAX_TOPIC_PREFIX_CHARACTERS]
        return self.create_topic(f"{safe or 'topic'}-{self._topics_created}", partitions)

    def _configuration(self) -> BrokerConfiguration:
        host = f"[{self.host}]" if ":" in self.host else self.host
        settings = {
            "listeners": f"PLAINTEXT://{host}:{self.port}",
            "log.dirs": self._storage.directory,
        }
        return configuration_of(settings | self._config, origin="config of Broker()")


async def _start_node(configuration: BrokerConfiguration, storage: Storage) -> BrokerNode:
    node = BrokerNode(configuration, disk=storage.disk, store=storage.store)
    await node.start()
    return node


def _discard_in_process(storage: Storage, process_id: int) -> None:
    if os.getpid() == process_id:
        storage.discard()


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)

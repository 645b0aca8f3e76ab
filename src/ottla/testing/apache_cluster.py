"""Several nodes of Apache Kafka (KRaft), each broker and controller, on this machine.

with ApacheCluster() as cluster:
    produce_to(cluster.bootstrap_servers)
    cluster.nodes[1].kill()
    cluster.nodes[1].start()
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka, free_port

_NODES = 3
_SETTINGS: Mapping[str, str] = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "transaction.state.log.num.partitions": "3",
    # A node that was killed is to be missed soon.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
    "replica.lag.time.max.ms": "2000",
}


class ApacheCluster:
    """Three nodes of one cluster; topics have three replicas, two of them in sync to be written.

    Args:
        settings: entries of every node's ``server.properties`` that override ours.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        controllers = [free_port() for _ in range(_NODES)]
        voters = ",".join(f"{each + 1}@127.0.0.1:{port}" for each, port in enumerate(controllers))
        self.nodes = [
            self._node(number, controllers, voters, settings or {}) for number in range(_NODES)
        ]
        """The node with id 1 first."""
        for node in self.nodes:
            node.cluster_id = self.nodes[0].cluster_id

    @staticmethod
    def _node(
        number: int, controllers: list[int], voters: str, settings: Mapping[str, str]
    ) -> ApacheKafka:
        own = {"node.id": str(number + 1), "controller.quorum.voters": voters}
        return ApacheKafka(
            settings={**_SETTINGS, **own, **settings},
            controller_port=controllers[number],
            heap="256m",
            jvm_flags=QUICK_START_FLAGS,
            start_timeout_seconds=120,
        )

    @property
    def bootstrap_servers(self) -> str:
        """All nodes, as every client wants them."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    def start(self) -> None:
        """Start all nodes; none is ready before a majority is.

        Raises:
            ApacheKafkaError: one of them died, or wasn't ready in time.
        """
        with ThreadPoolExecutor(_NODES) as threads:
            list(threads.map(ApacheKafka.start, self.nodes))

    def stop(self) -> None:
        """End all nodes and remove their data."""
        for node in self.nodes:
            # There is nothing to hand over to anybody.
            node.kill()
            node.stop()

    def __enter__(self) -> ApacheCluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

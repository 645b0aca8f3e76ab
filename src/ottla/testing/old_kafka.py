"""Apache Kafka 2.1 with its ZooKeeper: the oldest broker that the client speaks to.

with OldKafka() as kafka:
    produce_to(kafka.bootstrap_servers)
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from ottla.testing.apache_kafka import PEERS_DIRECTORY, answers_metadata, free_port
from ottla.testing.waiting import eventually

OLD_KAFKA_LIBS = PEERS_DIRECTORY / "kafka-2.1.1" / "libs"
_START_SECONDS = 90.0
_STOP_SECONDS = 20.0
_FLAGS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true")
_LOGGING = """\
log4j.rootLogger=ERROR, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=[%d] %p %m (%c)%n
"""


def why_unavailable() -> str | None:
    """Why it can't run here, or None when it can."""
    if shutil.which("java") is None:
        return "no java command"
    if not any(OLD_KAFKA_LIBS.glob("kafka_*.jar")):
        return "the jars of Apache Kafka 2.1.1 are not there (tools/peers.py --old)"
    return None


class OldKafka:
    """One node on free ports, in a directory that goes with it.

    Args:
        settings: entries of ``server.properties`` that override ours.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self._zookeeper_port = free_port()
        self._settings = dict(settings or {})
        self._processes: list[subprocess.Popen[bytes]] = []
        self._directory = pathlib.Path()

    @property
    def bootstrap_servers(self) -> str:
        """``host:port`` of its listener."""
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix="old-kafka-"))
        try:
            self._start()
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

    def stop(self) -> None:
        """End both processes, the broker first, and forget their data."""
        while self._processes:
            process = self._processes.pop()
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self) -> None:
        (self._directory / "log4j.properties").write_text(_LOGGING)
        zookeeper = {
            "dataDir": str(self._directory / "zookeeper"),
            "clientPort": str(self._zookeeper_port),
            "clientPortAddress": self.host,
            "maxClientCnxns": "0",
            "admin.enableServer": "false",
        }
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        self._run("zookeeper", main, zookeeper, heap="64m")
        # The broker waits for its ZooKeeper by itself.
        self._run("broker", "kafka.Kafka", {**self._defaults(), **self._settings}, heap="400m")
        eventually(self._is_up, timeout_seconds=_START_SECONDS, what="Apache Kafka 2.1.1")

    def _is_up(self) -> bool:
        for process in self._processes:
            if process.poll() is not None:
                log = (self._directory / "broker.log").read_text()[-3000:]
                raise RuntimeError(f"Apache Kafka 2.1.1 didn't start:\n{log}")
        return answers_metadata(self.host, self.port)

    def _defaults(self) -> dict[str, str]:
        listener = f"PLAINTEXT://{self.bootstrap_servers}"
        return {
            "broker.id": "1",
            "listeners": listener,
            "advertised.listeners": listener,
            "zookeeper.connect": f"{self.host}:{self._zookeeper_port}",
            "zookeeper.connection.timeout.ms": "60000",
            "log.dirs": str(self._directory / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
        }

    def _run(self, name: str, main: str, settings: Mapping[str, str], *, heap: str) -> None:
        path = self._directory / f"{name}.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        logging = f"-Dlog4j.configuration=file:{self._directory / 'log4j.properties'}"
        command = [
            "java", f"-Xmx{heap}", *_FLAGS, logging, "-cp", f"{OLD_KAFKA_LIBS}/*", main, str(path),
        ]  # fmt: skip
        with (self._directory / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(command, stdout=log, stderr=log, cwd=self._directory)  # noqa: S603
            )

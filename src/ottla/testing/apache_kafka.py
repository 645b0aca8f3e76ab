"""A real Apache Kafka beside us: a single-node broker (KRaft) and Kafka's command-line tools.

The jars are fetched by ``tools/peers.py``; :func:`why_unavailable` says what is missing.

    with ApacheKafka() as kafka:
        produce_to(kafka.bootstrap_servers)
        kafka.run_tool("org.apache.kafka.tools.TopicCommand", ["--list"])
"""

from __future__ import annotations

import base64
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

PEERS_DIRECTORY = pathlib.Path(
    os.environ.get("OTTLA_PEERS", pathlib.Path(__file__).parents[3] / ".cache" / "peers")
)
"""Where ``tools/peers.py`` put the foreign programs."""

KAFKA_LIBS = PEERS_DIRECTORY / "kafka-4.3.1" / "libs"

QUICK_START_FLAGS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    "-Dorg.apache.logging.log4j.level=OFF",
)
"""For a JVM that lives for seconds: little compilation, no collector threads, and where no logging
is configured nothing logged, for it would get into the program's output."""

PRODUCTION_FLAGS = (
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
)
"""What Kafka's own start script passes."""

_LOGGING = """\
rootLogger.level = {level}
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
"""
_POLL_SECONDS = 0.02
_METADATA_KEY, _METADATA_VERSION = 3, 1


class ApacheKafkaError(RuntimeError):
    """Apache Kafka didn't start, or one of its tools failed."""


def why_unavailable() -> str | None:
    """Why Apache Kafka can't run here, or None when it can."""
    if shutil.which("java") is None:
        return "no java command"
    if not any(KAFKA_LIBS.glob("kafka-clients-*.jar")):
        return "Apache Kafka's jars are not there (make peers)"
    return None


def java_command(
    main_class: str,
    arguments: Sequence[str] = (),
    *,
    jvm_flags: Sequence[str] = QUICK_START_FLAGS,
    extra_classpath: Sequence[pathlib.Path] = (),
) -> list[str]:
    """The command line that runs a class of Kafka's jars (or of ``extra_classpath``)."""
    classpath = os.pathsep.join([*map(str, extra_classpath), f"{KAFKA_LIBS}/*"])
    return ["java", *jvm_flags, "-cp", classpath, main_class, *arguments]


def run_tool(
    main_class: str,
    arguments: Sequence[str] = (),
    *,
    stdin: bytes = b"",
    timeout_seconds: float = 60,
    jvm_flags: Sequence[str] = QUICK_START_FLAGS,
) -> subprocess.CompletedProcess[bytes]:
    """Run one of Kafka's tools in a JVM of its own and return what it printed.

    Raises:
        ApacheKafkaError: it exited with another status than 0.
        subprocess.TimeoutExpired: it didn't end in time (it is killed).
    """
    with tempfile.TemporaryDirectory(prefix="kafka-tool-") as directory:
        flags = [*jvm_flags, _logging_flag(pathlib.Path(directory), "WARN")]
        result = subprocess.run(  # noqa: S603 - the command is built above
            java_command(main_class, arguments, jvm_flags=flags),
            input=stdin,
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
        )
    if result.returncode:
        output = (result.stdout + result.stderr).decode(errors="replace")
        raise ApacheKafkaError(f"{main_class} exited with {result.returncode}:\n{output}")
    return result


def free_port() -> int:
    """A TCP port of 127.0.0.1 nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def random_cluster_id() -> str:
    """A cluster id as Kafka makes them: 16 random bytes in base64, not mistakable for an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def answers_metadata(host: str, port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether a broker at this address answers a Metadata request and names at least one broker."""
    body = struct.pack(">i", 0)  # no topics
    header = struct.pack(">hhih", _METADATA_KEY, _METADATA_VERSION, 1, -1)
    request = struct.pack(">i", len(header) + len(body)) + header + body
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds) as connection:
            connection.sendall(request)
            # Size of the frame, correlation id, number of brokers.
            reply = b""
            while len(reply) < 12:
                received = connection.recv(65536)
                if not received:
                    return False
                reply += received
    except OSError:
        return False
    brokers: int = struct.unpack_from(">i", reply, 8)[0]
    return brokers > 0


def _logging_flag(directory: pathlib.Path, level: str) -> str:
    path = directory / f"log4j2-{level}.properties"
    path.write_text(_LOGGING.format(level=level))
    return f"-Dlog4j2.configurationFile={path}"


class ApacheKafka:
    """A single-node Apache Kafka (KRaft, broker and controller in one) on a data directory.

    Args:
        directory: where its files live; by default a temporary one, removed by ``stop``.
        settings: entries of ``server.properties`` that override ours.
        heap: the JVM's heap, start size and limit, as for ``-Xmx``.
        jvm_flags: by default those of Kafka's own start script.
        start_timeout_seconds: how long formatting and starting may take.
        controller_port: where its controller listens; by default any free port.
    """

    def __init__(
        self,
        *,
        directory: pathlib.Path | None = None,
        settings: Mapping[str, str] | None = None,
        heap: str = "1g",
        jvm_flags: Sequence[str] = PRODUCTION_FLAGS,
        start_timeout_seconds: float = 60,
        controller_port: int | None = None,
    ) -> None:
        self._owns_directory = directory is None
        self.directory = directory or pathlib.Path(tempfile.mkdtemp(prefix="apache-kafka-"))
        self.log_directory = self.directory / "data"
        self.log_path = self.directory / "server.log"
        self.host = "127.0.0.1"
        self.port = free_port()
        self.cluster_id = random_cluster_id()
        self._controller_port = controller_port or free_port()
        self._settings = dict(settings or {})
        self._jvm_flags = [f"-Xms{heap}", f"-Xmx{heap}", *jvm_flags]
        self._start_timeout_seconds = start_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """``host:port``, as every client wants it."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The JVM's process id.

        Raises:
            ApacheKafkaError: it isn't running.
        """
        if self._process is None:
            raise ApacheKafkaError("not running")
        return self._process.pid

    def format(self) -> None:
        """Write ``server.properties`` and format the data directory, unless both were done."""
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = self.directory / "server.properties"
        entries = {**self._default_settings(), **self._settings}
        properties.write_text("".join(f"{key}={value}\n" for key, value in entries.items()))
        if not (self.log_directory / "meta.properties").exists():
            run_tool(
                "kafka.tools.StorageTool",
                ["format", "-t", self.cluster_id, "-c", str(properties)],
                timeout_seconds=self._start_timeout_seconds,
            )

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start the broker and return once it serves metadata.

        Raises:
            ApacheKafkaError: it died, or wasn't ready in time; the message ends with its log.
        """
        self.format()
        flags = [*self._jvm_flags, _logging_flag(self.directory, "INFO")]
        command = java_command(
            "kafka.Kafka", [str(self.directory / "server.properties")], jvm_flags=flags
        )
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command is built above
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_until_ready(self._process)

    def stop(self, timeout_seconds: float = 30) -> None:
        """SIGTERM, and SIGKILL if that isn't enough; then nothing of it is left running."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None
        if self._owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL; the data directory stays as the crash left it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def run_tool(
        self,
        main_class: str,
        arguments: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        timeout_seconds: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Like :func:`run_tool`, with ``--bootstrap-server`` set to this broker."""
        return run_tool(
            main_class,
            ["--bootstrap-server", self.bootstrap_servers, *arguments],
            stdin=stdin,
            timeout_seconds=timeout_seconds,
        )

    def __enter__(self) -> Self:
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

    def _default_settings(self) -> dict[str, str]:
        """One node that forms groups at once; everything else as Kafka ships it."""
        here = f"PLAINTEXT://{self.host}:{self.port}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.host}:{self._controller_port}",
            "listeners": f"{here},CONTROLLER://{self.host}:{self._controller_port}",
            "advertised.listeners": here,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.log_directory),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_timeout_seconds
        while not answers_metadata(self.host, self.port):
            try:
                # Waiting for its death is the pause between two looks.
                process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            log = self.log_path.read_text(errors="replace")[-4000:]
            raise ApacheKafkaError(f"Apache Kafka didn't start:\n{log}")

"""Kafka's command-line tools beside ours: both run with the same words, and what they said.

One JVM (``tests/conformance/java/ToolServer.java``) runs any number of Java's tools; ours run in
this process.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, NamedTuple

from ottla.testing.apache_kafka import PEERS_DIRECTORY, QUICK_START_FLAGS, java_command

_TOOLS: Final = "org.apache.kafka.tools."
JAVA_TOOLS: Final = {
    "kafka-acls": f"{_TOOLS}AclCommand",
    "kafka-broker-api-versions": f"{_TOOLS}BrokerApiVersionsCommand",
    "kafka-client-metrics": f"{_TOOLS}ClientMetricsCommand",
    "kafka-cluster": f"{_TOOLS}ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": f"{_TOOLS}consumer.ConsoleConsumer",
    "kafka-console-producer": f"{_TOOLS}ConsoleProducer",
    "kafka-console-share-consumer": f"{_TOOLS}consumer.ConsoleShareConsumer",
    "kafka-consumer-groups": f"{_TOOLS}consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": f"{_TOOLS}ConsumerPerformance",
    "kafka-delegation-tokens": f"{_TOOLS}DelegationTokenCommand",
    "kafka-delete-records": f"{_TOOLS}DeleteRecordsCommand",
    "kafka-dump-log": f"{_TOOLS}DumpLogSegments",
    "kafka-e2e-latency": f"{_TOOLS}EndToEndLatency",
    "kafka-features": f"{_TOOLS}FeatureCommand",
    "kafka-get-offsets": f"{_TOOLS}GetOffsetShell",
    "kafka-groups": f"{_TOOLS}GroupsCommand",
    "kafka-leader-election": f"{_TOOLS}LeaderElectionCommand",
    "kafka-log-dirs": f"{_TOOLS}LogDirsCommand",
    "kafka-metadata-quorum": f"{_TOOLS}MetadataQuorumCommand",
    "kafka-producer-perf-test": f"{_TOOLS}ProducerPerformance",
    "kafka-reassign-partitions": f"{_TOOLS}reassign.ReassignPartitionsCommand",
    "kafka-share-groups": f"{_TOOLS}consumer.group.ShareGroupCommand",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-topics": f"{_TOOLS}TopicCommand",
    "kafka-transactions": f"{_TOOLS}TransactionsCommand",
    "kafka-verifiable-consumer": f"{_TOOLS}VerifiableConsumer",
    "kafka-verifiable-producer": f"{_TOOLS}VerifiableProducer",
}
"""Command -> main class, in Apache Kafka 4.3."""


class Outcome(NamedTuple):
    """What a tool did: its exit code and what it printed."""

    status: int
    stdout: str
    stderr: str


class JavaTools:
    """The JVM that runs Java's tools, one after another."""

    def __init__(self) -> None:
        command = java_command(
            "ToolServer",
            extra_classpath=[PEERS_DIRECTORY / "java-classes"],
            jvm_flags=(*QUICK_START_FLAGS, "-Djava.security.manager=allow"),
        )
        self._process = subprocess.Popen(  # noqa: S603 - the command is built above
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, name: str, words: Sequence[str], stdin: bytes = b"") -> Outcome:
        """Run the tool of that command, or another class with a main method."""
        request = {
            "main": JAVA_TOOLS.get(name, name),
            "arguments": list(words),
            "stdin": base64.b64encode(stdin).decode(),
        }
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the JVM has no pipes")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        stdout, stderr = (
            base64.b64decode(answer[name]).decode(errors="replace") for name in ("stdout", "stderr")
        )
        return Outcome(answer["status"], stdout, stderr)

    def close(self) -> None:
        """End the JVM."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> JavaTools:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Pipe(io.TextIOWrapper):
    """Standard input or output in memory, bytes included."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = io.BytesIO(data)
        super().__init__(self.data, encoding="utf-8", errors="surrogateescape", newline="\n")

    @property
    def text(self) -> str:
        self.flush()
        return self.data.getvalue().decode(errors="replace")


def run_ours(name: str, words: Sequence[str], stdin: bytes = b"") -> Outcome:
    """Run our tool of that name in this process."""
    from ottla.cli.kafka.entry import run

    stdout, stderr = _Pipe(), _Pipe()
    with _standard_input(_Pipe(stdin)), contextlib.redirect_stdout(stdout):
        with contextlib.redirect_stderr(stderr):
            try:
                status = run(name, words)
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else 1
        return Outcome(status, stdout.text, stderr.text)


@contextlib.contextmanager
def _standard_input(stream: io.TextIOWrapper) -> Iterator[None]:
    before, sys.stdin = sys.stdin, stream
    try:
        yield
    finally:
        sys.stdin = before


_STACK = re.compile(
    r"^\s+at \S+|^\s*\.\.\. \d+ (more|common frames omitted)"
    r"|^Caused by: |\bexit \d+$|^\tSuppressed: "
)
_CLASS = r"(?:[a-z]+\.)+(?:\w+\$)?\w+(?:Exception|Error|Failure)"
_HEADER = re.compile(rf"^(?:Exception in thread \S+ )?{_CLASS}(?:: |$)")
_KAFKA_ERROR = re.compile(
    rf"(?:{_CLASS}: )*org\.apache\.kafka\.common\.errors\.(\w+)Exception(?:: .*|$)"
)
# Our hints, and what Kafka's consumer logs at the start.
_NOISE = ("hint: ", "The consumer rebalance protocol (KIP-848)")
_TABLE = re.compile(r"^Option( \(\* = required\))? +Description *$|^-{6,} +-{6,} *$")


class Comparison:
    """What is equal in two outputs, up to what differs by nature.

    That is: stack traces and the tables of options, which ours doesn't have or has in other words;
    hints, which only ours has; the words for an error of the protocol, where its name counts;
    the order in which Java's hash tables give things; spaces at the ends of lines.

    Args:
        java: the JVM, asked once for Kafka's words for errors.
    """

    def __init__(self, java: JavaTools) -> None:
        from ottla.wire.errors import ErrorCode

        self._texts: list[tuple[str, str]] = []
        for line in java.run("ErrorTexts", []).stdout.splitlines():
            code, name, text = line.split("\t")
            known = int(code) in {error.value for error in ErrorCode}
            for each in {text, ErrorCode(int(code)).message} if known else {text}:
                if len(each) > 12:
                    self._texts.append((each, f"<{name}>"))
        self._texts.sort(key=lambda pair: -len(pair[0]))

    def differences(self, java: Outcome, ours: Outcome) -> list[str]:
        """What is not equal, in words; nothing when they agree."""
        found = []
        if java.status != ours.status:
            found.append(f"status: {java.status} and {ours.status}")
        theirs, own = self.lines(java.stdout), self.lines(ours.stdout)
        without = self.lines(java.stdout, with_traces=False)
        if sorted(own) not in (sorted(theirs), sorted(without)):
            found += ["stdout:", *(f"  java |{line}" for line in theirs)]
            found += [f"  ours |{line}" for line in own]
        without = self.lines(java.stderr, with_traces=False)
        with_traces, own = self.lines(java.stderr), self.lines(ours.stderr)
        if own not in (without, with_traces):
            found += ["stderr:", *(f"  java |{line}" for line in with_traces)]
            found += [f"  ours |{line}" for line in own]
        return found

    def lines(self, text: str, *, with_traces: bool = True) -> list[str]:
        """The lines that count; of stack traces only the messages, or nothing."""
        lines: list[str] = []
        for line in _without_usage(text).splitlines():
            if _TABLE.match(line) or line.startswith(("--", "* --")):
                break
            if _STACK.search(line) or line.startswith(_NOISE) or not line.strip():
                continue
            is_header = _HEADER.match(line) is not None
            if is_header and not with_traces:
                continue
            line = _KAFKA_ERROR.sub(r"<\1>", line)
            while found := _HEADER.match(line):
                line = line[found.end() :]
            line = self._without_words(line).rstrip()
            is_repeated = is_header and lines and lines[-1] == line
            if line and not is_repeated:
                lines.append(line)
        return lines

    def _without_words(self, line: str) -> str:
        if line.startswith("{"):
            return _canonical_json(line)
        for text, name in self._texts:
            if text in line:
                line = line.replace(text, name)
        line = re.sub(r"\bTopicId: \S+", "TopicId: <id>", line)
        if "], [" in line or line.count(",") > 1:
            # The order of names in Java's sets.
            line = " ".join(sorted(filter(None, re.split(r"[\s,\[\]]+", line))))
        return line


def _without_usage(text: str) -> str:
    """Without argparse4j's usage, and its errors in one line each."""
    text = re.sub(r"^usage: .*\n(?: .*\n)*", "", text, flags=re.MULTILINE)
    return re.sub(
        r"^([\w.-]+:\s+error:)([^\n]*(?:\n(?!exit |\S*Exited|\tat ).+)*)",
        lambda found: " ".join(found[0].split()).replace("-- ", "--"),
        text,
        flags=re.MULTILINE,
    )


def _canonical_json(line: str) -> str:
    """A JSON object with all keys and lists in order; any other line as it is."""

    def ordered(value: object) -> object:
        if isinstance(value, dict):
            return {key: ordered(each) for key, each in sorted(value.items())}
        if isinstance(value, list):
            return sorted((ordered(each) for each in value), key=json.dumps)
        return value

    try:
        return json.dumps(ordered(json.loads(line)))
    except ValueError:
        return line


def options_shown(text: str) -> set[str]:
    """The names of the long options that a help text shows."""
    return set(re.findall(r"^(?:\* )?(--[a-z][\w.-]*)", text, re.MULTILINE))

"""Fetch what the conformance tests and the benchmarks run against: ``make peers``.

Everything lands under ``.cache/peers`` (ignored by git), nothing of it is ever committed:

* ``kafka-<version>/libs``: Apache Kafka's jars, broker and command-line tools, by Maven; with
  ``--old`` those of the oldest version that the client speaks to, too;
* ``node/node_modules``: kafkajs, the JavaScript client, and pyright, a type checker, by npm;
* ``java-classes``: the Java programs of ``tests/conformance/java``, compiled by javac.

A tool that is missing, or a download that fails, is reported and skipped: the tests that need it
skip themselves and say so. Run again at will: what is already there is left alone.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).parent.parent
PEERS = ROOT / ".cache" / "peers"
KAFKA_VERSION = "4.3.1"
KAFKA_LIBS = PEERS / f"kafka-{KAFKA_VERSION}" / "libs"
JAVA_SOURCES = ROOT / "tests" / "conformance" / "java"
JAVA_CLASSES = PEERS / "java-classes"
NODE_DIRECTORY = PEERS / "node"
NODE_PACKAGES = {"kafkajs": "2.2.4", "pyright": "1.1.414"}
# Group, artifact, version. The log4j binding is in Kafka's tarball, but not in its Maven pom.
JARS = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.1"),
    ("org.apache.logging.log4j", "log4j-core", "2.25.1"),
    ("org.apache.logging.log4j", "log4j-1.2-api", "2.25.1"),
)
# The oldest broker that the client speaks to. Its own ZooKeeper doesn't run on a JDK of today.
OLD_KAFKA_VERSION = "2.1.1"
OLD_KAFKA_LIBS = PEERS / f"kafka-{OLD_KAFKA_VERSION}" / "libs"
OLD_JARS = (
    ("org.apache.kafka", "kafka_2.12", OLD_KAFKA_VERSION),
    ("org.apache.zookeeper", "zookeeper", "3.5.10"),
    ("org.slf4j", "slf4j-log4j12", "1.7.25"),
)
Jars = Sequence[tuple[str, str, str]]
DOWNLOAD_TIMEOUT_SECONDS = 900
STAMP = ".complete"


def say(text: str) -> None:
    """One line of progress, at once."""
    print(f"peers: {text}", flush=True)


def missing(*commands: str) -> str | None:
    """The first of the commands that isn't installed."""
    return next((command for command in commands if shutil.which(command) is None), None)


def is_complete(directory: pathlib.Path, fingerprint: str) -> bool:
    """Whether an earlier run finished this directory for the same inputs."""
    stamp = directory / STAMP
    return stamp.is_file() and stamp.read_text() == fingerprint


def fingerprint_of(*parts: bytes) -> str:
    """A digest of everything a directory's content depends on."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def run(what: str, command: list[str], cwd: pathlib.Path) -> bool:
    """Run a command quietly; on failure show the end of its output and go on."""
    started = time.monotonic()
    try:
        result = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        say(f"{what}: gave up after {DOWNLOAD_TIMEOUT_SECONDS} s")
        return False
    if result.returncode:
        tail = "\n".join(result.stdout.strip().splitlines()[-8:])
        say(f"{what}: failed, the tests that need it will be skipped:\n{tail}")
        return False
    say(f"{what}: done in {time.monotonic() - started:.1f} s")
    return True


def pom(jars: Jars) -> str:
    """A Maven project that depends on these jars and nothing else."""
    dependencies = "\n".join(
        f"    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, artifact, version in jars
    )
    return f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ottla</groupId>
  <artifactId>peers</artifactId>
  <version>1</version>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""


def fetch_kafka(version: str, libs: pathlib.Path, jars: Jars, *, size: str) -> None:
    """Apache Kafka's jars."""
    project = pom(jars)
    fingerprint = fingerprint_of(project.encode())
    if is_complete(libs, fingerprint):
        return
    if tool := missing("java", "mvn"):
        say(f"Apache Kafka: no {tool} here, its tests and benchmarks will be skipped")
        return
    shutil.rmtree(libs, ignore_errors=True)
    libs.mkdir(parents=True)
    (libs.parent / "pom.xml").write_text(project)
    say(f"Apache Kafka {version}: fetching the jars (about {size})")
    command = ["mvn", "-B", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={libs}"]
    if run("Apache Kafka", command, libs.parent):
        (libs / STAMP).write_text(fingerprint)


def compile_java() -> None:
    """Our Java test programs, against Kafka's own client jars."""
    sources = sorted(JAVA_SOURCES.glob("*.java"))
    jars = KAFKA_LIBS / STAMP
    if not sources or not jars.is_file():
        return
    fingerprint = fingerprint_of(
        jars.read_bytes(), *(part for s in sources for part in (s.name.encode(), s.read_bytes()))
    )
    if is_complete(JAVA_CLASSES, fingerprint):
        return
    if tool := missing("javac"):
        say(f"Java test programs: no {tool} here, their tests will be skipped")
        return
    fresh = JAVA_CLASSES.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    say(f"Java test programs: compiling {len(sources)} files")
    command = ["javac", "-nowarn", "-Xlint:-options", "-d", str(fresh)]
    command += ["-cp", f"{KAFKA_LIBS}/*", *map(str, sources)]
    if run("Java test programs", command, JAVA_SOURCES):
        (fresh / STAMP).write_text(fingerprint)
        move_into(fresh, JAVA_CLASSES)
    shutil.rmtree(fresh, ignore_errors=True)


def move_into(fresh: pathlib.Path, directory: pathlib.Path) -> None:
    """New files take the places of old ones; programs that run meanwhile find all of them."""
    directory.mkdir(exist_ok=True)
    made = {path.name for path in fresh.iterdir()}
    # The stamp last: it says that the rest is there.
    for name in sorted(made, key=lambda name: (name == STAMP, name)):
        (fresh / name).replace(directory / name)
    for path in directory.iterdir():
        if path.name not in made:
            path.unlink()


def fetch_node() -> None:
    """The JavaScript client, and the type checker."""
    manifest = json.dumps({"private": True, "dependencies": NODE_PACKAGES}, indent=2)
    fingerprint = fingerprint_of(manifest.encode())
    if is_complete(NODE_DIRECTORY, fingerprint):
        return
    if tool := missing("node", "npm"):
        say(f"kafkajs, pyright: no {tool} here, their tests will be skipped")
        return
    NODE_DIRECTORY.mkdir(parents=True, exist_ok=True)
    (NODE_DIRECTORY / "package.json").write_text(manifest)
    say(f"{', '.join(f'{name} {version}' for name, version in NODE_PACKAGES.items())}: fetching")
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
    if run("kafkajs and pyright", command, NODE_DIRECTORY):
        (NODE_DIRECTORY / STAMP).write_text(fingerprint)


def check_kcat() -> None:
    """kcat comes from the system's packages; we only say when it isn't there."""
    if missing("kcat"):
        say("kcat: not installed (a package of the system, as `apt install kcat`), tests skipped")


def main(arguments: Sequence[str]) -> int:
    """Bring everything up to date."""
    fetch_kafka(KAFKA_VERSION, KAFKA_LIBS, JARS, size="55 MB")
    if "--old" in arguments:
        fetch_kafka(OLD_KAFKA_VERSION, OLD_KAFKA_LIBS, OLD_JARS, size="27 MB")
    compile_java()
    fetch_node()
    check_kcat()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

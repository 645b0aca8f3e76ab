"""``kafka-storage``: make directories log directories, and look at whose they are."""

from __future__ import annotations

import argparse
import os
import re
import socket
import time
import uuid
from typing import TYPE_CHECKING

from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.metadata_versions import (
    NEWEST,
    describe_dependencies,
    features_of_release,
    version_mapping,
)
from ottla.cli.kafka.properties import load
from ottla.cli.kafka.subcommands import Parser, Subcommands, subcommand
from ottla.cli.kafka.uuids import format_uuid
from ottla.log.errors import MalformedFile
from ottla.log.text_files import (
    MetaProperties,
    format_meta_properties,
    parse_meta_properties,
)

if TYPE_CHECKING:
    from ottla.wire.quorum_records import Voter

META_PROPERTIES = "meta.properties"
_DEFAULT_DIRECTORY = "/tmp/kafka-logs"  # noqa: S108 - what Kafka takes where log.dirs is not set


def _build() -> Parser:
    parser = Parser(
        prog="kafka-storage", description="Formats and describes log directories.", help_status=0
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def add(name: str, text: str) -> Parser:
        return subcommand(commands, name, text, help_status=0)

    info = add("info", "Show whose the log directories are.")
    formatting = add("format", "Make the directories log directories of a cluster.")
    for command in (info, formatting):
        command.add_argument("--config", "-c", required=True, help="The broker's properties file.")
    formatting.add_argument("--cluster-id", "-t", required=True, help="The cluster's id.")
    formatting.add_argument(
        "--ignore-formatted", "-g", action="store_true", help="Leave out those that are formatted."
    )
    formatting.add_argument("--release-version", "-r", help="The release whose features to use.")
    formatting.add_argument("--feature", "-f", action="append", help="A feature's level.")
    formatting.add_argument("--add-scram", "-S", action="append", help="Credentials; not here.")
    quorum = formatting.add_mutually_exclusive_group()
    quorum.add_argument("--standalone", "-s", action="store_true", help="One controller.")
    quorum.add_argument("--no-initial-controllers", "-N", action="store_true", help="None.")
    quorum.add_argument("--initial-controllers", "-I", help="These controllers.")
    mapping = add("version-mapping", "Show the levels of a release.")
    mapping.add_argument("--release-version", "-r", help="The release, the newest by default.")
    dependencies = add("feature-dependencies", "Show what a level needs.")
    dependencies.add_argument("--feature", "-f", action="append", required=True, help="name=level")
    add("random-uuid", "Print an id for a new cluster.")
    return parser


def _act(given: argparse.Namespace) -> int:
    if given.command == "random-uuid":
        print(random_id())
        return 0
    if given.command == "version-mapping":
        print("\n".join(version_mapping(given.release_version)))
        return 0
    if given.command == "feature-dependencies":
        from ottla.cli.kafka.features import parse_level

        print("\n".join(describe_dependencies(parse_level(each) for each in given.feature)))
        return 0
    entries = load(given.config)
    directories = log_directories(entries)
    if given.command == "info":
        return _info(directories)
    return _format(given, entries, directories)


def random_id() -> str:
    """A new id that begins with no dash, which tools would take for an option."""
    while (text := format_uuid(uuid.uuid4())).startswith("-"):
        continue
    return text


def log_directories(entries: dict[str, str]) -> list[str]:
    """The directories that a broker's properties name."""
    text = entries.get("log.dirs") or entries.get("log.dir") or _DEFAULT_DIRECTORY
    listed = [path.strip() for path in text.split(",")]
    metadata = entries.get("metadata.log.dir", "").strip()
    return sorted({path for path in (*listed, metadata) if path})


def _read(directory: str) -> MetaProperties | None:
    try:
        with open(os.path.join(directory, META_PROPERTIES), "rb") as file:
            return parse_meta_properties(file.read(1 << 16))
    except FileNotFoundError:
        return None
    except MalformedFile as error:
        raise ToolFailure(f"{directory}/{META_PROPERTIES} can't be read: {error}") from None


def _info(directories: list[str]) -> int:
    problems, found = [], []
    known: MetaProperties | None = None
    for directory in directories:
        if not os.path.isdir(directory):
            missing = not os.path.exists(directory)
            problems.append(f"{directory} {'does not exist' if missing else 'is not a directory'}")
            continue
        found.append(directory)
        meta = _read(directory)
        if meta is None:
            problems.append(f"{directory} is not formatted.")
        elif known is None:
            known = meta
        elif meta.cluster_id != known.cluster_id or meta.node_id != known.node_id:
            problems.append(
                f"Metadata for {directory} was {_shown(meta)}, but other directories "
                f"featured {_shown(known)}"
            )
    _print_list("log director", "y", "ies", found)
    if known is not None:
        print(f"Found metadata: {_shown(known)}\n")
    _print_list("problem", "", "s", problems)
    return 1 if problems else 0


def _print_list(what: str, one: str, many: str, lines: list[str]) -> None:
    if lines:
        print(f"Found {what}{one if len(lines) == 1 else many}:")
        print("".join(f"  {line}\n" for line in lines))


def _shown(meta: MetaProperties) -> str:
    fields = {"cluster.id": meta.cluster_id}
    if meta.directory_id is not None:
        fields["directory.id"] = format_uuid(meta.directory_id)
    fields |= {"node.id": str(meta.node_id), "version": "1"}
    return "{" + ", ".join(f"{key}={text}" for key, text in fields.items()) + "}"


def _check_format(given: argparse.Namespace) -> None:
    if given.initial_controllers:
        raise ToolFailure(
            "--initial-controllers can't be had here",
            "--standalone begins a quorum with one controller, to which others can be added",
        )
    if given.add_scram:
        raise ToolFailure(
            "--add-scram can't be had here", "add credentials with kafka-configs once it runs"
        )
    if given.release_version not in (None, NEWEST, NEWEST.split("-")[0]) or given.feature:
        raise ToolFailure(
            f"Directories can be formatted for {NEWEST} and its features only",
            "leave --release-version and --feature out",
        )


def _format(given: argparse.Namespace, entries: dict[str, str], directories: list[str]) -> int:
    _check_format(given)
    text = entries.get("node.id") or entries.get("broker.id") or ""
    if not text.isdigit():
        raise ToolFailure('Missing required configuration "node.id" which has no default value.')
    fresh = []
    for directory in directories:
        meta = _read(directory)
        if meta is None:
            fresh.append(directory)
            continue
        path = os.path.join(directory, META_PROPERTIES)
        if meta.cluster_id != given.cluster_id and given.ignore_formatted:
            raise ToolFailure(
                f"Invalid cluster.id in: {path}. Expected {given.cluster_id}, but read "
                f"{meta.cluster_id}"
            )
        if not given.ignore_formatted:
            raise ToolFailure(
                f"Log directory {directory} is already formatted. Use --ignore-formatted to "
                "ignore this directory and format the others."
            )
    if not fresh:
        print("All of the log directories are already formatted.")
    for directory in fresh:
        meta = MetaProperties(given.cluster_id, int(text), uuid.uuid4())
        kind = "data"
        if directory == metadata_directory(entries):
            kind = "dynamic metadata voter" if given.standalone else "metadata"
            _write_snapshots(directory, meta, entries, is_standalone=given.standalone)
        print(f"Formatting {kind} directory {directory} with metadata.version {NEWEST}.")
        # Last: without it the directory counts as not formatted.
        _write(directory, META_PROPERTIES, format_meta_properties(meta))
    return 0


def metadata_directory(entries: dict[str, str]) -> str:
    """The directory in which Apache Kafka keeps the cluster's metadata."""
    text = entries.get("log.dirs") or entries.get("log.dir") or _DEFAULT_DIRECTORY
    return entries.get("metadata.log.dir", "").strip() or text.split(",")[0].strip()


def _write_snapshots(
    directory: str, meta: MetaProperties, entries: dict[str, str], *, is_standalone: bool
) -> None:
    from ottla.cli.kafka import storage_snapshots as snapshots

    now_ms = int(time.time() * 1000)
    _write(
        directory,
        snapshots.BOOTSTRAP,
        snapshots.bootstrap_snapshot(features_of_release(NEWEST), now_ms),
    )
    if is_standalone:
        voters = [_this_controller(meta, entries)]
        data = snapshots.quorum_snapshot(voters, now_ms)
        _write(directory, snapshots.FIRST_SNAPSHOT, data)


def _this_controller(meta: MetaProperties, entries: dict[str, str]) -> Voter:
    """The only voter: this node, at its controller's listener."""
    from ottla.wire.quorum_records import VersionRange, Voter, VoterEndpoint

    name = entries.get("controller.listener.names", "").split(",")[0].strip()
    listeners = entries.get("advertised.listeners", "") + "," + entries.get("listeners", "")
    found = re.search(rf"(?:^|,)\s*{re.escape(name)}://([^:,]*):(\d+)", listeners)
    if not name or found is None:
        raise ToolFailure(
            "A controller of its own needs a listener",
            "set controller.listener.names, and listeners with that name",
        )
    host, port = found[1] or socket.getfqdn(), int(found[2])
    return Voter(
        voter_id=meta.node_id,
        voter_directory_id=meta.directory_id or uuid.UUID(int=0),
        endpoints=[VoterEndpoint(name=name, host=host, port=port)],
        k_raft_version_feature=VersionRange(min_supported_version=0, max_supported_version=1),
    )


def _write(directory: str, name: str, data: bytes) -> None:
    """Put a file there whole or not at all, and so that a power cut doesn't take it back."""
    path = os.path.join(directory, name)
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, exist_ok=True)
        with open(f"{path}.tmp", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.tmp", path)
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ToolFailure(f"{directory} can't be formatted: {error.strerror}") from None


TOOL = Subcommands(_build, _act)

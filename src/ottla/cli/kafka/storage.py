"""``kafka-storage``: make directories log directories, and look at whose they are."""

from __future__ import annotations

import argparse
import os
import uuid

from ottla.cli.kafka.metadata_versions import describe_dependencies, version_mapping
from ottla.cli.kafka.properties import load
from ottla.cli.kafka.storage_directories import log_directories, read_meta_properties
from ottla.cli.kafka.subcommands import Parser, Subcommands, subcommand
from ottla.cli.kafka.uuids import format_uuid
from ottla.log.text_files import MetaProperties


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
    formatting.add_argument(
        "--add-scram", "-S", action="append", help="A user: SCRAM-SHA-256=[name=…,password=…]."
    )
    quorum = formatting.add_mutually_exclusive_group()
    quorum.add_argument("--standalone", "-s", action="store_true", help="One controller.")
    quorum.add_argument("--no-initial-controllers", "-N", action="store_true", help="None.")
    quorum.add_argument("--initial-controllers", "-I", help="id@host:port:directory id,…")
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
    from ottla.cli.kafka.storage_formatting import format_directories

    return format_directories(given, entries, directories)


def random_id() -> str:
    """A new id that begins with no dash, which tools would take for an option."""
    while (text := format_uuid(uuid.uuid4())).startswith("-"):
        continue
    return text


def _info(directories: list[str]) -> int:
    problems, found = [], []
    known: MetaProperties | None = None
    for directory in directories:
        if not os.path.isdir(directory):
            missing = not os.path.exists(directory)
            problems.append(f"{directory} {'does not exist' if missing else 'is not a directory'}")
            continue
        found.append(directory)
        meta = read_meta_properties(directory)
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


TOOL = Subcommands(_build, _act)

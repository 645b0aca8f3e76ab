"""``kafka-features``: the features that a cluster has finalized, and changing their levels."""

from __future__ import annotations

import argparse

from ottla.cli.kafka.cluster import ANY, CONTROLLER, Cluster, ask_cluster
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.metadata_versions import (
    describe_dependencies,
    features_of_release,
    level_text,
    metadata_level,
    version_mapping,
)
from ottla.cli.kafka.properties import load
from ottla.cli.kafka.subcommands import Parser, Subcommands, subcommand
from ottla.wire.api.k18_api_versions import ApiVersionsRequest
from ottla.wire.api.k57_update_features import FeatureUpdate, UpdateFeaturesRequest

_UPGRADE, _SAFE_DOWNGRADE, _UNSAFE_DOWNGRADE = 1, 2, 3


def _build() -> Parser:
    parser = Parser(
        prog="kafka-features",
        description="Shows and changes feature levels.",
        is_terse=True,
        help_status=0,
    )
    connection = parser.add_mutually_exclusive_group()
    connection.add_argument("--bootstrap-server", help="The brokers to connect to first.")
    connection.add_argument("--bootstrap-controller", help="The controllers to connect to instead.")
    parser.add_argument("--command-config", help="Properties for the connection.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    describe = subcommand(
        commands, "describe", "Show the levels in force.", is_terse=True, help_status=0
    )
    describe.add_argument("--node-id", type=int, help="Which broker to ask.")
    for name, text in (
        ("upgrade", "Raise levels."),
        ("downgrade", "Lower levels."),
        ("disable", "Lower levels to zero."),
    ):
        command = subcommand(commands, name, text, is_terse=True, help_status=0)
        command.add_argument(
            "--feature", action="append", help="name=level; to disable only the name."
        )
        if name != "disable":
            command.add_argument("--metadata", help="The metadata version, such as 4.3-IV0.")
            command.add_argument("--release-version", help="The levels of this release.")
        if name != "upgrade":
            command.add_argument(
                "--unsafe", action="store_true", help="Also where metadata may be lost."
            )
        command.add_argument("--dry-run", action="store_true", help="Only check.")
    mapping = subcommand(
        commands, "version-mapping", "Show the levels of a release.", is_terse=True, help_status=0
    )
    mapping.add_argument("--release-version", help="The release, the newest by default.")
    dependencies = subcommand(
        commands, "feature-dependencies", "Show what a level needs.", is_terse=True, help_status=0
    )
    dependencies.add_argument("--feature", action="append", required=True, help="name=level")
    return parser


def _act(given: argparse.Namespace) -> int:
    if given.command == "version-mapping":
        print("\n".join(version_mapping(given.release_version)))
        return 0
    if given.command == "feature-dependencies":
        print("\n".join(describe_dependencies(parse_level(each) for each in given.feature)))
        return 0
    server = given.bootstrap_server or given.bootstrap_controller
    if server is None:
        raise ToolFailure(
            "Command line error: You must specify either --bootstrap-controller or "
            "--bootstrap-server.. Type --help for help."
        )
    entries = load(given.command_config) if given.command_config else {}
    entries["bootstrap.servers"] = server
    if given.command == "describe":
        if given.node_id is not None and given.node_id < 0:
            raise ToolFailure(f"Invalid node id {given.node_id}: must be non-negative.")
        ask_cluster(entries, lambda cluster: _describe(cluster, given.node_id))
        return 0
    levels = wanted_levels(given)
    kind = _UPGRADE
    if given.command != "upgrade":
        kind = _UNSAFE_DOWNGRADE if given.unsafe else _SAFE_DOWNGRADE
    ask_cluster(
        entries, lambda cluster: _update(cluster, given.command, levels, kind, given.dry_run)
    )
    return 0


def wanted_levels(given: argparse.Namespace) -> dict[str, int]:
    """The level each feature shall have; raises ``ToolFailure``."""
    levels: dict[str, int] = {}
    metadata = getattr(given, "metadata", None)
    release = getattr(given, "release_version", None)
    if release and (metadata or given.feature):
        raise ToolFailure("Can not specify `release-version` with other feature flags.")
    if release:
        return features_of_release(release)
    if metadata:
        print(" `metadata` flag is deprecated and may be removed in a future release.")
        levels["metadata.version"] = metadata_level(metadata)
    for text in given.feature or ():
        name, level = (text, 0) if given.command == "disable" else parse_level(text)
        if name in levels:
            raise ToolFailure(f"Feature {name} was specified more than once.")
        levels[name] = level
    if not levels:
        raise ToolFailure(f"You must specify at least one feature to {given.command}")
    return levels


def parse_level(text: str) -> tuple[str, int]:
    """``feature=level``; raises ``ToolFailure``."""
    name, equals, level = text.partition("=")
    if not equals:
        raise ToolFailure(f"Can't parse feature=level string {text}: equals sign not found.")
    try:
        number = int(level)
    except ValueError:
        number = -1
    if not 0 <= number <= 32767:
        raise ToolFailure(
            f"Can't parse feature=level string {text}: unable to parse {level.strip()} as a short."
        )
    return name.strip(), number


async def _describe(cluster: Cluster, node_id: int | None) -> None:
    from ottla import __version__

    request = ApiVersionsRequest(client_software_name="ottla", client_software_version=__version__)
    answer = await cluster.ask(request, ANY if node_id is None else node_id)
    check(answer.error_code)
    finalized = {each.name: each.max_version_level for each in answer.finalized_features}
    epoch = answer.finalized_features_epoch
    for feature in sorted(answer.supported_features, key=lambda each: each.name):
        cells = {
            "SupportedMinVersion": level_text(feature.name, feature.min_version),
            "SupportedMaxVersion": level_text(feature.name, feature.max_version),
            "FinalizedVersionLevel": level_text(feature.name, finalized.get(feature.name, 0)),
        }
        shown = "  ".join(f"{name}: {text:<15}" for name, text in cells.items())
        print(f"Feature: {feature.name:<40}  {shown}  Epoch: {epoch if epoch >= 0 else '-'}")


async def _update(
    cluster: Cluster, operation: str, levels: dict[str, int], kind: int, dry_run: bool
) -> None:
    request = UpdateFeaturesRequest(
        timeout_ms=int(cluster.timeout_ms),
        feature_updates=[
            FeatureUpdate(feature=name, max_version_level=level, upgrade_type=kind)
            for name, level in sorted(levels.items())
        ],
        validate_only=dry_run,
    )
    answer = await cluster.ask(request, CONTROLLER, at_least=1)
    failures = {
        each.feature: KafkaFailure(each.error_code, each.error_message)
        for each in answer.results
        if each.error_code
    }
    if answer.error_code and not failures:
        whole = KafkaFailure(answer.error_code, answer.error_message)
        failures = dict.fromkeys(levels, whole)
    for name, level in sorted(levels.items()):
        print(_told(operation, name, level, failures.get(name), dry_run))
    if failures:
        raise ToolFailure(f"{len(failures)} out of {len(levels)} operation(s) failed.")


def _told(
    operation: str, name: str, level: int, failure: KafkaFailure | None, dry_run: bool
) -> str:
    if failure is not None:
        could = "Can not" if dry_run else "Could not"
        action = f"disable {name}" if operation == "disable" else f"{operation} {name} to {level}"
        return f"{could} {action}. {failure.message}"
    was = "can be" if dry_run else "was"
    action = "disabled." if operation == "disable" else f"{operation}d to {level}."
    return f"{name} {was} {action}"


TOOL = Subcommands(_build, _act)

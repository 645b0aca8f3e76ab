"""``kafka-cluster``: the cluster's id, its endpoints, and brokers that are gone for good."""

from __future__ import annotations

import argparse

from ottla.cli.kafka.cluster import CONTROLLER, Cluster, ask_cluster
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.properties import load
from ottla.cli.kafka.subcommands import Parser, Subcommands, subcommand
from ottla.wire.api.k60_describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from ottla.wire.errors import ErrorCode

_COMMANDS = {
    "cluster-id": "Show the cluster's id.",
    "unregister": "Forget a broker that is gone for good.",
    "list-endpoints": "Show where the brokers or controllers listen.",
}
_BROKERS, _CONTROLLERS = 1, 2


def _build() -> Parser:
    parser = Parser(prog="kafka-cluster", description="Shows and changes what a cluster is.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, text in _COMMANDS.items():
        command = subcommand(commands, name, text, is_terse=False)
        connection = command.add_mutually_exclusive_group(required=True)
        connection.add_argument("--bootstrap-server", "-b", help="The brokers to connect to first.")
        connection.add_argument(
            "--bootstrap-controller", "-C", help="The controllers to connect to instead."
        )
        command.add_argument("--config", help="As --command-config, its older name.")
        command.add_argument("--command-config", "-c", help="Properties for the connection.")
        if name == "unregister":
            command.add_argument("--id", "-i", type=int, required=True, help="The broker's id.")
        if name == "list-endpoints":
            command.add_argument(
                "--include-fenced-brokers",
                action="store_true",
                help="Also brokers that are fenced.",
            )
    return parser


def _act(given: argparse.Namespace) -> int:
    if given.config and given.command_config:
        raise ToolFailure("--config and --command-config cannot be specified together.")
    if given.config:
        print(
            "Option --config has been deprecated and will be removed in a future version. "
            "Use --command-config instead."
        )
    path = given.command_config or given.config
    entries = load(path) if path else {}
    entries["bootstrap.servers"] = given.bootstrap_server or given.bootstrap_controller
    of_controllers = given.bootstrap_controller is not None
    if given.command == "cluster-id":
        ask_cluster(entries, _print_id)
    elif given.command == "unregister":
        ask_cluster(entries, lambda cluster: _unregister(cluster, given.id))
    else:
        if of_controllers and given.include_fenced_brokers:
            raise ToolFailure(
                "The option --include-fenced-brokers is only supported with --bootstrap-server "
                "option"
            )
        kind = _CONTROLLERS if of_controllers else _BROKERS
        with_fenced = given.include_fenced_brokers
        ask_cluster(entries, lambda cluster: _list_endpoints(cluster, kind, with_fenced))
    return 0


async def _describe(cluster: Cluster, kind: int, with_fenced: bool) -> DescribeClusterResponse:
    request = DescribeClusterRequest(
        include_cluster_authorized_operations=False,
        endpoint_type=kind,
        include_fenced_brokers=with_fenced,
    )
    at_least = 2 if with_fenced else 1 if kind == _CONTROLLERS else 0
    answer: DescribeClusterResponse = await cluster.ask(request, at_least=at_least)
    check(answer.error_code, answer.error_message)
    return answer


async def _print_id(cluster: Cluster) -> None:
    answer = await _describe(cluster, _BROKERS, False)
    print(f"Cluster ID: {answer.cluster_id}")


async def _unregister(cluster: Cluster, broker_id: int) -> None:
    from ottla.wire.api.k64_unregister_broker import UnregisterBrokerRequest

    try:
        answer = await cluster.ask(UnregisterBrokerRequest(broker_id=broker_id), CONTROLLER)
        check(answer.error_code, answer.error_message)
    except KafkaFailure as failure:
        if failure.code != ErrorCode.UNSUPPORTED_VERSION:
            raise
        print("The target cluster does not support the broker unregistration API.")
        return
    print(f"Broker {broker_id} is no longer registered.")


async def _list_endpoints(cluster: Cluster, kind: int, with_fenced: bool) -> None:
    answer = await _describe(cluster, kind, with_fenced)
    what = "controller" if kind == _CONTROLLERS else "broker"
    rows = [("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE")]
    for node in sorted(answer.brokers, key=lambda each: each.broker_id):
        state = "fenced" if node.is_fenced else "unfenced"
        rack = "null" if node.rack is None else node.rack
        rows.append((str(node.broker_id), node.host, str(node.port), rack, state, what))
    hosts = max(len(row[1]) for row in rows)
    racks = max([10, *(len(row[3]) for row in rows)])
    for number, host, port, rack, state, endpoint in rows:
        shown = f"{number:<10} {host:<{hosts}} {port:<10} {rack:<{racks}} "
        print(shown + (f"{state:<10} " if kind == _BROKERS else "") + f"{endpoint:<15}")


TOOL = Subcommands(_build, _act)

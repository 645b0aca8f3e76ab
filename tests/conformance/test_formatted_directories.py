"""A broker starts on directories formatted by ``kafka-storage``, as the node they were made for."""

from __future__ import annotations

import asyncio
import pathlib
import uuid

import pytest

from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode, StartError
from ottla.cli.kafka.entry import run
from ottla.log.text_files import format_uuid, parse_meta_properties

NODE_ID = 7


@pytest.fixture
def properties(tmp_path: pathlib.Path) -> dict[str, str]:
    """A broker's properties, as for both programs."""
    return {
        "process.roles": "broker,controller",
        "node.id": str(NODE_ID),
        "controller.quorum.voters": f"{NODE_ID}@127.0.0.1:9093",
        "controller.listener.names": "CONTROLLER",
        "listeners": "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0",
        "log.dirs": f"{tmp_path / 'first'},{tmp_path / 'second'}",
    }


@pytest.fixture
def cluster_id(tmp_path: pathlib.Path, properties: dict[str, str]) -> str:
    """Of the cluster for which the directories have been formatted."""
    text = "".join(f"{key}={value}\n" for key, value in properties.items())
    path = tmp_path / "server.properties"
    path.write_text(text)
    cluster_id = "a" + format_uuid(uuid.uuid4())[1:]
    status = run("kafka-storage", ["format", "-t", cluster_id, "-c", str(path)])
    assert status == 0
    return cluster_id


def started(properties: dict[str, str]) -> tuple[str, list[uuid.UUID]]:
    """Start a broker and stop it; returns its cluster's id, and the log directories it offers."""

    async def main() -> tuple[str, list[uuid.UUID]]:
        node = BrokerNode(configuration_of(properties, origin="test"))
        await node.start()
        image = node.cluster.image
        found = image.cluster_id, list(image.brokers[NODE_ID].log_directories)
        await node.stop()
        return found

    return asyncio.run(main())


def test_the_broker_keeps_the_ids(properties: dict[str, str], cluster_id: str) -> None:
    formatted = [
        parse_meta_properties((pathlib.Path(path) / "meta.properties").read_bytes()).directory_id
        for path in properties["log.dirs"].split(",")
    ]
    for _ in range(2):
        found, directories = started(properties)
        assert found == cluster_id
        assert sorted(directories) == sorted(each for each in formatted if each is not None)


def test_another_node_is_refused(properties: dict[str, str], cluster_id: str) -> None:
    with pytest.raises(StartError, match="belongs to node 7, not to 8"):
        started({**properties, "node.id": "8", "controller.quorum.voters": "8@127.0.0.1:9093"})

"""A broker starts on directories formatted by ``kafka-storage``, as the node they were made for."""

from __future__ import annotations

import asyncio
import pathlib
import re
import uuid

import pytest

from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode, StartError
from ottla.cli.kafka.entry import run
from ottla.log.text_files import format_uuid, parse_meta_properties
from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka
from ottla.testing.kafka_tools import run_ours

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


@pytest.mark.jvm
@pytest.mark.slow
def test_apache_kafka_starts_with_all_its_features(tmp_path: pathlib.Path) -> None:
    kafka = ApacheKafka(directory=tmp_path, heap="400m", jvm_flags=QUICK_START_FLAGS)
    properties = tmp_path / "to-format.properties"
    properties.write_text(f"node.id=1\nlog.dirs={kafka.log_directory}\n")
    assert run("kafka-storage", ["format", "-t", kafka.cluster_id, "-c", str(properties)]) == 0
    with kafka:
        asked = ["--bootstrap-server", kafka.bootstrap_servers]
        described = run_ours("kafka-features", [*asked, "describe"]).stdout
    levels = dict(re.findall(r"Feature: (\S+).*FinalizedVersionLevel: (\S+)", described))
    assert levels == {
        "eligible.leader.replicas.version": "1",
        "group.version": "1",
        "kraft.version": "0",
        "metadata.version": "4.3-IV0",
        "share.version": "1",
        "streams.version": "1",
        "transaction.version": "2",
    }


def test_a_quorum_of_one_begins_with_its_snapshot(
    tmp_path: pathlib.Path, properties: dict[str, str]
) -> None:
    """Both programs start with it: Apache Kafka as a quorum that can grow, ours all the same."""
    del properties["controller.quorum.voters"]
    file = tmp_path / "alone.properties"
    listeners = "PLAINTEXT://127.0.0.1:0,CONTROLLER://localhost:19093"
    lines = {**properties, "listeners": listeners}
    file.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
    arguments = ["format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", str(file), "--standalone"]
    assert run("kafka-storage", arguments) == 0
    snapshot = tmp_path / "first" / "__cluster_metadata-0" / f"{0:020}-{0:010}.checkpoint"
    shown = run_ours("kafka-dump-log", ["--files", str(snapshot), "--cluster-metadata-decoder"])
    assert '"voters":[{"voterId":7' in shown.stdout
    assert '{"name":"CONTROLLER","host":"localhost","port":19093}' in shown.stdout
    assert started(properties)[0] == "4L6g3nShT-eMCtK--X86sw"

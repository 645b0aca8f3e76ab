"""Records of consumer groups in ``__consumer_offsets``: Kafka reads ours, we read Kafka's."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka, run_tool
from ottla.testing.consumer_member import ConsumerMember
from ottla.testing.process import BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from ottla.wire.errors import ErrorCode

pytestmark = [pytest.mark.jvm, pytest.mark.slow]

DUMP = "org.apache.kafka.tools.DumpLogSegments"
SETTINGS = {"offsets.topic.num.partitions": "1"}
#: Kafka's names of the record types that a group of `settle` leaves behind.
RECORD_TYPES = {3, 5, 6, 7, 8, 16}


def kafka_at(directory: pathlib.Path) -> ApacheKafka:
    return ApacheKafka(
        directory=directory, heap="512m", jvm_flags=QUICK_START_FLAGS, settings=SETTINGS
    )


def members() -> list[ConsumerMember]:
    """Two that haven't joined yet: one subscribes by name, one by a pattern as well."""
    return [
        ConsumerMember("g", str(uuid.uuid4()), ["t"], instance_id="first"),
        ConsumerMember("g", str(uuid.uuid4()), [], regex="[st]"),
    ]


def find_coordinator(bootstrap: str) -> None:
    """Kafka makes __consumer_offsets when it is first asked for."""

    def is_found() -> bool:
        request = FindCoordinatorRequest(coordinator_keys=["g"])
        with Connection(bootstrap) as connection:
            [found] = connection.ask(request, 4).coordinators
        return bool(found.error_code == ErrorCode.NONE)

    eventually(is_found, timeout_seconds=40, what="__consumer_offsets")


def beat(bootstrap: str, member: ConsumerMember) -> ErrorCode:
    with Connection(bootstrap) as connection:
        member.receive(connection.ask(member.request(), 1))
    member.finish_revoking()
    return member.last_error


def settle(bootstrap: str, group: list[ConsumerMember]) -> None:
    """Both members consume, and have heard so."""
    find_coordinator(bootstrap)

    def have_all() -> bool:
        codes = [beat(bootstrap, member) for member in group]
        sizes = [len(member.owned) for member in group]
        return codes == [ErrorCode.NONE] * 2 and sizes == [2, 2]

    eventually(have_all, timeout_seconds=40, what="two members share four partitions")


def described(bootstrap: str) -> Any:
    """The group as an administrator sees it, once its coordinator is ready."""
    request = ConsumerGroupDescribeRequest(group_ids=["g"], include_authorized_operations=False)

    def answer() -> Any:
        with Connection(bootstrap) as connection:
            [found] = connection.ask(request, 1).groups
        return found if found.error_code == ErrorCode.NONE else None

    return eventually(answer, timeout_seconds=40, what="the coordinator")


def what_matters(group: Any) -> dict[str, Any]:
    """Epochs and members by id, without names of topics, which another cluster may not have."""
    return {
        "epochs": (group.group_epoch, group.assignment_epoch),
        "members": {
            member.member_id: (
                member.member_epoch,
                member.instance_id,
                member.subscribed_topic_names,
                member.subscribed_topic_regex,
                member.client_host,
            )
            for member in group.members
        },
    }


def test_kafkas_tool_decodes_our_records(own_broker: Callable[..., Any]) -> None:
    broker = own_broker()
    create_topic(broker.bootstrap_servers, "t", 4, {})
    settle(broker.bootstrap_servers, members())
    broker.stop()
    directory = broker.log_directory if isinstance(broker, ApacheKafka) else broker.data_directory
    files = pathlib.Path(directory).glob("__consumer_offsets-*/*.log")
    names = ",".join(str(path) for path in files if path.stat().st_size)
    result = run_tool(DUMP, ["--files", names, "--offsets-decoder"])
    text = result.stdout.decode()
    assert "Could not decode" not in text + result.stderr.decode()
    keys = [json.loads(found) for found in re.findall(r"key: (\{.*?\}) payload:", text)]
    assert {int(key["type"]) for key in keys} >= RECORD_TYPES
    assert '"subscribedTopicRegex":"[st]"' in text
    assert '"instanceId":"first"' in text


def test_our_broker_goes_on_with_a_group_that_kafka_kept(tmp_path: pathlib.Path) -> None:
    kafka = kafka_at(tmp_path / "kafka")
    group = members()
    with kafka:
        create_topic(kafka.bootstrap_servers, "t", 4, {})
        settle(kafka.bootstrap_servers, group)
        before = what_matters(described(kafka.bootstrap_servers))
    owned = [set(member.owned) for member in group]
    with BrokerProcess(kafka.log_directory, settings=SETTINGS) as broker:
        assert what_matters(described(broker.bootstrap_servers)) == before
        codes = [beat(broker.bootstrap_servers, member) for member in group]
        assert codes == [ErrorCode.NONE, ErrorCode.NONE]
        settle(broker.bootstrap_servers, group)
    assert [set(member.owned) for member in group] == owned


def test_kafka_loads_a_group_that_our_broker_kept(tmp_path: pathlib.Path) -> None:
    with BrokerProcess(tmp_path / "ours", settings=SETTINGS) as broker:
        create_topic(broker.bootstrap_servers, "t", 4, {})
        settle(broker.bootstrap_servers, members())
        before = what_matters(described(broker.bootstrap_servers))
    kafka = kafka_at(tmp_path / "kafka")
    with kafka:
        find_coordinator(kafka.bootstrap_servers)
    theirs = pathlib.Path(kafka.log_directory) / "__consumer_offsets-0"
    for old in [*theirs.glob("0*"), *theirs.glob("leader-epoch-checkpoint")]:
        old.unlink()
    for log in (tmp_path / "ours" / "__consumer_offsets-0").glob("*.log"):
        shutil.copy(log, theirs / log.name)
    for name in ("recovery-point-offset-checkpoint", "replication-offset-checkpoint"):
        (pathlib.Path(kafka.log_directory) / name).unlink(missing_ok=True)
    (pathlib.Path(kafka.log_directory) / ".kafka_cleanshutdown").unlink(missing_ok=True)
    with kafka:
        assert what_matters(described(kafka.bootstrap_servers)) == before

"""The admin client where it goes further than confluent_kafka's: sync and asyncio."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from copy import copy
from typing import Any

import pytest

from ottla import (
    AdminClient,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from ottla.admin import (
    AbortTransactionSpec,
    AdminException,
    ClientQuotaAlteration,
    ClientQuotaFilter,
    ConfigEntry,
    ConfigResource,
    EndpointType,
    FeatureUpdate,
    MemberToRemove,
    NewTopic,
    OffsetSpec,
    ResourceType,
    TopicPartitionReplica,
    quota_entity,
)
from ottla.aio import AdminClient as AsyncAdminClient
from ottla.client.enumerations import AlterConfigOpType
from ottla.testing.waiting import eventually

_numbers = itertools.count(1)
BROKER = 1


@pytest.fixture(scope="module")
def admin(bootstrap: str) -> Iterator[AdminClient]:
    with AdminClient({"bootstrap.servers": bootstrap}) as made:
        yield made


@pytest.fixture
def topic(admin: AdminClient) -> str:
    """A topic of two partitions that all parts of the broker know."""
    name = f"beyond-{next(_numbers)}"
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(20)
    asked = {TopicPartition(name, number): OffsetSpec.latest() for number in range(2)}
    eventually(
        lambda: all(f.exception(20) is None for f in admin.list_offsets(asked).values()),
        what="the topic has leaders",
    )
    return name


def unique(kind: str) -> str:
    return f"beyond-{kind}-{next(_numbers)}"


def code_of(future: Future[Any]) -> str:
    error = future.exception(20)
    assert isinstance(error, KafkaException)
    name: str = error.args[0].name()
    return name


def known_to(future: Future[Any]) -> Any:
    """The result; the test is skipped if the broker does not know the API."""
    try:
        return future.result(20)
    except KafkaException as exception:
        if exception.args[0] == KafkaError._UNSUPPORTED_FEATURE:
            pytest.skip("the broker does not serve this API yet")
        raise


def test_nodes(admin: AdminClient) -> None:
    described = admin.describe_nodes(EndpointType.BROKER, include_fenced_brokers=True).result(20)
    assert [node.id for node in described.nodes] == [BROKER]
    assert described.fenced_broker_ids == frozenset()
    controllers = admin.describe_nodes(EndpointType.CONTROLLER)
    assert code_of(controllers) == "MISMATCHED_ENDPOINT_TYPE"


def test_partitions_page_by_page(admin: AdminClient, topic: str) -> None:
    missing = unique("topic")
    futures = admin.describe_topic_partitions([topic, missing], partitions_per_request=1)
    described = futures[topic].result(20)
    assert [each.partition for each in described.partitions] == [0, 1]
    assert {each.leader for each in described.partitions} == {BROKER}
    assert code_of(futures[missing]) == "UNKNOWN_TOPIC_OR_PART"


def test_configured_resources(admin: AdminClient, topic: str) -> None:
    listed = admin.list_config_resources([ResourceType.TOPIC]).result(20)
    assert ConfigResource(ResourceType.TOPIC, topic) in listed
    every = admin.list_config_resources().result(20)
    assert ConfigResource(ResourceType.BROKER, str(BROKER)) in every


def test_loggers(admin: AdminClient) -> None:
    resource = ConfigResource(ResourceType.BROKER_LOGGER, str(BROKER))
    levels = admin.describe_configs([resource])[resource].result(20)
    name = sorted(levels)[0]
    change = ConfigEntry(name, "ERROR", incremental_operation=AlterConfigOpType.SET)
    to_alter = ConfigResource(ResourceType.BROKER_LOGGER, str(BROKER), incremental_configs=[change])
    admin.incremental_alter_configs([to_alter])[to_alter].result(20)
    assert admin.describe_configs([resource])[resource].result(20)[name].value == "ERROR"
    back = ConfigEntry(name, levels[name].value, incremental_operation=AlterConfigOpType.SET)
    to_alter = ConfigResource(ResourceType.BROKER_LOGGER, str(BROKER), incremental_configs=[back])
    admin.incremental_alter_configs([to_alter])[to_alter].result(20)


def test_group_configuration(admin: AdminClient) -> None:
    group = unique("group")
    entry = ConfigEntry(
        "consumer.session.timeout.ms", "50000", incremental_operation=AlterConfigOpType.SET
    )
    change = ConfigResource(ResourceType.GROUP, group, incremental_configs=[entry])
    admin.incremental_alter_configs([change])[change].result(20)
    resource = ConfigResource(ResourceType.GROUP, group)

    def value() -> Any:
        entries = admin.describe_configs([resource])[resource].result(20)
        return entries["consumer.session.timeout.ms"].value

    eventually(lambda: value() == "50000", what="the group's configuration")


def test_log_directories(admin: AdminClient, topic: str) -> None:
    partition = TopicPartition(topic, 0)
    [(path, directory)] = admin.describe_log_dirs([BROKER])[BROKER].result(20).items()
    assert path.startswith("/")
    assert directory.error is None
    assert directory.replicas[partition].size_bytes >= 0
    some = admin.describe_log_dirs([BROKER], [partition])[BROKER].result(20)
    assert list(some[path].replicas) == [partition]
    replica = TopicPartitionReplica(topic, 0, BROKER)
    moved = admin.alter_replica_log_dirs({replica: "/nowhere"})[replica]
    assert code_of(moved) in ("LOG_DIR_NOT_FOUND", "_UNSUPPORTED_FEATURE")


def test_reassignments(admin: AdminClient, topic: str) -> None:
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    assert admin.list_partition_reassignments([first]).result(20) == {}
    futures = admin.alter_partition_reassignments({first: [BROKER], second: None})
    known_to(futures[first])
    assert code_of(futures[second]) == "NO_REASSIGNMENT_IN_PROGRESS"
    nobody = admin.alter_partition_reassignments({first: [99]})[first]
    assert code_of(nobody) == "INVALID_REPLICA_ASSIGNMENT"


def test_the_metadata_quorum(admin: AdminClient) -> None:
    quorum = known_to(admin.describe_metadata_quorum())
    assert quorum.leader_id in {voter.replica_id for voter in quorum.voters}
    assert quorum.high_watermark > 0


def test_features_and_apis(admin: AdminClient) -> None:
    features = admin.describe_features().result(20)
    assert features.finalized["metadata.version"].max_level > 20
    assert features.supported["metadata.version"].min_level > 0
    bad = admin.update_features({"no.such.feature": FeatureUpdate(5)}, validate_only=True)
    assert code_of(bad["no.such.feature"]) == "INVALID_UPDATE_VERSION"
    futures = admin.describe_api_versions([BROKER, 99], request_timeout=2)
    by_name = {api.name: api for api in futures[BROKER].result(20)}
    assert by_name["Metadata"].max_version >= 13
    assert code_of(futures[99]) == "_TIMED_OUT"


def test_members_are_removed(admin: AdminClient, topic: str, bootstrap: str) -> None:
    group = unique("group")
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap, "group.id": group, "group.instance.id": "static",
            "auto.offset.reset": "earliest",
        }
    )  # fmt: skip
    consumer.subscribe([topic])
    eventually(lambda: consumer.poll(0.1) or consumer.assignment(), what="an assignment")
    listed = admin.list_all_groups(protocol_types=["consumer"]).result(20)
    assert [g.state for g in listed if g.group_id == group] == ["Stable"]
    static, nobody = MemberToRemove(group_instance_id="static"), MemberToRemove("nobody")
    removed = admin.remove_group_members(group, [static, nobody], reason="a test")
    assert removed[static].result(20) is None
    assert code_of(removed[nobody]) == "UNKNOWN_MEMBER_ID"
    consumer.close()
    partition = TopicPartition(topic, 0)
    forgotten = admin.delete_consumer_group_offsets(unique("group"), [partition])[partition]
    assert code_of(forgotten) == "GROUP_ID_NOT_FOUND"


def test_epochs_of_consumer_groups(admin: AdminClient, topic: str, bootstrap: str) -> None:
    group = unique("group")
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "group.protocol": "consumer"}
    )
    consumer.subscribe([topic])
    eventually(lambda: consumer.poll(0.1) or len(consumer.assignment()) == 2, what="an assignment")
    described = admin.describe_consumer_groups([group])[group].result(20)
    assert described.group_epoch == described.target_assignment_epoch
    [member] = described.members
    assert member.member_epoch == described.group_epoch
    assert member.subscribed_topics == [topic]
    assert member.is_classic is False
    consumer.close()


def test_offsets_of_many_groups(admin: AdminClient, topic: str) -> None:
    groups, partition = [unique("group"), unique("group")], TopicPartition(topic, 0)
    for number, group in enumerate(groups):
        change = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, number)])
        admin.alter_consumer_group_offsets([change])[group].result(20)
    futures = admin.list_group_offsets({groups[0]: None, groups[1]: [partition]})
    listed = [futures[group].result(20).topic_partitions for group in groups]
    assert [(p.topic, p.offset) for found in listed for p in found or ()] == [
        (topic, 0),
        (topic, 1),
    ]
    described = admin.describe_classic_groups([groups[0], unique("group")])
    states = [future.result(20).state for future in described.values()]
    assert states == ["Empty", "Dead"]


def test_offsets_of_tiered_storage(admin: AdminClient, topic: str) -> None:
    partition = TopicPartition(topic, 0)
    local = admin.list_offsets({partition: OffsetSpec.earliest_local()})
    assert [each.offset for each in (f.result(20) for f in local.values())] == [0]
    tiered = admin.list_offsets({partition: OffsetSpec.latest_tiered()})
    assert [each.offset for each in (f.result(20) for f in tiered.values())] == [-1]


def test_share_groups(admin: AdminClient, topic: str) -> None:
    group, partition = unique("share"), TopicPartition(topic, 0)
    assert code_of(admin.describe_share_groups([group])[group]) == "GROUP_ID_NOT_FOUND"
    altered = admin.alter_share_group_offsets(group, {partition: 0})
    known_to(altered[partition])
    offsets = admin.list_share_group_offsets({group: [partition]})[group].result(20)
    assert offsets[partition].start_offset == 0
    described = admin.describe_share_groups([group])[group].result(20)
    assert (described.state, described.members) == ("Empty", [])
    listed = admin.list_all_groups(types=["share"]).result(20)
    assert group in {each.group_id for each in listed}
    assert admin.delete_share_group_offsets(group, [topic])[topic].result(20) is None
    assert admin.delete_share_groups([group])[group].result(20) is None


def test_streams_groups(admin: AdminClient) -> None:
    group = unique("streams")
    code = code_of(admin.describe_streams_groups([group])[group])
    assert code in ("GROUP_ID_NOT_FOUND", "_UNSUPPORTED_FEATURE")


def test_producers_and_transactions(admin: AdminClient, topic: str, bootstrap: str) -> None:
    transactional_id, partition = unique("transaction"), TopicPartition(topic, 0)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": transactional_id})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    assert producer.flush(20) == 0
    described = admin.describe_transactions([transactional_id])[transactional_id].result(20)
    assert (described.state, described.partitions) == ("Ongoing", [partition])
    assert described.start_time_ms is not None
    assert described.coordinator_id == BROKER
    [open_one] = admin.describe_producers([partition])[partition].result(20)
    assert open_one.current_transaction_start_offset == 0
    assert open_one.producer_id == described.producer_id
    listed = admin.list_transactions(states=["Ongoing"]).result(20)
    assert transactional_id in {each.transactional_id for each in listed[BROKER]}
    fenced = admin.fence_producers([transactional_id])[transactional_id].result(20)
    assert (fenced.producer_id, fenced.producer_epoch) > (open_one.producer_id, 0)
    with pytest.raises(KafkaException):
        producer.commit_transaction(20)
    [ended] = admin.describe_producers([partition])[partition].result(20)
    assert ended.current_transaction_start_offset is None
    nobody = unique("transaction")
    futures = admin.describe_transactions([nobody])
    error = futures[nobody].exception(20)
    assert isinstance(error, KafkaException)
    assert "transactional" in error.args[0].str().lower()


def test_a_hanging_transaction_is_aborted(admin: AdminClient, topic: str, bootstrap: str) -> None:
    partition = TopicPartition(topic, 1)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": unique("transaction")})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=1)
    assert producer.flush(20) == 0
    [state] = admin.describe_producers([partition], broker=BROKER)[partition].result(20)
    spec = AbortTransactionSpec(partition, state.producer_id, state.producer_epoch)
    assert admin.abort_transaction(spec).result(20) is None
    [state] = admin.describe_producers([partition])[partition].result(20)
    assert state.current_transaction_start_offset is None


def test_quotas(admin: AdminClient) -> None:
    user = unique("user")
    entity = quota_entity({"user": user})
    altered = admin.alter_client_quotas(
        [ClientQuotaAlteration(entity, {"producer_byte_rate": 1024.0})]
    )
    known_to(altered[entity])
    wanted = ClientQuotaFilter({"user": user})
    expected = {entity: {"producer_byte_rate": 1024.0}}
    eventually(
        lambda: admin.describe_client_quotas(wanted).result(20) == expected, what="the quota"
    )
    bad = admin.alter_client_quotas([ClientQuotaAlteration(entity, {"no.such.quota": 1.0})])
    assert code_of(bad[entity]) == "INVALID_REQUEST"


def test_tokens_need_somebody(admin: AdminClient) -> None:
    codes = {
        code_of(admin.create_delegation_token()), code_of(admin.describe_delegation_tokens()),
        code_of(admin.renew_delegation_token(b"secret")),
        code_of(admin.expire_delegation_token(b"secret")),
    }  # fmt: skip
    # Without authentication there is nobody to give a token to.
    assert codes in ({"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"}, {"_UNSUPPORTED_FEATURE"})


# The client itself


def test_a_closed_client(bootstrap: str) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap})
    client.wait_connected(20)
    client.close()
    client.close()
    calls: list[Callable[[], Any]] = [
        client.describe_cluster, lambda: client.list_topics(timeout=5), lambda: client.poll(0)
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_closing_ends_what_is_under_way() -> None:
    client = AdminClient({"bootstrap.servers": "127.0.0.1:1"})
    future = client.describe_cluster(request_timeout=60)
    client.close()
    assert code_of(future) == "_DESTROY"


def test_a_client_that_was_dropped_ends_its_thread(bootstrap: str) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap, "client.id": unique("client")})
    client.wait_connected(20)
    thread = weakref.ref(client._thread._thread)
    del client
    gc.collect()
    eventually(
        lambda: (alive := thread()) is None or not alive.is_alive(), what="the end of the thread"
    )


def test_a_callback_of_a_future_may_ask_again(admin: AdminClient) -> None:
    found: list[Any] = []

    def ask_again(_: object) -> None:
        found.append((admin.list_topics(timeout=20).cluster_id, threading.get_ident()))

    future = admin.describe_cluster()
    future.add_done_callback(ask_again)
    eventually(lambda: found, what="the callback")
    assert found[0][0] == future.result(20).cluster_id
    assert found[0][1] != threading.get_ident()


def test_a_client_lives_until_its_futures_are_done(bootstrap: str) -> None:
    future = AdminClient({"bootstrap.servers": bootstrap}).describe_cluster()
    gc.collect()
    assert future.result(20).cluster_id


def test_callbacks_run_in_poll() -> None:
    told: list[tuple[str, int]] = []
    client = AdminClient(
        {
            "bootstrap.servers": "127.0.0.1:1",
            "error_cb": lambda error: told.append((error.name(), threading.get_ident())),
        }
    )
    eventually(lambda: client.poll(0.1) and len(told) >= 2, what="errors")
    assert {name for name, _ in told} >= {"_TRANSPORT", "_ALL_BROKERS_DOWN"}
    assert {thread for _, thread in told} == {threading.get_ident()}
    with pytest.raises(KafkaException) as raised:
        client.wait_connected(1)
    assert "refused" in raised.value.args[0].str()
    client.close()


def test_the_asyncio_client(bootstrap: str) -> None:
    topic, missing = unique("topic"), unique("topic")

    async def main() -> None:
        async with AsyncAdminClient({"bootstrap.servers": bootstrap}) as admin:
            await admin.wait_connected(20)
            assert await admin.create_topics([NewTopic(topic, 1, 1)]) == {topic: None}
            with pytest.raises(KafkaException) as raised:
                await admin.create_topics([NewTopic(topic, 1, 1), NewTopic(missing, 1, 1)])
            assert raised.value.args[0] == KafkaError.TOPIC_ALREADY_EXISTS
            assert isinstance(raised.value, AdminException)
            assert raised.value.results == {missing: None}
            assert list(raised.value.errors) == [topic]
            assert copy(raised.value).results == {missing: None}
            await admin.delete_topics([missing])
            listed = await admin.list_topics()
            assert topic in listed.topics
            assert await admin.cluster_id() == listed.cluster_id
            # Calls go side by side.
            described = await asyncio.gather(
                *(admin.describe_topics(TopicCollection([topic])) for _ in range(20))
            )
            assert {len(each[topic].partitions) for each in described} == {1}
        with pytest.raises(RuntimeError, match="closed"):
            await admin.describe_cluster()

    asyncio.run(main())


def test_an_asyncio_call_that_is_cancelled(bootstrap: str) -> None:
    async def main() -> None:
        nobody = AsyncAdminClient({"bootstrap.servers": "127.0.0.1:1"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await nobody.describe_cluster()
        with pytest.raises(KafkaException) as raised:
            await nobody.describe_cluster(request_timeout=0.1)
        assert raised.value.args[0] == KafkaError._TIMED_OUT
        await nobody.close()

    asyncio.run(main())


def test_both_clients_have_the_same_methods() -> None:
    def methods(client: type) -> set[str]:
        return {
            name for name in dir(client)
            if not name.startswith("_") and callable(getattr(client, name))
        }  # fmt: skip

    # Deprecated, and what asyncio needs not.
    only_sync = {"alter_configs", "list_groups", "poll"}
    assert methods(AdminClient) - only_sync == methods(AsyncAdminClient)

"""AdminClient: access rules and credentials. Only Apache Kafka has them, and only if told so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ottla.testing.guarded_kafka import GuardedKafka
from ottla.testing.side_by_side import Run
from ottla.testing.waiting import eventually


@pytest.fixture(scope="module")
def guarded(target_name: str) -> Iterator[GuardedKafka]:
    """A broker with access rules, for this module."""
    if target_name != "apache":
        pytest.skip("Ottla has no access rules yet")
    with GuardedKafka({"alice": "secret"}) as running:
        yield running


@pytest.fixture(scope="module")
def bootstrap(guarded: GuardedKafka) -> str:
    """Where the broker lets everybody do everything."""
    return guarded.bootstrap_servers


def only(futures: Any) -> Any:
    """The one future of a dictionary."""
    [future] = futures.values()
    return future


def test_access_rules(run: Run) -> None:
    admin, names = run.admin_client(), run.admin
    topic = run.name("topic")
    read = names.AclBinding("topic", topic, "literal", "User:alice", "*", "read", "allow")
    write = names.AclBinding("topic", topic, "prefixed", "User:bob", "127.0.0.1", "write", "deny")
    cluster = names.AclBinding(
        "broker", "kafka-cluster", "literal", f"User:{run.name('user')}", "*", "alter", "allow"
    )
    made = admin.create_acls([read, write, cluster])
    run.note("made", [(repr(rule), future.result(20)) for rule, future in made.items()])

    def rules(*args: Any) -> list[str]:
        found = admin.describe_acls(names.AclBindingFilter(*args)).result(20)
        return sorted(repr(rule) for rule in found)

    of_topic = ("topic", topic, "any", None, None, "any", "any")
    eventually(lambda: len(rules(*of_topic)) == 2, what="the rules")
    run.note("of the topic", rules(*of_topic))
    run.note("what applies", rules("topic", f"{topic}-2", "match", None, None, "any", "any"))
    run.note("alice's", rules("any", topic, "any", "User:alice", None, "any", "any"))
    run.note("of the cluster", rules("broker", None, "any", cluster.principal, None, "any", "any"))
    run.note("none", rules("group", topic, "any", None, None, "any", "any"))
    wanted = [names.AclBindingFilter(*of_topic), names.AclBindingFilter(
        "broker", None, "any", cluster.principal, None, "any", "any"
    )]  # fmt: skip
    deleted = admin.delete_acls(wanted)
    for key, future in deleted.items():
        run.note("deleted", repr(key), sorted(repr(rule) for rule in future.result(20)))
    eventually(lambda: not rules(*of_topic), what="no rules")


def test_rules_that_kafka_refuses(run: Run) -> None:
    admin, names = run.admin_client(), run.admin
    bad = names.AclBinding("broker", "no-such-cluster", "literal", "User:x", "*", "read", "allow")
    no_principal = names.AclBinding("topic", "t", "literal", "nobody", "*", "read", "allow")
    for rule in (bad, no_principal):
        run.call("create", only(admin.create_acls([rule])).result, 20)


def test_credentials(run: Run) -> None:
    admin, names = run.admin_client(), run.admin
    alice, bob = run.name("user"), run.name("user")
    sha256, sha512 = names.ScramMechanism.SCRAM_SHA_256, names.ScramMechanism.SCRAM_SHA_512
    set_ = names.UserScramCredentialUpsertion
    changes = [
        set_(alice, names.ScramCredentialInfo(sha256, 8000), b"secret"),
        set_(bob, names.ScramCredentialInfo(sha256, 4096), b"other"),
    ]
    more = [set_(alice, names.ScramCredentialInfo(sha512, 9000), b"secret", b"some salt")]
    for wanted in (changes, more):
        for user, future in sorted(admin.alter_user_scram_credentials(wanted).items()):
            run.note("set", user, future.result(20))
    eventually(
        lambda: {alice, bob} <= admin.describe_user_scram_credentials().result(20).keys(),
        what="the credentials",
    )
    # Nobody is not asked about: librdkafka puts a stray byte behind the name, and finds no future.
    described = admin.describe_user_scram_credentials([alice, bob])
    for user, future in described.items():
        found = future.result(20)
        infos = [(info.mechanism, info.iterations) for info in found.scram_credential_infos]
        run.note("of", user, type(found).__name__, found.user, sorted(infos))
    refused = [
        names.UserScramCredentialDeletion(alice, sha256),
        names.UserScramCredentialDeletion("nobody", sha256),
        set_(bob, names.ScramCredentialInfo(sha256, 1), b"too few iterations"),
        set_(bob, names.ScramCredentialInfo(sha512, 4096), b"twice the same user"),
    ]
    altered = admin.alter_user_scram_credentials(refused)
    for user in (alice, bob, "nobody"):
        run.call(f"altered {run.text(user)}", altered[user].result, 20)


def test_without_rights(run: Run, guarded: GuardedKafka) -> None:
    # Not compared: librdkafka finds no rules instead of being told that it may not look, and no
    # leaders for records to delete, and crashes when it may not see credentials.
    topic, group = run.topic(), run.name("group")
    admin, names = run.admin_client(guarded.settings("alice", "secret")), run.admin
    part = run.kafka.TopicPartition
    entry = names.ConfigEntry(
        "retention.ms", "1", incremental_operation=names.AlterConfigOpType.SET
    )
    resource = names.ConfigResource("topic", topic, incremental_configs=[entry])
    of_group = run.kafka.ConsumerGroupTopicPartitions
    rule = names.AclBinding("topic", topic, "literal", "User:alice", "*", "all", "allow")
    match = names.AclBindingFilter("any", None, "any", None, None, "any", "any")
    for label, futures in {
        "create": admin.create_topics([names.NewTopic(run.name("topic"), 1, 1)]),
        "delete": admin.delete_topics([topic]),
        "grow": admin.create_partitions([names.NewPartitions(topic, 3)]),
        "describe": admin.describe_topics(run.kafka.TopicCollection([topic])),
        "configuration": admin.describe_configs([resource]),
        "broker": admin.describe_configs([names.ConfigResource("broker", "1")]),
        "configure": admin.incremental_alter_configs([resource]),
        "group": admin.describe_consumer_groups([group]),
        "delete group": admin.delete_consumer_groups([group]),
        "offsets": admin.list_consumer_group_offsets([of_group(group)]),
        "set offsets": admin.alter_consumer_group_offsets([of_group(group, [part(topic, 0, 1)])]),
        "rule": admin.create_acls([rule]),
        "no rules": admin.delete_acls([match]),
        "elect": {None: admin.elect_leaders(run.kafka.ElectionType.PREFERRED, [part(topic, 0)])},
        "cluster": {None: admin.describe_cluster(include_authorized_operations=True)},
        "groups": {None: admin.list_consumer_groups()},
    }.items():
        for future in futures.values():
            error = future.exception(20)
            value = future.result() if error is None else error.args[0].name()
            run.note(label, value if error else type(value).__name__)
    listed = admin.list_topics(timeout=20)
    run.note(
        "topics", list(listed.topics), run.describe(admin.list_topics(topic, timeout=20).topics)
    )

"""Access rules, credentials, directories by our kafka_python and by kafka-python (Apache only)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ottla.testing.guarded_kafka import GuardedKafka
from ottla.testing.waiting import eventually

pytestmark = [pytest.mark.jvm, pytest.mark.slow]

Script = Callable[[Any, Any, str], list[Any]]


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    with GuardedKafka({"anna": "secret"}) as running:
        yield running.bootstrap_servers


@pytest.fixture
def both(servers: str) -> Callable[[Script], list[Any]]:
    """Runs a script with both libraries; what it returns has to be the same."""

    def run(script: Script) -> list[Any]:
        seen = []
        for name in ("kafka", "ottla.kafka_python"):
            values = importlib.import_module(f"{name}.admin")
            admin = values.KafkaAdminClient(bootstrap_servers=servers)
            try:
                seen.append(script(values, admin, name.replace(".", "-")))
            finally:
                admin.close()
        assert seen[0]
        assert seen[1] == seen[0]
        return seen[0]

    return run


def plain(rule: Any) -> tuple[Any, ...]:
    pattern = rule.resource_pattern
    return (rule.principal, rule.host, rule.operation.name, rule.permission_type.name,
            pattern.resource_type.name, pattern.pattern_type.name)  # fmt: skip


def test_rules(both: Callable[[Script], list[Any]]) -> None:
    def script(values: Any, admin: Any, topic: str) -> list[Any]:
        pattern = values.ResourcePattern(values.ResourceType.TOPIC, topic)
        allow, read = values.ACLPermissionType.ALLOW, values.ACLOperation.READ
        rule = values.ACL("User:anna", "*", read, allow, pattern)
        nobody = values.ACL("anna", "*", read, allow, pattern)
        made = admin.create_acls([rule, nobody])
        seen = [[plain(each) for each in made["succeeded"]], made["failed"][0].__name__]
        anything = values.ResourcePatternFilter(
            values.ResourceType.ANY, topic, values.ACLResourcePatternType.ANY
        )
        wanted = values.ACLFilter(
            None, None, values.ACLOperation.ANY, values.ACLPermissionType.ANY, anything
        )

        def known() -> Any:
            return admin.describe_acls(wanted)[0]

        found = eventually(known, what="the rule")
        seen += [[plain(each) for each in found], found[0] == rule, repr(rule).replace(topic, "")]
        seen.append(admin.describe_acls(wanted)[1].__name__)
        [(given, gone, error)] = admin.delete_acls([wanted])
        seen += [given is wanted, [plain(each) for each in gone], error.__name__]
        eventually(lambda: not known(), what="no rule")
        return seen

    both(script)


def test_credentials(both: Callable[[Script], list[Any]]) -> None:
    def script(values: Any, admin: Any, user: str) -> list[Any]:
        upsertion = values.UserScramCredentialUpsertion(
            user, "scram-sha-256", "geheim", iterations=5000
        )
        seen: list[Any] = [list(admin.alter_user_scram_credentials([upsertion]).values())]

        def known() -> Any:
            return admin.describe_user_scram_credentials([user])[user]["credential_infos"]

        seen.append(eventually(known, what="the credential"))
        seen.append(user in admin.describe_user_scram_credentials())
        deletion = values.UserScramCredentialDeletion(user, values.ScramMechanism.SCRAM_SHA_256)
        seen.append(list(admin.alter_user_scram_credentials([deletion]).values()))
        eventually(lambda: not known(), what="no credential")
        gone = admin.describe_user_scram_credentials([user])[user]
        seen.append([gone["error"].replace(user, ""), gone["credential_infos"]])
        seen.append(list(admin.alter_user_scram_credentials([deletion]).values()))
        return seen

    both(script)


def test_directories_of_replicas(both: Callable[[Script], list[Any]]) -> None:
    def script(values: Any, admin: Any, topic: str) -> list[Any]:
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
        eventually(lambda: topic in admin.list_topics(), what="the topic")
        moved = admin.alter_replica_log_dirs({(topic, 0, 1): "/no/such/directory"})
        return [error.__name__ for error in moved.values()]

    both(script)


@pytest.mark.parametrize("name", ["kafka", "ottla.kafka_python"])
def test_what_no_rule_can_say(name: str) -> None:
    values = importlib.import_module(f"{name}.admin")
    refused = importlib.import_module(f"{name}.errors").IllegalArgumentError
    pattern = values.ResourcePattern(values.ResourceType.TOPIC, "t")
    kinds, operations = values.ACLResourcePatternType, values.ACLOperation
    deny = values.ACLPermissionType.DENY
    attempts: list[Callable[[], Any]] = [
        lambda: values.ResourcePattern(values.ResourceType.ANY, "t"),
        lambda: values.ResourcePattern(values.ResourceType.TOPIC, "t", kinds.MATCH),
        lambda: values.ResourcePatternFilter("topic", "t", kinds.ANY),
        lambda: values.ACL("User:a", "*", operations.ANY, deny, pattern),
        lambda: values.ACL("User:a", "*", operations.READ, values.ACLPermissionType.ANY, pattern),
        lambda: values.ACLFilter("User:a", "*", "read", deny, pattern),
    ]
    for attempt in attempts:
        with pytest.raises(refused):
            attempt()

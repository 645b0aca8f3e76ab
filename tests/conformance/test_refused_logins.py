"""Who is not let in learns the same from our client as from confluent_kafka (Apache Kafka only)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ottla.testing.guarded_kafka import GuardedKafka
from ottla.testing.side_by_side import Run, Script, differences, library

pytestmark = [pytest.mark.jvm, pytest.mark.slow]

# Shorter than a user would wait: nothing changes while there is no way in.
TIMEOUT_S = 0.5


@pytest.fixture(scope="module")
def kafka() -> Iterator[GuardedKafka]:
    # Who stays logged in has to prove again soon that it still may.
    settings = {"listener.name.guarded.scram-sha-256.connections.max.reauth.ms": "1000"}
    with GuardedKafka({"anna": "secret"}, settings=settings) as running:
        yield running


class Refused:
    """A client's settings with a wrong password, and what its ``error_cb`` is told."""

    def __init__(self, run: Run, kafka: GuardedKafka) -> None:
        self._run = run
        self._told: dict[str, Any] = {}
        self.settings = {**kafka.settings("anna", "wrong"), "error_cb": self._listen}

    def _listen(self, error: Any) -> None:
        # How often depends on how fast the broker refuses; what is said doesn't.
        self._told.setdefault(error.name(), error)

    def note(self) -> None:
        """Put down what was told, each error once."""
        self._run.note("error_cb", list(self._told))
        self._run.note("refusal", self._told["_AUTHENTICATION"])


def ask_a_producer(run: Run, refused: Refused) -> None:
    producer = run.producer({**refused.settings, "message.timeout.ms": 1000})
    run.call("poll", producer.poll, 0)
    run.call("list_topics", producer.list_topics, timeout=TIMEOUT_S)
    run.call("cluster_id", producer.cluster_id, timeout=TIMEOUT_S)
    run.call("produce", producer.produce, "t", b"v", on_delivery=run.callback("report"))
    run.call("flush", producer.flush, 10)
    run.serve_until(producer, lambda: len(refused._told) >= 2, "both errors")
    run.call("close", producer.close)


def ask_a_transactional_producer(run: Run, refused: Refused) -> None:
    producer = run.producer({**refused.settings, "transactional.id": run.name("producer")})
    run.call("init_transactions", producer.init_transactions, 1)
    run.call("again", producer.init_transactions, TIMEOUT_S)


def ask_a_consumer(run: Run, refused: Refused) -> None:
    group = {"session.timeout.ms": 1000, "heartbeat.interval.ms": 100}
    consumer = run.consumer({**refused.settings, **group})
    partition = run.kafka.TopicPartition("t", 0, 1)
    run.call("subscribe", consumer.subscribe, ["t"])
    run.call("poll", consumer.poll, 1)
    run.call("committed", consumer.committed, [partition], timeout=TIMEOUT_S)
    run.call("watermarks", consumer.get_watermark_offsets, partition, timeout=TIMEOUT_S)
    run.call("for times", consumer.offsets_for_times, [partition], timeout=TIMEOUT_S)
    run.call("list_topics", consumer.list_topics, timeout=TIMEOUT_S)
    run.call("commit", consumer.commit, offsets=[partition], asynchronous=False)
    run.serve_until(consumer, lambda: len(refused._told) >= 2, "both errors")
    run.call("close", consumer.close)


def ask_an_admin_client(run: Run, refused: Refused) -> None:
    admin = run.admin_client(refused.settings)
    limit = {"request_timeout": TIMEOUT_S}
    run.call("list_topics", admin.list_topics, timeout=TIMEOUT_S)
    futures = {
        "create": admin.create_topics([run.admin.NewTopic("t", 1, 1)], **limit)["t"],
        "cluster": admin.describe_cluster(**limit),
        "groups": admin.describe_consumer_groups(["g"], **limit)["g"],
        "configs": next(
            iter(admin.describe_configs([run.admin.ConfigResource("topic", "t")], **limit).values())
        ),
    }
    for name, future in futures.items():
        run.call(name, future.result, 10)
    run.serve_until(admin, lambda: len(refused._told) >= 2, "both errors")


@pytest.mark.parametrize(
    "ask", [ask_a_producer, ask_a_transactional_producer, ask_a_consumer, ask_an_admin_client]
)
def test_a_wrong_password(kafka: GuardedKafka, ask: Callable[[Run, Refused], None]) -> None:
    def script(run: Run) -> None:
        refused = Refused(run, kafka)
        ask(run, refused)
        if ask is not ask_a_transactional_producer:
            refused.note()

    compare(script, kafka)


class Account:
    """A user whose password the administrator changes while a client is at work."""

    def __init__(self, run: Run, kafka: GuardedKafka) -> None:
        self.name = "root"
        self._run = run
        self._admin = run.admin_client()
        self._errors: list[Any] = []
        self.change_password("first")
        settings = kafka.settings(self.name, "first", "SCRAM-SHA-256")
        self.settings = {**settings, "error_cb": self._errors.append}

    def change_password(self, password: str) -> None:
        admin = self._run.admin
        credential = admin.ScramCredentialInfo(admin.ScramMechanism.SCRAM_SHA_256, 4096)
        change = admin.UserScramCredentialUpsertion(self.name, credential, password.encode())
        self._admin.alter_user_scram_credentials([change])[self.name].result(20)

    def lock_out(self, client: Any) -> None:
        """Change the password and wait until the client can't log in any more."""
        self.change_password("second")
        authentication = self._run.kafka.KafkaError._AUTHENTICATION
        self._run.serve_until(client, lambda: authentication in self._errors, "a failed login")


def test_a_member_that_is_locked_out_goes_on_when_it_can_log_in_again(kafka: GuardedKafka) -> None:
    def script(run: Run) -> None:
        account, topic = Account(run, kafka), run.topic()
        run.fill(topic, [b"before"])
        consumer = run.consumer(account.settings)
        consumer.subscribe([topic])
        run.messages(consumer, 1)
        account.lock_out(consumer)
        run.call("locked out", consumer.poll, 1.5)
        run.fill(topic, [b"meanwhile"])
        account.change_password("first")
        run.messages(consumer, 1)
        run.call("commit", consumer.commit, asynchronous=False)

    compare(script, kafka)


def test_a_transaction_outlives_a_lock_out(kafka: GuardedKafka) -> None:
    def script(run: Run) -> None:
        account, topic = Account(run, kafka), run.topic()
        settings = {**account.settings, "transactional.id": run.name("producer")}
        producer = run.producer(settings)
        run.call("init", producer.init_transactions, 20)
        run.call("begin", producer.begin_transaction)
        producer.produce(topic, b"one", on_delivery=run.callback("report"))
        run.call("flush", producer.flush, 20)
        account.lock_out(producer)
        producer.produce(topic, b"two", on_delivery=run.callback("report"))
        account.change_password("first")
        run.call("commit", producer.commit_transaction, 20)

    compare(script, kafka)


def compare(script: Script, kafka: GuardedKafka) -> None:
    libraries = [library("confluent_kafka"), library("ottla")]
    found = differences(script, libraries, kafka.bootstrap_servers)
    assert not found, f"\n{found}"

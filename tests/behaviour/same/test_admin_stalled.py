"""AdminClient: what calls say of a broker that stands still."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from ottla.testing.freezing import freeze
from ottla.testing.side_by_side import Run

Stall = Callable[[], AbstractContextManager[None]]
_SOON = {"request_timeout": 0.5}


@pytest.fixture(scope="module")
def target(new_target: Callable[[Mapping[str, str]], Any]) -> Iterator[Any]:
    """A broker of this module's own, which nobody else waits for."""
    with new_target({}) as running:
        yield running


@pytest.fixture(scope="module")
def bootstrap(target: Any) -> str:
    address: str = target.bootstrap_servers
    return address


@pytest.fixture
def stalled(target: Any) -> Stall:
    """Within its context the broker's process stands still."""

    @contextmanager
    def stall() -> Iterator[None]:
        freeze(target.pid)
        try:
            yield
        finally:
            os.kill(target.pid, signal.SIGCONT)

    return stall


def test_a_broker_that_stands_still(run: Run, stalled: Stall) -> None:
    # Not compared: list_offsets, where librdkafka takes no answer for an answer.
    admin, group = run.admin_client(), run.name("group")
    broker = run.admin.ConfigResource("broker", "1")
    # It is connected, over every connection it needs.
    admin.describe_cluster().result(20)
    for futures in (admin.describe_configs([broker]), admin.describe_consumer_groups([group])):
        for future in futures.values():
            future.exception(20)
    with stalled():
        new = run.admin.NewTopic(run.name("topic"), 1, 1)
        calls: dict[str, Any] = {
            "cluster": {None: admin.describe_cluster(**_SOON)},
            "create": admin.create_topics([new], **_SOON),
            "broker": admin.describe_configs([broker], **_SOON),
            "group": admin.describe_consumer_groups([group], **_SOON),
            "delete": admin.delete_consumer_groups([group], **_SOON),
            "committed": admin.list_consumer_group_offsets(
                [run.kafka.ConsumerGroupTopicPartitions(group)], **_SOON
            ),
        }
        for label, futures in calls.items():
            for future in futures.values():
                run.call(label, future.result, 20)
        run.note("groups", admin.list_consumer_groups(**_SOON).result(20).errors)
        run.call("list", admin.list_topics, timeout=0.5)
        run.note("id", type(admin.cluster_id(timeout=0.5)).__name__)

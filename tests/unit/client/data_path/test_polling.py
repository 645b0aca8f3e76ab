"""poll() asks for more than a look only when there is something."""

from __future__ import annotations

from collections import deque
from types import ModuleType
from typing import Any

import pytest

from ottla.client.sync.reports import DeliveryReports


def polling(twin: ModuleType, news: tuple[Any, ...]) -> Any:
    class Producer(twin.PollingProducerBase):  # type: ignore[name-defined, misc]
        served: list[Any] = []

        def _serve(self, timeout: float) -> int:
            self.served.append(timeout)
            return 7

    return Producer(twin.Accumulator(), lambda: None, None, None, news)


def test_nothing_is_served_when_there_is_no_news(twin: ModuleType) -> None:
    first: deque[int] = deque()
    second: list[int] = []
    producer = polling(twin, (first, second))
    producer.served = []
    assert producer.poll(0) == 0
    assert producer.served == []
    second.append(1)
    assert producer.poll(0) == 7
    second.clear()
    first.append(1)
    assert producer.poll(timeout=0) == 7
    first.clear()
    assert producer.poll(0) == 0
    assert producer.served == [0, 0]


@pytest.mark.parametrize("timeout", [-1, 0.5, 10**30, "soon", None])
def test_times_to_wait_are_left_to_the_producer(twin: ModuleType, timeout: Any) -> None:
    producer = polling(twin, ())
    producer.served = []
    assert producer.poll(timeout) == 7
    assert producer.served == [timeout]


def test_who_may_not_produce_is_told_why(twin: ModuleType) -> None:
    producer = polling(twin, ())
    producer._refuse(RuntimeError("closed"))
    assert producer.poll(0) == 7


def test_silent_deliveries_are_news_until_they_are_counted() -> None:
    reports = DeliveryReports()
    news = reports.news
    assert not any(map(len, news))
    for records in (3, 4):
        reports.count(records)
        assert any(map(len, news))
    assert (reports.wait(0), reports.wait(0)) == (7, 0)
    assert not any(map(len, news))
    reports.callbacks.put(lambda: None)
    reports.count(2)
    assert (len(reports), any(map(len, news))) == (1, True)
    assert reports.serve() == 3
    assert (len(reports), any(map(len, news))) == (0, False)

"""Delivery reports: when, where, in which order, and what a callback may do."""

from __future__ import annotations

from typing import Any

from ottla.testing.side_by_side import Run


def test_reports_come_in_order_and_only_when_polled(run: Run) -> None:
    topic = run.topic()
    producer = run.producer({"linger.ms": 0})
    for number in range(5):
        producer.produce(topic, b"%d" % number, b"k", on_delivery=run.callback("delivered"))
    run.note("nothing yet")
    run.call("flush", producer.flush, 10)
    run.call("poll", producer.poll, 0)
    producer.produce(topic, b"last", on_delivery=run.callback("delivered"))
    run.call("poll", producer.poll, 10)
    run.note("queued", len(producer))


def test_the_message_of_a_report(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    producer.produce(
        topic, "v", "k", 0, on_delivery=run.callback("delivered"), timestamp=1_600_000_000_000
    )
    run.call("flush", producer.flush, 10)

    def look(error: Any, message: Any) -> None:
        run.note("length", len(message), str(type(message).__name__), error)
        run.note("latency is a float", isinstance(message.latency(), float))

    producer.produce(topic, b"xyz", on_delivery=look)
    producer.produce(topic, None, on_delivery=look)
    run.call("flush", producer.flush, 10)


def test_which_callback_is_called(run: Run) -> None:
    topic = run.topic()
    general = run.callback("general", only=[0])
    first, second = run.callback("callback", only=[0]), run.callback("on_delivery", only=[0])
    producer = run.producer({"on_delivery": general})
    for keywords in (
        {}, {"callback": first}, {"on_delivery": second},
        {"callback": first, "on_delivery": second}, {"callback": None},
    ):  # fmt: skip
        producer.produce(topic, b"x", **keywords)
        run.call(str(sorted(keywords)), producer.flush, 10)


def test_only_errors_may_be_reported(run: Run) -> None:
    topic = run.topic(max_message_bytes="10000")
    general = run.callback("general", only=[0])
    producer = run.producer({"on_delivery": general, "delivery.report.only.error": True})
    producer.produce(topic, b"small")
    run.call("flush", producer.flush, 10)
    producer.produce(topic, b"x" * 20_000)
    run.call("flush", producer.flush, 10)
    producer.produce(topic, b"small", on_delivery=run.callback("own", only=[0]))
    run.call("flush", producer.flush, 10)


def test_a_callback_that_raises(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()

    def fail(_: Any, message: Any) -> None:
        run.note("raising", message.value())
        raise ValueError(message.value().decode())

    for number in range(4):
        report = fail if number in (1, 2) else run.callback("delivered", only=[0])
        producer.produce(topic, b"%d" % number, partition=0, on_delivery=report)
    run.call("flush", producer.flush, 10)
    run.call("flush again", producer.flush, 10)
    run.note("queued", len(producer))
    producer.produce(topic, b"later", on_delivery=run.callback("delivered", only=[0]))
    run.call("flush", producer.flush, 10)


def test_a_callback_that_produces(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()

    def again(_: Any, message: Any) -> None:
        left = int(message.value())
        run.note("delivered", left)
        if left:
            producer.produce(topic, b"%d" % (left - 1), partition=0, on_delivery=again)

    producer.produce(topic, b"3", partition=0, on_delivery=again)
    run.call("flush", producer.flush, 10)
    run.note("queued", len(producer))


def test_a_callback_that_polls(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    nested = run.callback("nested", lambda *_: run.call("poll inside", producer.poll, 0), only=[0])
    producer.produce(topic, b"1", partition=0, on_delivery=nested)
    run.call("flush", producer.flush, 10)


def test_poll_counts_what_it_served(run: Run) -> None:
    topic = run.topic()
    producer = run.producer({"linger.ms": 0})
    run.call("poll nothing", producer.poll, 0)
    for number in range(3):
        producer.produce(topic, b"%d" % number, on_delivery=run.callback("delivered", only=[0]))
    run.call("flush", producer.flush, 10)
    run.call("poll", producer.poll, 0)
    run.call("poll forever with nothing to come", producer.poll, 0.05)


def test_any_callable_will_do(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    seen: list[Any] = []

    class Reporter:
        def __call__(self, error: Any, message: Any) -> None:
            seen.append((error, message.value()))

        def method(self, error: Any, message: Any) -> None:
            seen.append((error, message.value(), "method"))

    reporter = Reporter()
    producer.produce(topic, b"1", partition=0, callback=reporter)
    producer.produce(topic, b"2", partition=0, callback=reporter.method)
    producer.produce(topic, b"3", partition=0, callback=lambda e, m: seen.append(m.value()))
    run.call("flush", producer.flush, 10)
    run.note("seen", seen)


def test_the_order_within_and_across_partitions(run: Run) -> None:
    topic = run.topic(3)
    producer = run.producer({"linger.ms": 30})
    order: dict[int, list[bytes]] = {}

    def delivered(_: Any, message: Any) -> None:
        order.setdefault(message.partition(), []).append((message.offset(), message.value()))

    for number in range(30):
        producer.produce(topic, b"%d" % number, partition=number % 3, on_delivery=delivered)
    run.call("flush", producer.flush, 10)
    run.note("order", sorted(order.items()))


def test_errors_of_the_client_reach_error_cb(run: Run) -> None:
    seen: set[str] = set()
    settings = {
        "bootstrap.servers": "127.0.0.1:1",
        "error_cb": lambda error: seen.add(f"{error.name()} {error.fatal()} {error.retriable()}"),
    }
    producer = run.producer(settings)
    run.serve_until(producer, lambda: len(seen) >= 2, "both errors")
    run.note("seen", sorted(seen))


def test_error_cb_may_raise(run: Run) -> None:
    def fail(error: Any) -> None:
        raise ValueError(error.name())

    producer = run.producer({"bootstrap.servers": "127.0.0.1:1", "error_cb": fail})
    raised: set[str] = set()

    def polled() -> bool:
        try:
            producer.poll(0.1)
        except ValueError as error:
            raised.add(str(error))
        return len(raised) >= 2

    run.serve_until(run.producer(), polled, "the exceptions")
    run.note("raised", sorted(raised))

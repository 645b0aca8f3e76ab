"""Ctrl-C ends any blocking call at once, and the client can be used on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

_PATIENCE_SECONDS = 60

# The signal comes when the call has had time to block.
PRODUCER_CALLS = """
import sys
import ottla
producer = ottla.Producer({"bootstrap.servers": sys.argv[1], "log_level": 0})
producer.produce("t", b"never delivered")
other = ottla.Producer(
    {"bootstrap.servers": sys.argv[1], "transactional.id": "t", "log_level": 0}
)
calls = {
    "poll": lambda: producer.poll(),
    "flush": lambda: producer.flush(),
    "list_topics": lambda: producer.list_topics(),
    "cluster_id": lambda: producer.cluster_id(),
    "wait_connected": lambda: producer.wait_connected(),
    "init_transactions": lambda: other.init_transactions(),
}
"""
CONSUMER_CALLS = """
import sys
import ottla
consumer = ottla.Consumer({"bootstrap.servers": sys.argv[1], "group.id": "g", "log_level": 0})
part = ottla.TopicPartition("t", 0, 0)
consumer.assign([part])
calls = {
    "poll": lambda: consumer.poll(),
    "consume": lambda: consumer.consume(5),
    "iteration": lambda: next(iter(consumer)),
    "commit": lambda: consumer.commit(offsets=[part], asynchronous=False),
    "committed": lambda: consumer.committed([part]),
    "watermarks": lambda: consumer.get_watermark_offsets(part),
    "offsets_for_times": lambda: consumer.offsets_for_times([part]),
    "list_topics": lambda: consumer.list_topics(),
    "wait_connected": lambda: consumer.wait_connected(),
}
"""
ADMIN_CALLS = """
import sys
import ottla
admin = ottla.AdminClient({"bootstrap.servers": sys.argv[1], "log_level": 0})
future = admin.describe_cluster()
calls = {
    "list_topics": lambda: admin.list_topics(),
    "cluster_id": lambda: admin.cluster_id(),
    "wait_connected": lambda: admin.wait_connected(),
    "poll": lambda: admin.poll(-1),
    "future": lambda: future.result(),
}
"""
RUN_THEM = """
for name, call in calls.items():
    try:
        print(name, flush=True)
        print("returned", call(), flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def interrupted_calls(program: str, servers: str) -> list[str]:
    """Run a program and interrupt each of its calls; returns what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", program + RUN_THEM, servers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    watchdog = threading.Timer(_PATIENCE_SECONDS, process.kill)
    watchdog.start()
    lines = []
    blocking = threading.Event()
    try:
        for line in process.stdout or ():
            lines.append(line.strip())
            if lines[-1] != "interrupted" and not lines[-1].startswith("returned"):
                blocking.wait(0.15)
                process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    finally:
        watchdog.cancel()
        process.kill()
    assert process.returncode == 0, f"{lines}\n{errors[-3000:]}"
    return lines


@pytest.mark.parametrize(
    "calls", [PRODUCER_CALLS, CONSUMER_CALLS, ADMIN_CALLS], ids=["producer", "consumer", "admin"]
)
def test_every_blocking_call_can_be_interrupted(calls: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lines = interrupted_calls(calls, f"127.0.0.1:{silent.getsockname()[1]}")
    names, outcomes = lines[::2], lines[1::2]
    assert len(names) == calls.count("lambda")
    assert dict(zip(names, outcomes, strict=True)) == dict.fromkeys(names, "interrupted")


def test_an_interrupted_poll_loses_nothing(bootstrap: str, new_topic: object) -> None:
    topic = new_topic()  # type: ignore[operator]
    # Interrupted while it waits: between a call's return and the assignment of what it returned
    # nobody could save the message.
    program = """
import signal, sys, threading
import ottla
servers, topic = sys.argv[1:]
consumer = ottla.Consumer({"bootstrap.servers": servers, "group.id": "g"})
consumer.assign([ottla.TopicPartition(topic, 0, 0)])
producer = ottla.Producer({"bootstrap.servers": servers, "linger.ms": 0})
application = threading.get_ident()
seen, interrupts = [], 0
for number in range(60):
    interrupt = lambda: signal.pthread_kill(application, signal.SIGINT)
    timer = threading.Timer(0.002 * (number % 5), interrupt)
    try:
        timer.start()
        consumer.consume(1, 20) if number % 2 else consumer.poll(20)
    except KeyboardInterrupt:
        interrupts += 1
    timer.join()
    producer.produce(topic, b"%d" % number)
    producer.flush()
    seen.append(int(consumer.poll(20).value()))
print(seen == list(range(60)), interrupts)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, bootstrap, topic],
        capture_output=True, text=True, timeout=_PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "60"], done.stdout + done.stderr

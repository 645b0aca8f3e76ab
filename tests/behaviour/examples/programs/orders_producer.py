"""Ten orders as JSON, each reported when it is delivered; a full buffer is waited for."""

import json
import socket
import sys

from confluent_kafka import Producer

servers, topic = sys.argv[1:3]
producer = Producer(
    {
        "bootstrap.servers": servers,
        "client.id": socket.gethostname(),
        "linger.ms": 5,
        "batch.size": 16384,
        "acks": "all",
        "retries": 5,
        "retry.backoff.ms": 500,
        "enable.idempotence": True,
        "compression.type": "lz4",
    }
)


def report(error, message):
    if error:
        print(f"not delivered: {error}")
    else:
        print(f"delivered to {message.topic()} [{message.partition()}] @ {message.offset()}")


def send(key, value):
    arguments = {
        "topic": topic,
        "key": key.encode("utf-8") if key else None,
        "value": json.dumps(value).encode("utf-8"),
        "callback": report,
    }
    try:
        producer.produce(**arguments)
        producer.poll(0)
    except BufferError:
        print("the buffer is full")
        producer.poll(1)
        producer.produce(**arguments)


for number in range(10):
    send(f"order-{number}", {"id": number, "amount": 100 + number})
print("left:", producer.flush())

"""Up to a hundred orders at a time, committed together, until it is interrupted."""

import json
import sys

from confluent_kafka import Consumer, TopicPartition

servers, topic, group = sys.argv[1:4]
consumer = Consumer(
    {
        "bootstrap.servers": servers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
consumer.subscribe([topic])
handled = 0
try:
    while True:
        messages = consumer.consume(num_messages=100, timeout=1.0)
        if not messages:
            continue
        for failed in [message for message in messages if message.error() is not None]:
            print("error:", failed.error())
        good = [message for message in messages if message.error() is None]
        for message in good:
            print("of a batch:", json.loads(message.value().decode("utf-8")))
        handled += len(good)
        if good:
            consumer.commit(asynchronous=False)
            [committed] = consumer.committed([TopicPartition(topic, 0)])
            print("handled:", handled, "committed:", committed.offset, flush=True)
except KeyboardInterrupt:
    print("interrupted")
finally:
    consumer.close()
    print("stopped", flush=True)

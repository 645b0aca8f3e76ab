"""Orders, each committed when it has been handled, until a signal asks to stop."""

import json
import signal
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException

servers, topic, group = sys.argv[1:4]
consumer = Consumer(
    {
        "bootstrap.servers": servers,
        "group.id": group,
        "client.id": "order-processor-1",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "fetch.min.bytes": 1,
        "fetch.wait.max.ms": 500,
        "max.poll.interval.ms": 300000,
        "session.timeout.ms": 45000,
        "heartbeat.interval.ms": 3000,
        "enable.partition.eof": True,
    }
)


class Shutdown:
    is_asked_for = False

    def __init__(self):
        signal.signal(signal.SIGINT, self.ask)
        signal.signal(signal.SIGTERM, self.ask)

    def ask(self, number, frame):
        print("asked to stop", flush=True)
        self.is_asked_for = True


shutdown = Shutdown()
consumer.subscribe([topic])
try:
    while not shutdown.is_asked_for:
        message = consumer.poll(timeout=1.0)
        if message is None:
            continue
        if message.error():
            if message.error().code() == KafkaError._PARTITION_EOF:
                print(f"the end of {message.topic()} [{message.partition()}]", flush=True)
            else:
                raise KafkaException(message.error())
        else:
            print("an order:", json.loads(message.value().decode("utf-8")), flush=True)
            for each in consumer.commit(asynchronous=False):
                print("committed:", each.topic, each.partition, each.offset, flush=True)
except KeyboardInterrupt:
    print("interrupted")
finally:
    consumer.close()
    print("stopped", flush=True)

"""The loops of the book: settings of topics, old keywords, commits of every kind."""

import socket
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

servers, topic, group = sys.argv[1:4]
MIN_COMMIT_COUNT = 2


def acked(err, msg):
    if err is not None:
        print(f"Failed to deliver message: {msg.value()!s}: {err!s}")
    else:
        print(f"Message produced: {msg.value()!s}")


producer = Producer(
    {
        "bootstrap.servers": servers,
        "client.id": socket.gethostname(),
        "default.topic.config": {"acks": "all"},
    }
)
for number in range(4):
    producer.produce(topic, key="key", value=f"value {number}", callback=acked)
producer.poll(1)
producer.produce(topic, key="key", value="the last", callback=acked)
producer.flush()


def commit_completed(err, partitions):
    if err:
        print(str(err))
    else:
        print("Committed:", [(each.partition, each.offset) for each in partitions])


def new_consumer(name, on_commit=commit_completed):
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group + name,
            "default.topic.config": {"auto.offset.reset": "smallest"},
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "on_commit": on_commit,
        }
    )


def consume_loop(consumer, commit):
    try:
        consumer.subscribe([topic])
        msg_count = 0
        while True:
            msg = consumer.poll(timeout=1.0)
            if msg is None:
                continue
            if msg.error():
                if msg.error().code() == KafkaError._PARTITION_EOF:
                    where = (msg.topic(), msg.partition(), msg.offset())
                    sys.stdout.write("% {} [{}] reached end at offset {}\n".format(*where))
                    break
                raise KafkaException(msg.error())
            print("processing", msg.value())
            msg_count += 1
            if msg_count % MIN_COMMIT_COUNT == 0:
                commit(consumer)
    finally:
        consumer.close()


print("-- waiting for each commit")
consume_loop(new_consumer("-a"), lambda consumer: print(consumer.commit(**{"async": False})))
print("-- one message each")
consume_loop(new_consumer("-b"), lambda consumer: print(consumer.commit(asynchronous=False)))
print("-- committing in the background")
told = []
background = new_consumer("-d", on_commit=lambda err, partitions: told.append((err, partitions)))
consume_loop(background, lambda consumer: print(consumer.commit(**{"async": True})))
# Offsets that are stored while a commit is on its way may go with it.
print([(err, len(partitions)) for err, partitions in told])
print("-- not committing")
consume_loop(new_consumer("-c"), lambda consumer: None)

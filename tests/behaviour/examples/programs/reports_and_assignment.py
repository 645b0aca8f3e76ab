"""Delivery reports by poll(0) and flush(60); offsets seen and chosen in on_assign."""

import sys

from confluent_kafka import Consumer, Producer

servers, topic, group = sys.argv[1:4]
p = Producer({"bootstrap.servers": servers})


def delivery_report(err, msg):
    if err is not None:
        print(f"Message delivery failed: {err}")
    else:
        print(f"Message delivered to {msg.topic()} [{msg.partition()}]")


for text in ("one", "two", "three"):
    p.produce(topic=topic, value=text.encode("utf-8"), key="235235", callback=delivery_report)
    p.poll(timeout=0)
print("left:", p.flush(timeout=60))


def chosen(consumer, partitions):
    for each in partitions:
        print(f"assigned: {each.topic}.{each.partition} at {each.offset}")
        each.offset = 1
    consumer.assign(partitions)


c = Consumer({"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"})
c.subscribe([topic], on_assign=chosen)
received = 0
while received < 2:
    msg = c.poll(timeout=0)
    if msg is None:
        continue
    if msg.error():
        print(f"Consumer error: {msg.error()}")
        continue
    print("Received message: {}".format(msg.value().decode("utf-8")))
    received += 1
c.close()

"""The first lesson: one message there, and back."""

import sys

from confluent_kafka import Consumer, KafkaError, Producer

servers, topic, group = sys.argv[1:4]
conf = {"bootstrap.servers": servers}
producer = Producer(**conf)
producer.produce(topic, key="key", value="Hello, Kafka!")
producer.flush()

conf = {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
consumer = Consumer(**conf)
consumer.subscribe([topic])
while True:
    msg = consumer.poll(1.0)
    if msg is None:
        continue
    if msg.error():
        if msg.error().code() == KafkaError._PARTITION_EOF:
            continue
        print(msg.error())
        break
    print("Received message: {}".format(msg.value().decode("utf-8")))
    break
consumer.close()

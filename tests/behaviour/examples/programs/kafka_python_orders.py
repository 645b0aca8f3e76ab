"""kafka-python: orders with serializers, a future's metadata, callbacks, iteration."""

import json
import logging
import sys

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

logging.basicConfig(level=logging.ERROR)
servers, topic, group = sys.argv[1:4]
producer = KafkaProducer(
    bootstrap_servers=[servers],
    key_serializer=lambda k: k.encode("utf-8") if k else None,
    value_serializer=lambda v: json.dumps(v).encode("utf-8"),
    acks="all",
    retries=3,
    max_in_flight_requests_per_connection=1,
)
producer.send(topic, value={"order_id": 1, "amount": 100})
producer.send(topic, key="user_123", value={"order_id": 2, "amount": 200})
producer.flush()
try:
    order = {"order_id": "12345", "items": [{"product": "laptop", "price": 999.99}]}
    metadata = producer.send(topic, key="user_001", value=order).get(timeout=10)
    print(f"sent: {metadata.topic} {metadata.partition} {metadata.offset}")
except KafkaError as error:
    print(f"failed: {error}")
future = producer.send(topic, key="user_001", value={"order_id": 4})
future.add_callback(lambda metadata: print(f"called back: {metadata.offset}"))
future.add_errback(lambda error: print(f"failed: {error}"))
future.get(timeout=10)
producer.flush()
producer.close()

consumer = KafkaConsumer(
    topic,
    bootstrap_servers=[servers],
    group_id=group,
    auto_offset_reset="earliest",
    enable_auto_commit=False,
    value_deserializer=lambda m: json.loads(m.decode("utf-8")),
    key_deserializer=lambda k: k.decode("utf-8") if k else None,
)
seen = 0
for message in consumer:
    print(f"partition {message.partition} offset {message.offset}: {message.key} {message.value}")
    seen += 1
    if seen == 2:
        break
while seen < 4:
    for partition, records in consumer.poll(timeout_ms=1000).items():
        for record in records:
            print(f"polled: {partition.partition} {record.offset} {record.key} {record.value}")
            consumer.commit()
            seen += 1
consumer.close()

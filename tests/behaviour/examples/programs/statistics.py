"""Figures the producer tells about itself."""

import json
import sys

from confluent_kafka import Producer

servers, topic = sys.argv[1:3]
documents = []


def told(text):
    documents.append(json.loads(text))


producer = Producer({"bootstrap.servers": servers, "statistics.interval.ms": 100, "stats_cb": told})
for _number in range(7):
    producer.produce(topic, value=b"x" * 10, partition=0)
producer.flush()
while not documents or documents[-1].get("txmsgs", 0) < 7:
    producer.poll(0.1)
print("messages sent:", documents[-1].get("txmsgs", 0))
print("bytes sent:", documents[-1].get("txmsg_bytes", 0) >= 70)
for name, broker in documents[-1].get("brokers", {}).items():
    if name.endswith("/1"):
        print("round trips measured:", broker.get("rtt", {}).get("avg", 0) >= 0)

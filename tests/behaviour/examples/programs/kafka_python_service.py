"""kafka-python: an order service in two classes, until a signal asks to stop."""

import json
import signal
import sys

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

servers, topic, group = sys.argv[1:4]


class OrderProducer:
    def __init__(self, bootstrap_servers):
        self.producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers,
            key_serializer=lambda k: k.encode("utf-8") if k else None,
            value_serializer=lambda v: json.dumps(v).encode("utf-8"),
            acks="all",
            retries=3,
            max_in_flight_requests_per_connection=1,
        )

    def send_order(self, user_id, order):
        try:
            future = self.producer.send(topic, key=user_id, value=order)
            sent = future.get(timeout=10)
            print(f"sent: topic={sent.topic}, partition={sent.partition}, offset={sent.offset}")
            return True
        except KafkaError as error:
            print(f"not sent: {error}")
            return False

    def send_order_async(self, user_id, order, callback):
        self.producer.send(topic, key=user_id, value=order).add_callback(callback).add_errback(
            lambda error: print(f"not sent: {error}")
        )

    def close(self):
        self.producer.flush()
        self.producer.close()


class OrderConsumer:
    def __init__(self, bootstrap_servers, group_id):
        self.consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap_servers,
            group_id=group_id,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            value_deserializer=lambda m: json.loads(m.decode("utf-8")),
            key_deserializer=lambda k: k.decode("utf-8") if k else None,
        )
        self.running = True
        signal.signal(signal.SIGINT, self.stop)
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, number, frame):
        print("asked to stop", flush=True)
        self.running = False

    def run(self):
        try:
            while self.running:
                messages = self.consumer.poll(timeout_ms=1000)
                for partition, records in messages.items():
                    for record in records:
                        print(f"{partition.topic} {record.partition} {record.offset} {record.key}")
                        self.consumer.commit()
                        print(f"handled: {record.value['order_id']}", flush=True)
        except Exception as error:
            print(f"failed: {error}")
        finally:
            self.consumer.close()
            print("stopped", flush=True)


producer = OrderProducer([servers])
order = {"order_id": "12345", "items": [{"product": "laptop", "price": 999.99}], "total": 999.99}
print(producer.send_order("user_001", order))
producer.send_order_async("user_002", {"order_id": "the last"}, lambda sent: print(sent.offset))
producer.close()
OrderConsumer([servers], group).run()

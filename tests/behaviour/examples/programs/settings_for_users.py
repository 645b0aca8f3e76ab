"""Clients of users who log in: their settings are understood, whoever listens."""

import sys

from confluent_kafka import Consumer, Producer

(servers,) = sys.argv[1:2]
told = []
login = {
    "bootstrap.servers": servers,
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanisms": "PLAIN",
    "error_cb": told.append,
}
p = Producer({**login, "sasl.username": "alice", "sasl.password": "alicepassword"})
c = Consumer(
    {
        **login,
        "sasl.username": "bob",
        "sasl.password": "bobpassword",
        "group.id": "bob-group",
        "auto.offset.reset": "earliest",
    }
)
p.poll(timeout=0)
print(p.flush(timeout=60), c.poll(timeout=0))
c.close()

"""Two messages to two topics in one transaction."""

import sys

from confluent_kafka import Producer

servers, first, second = sys.argv[1:4]
producer = Producer(
    {
        "bootstrap.servers": servers,
        "transactional.id": f"transaction-of-{first}",
        "enable.idempotence": True,
    }
)
producer.init_transactions()
try:
    producer.begin_transaction()
    producer.produce(first, key="key1", value="value1")
    producer.produce(second, key="key2", value="value2")
    producer.commit_transaction()
    print("committed")
except Exception:
    producer.abort_transaction()
    raise

"""Settings that are recommended, two of which only the Java client has."""

from confluent_kafka import Consumer, KafkaException, Producer

for_producers = {
    "bootstrap.servers": "kafka1:9092,kafka2:9092,kafka3:9092",
    "acks": "all",
    "enable.idempotence": True,
    "max.in.flight.requests.per.connection": 5,
    "retries": 2147483647,
    "retry.backoff.ms": 100,
    "linger.ms": 5,
    "batch.size": 32768,
    "compression.type": "lz4",
    "buffer.memory": 67108864,
    "statistics.interval.ms": 60000,
    "log_level": 0,
}
for_consumers = {
    "bootstrap.servers": "kafka1:9092,kafka2:9092,kafka3:9092",
    "group.id": "my-consumer-group",
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "session.timeout.ms": 45000,
    "heartbeat.interval.ms": 3000,
    "max.poll.interval.ms": 300000,
    "fetch.min.bytes": 1,
    "fetch.max.wait.ms": 500,
    "max.partition.fetch.bytes": 1048576,
    "log_level": 0,
}
for make, settings, foreign in (
    (Producer, for_producers, "buffer.memory"),
    (Consumer, for_consumers, "fetch.max.wait.ms"),
):
    try:
        make(settings)
    except KafkaException as error:
        print(make.__name__, "refused:", error)
    del settings[foreign]
    client = make(settings)
    print(type(client).__name__, "made")
    client.close()

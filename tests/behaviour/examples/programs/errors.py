"""Deciding by an error's code what to do."""

from confluent_kafka import KafkaError


def handle(error):
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        print("all brokers are down")
        return False
    if error.code() == KafkaError._TIMED_OUT:
        print("timed out")
        return True
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        print("no such topic")
        return False
    print(f"an error: {error}")
    return error.retriable()


for code in (
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TRANSPORT,
):
    print(handle(KafkaError(code)))

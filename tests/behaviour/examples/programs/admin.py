"""Topics created, listed, and the configuration of one of them."""

import sys

from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

servers, first, second = sys.argv[1:4]
admin = AdminClient({"bootstrap.servers": servers})
wanted = [
    NewTopic(first, num_partitions=3, replication_factor=1),
    NewTopic(second, num_partitions=6, replication_factor=1, config={"retention.ms": "86400000"}),
]
for turn in ("first", "second"):
    for topic, future in sorted(admin.create_topics(wanted).items()):
        try:
            future.result()
            print(f"{turn} time: {topic} created")
        except Exception as error:
            print(f"{turn} time: {topic} not created: {error}")

metadata = admin.list_topics(timeout=10)
for topic in sorted(metadata.topics.values(), key=str):
    if topic.topic in (first, second):
        print(f"{topic.topic}: {len(topic.partitions)} partitions")

resource = ConfigResource(ConfigResource.Type.TOPIC, second)
for future in admin.describe_configs([resource]).values():
    settings = future.result()
    for name in ("retention.ms", "cleanup.policy"):
        print(f"{settings[name].name}: {settings[name].value}")

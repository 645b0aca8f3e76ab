"""kafka-python: what the cluster consists of, and a new topic."""

import sys

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

servers, topic = sys.argv[1:3]
admin = KafkaAdminClient(bootstrap_servers=[servers])
cluster = admin.describe_cluster()
print(f"cluster: {len(cluster['cluster_id'])} characters, controller {cluster['controller_id']}")
print("brokers:", len(cluster["brokers"]))
for broker in cluster["brokers"]:
    print(f"  - {broker['host']}:{broker['port']} (ID: {broker['broker_id']})")
print("not there yet:", topic not in admin.list_topics())
admin.create_topics([NewTopic(name=topic, num_partitions=3, replication_factor=1)])
print("there:", topic in admin.list_topics())
admin.close()

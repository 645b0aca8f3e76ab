"""One handler per Kafka API: key *n* lives in `kNN_name`."""

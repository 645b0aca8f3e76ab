"""One partition on disk, in Kafka's own directory layout and file formats."""

"""Kafka's own command-line tools, by name: one module per tool, found through ``entry``."""

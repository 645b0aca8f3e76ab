"""Ottla measured beside Apache Kafka and the machine's own limits: ``python -m bench``."""

"""Kafka's wire format: declarations, the compiler that reads them, frames and the error table."""

"""Compaction: the last value of every key stays, offsets and order unchanged."""

"""The running broker: listeners, sessions, handlers, partitions and their wiring."""

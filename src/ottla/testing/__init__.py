"""For tests: an embedded broker, the pytest plugin, simulated ports."""

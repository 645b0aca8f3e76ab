"""The outside world as arguments: clock, disk, network and entropy, with their real adapters."""

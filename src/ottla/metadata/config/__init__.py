"""Configuration: every key, what its values mean, and which value applies to what."""

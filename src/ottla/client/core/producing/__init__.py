"""The producer's decisions: what to send, when again, and what became of it."""

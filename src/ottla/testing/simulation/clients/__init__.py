"""Clients that speak the protocol by hand, behave as real ones do, and note all they are told."""

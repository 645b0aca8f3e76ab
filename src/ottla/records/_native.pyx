"""Placeholder until the records room lands."""

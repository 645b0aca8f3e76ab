"""Membership in groups."""

"""Coordinators as decide / replay machines: groups and their offsets."""

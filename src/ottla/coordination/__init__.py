"""Coordinators as decide / replay machines: groups and their offsets, transactions, share groups
and the state of their partitions.
"""

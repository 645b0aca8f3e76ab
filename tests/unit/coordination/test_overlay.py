"""The overlay behaves as a dict would, and leaves the mapping underneath alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.coordination.groups.overlay import Overlay

KEYS = st.integers(0, 5)
CHANGES = st.lists(st.tuples(st.sampled_from(["set", "delete"]), KEYS, st.integers()))


@given(st.dictionaries(KEYS, st.integers()), CHANGES)
def test_an_overlay_is_a_dict_on_top_of_another(
    base: dict[int, int], changes: list[tuple[str, int, int]]
) -> None:
    untouched = dict(base)
    expected = dict(base)
    overlay = Overlay(base)
    for kind, key, value in changes:
        if kind == "set":
            overlay[key] = expected[key] = value
        elif key in expected:
            del overlay[key], expected[key]
        else:
            with pytest.raises(KeyError):
                del overlay[key]
    assert list(overlay.items()) == list(expected.items())
    assert len(overlay) == len(expected)
    for key in range(6):
        assert (key in overlay) is (key in expected)
        assert overlay.get(key) == expected.get(key)
    assert base == untouched

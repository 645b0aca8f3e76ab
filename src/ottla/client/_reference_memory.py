"""Room for what is received."""

from __future__ import annotations


class ReceiveMemory:
    """Room for large answers. The native twin uses it again."""

    def room(self, size: int) -> bytearray:
        """A writable buffer of so many bytes, which may hold anything."""
        return bytearray(size)

    def give_back(self) -> None:
        """Keep nothing: no large answers are expected."""

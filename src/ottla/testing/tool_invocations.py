"""Command lines that Java's tools and ours both run, one side after the other.

In a line, ``$NAME`` stands for a variable, ``@`` for a suffix of each side's own, and what follows
``<<<`` is standard input::

    kafka-console-producer $S --topic t@ <<< one\\ntwo
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Mapping
from typing import Final

from ottla.testing.kafka_tools import Comparison, JavaTools, Outcome, options_shown, run_ours

SUFFIXES: Final = ("-j0", "-p0")
"""Of Java's side and ours."""
SETTLING_SECONDS: Final = 5


class Invocation:
    """One line on one side.

    Args:
        line: as described above.
        variables: what ``$NAME`` stands for; may hold ``@``.
        suffix: the side's.
    """

    def __init__(self, line: str, variables: Mapping[str, str], suffix: str) -> None:
        command, _, text = line.partition(" <<< ")
        for name in sorted(variables, key=len, reverse=True):
            command = command.replace(f"${name}", variables[name])
        self.name, *self.words = shlex.split(command.replace("@", suffix))
        self.stdin = text.encode().decode("unicode_escape").encode()

    @property
    def shows_help(self) -> bool:
        """Whether all it does is to show the options."""
        return not self.words or "--help" in self.words


def without_sides(outcome: Outcome) -> Outcome:
    """As if both sides had the same names."""
    stdout, stderr = outcome.stdout, outcome.stderr
    for suffix in SUFFIXES:
        stdout, stderr = stdout.replace(suffix, "@"), stderr.replace(suffix, "@")
    return Outcome(outcome.status, stdout, stderr)


class SideBySide:
    """Runs lines on both sides.

    Args:
        java: the JVM of Java's tools.
        variables: what ``$NAME`` stands for.
    """

    def __init__(self, java: JavaTools, variables: Mapping[str, str]) -> None:
        self._java = java
        self._comparison = Comparison(java)
        self._variables = variables

    def differences(self, line: str, masks: Mapping[str, str] | None = None) -> list[str]:
        """Run a line on both sides and tell what is not equal.

        Args:
            line: the line.
            masks: patterns of what differs by nature -> what stands for it.
        """
        of_java, of_ours = self.run_java(line, masks), self.run_ours(line, masks)
        if not Invocation(line, self._variables, "").shows_help:
            return self._comparison.differences(of_java, of_ours)
        one, other = (options_shown(each.stdout + each.stderr) for each in (of_java, of_ours))
        return [f"options: {sorted(one ^ other)}"] if one != other else []

    def settled_differences(self, line: str, masks: Mapping[str, str] | None = None) -> list[str]:
        """As ``differences``; what only looks is repeated for a while, since Kafka answers a change
        before all of its brokers know of it."""
        found = self.differences(line, masks)
        deadline = time.monotonic() + SETTLING_SECONDS
        only_looks = any(f"--{word}" in line for word in ("list", "describe", "verify"))
        while found and only_looks and time.monotonic() < deadline:
            found = self.differences(line, masks)
        return found

    def run_java(self, line: str, masks: Mapping[str, str] | None = None) -> Outcome:
        """What Java's tool does with its side's line."""
        return self._run(self._java.run, line, SUFFIXES[0], masks)

    def run_ours(self, line: str, masks: Mapping[str, str] | None = None) -> Outcome:
        """What our tool does with its side's line."""
        return self._run(run_ours, line, SUFFIXES[1], masks)

    def _run(
        self,
        run: Callable[[str, list[str], bytes], Outcome],
        line: str,
        suffix: str,
        masks: Mapping[str, str] | None,
    ) -> Outcome:
        own = Invocation(line, self._variables, suffix)
        status, *texts = without_sides(run(own.name, own.words, own.stdin))
        for pattern, mask in (masks or {}).items():
            texts = [re.sub(pattern, mask, text) for text in texts]
        return Outcome(status, *texts)

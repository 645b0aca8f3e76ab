"""The command-line options of Kafka's tools, read as Kafka's tools read them.

Kafka declares most tools' options with jopt-simple, whose rules differ from those of Python's
parsers: an option's name counts also behind a single dash, the value may follow ``=`` or a space,
an optional value is taken when the next word is no option, nothing is abbreviated, and each
mistake has its wording, which scripts look for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ottla.cli.kafka.failures import OptionError, UsageError

FLAG: Final = 0
REQUIRED_VALUE: Final = 1
OPTIONAL_VALUE: Final = 2


class Option(NamedTuple):
    """One option: ``kind`` says whether it takes a value, ``type_name`` what the value is."""

    name: str
    help: str
    kind: int = FLAG
    metavar: str = ""
    type_name: str = "String"
    default: str | None = None
    choices: tuple[str, ...] = ()
    is_required: bool = False

    def __str__(self) -> str:
        return f"[{self.name}]"


def flag(name: str, text: str) -> Option:
    """An option without a value."""
    return Option(name, text)


def value(name: str, metavar: str, text: str, *, default: str | None = None) -> Option:
    """An option with a text."""
    return Option(name, text, REQUIRED_VALUE, metavar, default=default)


def optional(name: str, metavar: str, text: str, *, type_name: str = "String") -> Option:
    """An option whose value may be left out."""
    return Option(name, text, OPTIONAL_VALUE, metavar, type_name)


def integer(name: str, metavar: str, text: str, *, default: str | None = None) -> Option:
    """An option with a 32-bit number."""
    return Option(name, text, REQUIRED_VALUE, metavar, "Integer", default)


def long(name: str, metavar: str, text: str, *, default: str | None = None) -> Option:
    """An option with a 64-bit number."""
    return Option(name, text, REQUIRED_VALUE, metavar, "Long", default)


HELP = flag("help", "Show this text.")
VERSION = flag("version", "Show the version of Kafka whose tools these are.")

_BITS = {"Integer": 31, "Long": 63}


class Options:
    """What a command line says.

    Args:
        declared: the tool's options.
        given: option name to its values in order; None stands for a value that was left out.
        order: the names of the options as they follow each other.
        words: the whole command line.
    """

    def __init__(
        self,
        declared: Sequence[Option],
        given: dict[str, list[str | None]],
        order: Sequence[str] = (),
        words: Sequence[str] = (),
    ) -> None:
        self.declared = {option.name: option for option in declared}
        self.order = tuple(order)
        self.words = tuple(words)
        self._given = given

    def has(self, name: str) -> bool:
        """Whether the option stands on the command line."""
        return name in self._given

    def only(self, name: str) -> str | None:
        """The option's value or its default.

        Raises:
            OptionError: the option was given more than once, or its value is no such number.
        """
        values = self.values(name)
        if len(values) > 1:
            message = f"Found multiple arguments for option {name}, but you asked for only one"
            raise OptionError(message)
        return values[0] if values else None

    def text(self, name: str) -> str:
        """As ``only``, the empty text without one."""
        return self.only(name) or ""

    def number(self, name: str) -> int | None:
        """As ``only``, as a number."""
        found = self.only(name)
        return None if found is None else int(found)

    def values(self, name: str) -> list[str]:
        """All values of a repeatable option, its default when there are none.

        Raises:
            OptionError: one of them is no such number, or none of the choices.
        """
        option = self.declared[name]
        values = [each for each in self._given.get(name, ()) if each is not None]
        for each in values:
            if not _fits(option, each):
                raise OptionError(f"Cannot parse argument '{each}' of option {name}")
        return values if values or option.default is None else [option.default]

    def require(self, *names: str) -> None:
        """Demand options.

        Raises:
            UsageError: one is missing.
        """
        for name in names:
            if not self.has(name):
                raise UsageError(f'Missing required argument "[{name}]"')

    def forbid(self, used: str, *others: str) -> None:
        """Refuse options beside ``used``.

        Raises:
            UsageError: ``used`` and one of the others were given.
        """
        for other in others if self.has(used) else ():
            if self.has(other):
                raise UsageError(f'Option "[{used}]" can\'t be used with option "[{other}]"')


def parse(declared: Sequence[Option], words: Sequence[str]) -> Options:
    """Read a command line.

    Raises:
        OptionError: an option is unknown or lacks its value, or one is missing.
    """
    by_name = {option.name: option for option in declared}
    given: dict[str, list[str | None]] = {}
    order: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            break
        if not _is_option(word):
            continue  # nobody asks for words that belong to no option
        name, has_value, text = word.lstrip("-").partition("=")
        option = by_name.get(name)
        if option is None:
            raise OptionError(f"{_unknown(word, name, by_name)} is not a recognized option")
        found: str | None = text if has_value else None
        if option.kind != FLAG and not has_value and position < len(words):
            following = words[position]
            if option.kind == REQUIRED_VALUE or _may_be_value(option, following):
                found = following
                position += 1
        given.setdefault(name, []).append(_checked(option, found))
        order.append(name)
    _check_required(declared, given)
    return Options(declared, given, order, words)


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _may_be_value(option: Option, word: str) -> bool:
    """Whether the word after an option whose value may be left out is its value."""
    return not _is_option(word) or (option.type_name != "String" and word[1:].isdigit())


def _unknown(word: str, name: str, by_name: dict[str, Option]) -> str:
    """How an unknown option is called: behind a single dash each letter is an option of its own."""
    if word.startswith("--"):
        return name
    return next((letter for letter in name if letter not in by_name), name)


def _checked(option: Option, found: str | None) -> str | None:
    if option.kind == FLAG:
        return None
    if found is None:
        if option.kind == REQUIRED_VALUE:
            raise OptionError(f"Option {option.name} requires an argument")
        return None
    return found


def _fits(option: Option, text: str) -> bool:
    if option.choices:
        return text.upper() in option.choices
    bits = _BITS.get(option.type_name)
    if bits is None:
        return True
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        return False
    return -(1 << bits) <= int(text) < 1 << bits


def _check_required(declared: Sequence[Option], given: dict[str, list[str | None]]) -> None:
    required = [option.name for option in declared if option.is_required]
    missing = [name for name in required if name not in given]
    if missing and "help" not in given and "version" not in given:
        raise OptionError(f"Missing required option(s) [{', '.join(missing)}]")


def describe(declared: Iterable[Option]) -> str:
    """The table of options that ``--help`` shows."""
    options = sorted(declared, key=lambda option: option.name)
    return "\n".join(line for option in options for line in _help_lines(option))


_COLUMN = 38
_WIDTH = 100


def _help_lines(option: Option) -> list[str]:
    import textwrap

    shown = option.metavar or option.type_name
    parts = {FLAG: "", REQUIRED_VALUE: f" <{shown}>", OPTIONAL_VALUE: f" [{shown}]"}
    head = f"--{option.name}{parts[option.kind]}"
    text = option.help + (f" (default: {option.default})" if option.default is not None else "")
    lines = textwrap.wrap(text, _WIDTH - _COLUMN)
    if len(head) >= _COLUMN:
        return [head, *(" " * _COLUMN + line for line in lines)]
    first, *rest = lines
    return [head.ljust(_COLUMN) + first, *(" " * _COLUMN + line for line in rest)]

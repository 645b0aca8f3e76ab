"""How Kafka's messages are declared: the class *is* the schema, for all versions at once.

    from ottla.wire.declare import Array, Int16, Int32, Message, String, at, message, struct

    @struct
    class Broker:
        '''One broker and where to reach it.'''
        node_id: Int32
        host: String
        rack: String | None = at("1+", default=None)

    @message(key=3, versions="0-13", flexible=9)
    class MetadataResponse(Message):
        brokers: Array[Broker]
        cluster_id: String | None = at("2+", default=None, ignorable=True)

A message names `Message` as its base, so that type checkers know ``decode`` and ``encode`` (they
don't follow what a class decorator adds); a struct needs no base.

Every field is keyword-only in the constructor; a field without ``default=`` is required there. What
a version lacks is decoded as the field's default (without one: zero, empty, or a struct of
defaults). Nothing is compiled at import: `ottla.wire.compiler` writes the code for a (class,
version) when it is first encoded or decoded, and the constructor when it is first called.

The module of a declaration must start with ``from __future__ import annotations``; types are looked
up in its globals on first use, so structs may be named before they are defined.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Protocol,
    Self,
    TypeVar,
    dataclass_transform,
)

from ottla.wire.schema import (
    BYTES,
    RECORDS,
    REQUIRED,
    STRING,
    UUID,
    Declaration,
    Fixed,
    Schema,
    parse_versions,
)

Buffer = bytes | bytearray | memoryview


class RecordsSlice(Protocol):
    """Records that are sent from where they lie (a file, say) instead of being copied."""

    @property
    def size_bytes(self) -> int:
        """How many bytes will be sent."""


#: The default limit of the elements in one decoded message: millions of partitions fit.
MAX_ELEMENTS: Final = 2**22

Bool = Annotated[bool, Fixed("Bool", "?", 1, False)]
Int8 = Annotated[int, Fixed("Int8", "b", 1, 0)]
Int16 = Annotated[int, Fixed("Int16", "h", 2, 0)]
Uint16 = Annotated[int, Fixed("Uint16", "H", 2, 0)]
Int32 = Annotated[int, Fixed("Int32", "i", 4, 0)]
Uint32 = Annotated[int, Fixed("Uint32", "I", 4, 0)]
Int64 = Annotated[int, Fixed("Int64", "q", 8, 0)]
Float64 = Annotated[float, Fixed("Float64", "d", 8, 0.0)]
Uuid = Annotated[uuid.UUID, UUID]
String = Annotated[str, STRING]
Bytes = Annotated[bytes | memoryview, BYTES]
Records = Annotated[bytes | bytearray | memoryview | RecordsSlice, RECORDS]

#: Kafka's null for ids of topics, directories and clients.
ZERO_UUID: Final[uuid.UUID] = UUID.zero  # type: ignore[assignment]

_Element = TypeVar("_Element")
Array = list[_Element]


def at(
    versions: str = "0+",
    *,
    default: Any = REQUIRED,
    tag: int | None = None,
    tagged: str | None = None,
    nullable: str | None = None,
    ignorable: bool = False,
    flexible: str | None = None,
) -> Any:
    """State where a field exists and how it travels.

    versions: of the message in which the field exists: ``"4"``, ``"4+"``, ``"4-7"``, ``"none"``.
    default: the value where the field is absent; ``list`` (or ``[]``) for an empty array, and a
        struct's class for that struct with all its own defaults. Without it the field is required.
    tag: the number of a tagged field (KIP-482), which is left out at its default.
    tagged: the versions in which it is tagged, when they aren't all of ``versions``.
    nullable: narrows the versions in which ``| None`` may travel as null. ``nullable="none"`` with
        ``default=None`` on a tagged field lets ``None`` stand for "not sent".
    ignorable: a value other than the default is dropped silently where the version lacks the field;
        otherwise encoding it raises.
    flexible: ``"none"`` keeps a field in the old format in flexible versions, as the client id is.
    """
    return Declaration(versions, default, tag, tagged, nullable, ignorable, flexible)


class Struct:
    """What all declared classes share. Two are equal when their type and all fields are."""

    __slots__ = ("unknown_tagged_fields",)

    SCHEMA: ClassVar[Schema]

    #: Tagged fields of a newer peer as ``(tag, payload)``, ascending; kept and sent on.
    unknown_tagged_fields: tuple[tuple[int, bytes], ...]

    def __init__(self, **values: Any) -> None:
        cls = type(self)
        _compiler().install_constructor(cls)
        cls.__init__(self, **values)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = self.__slots__
        return (
            all(getattr(self, name) == getattr(other, name) for name in names)
            and self.unknown_tagged_fields == other.unknown_tagged_fields
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = [f"{name}={_brief(getattr(self, name))}" for name in self.__slots__]
        if self.unknown_tagged_fields:
            tags = ", ".join(str(tag) for tag, _ in self.unknown_tagged_fields)
            values.append(f"unknown tags {tags}")
        return f"{type(self).__name__}({', '.join(values)})"


class Message(Struct):
    """A top-level declaration: what can be encoded and decoded by itself."""

    __slots__ = ()

    #: Kafka's number for the API; ``None`` for records and embedded protocols.
    API_KEY: ClassVar[int | None]
    #: The versions declared, oldest first: ``version in VERSIONS``, ``VERSIONS[-1]``.
    VERSIONS: ClassVar[range]
    #: The first flexible version (KIP-482), ``None`` if there is none.
    FLEXIBLE_FROM: ClassVar[int | None]

    # By version, as far as they were needed yet.
    _decoders: ClassVar[dict[int, Callable[[Buffer, int, bool, int], Any]]]
    _encoders: ClassVar[dict[int, Callable[[Any, bool], Any]]]

    @classmethod
    def decode(
        cls,
        buffer: Buffer,
        version: int,
        position: int = 0,
        *,
        allow_trailing: bool = False,
        max_elements: int = MAX_ELEMENTS,
    ) -> Self:
        """Read one message from ``buffer[position:]``, all of it unless ``allow_trailing``.

        Records stay memoryviews of the buffer; everything else is copied. ``max_elements`` limits
        the structs and strings in all arrays together, and so the memory a hostile peer can claim.

        Raises `Truncated` where bytes are missing, `Malformed` where they can't be right, and
        `ProtocolError` (UNSUPPORTED_VERSION) for a version that isn't declared.
        """
        decoder = cls._decoders.get(version)
        if decoder is None:
            decoder = _compiler().decoder(cls, version)
        decoded: Self = decoder(buffer, position, allow_trailing, max_elements)
        return decoded

    def encode(self, version: int) -> bytes:
        """The message in that version.

        Raises `ProtocolError` (UNSUPPORTED_VERSION) if the version isn't declared or lacks a field
        whose value would be lost, and `Unencodable` for a value its field can't carry.
        """
        encoder = self._encoders.get(version)
        if encoder is None:
            encoder = _compiler().encoder(type(self), version)
        encoded: bytes = encoder(self, False)
        return encoded

    def encode_parts(self, version: int) -> list[bytes | RecordsSlice]:
        """As `encode`, but a `RecordsSlice` stands uncopied between the bytes around it."""
        encoder = self._encoders.get(version)
        if encoder is None:
            encoder = _compiler().encoder(type(self), version)
        parts: list[bytes | RecordsSlice] = encoder(self, True)
        return parts


_Declared = TypeVar("_Declared")


@dataclass_transform(kw_only_default=True, field_specifiers=(at,))
def struct(cls: type[_Declared]) -> type[_Declared]:
    """Declare a structure that appears inside messages."""
    return _declare(cls, Struct)


@dataclass_transform(kw_only_default=True, field_specifiers=(at,))
def message(
    *, key: int | None, versions: str, flexible: int | None = None
) -> Callable[[type[_Declared]], type[_Declared]]:
    """Declare a message of API ``key`` (``None``: a record, a header, an embedded protocol).

    versions: those declared, as in ``"4-18"``.
    flexible: the first flexible version, ``None`` if none is.
    """

    def declare(cls: type[_Declared]) -> type[_Declared]:
        declared: Any = _declare(cls, Message)
        declared.API_KEY = declared.SCHEMA.key = key
        declared.VERSIONS = declared.SCHEMA.versions = parse_versions(versions)
        declared.FLEXIBLE_FROM = declared.SCHEMA.flexible = flexible
        declared._decoders = {}
        declared._encoders = {}
        return declared  # type: ignore[no-any-return]

    return declare


def _declare(cls: type[_Declared], base: type) -> type[_Declared]:
    """The class again, with slots: they can't be added to a class that exists."""
    namespace = dict(cls.__dict__)
    annotations = cls.__annotations__
    stated = {name: namespace.pop(name) for name in annotations if name in namespace}
    for unwanted in ("__dict__", "__weakref__"):
        namespace.pop(unwanted, None)
    namespace["__slots__"] = tuple(annotations)
    bases = (base,) if cls.__bases__ == (object,) else cls.__bases__
    declared: Any = type(cls.__name__, bases, namespace)
    declared.SCHEMA = Schema(declared, annotations, stated)
    return declared  # type: ignore[no-any-return]


_MOST_SHOWN = 8


def _brief(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        start = bytes(value[:16])
        return repr(start) if len(value) <= 16 else f"<{len(value)} bytes {start!r}...>"
    if isinstance(value, list) and len(value) > _MOST_SHOWN:
        shown = ", ".join(_brief(item) for item in value[:_MOST_SHOWN])
        return f"[{shown}, ... {len(value)} in all]"
    return repr(value)


def _compiler() -> Any:
    # Imported on first use: importing a declaration must cost nothing.
    from ottla.wire import compiler

    return compiler

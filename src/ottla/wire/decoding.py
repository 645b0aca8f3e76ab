"""Emits the decoder of one (message, version) as straight-line Python.

Adjacent fixed-size values are unpacked by one `struct.Struct`, together with the first byte of the
length that follows them; nested structs are inlined.

Truncation is noticed late, on purpose: a slice past the end is short but harmless, and leaves
``pos`` behind ``size``, where every further read fails and the last line looks. Only array counts
are checked at once, for they would allocate: each against the bytes that remain, and their sum
against a limit, because an element of three bytes may become an object of a hundred.
"""

from __future__ import annotations

from ottla.wire.emission import (
    Run,
    Source,
    element_min_size_bytes,
    holds_records,
)
from ottla.wire.schema import ArrayOf, Field, Fixed, Schema, Sized, StructOf, WireType

_SIZES = {"b": 1, "B": 1, "?": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "d": 8, "16s": 16}


class DecoderSource(Source):
    """The source of ``decode(buffer, pos, allow_trailing, elements_left)``."""

    def __init__(self, schema: Schema, version: int) -> None:
        super().__init__()
        self._version = version
        self._flexible = schema.is_flexible(version)
        self._holds_records = holds_records(schema, version)
        self._run: Run = []
        self._uuids: list[str] = []
        self._tagged_structs: dict[str, Schema] = {}
        self._emit_message(schema)
        while self._tagged_structs:
            name, tagged = self._tagged_structs.popitem()
            self._emit_tag_reader(name, tagged)

    def _emit_message(self, schema: Schema) -> None:
        with self.block("def decode(buffer, pos, allow_trailing, elements_left)"):
            if self._holds_records:
                self.line("view = memoryview(buffer)")
                with self.block("if type(buffer) is not bytes"):
                    self.line("buffer = view")
            else:
                with self.block("if type(buffer) is not bytes"):
                    self.line("buffer = bytes(buffer)")
            self.line("size = len(buffer)")
            self.line("end = pos")
            with self.block("try"):
                self._read_struct("message", schema, schema.name)
                self._flush()
            with self.block("except (struct_error, IndexError)"):
                self.line("raise Truncated(TRUNCATED) from None")
            with self.block("except UnicodeDecodeError as error"):
                with self.block("if end > size"):
                    self.line("raise Truncated(TRUNCATED) from None")
                self.line("raise Malformed(f'{NAME}: {error}') from None")
            with self.block("if pos != size"):
                with self.block("if pos > size"):
                    self.line("raise Truncated(TRUNCATED)")
                with self.block("if not allow_trailing"):
                    self.line("raise Malformed(f'{NAME}: {size - pos} bytes too many')")
            self.line("return message")
        named = f"{schema.name} v{self._version}"
        self.constants["NAME"] = named
        self.constants["CROWDED"] = f"{named} has more elements than allowed"
        self.constants["TRUNCATED"] = f"{named} ends too early"

    # Runs of fixed-size values

    def _fixed(self, format_: str, target: str) -> None:
        if format_ == "16s":
            self._uuids.append(target)
        self._run.append((format_, target))

    def _flush(self) -> None:
        """Unpack the run; conversions follow it."""
        run, self._run = self._run, []
        if not run:
            return
        targets = ", ".join(target for _, target in run)
        if len(run) == 1 and run[0][0] == "B":
            self.line(f"{targets} = buffer[pos]")
        else:
            unpack = self.unpacker("".join(format_ for format_, _ in run))
            self.line(f"{targets}{',' if len(run) == 1 else ''} = {unpack}(buffer, pos)")
        self.line(f"pos += {sum(_SIZES[format_] for format_, _ in run)}")
        for target in self._uuids:
            self.line(f"{target} = uuid_of({target})")
        self._uuids.clear()

    # Structs and their tagged fields

    def _read_struct(self, target: str, schema: Schema, where: str) -> None:
        """``target`` must be a local name."""
        self.line(f"{target} = new({self.struct_class(schema)})")
        has_tagged = False
        for field in schema.fields:
            value = f"{target}.{field.name}"
            if self._version not in field.versions:
                self.default(value, field)
            elif self._flexible and self._version in field.tagged:
                self.default(value, field)
                has_tagged = True
            else:
                self._read_field(value, field, f"{where}.{field.name}")
        if self._flexible:
            self._read_tags(target, schema, has_tagged)
        else:
            self.line(f"{target}.unknown_tagged_fields = ()")

    def _read_tags(self, target: str, schema: Schema, has_tagged: bool) -> None:
        count = self.local("tags")
        self._fixed("B", count)
        self._flush()
        with self.block(f"if {count}"):
            if has_tagged:
                name = f"read_tags_{self.struct_class(schema)}"
                self._tagged_structs.setdefault(name, schema)
                self.line(f"pos = {name}({target}, buffer, pos - 1, elements_left)")
            else:
                self.line(
                    f"{target}.unknown_tagged_fields, pos = read_unknown_tags(buffer, pos - 1)"
                )
        with self.block("else"):
            self.line(f"{target}.unknown_tagged_fields = ()")

    def _emit_tag_reader(self, name: str, schema: Schema) -> None:
        """A function per struct: tagged fields are rare, and calls keep the rest readable."""
        self.line("")
        with self.block(f"def {name}(target, buffer, pos, elements_left)"):
            self.line("size = len(buffer)")
            self.line("count, pos = read_uvarint(buffer, pos)")
            self.line("tag = -1")
            self.line("unknown = []")
            with self.block("for _ in range(count)"):
                self.line("tag, stop, pos = read_tag(buffer, pos, tag)")
                branch = "if"
                for field in schema.fields:
                    if self._version in field.versions and self._version in field.tagged:
                        with self.block(f"{branch} tag == {field.tag}"):
                            where = f"{schema.name}.{field.name}"
                            self._read_field(f"target.{field.name}", field, where)
                            self._flush()
                        branch = "elif"
                with self.block("else"):
                    self.line("unknown.append((tag, bytes(buffer[pos:stop])))")
                    self.line("pos = stop")
                with self.block("if pos != stop"):
                    self.line("raise Malformed(f'{NAME}: tagged field {tag} has another size')")
            self.line("target.unknown_tagged_fields = tuple(unknown)")
            self.line("return pos")

    # Fields by type

    def _read_field(self, target: str, field: Field, where: str) -> None:
        compact = self._flexible and not field.always_legacy
        nullable = self._version in field.nullable
        if isinstance(field.type, StructOf):
            is_tagged = self._flexible and self._version in field.tagged
            self._read_nested(target, field.type.schema, nullable, where, is_tagged=is_tagged)
        else:
            self._read_value(target, field.type, nullable, compact, where)

    def _read_value(
        self, target: str, type_: WireType, nullable: bool, compact: bool, where: str
    ) -> None:
        if isinstance(type_, Fixed):
            self._fixed(type_.format, target)
        elif isinstance(type_, StructOf):
            self._read_nested(target, type_.schema, nullable, where)
        else:
            self._read_counted(target, type_, nullable, compact, where)

    def _read_nested(
        self, target: str, schema: Schema, nullable: bool, where: str, *, is_tagged: bool = False
    ) -> None:
        inner = self.local("nested")
        if not nullable:
            self._read_struct(inner, schema, where)
            self.line(f"{target} = {inner}")
            return
        marker = self.local("marker")
        self._fixed("b", marker)
        self._flush()
        # Kafka writes null as -1, but as 0 in a tagged field.
        with self.block(f"if {marker} < {int(is_tagged)}"):
            self.line(f"{target} = None")
        with self.block("else"):
            self._read_struct(inner, schema, where)
            self._flush()
            self.line(f"{target} = {inner}")

    def _read_counted(
        self, target: str, type_: ArrayOf | Sized, nullable: bool, compact: bool, where: str
    ) -> None:
        """A length or count, then what it counts."""
        count = self.local("n")
        legacy = "i" if isinstance(type_, ArrayOf) else type_.legacy_length
        self._fixed("B" if compact else legacy, count)
        self._flush()
        if compact:
            self._read_compact(count, target, type_, nullable, where)
        else:
            self._read_legacy(count, target, type_, nullable, where)

    def _read_compact(
        self, count: str, target: str, type_: ArrayOf | Sized, nullable: bool, where: str
    ) -> None:
        """Compact lengths are one more than the length; 0 is null."""
        is_string = isinstance(type_, Sized) and type_.name == "String"
        helper = "read_string_length" if is_string else "read_length"
        long_form = f"{count}, pos = {helper}({count}, buffer, pos, {where!r})"
        if not nullable:
            with self.block(f"if not 0 < {count} < 128"):
                self.line(long_form)
            self._read_payload(f"{count} - 1", count, target, type_, where, compact=True)
            return
        with self.block(f"if {count}"):
            with self.block(f"if {count} > 127"):
                self.line(long_form)
            self._read_payload(f"{count} - 1", count, target, type_, where, compact=True)
        with self.block("else"):
            self.line(f"{target} = None")

    def _read_legacy(
        self, count: str, target: str, type_: ArrayOf | Sized, nullable: bool, where: str
    ) -> None:
        if not nullable:
            with self.block(f"if {count} < 0"):
                self.line(f"raise bad_length({where!r}, {count})")
            self._read_payload(count, count, target, type_, where, compact=False)
            return
        with self.block(f"if {count} >= 0"):
            self._read_payload(count, count, target, type_, where, compact=False)
        with self.block(f"elif {count} == -1"):
            self.line(f"{target} = None")
        with self.block("else"):
            self.line(f"raise bad_length({where!r}, {count})")

    def _read_payload(
        self,
        count: str,
        name: str,
        target: str,
        type_: ArrayOf | Sized,
        where: str,
        *,
        compact: bool,
    ) -> None:
        """``count`` is an expression of the true length, ``name`` the local it is made from."""
        if isinstance(type_, Sized):
            self.line(f"end = pos + {count}")
            self.line(f"{target} = {self._slice(type_)}")
            self.line("pos = end")
            return
        if count != name:
            self.line(f"{name} -= 1")
        self._read_elements(name, target, type_.element, where, compact)

    def _slice(self, type_: Sized) -> str:
        if type_.name == "Records":
            return "view[pos:end]"
        if type_.name == "String":
            # Beside records the buffer may be a memoryview, which can't decode itself.
            return (
                "str(buffer[pos:end], 'utf-8')"
                if self._holds_records
                else ("buffer[pos:end].decode()")
            )
        return "bytes(buffer[pos:end])" if self._holds_records else "buffer[pos:end]"

    def _read_elements(
        self, count: str, target: str, element: WireType, where: str, compact: bool
    ) -> None:
        assert not isinstance(element, ArrayOf)
        least = element_min_size_bytes(element, self._version, compact)
        times = f" * {least}" if least > 1 else ""
        with self.block(f"if {count}{times} > size - pos"):
            self.line("raise Truncated(TRUNCATED)")
        if isinstance(element, Fixed):
            self._read_fixed_elements(count, target, element)
            return
        self.line(f"elements_left -= {count}")
        with self.block("if elements_left < 0"):
            self.line("raise Malformed(CROWDED)")
        items, append = self.local("items"), self.local("append")
        self.line(f"{target} = {items} = []")
        self.line(f"{append} = {items}.append")
        with self.block(f"for _ in range({count})"):
            item = self.local("item")
            if isinstance(element, StructOf):
                self._read_struct(item, element.schema, where)
            else:
                self._read_value(item, element, False, compact, where)
            self._flush()
            self.line(f"{append}({item})")

    def _read_fixed_elements(self, count: str, target: str, element: Fixed) -> None:
        if element.format == "16s":
            self.line(f"end = pos + 16 * {count}")
            self.line(
                f"{target} = [uuid_of(bytes(buffer[at:at + 16])) for at in range(pos, end, 16)]"
            )
            self.line("pos = end")
            return
        self.line(f"{target} = list(unpack_array_{element.format}[{count}](buffer, pos))")
        self.line(
            f"pos += {element.size_bytes} * {count}"
            if element.size_bytes > 1
            else f"pos += {count}"
        )

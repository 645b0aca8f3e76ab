"""Emits the encoder of one (message, version) as straight-line Python.

Pieces are collected and joined once. Adjacent fixed-size values are packed by one `struct.Struct`,
together with the first byte of the length that follows them.
"""

from __future__ import annotations

from ottla.wire.emission import Run, Source, holds_records
from ottla.wire.schema import ArrayOf, Field, Fixed, Schema, Sized, StructOf, WireType

#: A pad byte, which `struct` writes as zero.
_ZERO_BYTE = ("x", "")


class EncoderSource(Source):
    """The source of ``encode(message, in_parts)``."""

    def __init__(self, schema: Schema, version: int) -> None:
        super().__init__()
        self._version = version
        self._flexible = schema.is_flexible(version)
        self._run: Run = []
        self._tag_writers: dict[str, Field] = {}
        self._notes_slices = holds_records(schema, version)
        with self.block("def encode(message, in_parts)"):
            self.line("pieces = []")
            self.line("append = pieces.append")
            if self._notes_slices:
                self.line("slices = []")
            with self.block("try"):
                self._write_struct("message", schema, schema.name)
                self._flush()
                if self._notes_slices:
                    self.line("return gather(pieces, slices) if in_parts else join(pieces)")
                else:
                    self.line("return [join(pieces)] if in_parts else join(pieces)")
            with self.block("except UNENCODABLE as error"):
                self.line("raise Unencodable(f'{NAME}: {error}') from error")
        # Tagged fields are joined at once, for their size comes first.
        self._notes_slices = False
        while self._tag_writers:
            self._emit_tag_writer(*self._tag_writers.popitem())
        self.constants["NAME"] = f"{schema.name} v{version}"

    # Runs of fixed-size values

    def _flush(self) -> None:
        run, self._run = self._run, []
        if run:
            self.line(f"append({self._packed(run)})")

    def _packed(self, run: Run) -> str:
        if run == [_ZERO_BYTE]:
            return repr(b"\0")
        pack = self.packer("".join(format_ for format_, _ in run))
        return f"{pack}({', '.join(value for _, value in run if value)})"

    # Structs and their tagged fields

    def _write_struct(self, source: str, schema: Schema, where: str) -> None:
        """``source`` must be a local name."""
        tagged = []
        for field in schema.fields:
            value = f"{source}.{field.name}"
            if self._version not in field.versions:
                self._check_absent(value, field, f"{where}.{field.name}")
            elif self._flexible and self._version in field.tagged:
                tagged.append(field)
            else:
                compact = self._flexible and not field.always_legacy
                nullable = self._version in field.nullable
                self._write_value(value, field.type, nullable, compact, f"{where}.{field.name}")
        if self._flexible:
            self._write_tags(source, schema, tagged)

    def _check_absent(self, value: str, field: Field, where: str) -> None:
        """A value that the version can't carry must not get lost silently."""
        if field.ignorable:
            return
        with self.block(f"if {self.differs(value, field)}"):
            self.line(f"raise lost({where!r}, {self._version})")

    def _write_tags(self, source: str, schema: Schema, tagged: list[Field]) -> None:
        conditions = [
            f"{source}.unknown_tagged_fields",
            *(self.differs(f"{source}.{field.name}", field) for field in tagged),
        ]
        run, self._run = self._run, []
        with self.block(f"if {' or '.join(conditions)}"):
            if run:
                self.line(f"append({self._packed(run)})")
            known = "()"
            if tagged:
                known = self.local("known")
                self.line(f"{known} = []")
            for field in tagged:
                name = f"tagged_{self.struct_class(schema)}_{field.name}"
                self._tag_writers.setdefault(name, field)
                value = f"{source}.{field.name}"
                with self.block(f"if {self.differs(value, field)}"):
                    self.line(f"{known}.append(({field.tag}, {name}({value})))")
            self.line(f"append(tagged_section({known}, {source}.unknown_tagged_fields))")
        with self.block("else"):
            self.line(f"append({self._packed([*run, _ZERO_BYTE])})")

    def _emit_tag_writer(self, name: str, field: Field) -> None:
        self.line("")
        with self.block(f"def {name}(value)"):
            self.line("pieces = []")
            self.line("append = pieces.append")
            nullable = self._version in field.nullable
            if isinstance(field.type, StructOf):
                self._write_nested("value", field.type.schema, nullable, name, null=b"\0")
            else:
                self._write_value("value", field.type, nullable, True, name)
            self._flush()
            self.line("return join(pieces)")

    # Fields by type

    def _write_value(
        self, value: str, type_: WireType, nullable: bool, compact: bool, where: str
    ) -> None:
        if isinstance(type_, Fixed):
            self._write_fixed(value, type_)
        elif isinstance(type_, StructOf):
            self._write_nested(value, type_.schema, nullable, where)
        elif isinstance(type_, ArrayOf):
            self._write_array(value, type_, nullable, compact, where)
        else:
            self._write_sized(value, type_, nullable, compact)

    def _write_fixed(self, value: str, type_: Fixed) -> None:
        if type_.format == "16s":
            self._run.append(("16s", f"{value}.bytes"))
        else:
            # "?" would take anything, None included.
            self._run.append((type_.format.replace("?", "b"), value))

    def _write_nested(
        self, value: str, schema: Schema, nullable: bool, where: str, *, null: bytes = b"\xff"
    ) -> None:
        """``null``: how Kafka writes it: -1, but 0 in a tagged field."""
        inner = self.local("nested")
        self.line(f"{inner} = {value}")
        if not nullable:
            self._write_struct(inner, schema, where)
            return
        self._flush()
        with self.block(f"if {inner} is None"):
            self.line(f"append({null!r})")
        with self.block("else"):
            self._run.append(("b", "1"))
            self._write_struct(inner, schema, where)
            self._flush()

    def _write_sized(self, value: str, type_: Sized, nullable: bool, compact: bool) -> None:
        payload, length = self.local("payload"), self.local("n")
        plus = " + 1" if compact else ""
        self.line(f"{payload} = {value}")
        if nullable:
            with self.block(f"if {payload} is None"):
                self.line(f"{length} = {0 if compact else -1}")
                self.line(f"{payload} = b''")
            with self.block("else"):
                self._measure(payload, length, type_, plus)
        else:
            self._measure(payload, length, type_, plus)
        self._write_length(length, type_, compact)
        if type_.name == "Records" and self._notes_slices:
            with self.block(f"if type({payload}) is not bytes"):
                self.line("slices.append(len(pieces))")
        self.line(f"append({payload})")

    def _measure(self, payload: str, length: str, type_: Sized, plus: str) -> None:
        if type_.name == "String":
            self.line(f"{payload} = {payload}.encode()")
        if type_.name == "Records":
            self.line(f"{length} = size_bytes({payload}){plus}")
        else:
            self.line(f"{length} = len({payload}){plus}")

    def _write_length(self, length: str, type_: Sized | ArrayOf, compact: bool) -> None:
        """Append the run with the length at its end."""
        if not compact:
            legacy = "i" if isinstance(type_, ArrayOf) else type_.legacy_length
            self._run.append((legacy, length))
            self._flush()
            return
        run, self._run = self._run, []
        is_string = isinstance(type_, Sized) and type_.name == "String"
        helper = "compact_string_length" if is_string else "compact_length"
        with self.block(f"if {length} < 128"):
            one_byte = f"ONE_BYTE[{length}]" if not run else self._packed([*run, ("B", length)])
            self.line(f"append({one_byte})")
        with self.block("else"):
            if run:
                self.line(f"append({self._packed(run)})")
            self.line(f"append({helper}({length}))")

    def _write_array(
        self, value: str, type_: ArrayOf, nullable: bool, compact: bool, where: str
    ) -> None:
        items, count = self.local("items"), self.local("n")
        plus = " + 1" if compact else ""
        self.line(f"{items} = {value}")
        if nullable:
            with self.block(f"if {items} is None"):
                self.line(f"{count} = {0 if compact else -1}")
                self.line(f"{items} = ()")
            with self.block("else"):
                self.line(f"{count} = len({items}){plus}")
        else:
            self.line(f"{count} = len({items}){plus}")
        self._write_length(count, type_, compact)
        element = type_.element
        if isinstance(element, Fixed) and element.format != "16s":
            self.line(f"append(pack_array_{element.format}[len({items})](*{items}))")
            return
        item = self.local("item")
        with self.block(f"for {item} in {items}"):
            if isinstance(element, StructOf):
                self._write_struct(item, element.schema, where)
            else:
                self._write_value(item, element, False, compact, where)
            self._flush()

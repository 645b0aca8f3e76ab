"""What compiled codecs do with values, versions and bytes, on declarations made for the purpose."""

from __future__ import annotations

import copy
import uuid
from typing import Any

import pytest

from ottla.wire import compiler
from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Bool,
    Bytes,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Message,
    Records,
    String,
    Uint16,
    Uint32,
    Uuid,
    at,
    message,
    struct,
)
from ottla.wire.errors import ErrorCode, Malformed, ProtocolError, Truncated, Unencodable

SOME_UUID = uuid.UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")


@message(key=None, versions="0-1", flexible=1)
class Everything(Message):
    """One field of every type; refers to a struct that is defined below it."""

    flag: Bool
    tiny: Int8
    small: Int16
    port: Uint16
    number: Int32
    crc: Uint32
    big: Int64
    ratio: Float64
    id: Uuid
    name: String
    nickname: String | None
    data: Bytes
    more_data: Bytes | None
    batch: Records | None
    numbers: Array[Int32]
    ids: Array[Uuid] | None
    names: Array[String]
    one: Below
    maybe: Below | None
    many: Array[Below] | None


@struct
class Below:
    """Stands after the message that uses it."""

    number: Int16
    name: String


@message(key=None, versions="0-4", flexible=3)
class Evolving(Message):
    """Fields come, go, become nullable and get tags."""

    always: Int32
    gone: Int16 = at("0-1", default=7)
    hint: String | None = at("1+", default=None, ignorable=True)
    late: Int64 = at("2+", default=-1)
    list_of_late: Array[Int32] = at("2+", default=list)
    nullable_late: String | None = at("0+", nullable="2+")
    note: String | None = at("3+", tag=0, default=None)
    other: Int32 = at("3+", tag=5, default=3)
    deep: Deep | None = at("3+", tag=200, nullable="none", default=None)
    old_style: String | None = at(flexible="none", default=None)


@struct
class Deep:
    """Sent only as a tagged field."""

    number: Int32 = at(default=-1)
    name: String = at(default="")


@message(key=None, versions="0", flexible=0)
class Tagged(Message):
    """Tagged structs whose default is a struct."""

    deep: Deep = at(tag=0, default=Deep)
    deeper: Deep | None = at(tag=1, default=Deep)


def everything(**changes: Any) -> Everything:
    values: dict[str, Any] = {
        "flag": True,
        "tiny": -1,
        "small": -2,
        "port": 65535,
        "number": -3,
        "crc": 0xFFFFFFFF,
        "big": -4,
        "ratio": 0.5,
        "id": SOME_UUID,
        "name": "é",
        "nickname": None,
        "data": b"\x01\x02",
        "more_data": None,
        "batch": b"records",
        "numbers": [1, 2],
        "ids": [ZERO_UUID, SOME_UUID],
        "names": ["", "x"],
        "one": Below(number=1, name="one"),
        "maybe": None,
        "many": [Below(number=2, name="two")],
    }
    return Everything(**{**values, **changes})


def evolving(**changes: Any) -> Evolving:
    return Evolving(**{"always": 1, "nullable_late": "x", **changes})


FIXED = bytes.fromhex(
    "01 ff fffe ffff fffffffd ffffffff fffffffffffffffc 3fe0000000000000"
    "000102030405060708090a0b0c0d0e0f"
)


def test_the_old_format_is_kafkas() -> None:
    assert everything().encode(0) == FIXED + bytes.fromhex(
        "0002 c3a9"
        "ffff"
        "00000002 0102"
        "ffffffff"
        "00000007 7265636f726473"
        "00000002 00000001 00000002"
        "00000002 00000000000000000000000000000000 000102030405060708090a0b0c0d0e0f"
        "00000002 0000 0001 78"
        "0001 0003 6f6e65"
        "ff"
        "00000001 0002 0003 74776f"
    )


def test_the_flexible_format_is_kafkas() -> None:
    assert everything().encode(1) == FIXED + bytes.fromhex(
        "03 c3a9"
        "00"
        "03 0102"
        "00"
        "08 7265636f726473"
        "03 00000001 00000002"
        "03 00000000000000000000000000000000 000102030405060708090a0b0c0d0e0f"
        "03 01 02 78"
        "0001 04 6f6e65 00"
        "ff"
        "02 0002 04 74776f 00"
        "00"
    )


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ids": None, "many": None, "batch": None},
        {"nickname": "n" * 127, "more_data": b"m" * 20_000},
        {"nickname": "n" * 32767, "numbers": list(range(1000))},
        {"maybe": Below(number=9, name="nine"), "many": []},
    ],
)
def test_what_is_encoded_is_decoded_again(version: int, changes: dict[str, Any]) -> None:
    sent = everything(**changes)
    encoded = sent.encode(version)
    for buffer in (
        encoded,
        bytearray(encoded),
        memoryview(encoded),
        memoryview(b"??" + encoded)[2:],
    ):
        assert Everything.decode(buffer, version) == sent


def test_a_message_can_start_and_end_inside_a_buffer() -> None:
    buffer = b"before" + everything().encode(1) + b"after"
    assert Everything.decode(buffer, 1, 6, allow_trailing=True) == everything()
    with pytest.raises(Malformed):
        Everything.decode(buffer, 1, 6)


def test_records_stay_a_view_and_bytes_are_copied() -> None:
    buffer = bytearray(everything().encode(1))
    received = Everything.decode(buffer, 1)
    assert isinstance(received.batch, memoryview)
    assert received.batch.obj is buffer
    assert type(received.data) is bytes


class Slice:
    """Stands for a slice of a log."""

    size_bytes = 300


def test_records_slices_pass_through_uncopied() -> None:
    records = Slice()
    whole = everything(batch=b"r" * 300).encode(1)
    parts = everything(batch=records).encode_parts(1)
    assert [type(part) for part in parts] == [bytes, Slice, bytes]
    before, passed, after = parts
    assert passed is records
    assert before + b"r" * 300 + after == whole


def test_parts_without_slices_are_one() -> None:
    assert everything().encode_parts(1) == [everything().encode(1)]
    assert evolving().encode_parts(0) == [evolving().encode(0)]


def test_a_slice_cannot_become_bytes() -> None:
    with pytest.raises(Unencodable):
        everything(batch=Slice()).encode(1)


def test_what_a_version_lacks_is_its_default() -> None:
    received = Evolving.decode(evolving(gone=3).encode(0), 0)
    assert (received.gone, received.hint, received.late, received.list_of_late) == (3, None, -1, [])
    assert Evolving.decode(evolving().encode(2), 2).gone == 7


def test_every_decoded_default_list_is_its_own() -> None:
    encoded = evolving().encode(0)
    Evolving.decode(encoded, 0).list_of_late.append(1)
    assert Evolving.decode(encoded, 0).list_of_late == []
    Evolving(always=1, nullable_late=None).list_of_late.append(1)
    assert Evolving(always=1, nullable_late=None).list_of_late == []


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({"gone": 8}, 2),
        ({"late": 0}, 1),
        ({"list_of_late": [1]}, 1),
        ({"note": ""}, 2),
        ({"other": 4}, 0),
        ({"deep": Deep()}, 2),
    ],
)
def test_a_value_its_version_would_lose_is_refused(changes: dict[str, Any], version: int) -> None:
    with pytest.raises(ProtocolError, match=next(iter(changes))) as caught:
        evolving(**changes).encode(version)
    assert caught.value.code is ErrorCode.UNSUPPORTED_VERSION


def test_an_ignorable_value_is_dropped() -> None:
    assert evolving(hint="hint").encode(0) == evolving().encode(0)


def test_null_needs_a_version_that_allows_it() -> None:
    assert Evolving.decode(evolving(nullable_late=None).encode(2), 2).nullable_late is None
    with pytest.raises(Unencodable):
        evolving(nullable_late=None).encode(1)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    "name", ["flag", "number", "id", "name", "data", "numbers", "names", "one"]
)
def test_null_where_no_null_may_stand_is_refused(name: str, version: int) -> None:
    with pytest.raises(Unencodable):
        everything(**{name: None}).encode(version)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    "changes",
    [
        {"tiny": 128},
        {"port": -1},
        {"number": 1.5},
        {"name": "n" * 32768},
        {"name": b"bytes"},
        {"name": "\ud800"},
        {"data": "text"},
        {"names": [None]},
        {"numbers": ["1"]},
        {"ids": [b"0" * 16]},
        {"many": [None]},
    ],
)
def test_a_value_its_field_cannot_carry_is_refused(changes: dict[str, Any], version: int) -> None:
    with pytest.raises(Unencodable, match=f"Everything v{version}"):
        everything(**changes).encode(version)


@pytest.mark.parametrize("version", [-1, 5])
def test_undeclared_versions_are_refused(version: int) -> None:
    for attempt in (
        lambda: evolving().encode(version),
        lambda: evolving().encode_parts(version),
        lambda: Evolving.decode(b"", version),
        lambda: compiler.dump(Evolving, version),
    ):
        with pytest.raises(ProtocolError) as caught:
            attempt()
        assert caught.value.code is ErrorCode.UNSUPPORTED_VERSION


def test_tagged_fields_are_left_out_at_their_default() -> None:
    assert evolving(note=None, other=3, deep=None).encode(3)[-1:] == b"\0"
    assert Tagged().encode(0) == b"\0"
    assert Tagged.decode(b"\0", 0).deep == Deep(number=-1, name="")


def test_a_null_struct_in_a_tagged_field_is_kafkas() -> None:
    # Elsewhere null is -1.
    assert Tagged(deeper=None).encode(0) == bytes.fromhex("01 01 01 00")
    assert Tagged.decode(bytes.fromhex("01 01 01 00"), 0).deeper is None
    sent = Tagged(deeper=Deep(number=1))
    assert sent.encode(0) == bytes.fromhex("01 01 07 01 00000001 01 00")
    assert Tagged.decode(sent.encode(0), 0) == sent


def test_tagged_fields_follow_each_other_by_tag() -> None:
    sent = evolving(note="n", other=9, deep=Deep(number=1, name="d"))
    encoded = sent.encode(4)
    tail = bytes.fromhex("03 00 02 026e 05 04 00000009 c801 07 00000001 0264 00")
    assert encoded.endswith(tail)
    assert Evolving.decode(encoded, 4) == sent


def test_a_field_can_keep_the_old_format() -> None:
    assert evolving(old_style="old").encode(3).endswith(b"\0\3old\0")
    assert Evolving.decode(evolving(old_style=None).encode(3), 3).old_style is None


def test_unknown_tagged_fields_are_kept_and_sent_on() -> None:
    sent = evolving(other=9)
    sent.unknown_tagged_fields = ((1, b"one"), (300, b""))
    encoded = sent.encode(3)
    assert encoded.endswith(bytes.fromhex("03 01 03 6f6e65 05 04 00000009 ac02 00"))
    assert Evolving.decode(encoded, 3) == sent
    assert Evolving.decode(encoded, 3) != evolving(other=9)


def test_unknown_tagged_fields_of_a_nested_struct_are_kept() -> None:
    inner = Below(number=1, name="n")
    inner.unknown_tagged_fields = ((0, b"zero"),)
    sent = everything(one=inner, many=[inner])
    assert Everything.decode(sent.encode(1), 1) == sent
    assert "unknown tags 0" in repr(sent)


def test_unknown_fields_cannot_take_a_known_tag() -> None:
    sent = evolving(other=9)
    sent.unknown_tagged_fields = ((5, b"five"),)
    with pytest.raises(Unencodable):
        sent.encode(3)


def test_constructors_take_what_is_declared() -> None:
    with pytest.raises(TypeError):
        Below(number=1)
    with pytest.raises(TypeError):
        Below(1, "x")
    with pytest.raises(TypeError):
        Below(number=1, name="x", colour="red")
    with pytest.raises(AttributeError):
        Below(number=1, name="x").colour = "red"


def test_instances_compare_and_copy() -> None:
    below = Below(number=1, name="x")
    assert below == Below(number=1, name="x")
    assert below != Below(number=2, name="x")
    assert below != (1, "x")
    assert copy.deepcopy(below) == below
    assert copy.copy(below) == below
    with pytest.raises(TypeError):
        hash(below)


def test_the_representation_stays_short() -> None:
    shown = repr(everything(batch=b"r" * 10_000_000, numbers=list(range(100_000))))
    assert "10000000 bytes" in shown
    assert "100000 in all" in shown
    assert len(shown) < 1000


def test_classes_tell_what_they_are() -> None:
    assert Evolving.API_KEY is None
    assert list(Evolving.VERSIONS) == [0, 1, 2, 3, 4]
    assert Evolving.FLEXIBLE_FROM == 3
    assert [field.name for field in Evolving.SCHEMA.fields][:3] == ["always", "gone", "hint"]
    assert Evolving.SCHEMA.field("late").versions[0] == 2


def test_an_unknown_type_is_told_by_name() -> None:
    @message(key=None, versions="0")
    class Wrong(Message):
        """Names a type that is none."""

        field: Nowhere  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match=r"Wrong\.field: Nowhere"):
        Wrong.decode(b"", 0)


def test_a_message_of_tagged_fields_still_has_their_count() -> None:
    assert Tagged.decode(b"\0", 0) == Tagged()
    with pytest.raises(Truncated):
        Tagged.decode(b"", 0)

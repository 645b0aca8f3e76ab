"""Whatever the bytes: `Truncated` or `Malformed`, quickly and in little memory."""

from __future__ import annotations

import contextlib
import random
import tracemalloc

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ottla.testing.messages import declared_messages, messages
from ottla.wire.declare import Array, Bytes, Int32, Message, Records, String, Uuid, message, struct
from ottla.wire.errors import Malformed, Truncated

MESSAGES = declared_messages()
FEW = settings(
    max_examples=3,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MOST_PREFIXES = 60
DAMAGES = 30


@struct
class Item:
    """An element that takes at least five bytes."""

    number: Int32
    name: String


@message(key=None, versions="0-1", flexible=1)
class Lists(Message):
    """Nothing but counts and lengths."""

    items: Array[Item]


@message(key=None, versions="0-1", flexible=1)
class Numbers(Message):
    """An array unpacked at once."""

    numbers: Array[Int32]


@message(key=None, versions="0-1", flexible=1)
class Ids(Message):
    """An array of UUIDs."""

    ids: Array[Uuid]


@message(key=None, versions="0-1", flexible=1)
class Text(Message):
    """One string."""

    text: String


@message(key=None, versions="0-1", flexible=1)
class Blobs(Message):
    """Bytes and records."""

    data: Bytes
    records: Records | None


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_every_prefix_of_a_message_is_truncated(cls: type[Message]) -> None:
    for version in cls.VERSIONS:
        _check_prefixes(cls, version)


def _check_prefixes(cls: type[Message], version: int) -> None:
    @FEW
    @given(messages(cls, version, unknown_tags=True))
    def check(sent: Message) -> None:
        encoded = sent.encode(version)
        assert cls.decode(encoded, version) == sent
        assert cls.decode(encoded, version).encode(version) == encoded
        step = max(1, len(encoded) // MOST_PREFIXES)
        for length in range(len(encoded) - 1, -1, -step):
            with pytest.raises(Truncated):
                cls.decode(encoded[:length], version)
        with pytest.raises(Malformed):
            cls.decode(encoded + b"\0", version)

    check()


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_damaged_bytes_raise_nothing_else(cls: type[Message]) -> None:
    for version in {cls.VERSIONS[0], cls.VERSIONS[-1]}:
        _check_damaged(cls, version)


def _check_damaged(cls: type[Message], version: int) -> None:
    @FEW
    @given(messages(cls, version, unknown_tags=True), st.integers(0, 2**32))
    def check(sent: Message, seed: int) -> None:
        entropy = random.Random(seed)
        encoded = sent.encode(version)
        for _ in range(DAMAGES if encoded else 0):
            damaged = bytearray(encoded)
            for _ in range(entropy.randint(1, 3)):
                place = entropy.randrange(len(damaged))
                damaged[place] = entropy.choice((0, 1, 0x7F, 0x80, 0xFF, entropy.randrange(256)))
            with contextlib.suppress(Truncated, Malformed):
                cls.decode(damaged, version)

    check()


@pytest.mark.parametrize("cls", [Lists, Numbers, Ids, Text, Blobs])
@pytest.mark.parametrize(
    "start",
    ["7fffffff", "0fffffff", "ffffffff0f", "ffffffff07", "8080808001"],
)
def test_a_huge_count_allocates_nothing(cls: type[Message], start: str) -> None:
    body = bytes.fromhex(start) + bytes(1000)
    for version in cls.VERSIONS:
        tracemalloc.start()
        try:
            with pytest.raises((Truncated, Malformed)):
                cls.decode(body, version)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak_bytes < 200_000


def test_a_count_is_judged_by_the_least_its_elements_take() -> None:
    # 20 bytes remain: room for three items of at least six bytes, not for four.
    with pytest.raises(Truncated):
        Lists.decode(bytes.fromhex("00000004") + bytes(20), 0)
    assert len(Lists.decode(bytes.fromhex("00000003") + bytes(18), 0).items) == 3


def test_all_elements_together_have_a_limit() -> None:
    lists = Lists(items=[Item(number=number, name="") for number in range(10)])
    for version in Lists.VERSIONS:
        encoded = lists.encode(version)
        assert Lists.decode(encoded, version, max_elements=10) == lists
        with pytest.raises(Malformed):
            Lists.decode(encoded, version, max_elements=9)


@pytest.mark.parametrize(
    ("cls", "version", "body"),
    [
        (Lists, 0, "ffffffff"),
        (Lists, 0, "fffffffe"),
        (Lists, 1, "00 00"),
        (Lists, 1, "80808080 00 00"),
        (Lists, 1, "8080808080 01 00"),
        (Text, 0, "ffff"),
        (Text, 0, "8000"),
        (Text, 1, "00 00"),
        (Text, 1, "8100 00 00"),
        (Text, 1, "818002" + "61" * 32768 + "00"),
        (Text, 0, "0002 c328"),
        (Text, 1, "03 c328 00"),
        (Blobs, 0, "ffffffff ffffffff"),
        (Blobs, 0, "00000000 fffffffe"),
        (Blobs, 1, "00 00 00"),
        (Blobs, 1, "01 8000 00"),
    ],
)
def test_lengths_that_cannot_be(cls: type[Message], version: int, body: str) -> None:
    with pytest.raises(Malformed):
        cls.decode(bytes.fromhex(body), version)


def test_a_character_cut_in_two_is_truncated_not_malformed() -> None:
    with pytest.raises(Truncated):
        Text.decode(bytes.fromhex("0002 c3"), 0)
    with pytest.raises(Truncated):
        Text.decode(bytes.fromhex("03 c3"), 1)


@pytest.mark.parametrize(
    "tags",
    [
        "02 05 00 05 00",  # twice
        "02 05 00 04 00",  # descending
        "01 ffffffff10 00",  # over 32 bits
        "01 8080808080 01 00",  # six bytes
        "00 00",  # trailing
    ],
)
def test_tagged_fields_that_cannot_be(tags: str) -> None:
    with pytest.raises(Malformed):
        Text.decode(b"\1" + bytes.fromhex(tags), 1)


@pytest.mark.parametrize("tags", ["ffffffff0f", "01 05", "01 05 04 00", "02 05 00"])
def test_tagged_fields_that_end_early(tags: str) -> None:
    with pytest.raises(Truncated):
        Text.decode(b"\1" + bytes.fromhex(tags), 1)


def test_many_unknown_tags_take_linear_time() -> None:
    count = 60_000
    body = bytearray(b"\1")
    body += bytes((count & 0x7F | 0x80, count >> 7 & 0x7F | 0x80, count >> 14))
    for tag in range(count):
        body += bytes((tag & 0x7F | 0x80, tag >> 7 & 0x7F | 0x80, tag >> 14, 0))
    assert len(Text.decode(body, 1).unknown_tagged_fields) == count

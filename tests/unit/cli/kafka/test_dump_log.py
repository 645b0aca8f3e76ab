"""kafka-dump-log over files that are whole, torn and damaged."""

from __future__ import annotations

import pathlib
import random

import pytest

from ottla.cli.kafka.entry import run
from ottla.records.compression import Codec
from ottla.records.encode import encode_batch
from ottla.records.record import Record

NAME = "00000000000000000000"
Capture = pytest.CaptureFixture[str]


def batch(offset: int, count: int, codec: Codec = Codec.NONE) -> bytes:
    records = [Record(offset + n, 1000 + n, b"key", b"v%d" % n) for n in range(count)]
    return bytes(encode_batch(records, codec=codec))


@pytest.fixture
def segment(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / f"{NAME}.log"
    path.write_bytes(batch(0, 3) + batch(3, 2, Codec.ZSTD))
    return path


def test_batches_and_records(segment: pathlib.Path, capsys: Capture) -> None:
    assert run("kafka-dump-log", ["--files", str(segment), "--print-data-log"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"Dumping {segment}", "Log starting offset: 0"]
    assert lines[2].startswith("baseOffset: 0 lastOffset: 2 count: 3 baseSequence: -1")
    assert "compresscodec: none" in lines[2]
    assert "compresscodec: zstd" in lines[6]
    assert lines[3].endswith("headerKeys: [] key: key payload: v0")
    assert len(lines) == 9


def test_a_torn_end_is_told(segment: pathlib.Path, capsys: Capture) -> None:
    data = segment.read_bytes()
    segment.write_bytes(data[:-5])
    assert run("kafka-dump-log", ["--files", str(segment)]) == 0
    torn = len(batch(3, 2, Codec.ZSTD)) - 5
    assert f"Found {torn} invalid bytes at the end of {NAME}.log" in capsys.readouterr().out


def test_a_wrong_checksum_is_told(segment: pathlib.Path, capsys: Capture) -> None:
    data = bytearray(segment.read_bytes())
    data[65] ^= 1
    segment.write_bytes(data)
    assert run("kafka-dump-log", ["--files", str(segment)]) == 0
    first, second = capsys.readouterr().out.splitlines()[2:]
    assert first.endswith("isvalid: false")
    assert second.endswith("isvalid: true")


def test_gaps_are_told_but_not_the_one_before_the_first(
    segment: pathlib.Path, capsys: Capture
) -> None:
    segment.write_bytes(batch(5, 1) + batch(9, 1))
    assert run("kafka-dump-log", ["--files", str(segment), "--deep-iteration"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"Non-consecutive offsets in {segment}",
        "  5 is followed by 9",
    ]


@pytest.mark.parametrize("suffix", ["log", "index", "timeindex", "snapshot", "txnindex"])
@pytest.mark.parametrize("flags", [[], ["--print-data-log"], ["--index-sanity-check"]])
def test_damage_is_told_and_never_a_crash(
    suffix: str, flags: list[str], segment: pathlib.Path, capsys: Capture
) -> None:
    pick = random.Random(suffix)
    path = segment.with_suffix(f".{suffix}")
    whole = batch(0, 5, Codec.GZIP)
    for number in range(24):
        data = bytearray(whole if number % 2 else pick.randbytes(pick.randrange(200)))
        for _ in range(pick.randrange(4)):
            if data:
                data[pick.randrange(len(data))] = pick.randrange(256)
        path.write_bytes(data)
        assert run("kafka-dump-log", ["--files", str(path), *flags]) in (0, 1)
        capsys.readouterr()


def test_files_that_are_none(tmp_path: pathlib.Path, capsys: Capture) -> None:
    assert run("kafka-dump-log", ["--files", str(tmp_path / f"{NAME}.log")]) == 1
    assert "can't be read" in capsys.readouterr().err
    assert run("kafka-dump-log", ["--files", str(tmp_path / "x.log")]) == 1
    (tmp_path / "other.txt").write_text("x")
    assert run("kafka-dump-log", ["--files", str(tmp_path / "other.txt")]) == 0
    assert "Ignoring unknown file" in capsys.readouterr().err

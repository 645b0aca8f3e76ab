"""kcat: a file goes in line by line and comes out byte for byte."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.kcat


def kcat(bootstrap: str, *arguments: str, stdin: bytes = b"") -> bytes:
    """What kcat prints."""
    result = subprocess.run(
        ["kcat", "-b", bootstrap, *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode(errors="replace")
    return result.stdout


def log_lines(total_bytes: int) -> bytes:
    """Lines such as a machine's log holds: timestamps, levels, words, now and then no ASCII."""
    source = random.Random(20)
    words = [
        "kernel:",
        "accepted",
        "connection",
        "from",
        "10.0.0.7",
        "größe",
        "失敗",
        "retry",
        "{}",
    ]
    levels = ["INFO", "WARN", "ERROR"]
    lines: list[str] = []
    size = 0
    while size < total_bytes:
        said = " ".join(source.choices(words, k=source.randint(3, 40)))
        seconds, level = source.randint(0, 59), source.choice(levels)
        line = f"2026-05-22T10:{seconds:02}:00 {level} {said}\n"
        lines.append(line)
        size += len(line.encode())
    return "".join(lines).encode()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_a_log_file_comes_back_byte_for_byte(
    codec: str, bootstrap: str, new_topic: Callable[..., str]
) -> None:
    topic = new_topic()
    lines = log_lines(3 << 20)
    kcat(bootstrap, "-P", "-t", topic, "-z", codec, stdin=lines)
    assert kcat(bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q") == lines


def test_metadata_in_json(bootstrap: str, new_topic: Callable[..., str]) -> None:
    topic = new_topic(3)
    [described] = json.loads(kcat(bootstrap, "-L", "-J", "-t", topic))["topics"]
    assert described["topic"] == topic
    assert [partition["partition"] for partition in described["partitions"]] == [0, 1, 2]


def test_keys_headers_and_offsets_by_time(bootstrap: str, new_topic: Callable[..., str]) -> None:
    topic = new_topic()
    kcat(bootstrap, "-P", "-t", topic, "-K:", "-H", "a=b", stdin=b"k1:v1\nk2:v2\n")
    form = "%k=%s@%o[%h]\n"
    read = kcat(bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", form)
    assert read == b"k1=v1@0[a=b]\nk2=v2@1[a=b]\n"
    assert kcat(bootstrap, "-C", "-t", topic, "-o", "-1", "-e", "-q") == b"v2\n"
    assert kcat(bootstrap, "-C", "-t", topic, "-o", "s@0", "-e", "-q") == b"v1\nv2\n"
    assert kcat(bootstrap, "-Q", "-t", f"{topic}:0:0") == f"{topic} [0] offset 0\n".encode()


def test_a_balanced_consumer_group(
    bootstrap: str, new_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    topic, group = new_topic(2), unique("group")
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", stdin=b"a\nb\n")
    kcat(bootstrap, "-P", "-t", topic, "-p", "1", stdin=b"c\nd\n")
    read = kcat(bootstrap, "-G", group, "-X", "auto.offset.reset=earliest", "-e", "-q", topic)
    assert sorted(read.split()) == [b"a", b"b", b"c", b"d"]
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", stdin=b"e\n")
    assert kcat(bootstrap, "-G", group, "-e", "-q", topic) == b"e\n"

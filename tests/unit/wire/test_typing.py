"""What a type checker knows about declared messages."""

from __future__ import annotations

import pathlib

PROGRAM = """
from __future__ import annotations

from ottla.wire.declare import Array, Int32, Message, String, at, message, struct


@struct
class Broker:
    node_id: Int32
    rack: String | None = at("1+", default=None)


@message(key=3, versions="0-1")
class MetadataResponse(Message):
    brokers: Array[Broker]


received = MetadataResponse.decode(b"", 0)
reveal_type(received)
reveal_type(received.brokers[0].node_id)
reveal_type(received.brokers[0].rack)
reveal_type(received.encode(1))
Broker(node_id=1)
Broker()
Broker(node_id="one")
Broker(node_id=1, colour="red")
"""


def test_mypy_knows_fields_and_constructors(tmp_path: pathlib.Path) -> None:
    from mypy import api  # heavy, so only here

    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    output, _, _ = api.run(["--strict", "--cache-dir", str(tmp_path / "cache"), str(program)])
    told = [line.split(":", 2)[2].strip() for line in output.splitlines() if "program.py" in line]
    notes = [line for line in told if "Revealed type" in line]
    assert notes == [
        'note: Revealed type is "program.MetadataResponse"',
        'note: Revealed type is "int"',
        'note: Revealed type is "str | None"',
        'note: Revealed type is "bytes"',
    ]
    errors = [line for line in told if line.startswith("error")]
    assert len(errors) == 3
    assert 'Missing named argument "node_id"' in errors[0]
    assert 'Argument "node_id" to "Broker" has incompatible type "str"' in errors[1]
    assert 'Unexpected keyword argument "colour"' in errors[2]

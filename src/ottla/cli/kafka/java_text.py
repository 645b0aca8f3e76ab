"""What Java prints differently from Python."""

from __future__ import annotations

import json
import re

_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|.)")


def java_json(value: object) -> str:
    """JSON without spaces; what has to be escaped is, with digits in capitals."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return _ESCAPE.sub(lambda found: found[0][:2] + found[0][2:].upper(), text)


def java_double(number: float) -> str:
    """A number as Java prints it: ``1.0E7`` from ten million on."""
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(float(number))
    mantissa, _, exponent = f"{number:.17e}".partition("e")
    digits = repr(float(number)).replace(".", "").replace("-", "").split("e")[0].strip("0") or "0"
    sign = "-" if mantissa.startswith("-") else ""
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{int(exponent)}"

"""What Java prints differently from Python."""

from __future__ import annotations


def java_double(number: float) -> str:
    """A number as Java prints it: ``1.0E7`` from ten million on."""
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(float(number))
    mantissa, _, exponent = f"{number:.17e}".partition("e")
    digits = repr(float(number)).replace(".", "").replace("-", "").split("e")[0].strip("0") or "0"
    sign = "-" if mantissa.startswith("-") else ""
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{int(exponent)}"

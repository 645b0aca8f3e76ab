"""Memory that the machine really has, for a measurement that writes much of it.

A virtual machine tells its host which pages are free (free page reporting), two seconds after they
were freed; the host takes them away, and asking for one again costs ten times as much as writing
it, or stops whoever asks for tens of milliseconds. Figures taken then would tell about the
hypervisor. Pages that were written and have just been freed are there at once, for two seconds.
"""

from __future__ import annotations

import os
import pathlib
import time

from bench.limits import append_mib_s
from bench.peers import placed_here

# Close to 1 MiB, and not a multiple of the page size: as record batches are.
_BATCH_BYTES = (1 << 20) - 103
# After so long what others have freed has been reported, and nothing is until more is freed.
_REPORTING_SECONDS = 2.5


def warm_append_mib_s(directory: pathlib.Path, mebibytes: int, cores: set[int]) -> float:
    """MiB/s of batches appended to a file in warm memory; so much of it is free when this returns.

    The measurement that needs it has to begin at once, and to be over in a second and a half.
    """
    path = directory / "memory.warm"
    batch = os.urandom(_BATCH_BYTES)
    with placed_here(cores), path.open("wb", buffering=0) as file:
        for _ in range(mebibytes):
            file.write(batch)
    time.sleep(_REPORTING_SECONDS)
    path.unlink()
    return append_mib_s(directory, mebibytes, cores, block_bytes=_BATCH_BYTES)

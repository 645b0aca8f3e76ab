"""Histories of what clients did, and a checker that finds what a broker must never do.

In the manner of Jepsen's checker for Kafka: clients note what they ask and what they are told, and
from that alone the checker finds lost writes, aborted reads, torn transactions and their like.

```python
history = History()
send = history.send("producer-1", "orders-0", "order 17")
history.ok(send, offset=4)
poll = history.poll("consumer-1", group="billing")
history.ok(poll, read={"orders-0": Read(0, 5, [(4, "order 17")])})
print(check(history))
```

`write_json_lines` and `read_json_lines` keep histories in files, one event a line.
"""

from ottla.testing.history.anomalies import Anomaly, AnomalyKind, Report
from ottla.testing.history.checker import Cleaning, check
from ottla.testing.history.copying import check_copy
from ottla.testing.history.json_lines import read_json_lines, write_json_lines
from ottla.testing.history.operations import (
    Assign,
    Commit,
    EndTransaction,
    FetchCommitted,
    History,
    Isolation,
    Operation,
    Outcome,
    Poll,
    Read,
    Send,
)

__all__ = [
    "Anomaly",
    "AnomalyKind",
    "Assign",
    "Cleaning",
    "Commit",
    "EndTransaction",
    "FetchCommitted",
    "History",
    "Isolation",
    "Operation",
    "Outcome",
    "Poll",
    "Read",
    "Report",
    "Send",
    "check",
    "check_copy",
    "read_json_lines",
    "write_json_lines",
]

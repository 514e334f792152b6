"""A process that writes purchases and prints their ids when they are acknowledged.

Usage: ``python -m tests.service.store.writer URL PREFIX COUNT BATCH``. The process prints "ready"
and waits for a line before it opens the store. Each event is sent as ``PREFIX-number`` and as
``shared-number``, which all writers send.
"""

import sys
from itertools import count

from bazar.service.store import LiveStore
from tests.service.store.records import make_record


def main(url: str, prefix: str, n_batches: int, batch_size: int) -> None:
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    store = LiveStore(url)
    numbers = count()
    for _ in range(n_batches):
        batch = []
        for number in (next(numbers) for _ in range(batch_size)):
            batch += [
                make_record(f"{name}-{number}", number, event_type="purchase")
                for name in (prefix, "shared")
            ]
        outcomes = store.insert_events(batch)
        lines = [
            f"{record.event_id} {outcome}\n"
            for record, outcome in zip(batch, outcomes, strict=True)
        ]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

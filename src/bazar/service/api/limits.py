"""Limits of how often a client may ask."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# Requests with forged keys are answered with 401 before they are counted, so there are few keys.
_MAX_CLIENTS = 10_000


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """A token bucket for each client. Only the thread of the event loop uses it."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fill all buckets.

        Args:
            per_second: requests per second in the long run.
            burst: requests at once after a pause.
            clock: time in seconds, which never goes back.
        """
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    def find_delay(self, client: str) -> float:
        """Count a request, and return 0, or how many seconds the client has to wait.

        Args:
            client: a secret or a name. Only its hash is kept.
        """
        now = self._clock()
        name = hashlib.sha256(client.encode(errors="surrogatepass")).digest()
        bucket = self._buckets.setdefault(name, _Bucket(self._burst, now))
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
        filled = bucket.tokens + (now - bucket.filled_at) * self._per_second
        bucket.tokens, bucket.filled_at = min(self._burst, filled), now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0

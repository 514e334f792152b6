"""Threads that compute answers, with a bounded queue."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from bazar.service.api.problems import make_busy_error

_Result = TypeVar("_Result")


class BoundedPool:
    """Runs functions in a few threads. It accepts no more work than it can finish soon."""

    def __init__(self, name: str, threads: int, max_waiting: int, timeout_seconds: float) -> None:
        """Start no thread yet.

        Args:
            name: name of the threads.
            threads: number of threads.
            max_waiting: number of calls that wait for a thread.
            timeout_seconds: how long a call waits for its result.
        """
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._n_slots = threads + max_waiting
        self._slots = threading.Semaphore(self._n_slots)
        self._timeout = timeout_seconds

    async def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Return the result of a function that runs in one of the threads.

        Raises:
            ProblemError: with the status 503 if the queue is full, or there is no result in time.
                A call that has begun continues, and keeps its place in the queue.
        """
        if not self._slots.acquire(blocking=False):
            raise make_busy_error("The service is busy. Try again in a second.")
        future = self._executor.submit(function, *arguments)
        future.add_done_callback(lambda _: self._slots.release())
        try:
            # asyncio.wait_for would need a second future.
            async with asyncio.timeout(self._timeout):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if future.done() and not future.cancelled():
                # The function itself raised it.
                raise
            raise make_busy_error(
                "The service found no answer in time. Try again in a second."
            ) from None

    def close(self) -> bool:
        """Drop the calls that wait, and wait for those that have begun, up to a time limit.

        Returns:
            Whether all have ended.
        """
        self._executor.shutdown(wait=False, cancel_futures=True)
        ends_at = time.monotonic() + self._timeout
        return all(
            self._slots.acquire(timeout=max(0, ends_at - time.monotonic()))
            for _ in range(self._n_slots)
        )

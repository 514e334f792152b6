"""What all requests of a process share."""

from dataclasses import dataclass

from bazar.config.service import ServiceOptions
from bazar.service.api.limits import RateLimit
from bazar.service.api.metrics import Metrics
from bazar.service.api.pool import BoundedPool
from bazar.service.gateway import Gateway
from bazar.service.loading import BundleLoader


@dataclass(frozen=True)
class Context:
    """What all requests of a process share.

    Attributes:
        loader: the loader of the bundle, with the gateway.
        options: limits and defaults.
        uses_keys: whether requests need a key.
        metrics: the metrics.
        checking: threads that look keys up.
        answering: threads that compute lists.
        searching: threads that search. A search takes longer than a list, and lists do not wait.
        writing: threads that write to the store.
        rate: limit of the requests of a key; None for no limit.
    """

    loader: BundleLoader
    options: ServiceOptions
    uses_keys: bool
    metrics: Metrics
    checking: BoundedPool
    answering: BoundedPool
    searching: BoundedPool
    writing: BoundedPool
    rate: RateLimit | None

    @property
    def pools(self) -> tuple[BoundedPool, ...]:
        """All threads."""
        return self.checking, self.answering, self.searching, self.writing

    @property
    def gateway(self) -> Gateway:
        """The gateway."""
        return self.loader.gateway

    def report_bundles(self) -> None:
        """Update the metrics of the bundles."""
        state = self.loader.state
        self.metrics.set_bundles(state.n_loaded, state.n_failed)


def make_context(loader: BundleLoader, options: ServiceOptions, uses_keys: bool) -> Context:
    """Create the pools, the limits and the metrics of a process.

    Args:
        loader: the loader of the bundle.
        options: limits and defaults.
        uses_keys: whether requests need a key.
    """
    rate = None
    if options.requests_per_second is not None:
        rate = RateLimit(options.requests_per_second, options.burst)
    limits = options.threads, options.max_waiting, options.timeout_seconds
    context = Context(
        loader=loader,
        options=options,
        uses_keys=uses_keys,
        metrics=Metrics(),
        checking=BoundedPool("checking", *limits),
        answering=BoundedPool("answering", *limits),
        searching=BoundedPool("searching", *limits),
        writing=BoundedPool("writing", *limits),
        rate=rate,
    )
    context.report_bundles()
    return context

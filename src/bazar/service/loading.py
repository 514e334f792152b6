"""Open a bundle for the service, and replace it by a new one without downtime."""

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bazar.config.rules import read_rules
from bazar.errors import InputError
from bazar.service.gateway import Gateway
from bazar.service.opening import (
    OpenedBundle,
    build_engine,
    identify_bundle,
    identify_file,
    open_bundle,
    open_encoder,
)
from bazar.service.process import trim_memory
from bazar.service.store import LiveStore, StoreError
from bazar.serving.bundle import Bundle, find_bundle, read_bundle

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BundleState:
    """What a process serves, and what it could not load.

    Attributes:
        loaded_at: when the current bundle was loaded, UTC milliseconds.
        n_loaded: number of bundles that were loaded.
        n_failed: number of bundles that could not be loaded.
        problem: why the last one could not be loaded; None if it could.
        rules_problem: why the latest rules could not be read; None if they could.
    """

    loaded_at: int
    n_loaded: int = 1
    n_failed: int = 0
    problem: str | None = None
    rules_problem: str | None = None


class BundleLoader:
    """Opens the bundle of a folder, and replaces it when the folder has another one.

    Attributes:
        folder: a bundle, or ``data/06_models/<dataset>`` with the file ``current``.
        gateway: the gateway with the current engine.
        bundle: the current bundle, without what was added later.
    """

    def __init__(
        self,
        folder: Path,
        store: LiveStore,
        rules_path: Path | None = None,
        max_live_events: int = 1_000,
        opened: OpenedBundle | None = None,
    ) -> None:
        """Open the bundle and warm it up.

        Args:
            folder: a bundle, or ``data/06_models/<dataset>`` with the file ``current``.
            store: the store.
            rules_path: YAML file of business rules; None for none.
            max_live_events: number of the latest live events of a visitor that are read.
            opened: the bundle of the folder with the rules, if it is open already.

        Raises:
            InputError: if there is no bundle, a file of it is missing or damaged, or the rules are
                invalid or name what the catalogue does not have.
            StoreError: if the database fails.
        """
        self.folder = folder
        self._rules_path = rules_path
        self._lock = threading.Lock()
        opened = opened or open_bundle(folder, rules_path)
        self._seen, self._seen_rules = opened.identity, opened.rules_identity
        self.bundle, self._encoder = opened.bundle, opened.encoder
        self.gateway = Gateway(
            store, opened.engine, self.bundle.options.live_sequence, max_live_events
        )
        self._state = BundleState(_read_clock())

    @property
    def state(self) -> BundleState:
        """What the process serves, and what it could not load."""
        return self._state

    def reload(self) -> bool:
        """Load the bundle of the folder beside the current one, warm it up, and answer with it.

        Requests in flight finish with the old bundle. If the bundle is the current one, nothing is
        changed. Rules that name products which the new catalogue does not have match nothing.

        Returns:
            Whether another bundle answers now.

        Raises:
            InputError: if the bundle is damaged, or is of another catalogue. The old one keeps
                answering.
            StoreError: if the database fails. The old bundle keeps answering.
        """
        with self._lock:
            self._seen = identify_bundle(self.folder)
            try:
                is_replaced = self._replace()
            except Exception as error:
                self._report(error)
                raise
            self._state = replace(self._state, problem=None)
        return is_replaced

    def reload_if_changed(self) -> None:
        """Load the bundle and the rules if they are others than at the last attempt.

        Problems are logged, and :attr:`state` reports them. The old bundle and the old rules stay.
        """
        if identify_bundle(self.folder) != self._seen:
            # Whatever is wrong with a new bundle, the old one keeps answering.
            with suppress(Exception):
                self.reload()
        if identify_file(self._rules_path) != self._seen_rules:
            with suppress(InputError):
                self.reload_rules()

    def reload_rules(self) -> int:
        """Read the file of business rules again, and return the number of rules.

        Raises:
            InputError: if there is no file, or it is invalid or names what the catalogue does not
                have. The old rules stay.
        """
        if self._rules_path is None:
            raise InputError(
                "The service has no file of rules. Start it with --rules, or set rules in the file "
                "of --config."
            )
        with self._lock:
            self._seen_rules = identify_file(self._rules_path)
            engine = self.gateway.engine
            try:
                engine.load_rules(self._rules_path)
            except InputError as error:
                logger.error("the rules cannot be read: %s", error)
                self._state = replace(self._state, rules_problem=str(error))
                raise
            self._state = replace(self._state, rules_problem=None)
            return len(engine.rules)

    def load_encoder(self) -> None:
        """Load the encoder of the current engine, so that the first search need not wait."""
        try:
            self.gateway.engine.load_encoder()
        except InputError as error:
            logger.error("the encoder cannot be loaded: %s", error)

    def _replace(self) -> bool:
        bundle = read_bundle(find_bundle(self.folder))
        if bundle.id == self.gateway.bundle_id:
            return False
        self._check_catalogue(bundle)
        rules = () if self._rules_path is None else read_rules(self._rules_path)
        encoder = self._encoder
        # Most bundles of a shop have the same encoder, which takes 90 MB.
        if encoder is None or not encoder.is_loaded or bundle.encoder_id != self.bundle.encoder_id:
            encoder = open_encoder(bundle)
        engine = build_engine(bundle, encoder, rules)
        engine.load_encoder()
        self.gateway.replace_engine(engine, bundle.options.live_sequence)
        self.bundle, self._encoder = bundle, encoder
        trim_memory()
        self._state = replace(
            self._state,
            loaded_at=_read_clock(),
            n_loaded=self._state.n_loaded + 1,
        )
        logger.info("the bundle %s answers now", bundle.id)
        return True

    def _check_catalogue(self, bundle: Bundle) -> None:
        """Raise InputError if a bundle has no product of the current catalogue."""
        known = self.gateway.engine.products.index
        if not any(item_id in known for item_id in bundle.products.index):
            raise InputError(
                f"The bundle {bundle.id} ({bundle.options.dataset}) has no product of the current "
                "catalogue. It belongs to another shop. Start another service for it."
            )

    def _report(self, error: Exception) -> None:
        problem = str(error) if isinstance(error, InputError | StoreError) else type(error).__name__
        logger.error("the bundle cannot be loaded: %s", problem)
        self._state = replace(self._state, n_failed=self._state.n_failed + 1, problem=problem)
        if isinstance(error, StoreError):
            # The bundle is good. It is loaded when the database answers again.
            self._seen = None


def _read_clock() -> int:
    """Return the time, UTC milliseconds."""
    return time.time_ns() // 1_000_000

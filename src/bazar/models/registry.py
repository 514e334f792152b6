"""Registry of all models by name: the baselines, the trained networks, and the blend.

This module does not import TensorFlow. A run with only baselines does not load it. It imports SciPy
only when a baseline needs it: SciPy takes a third of the start of the online service.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar, get_args

import numpy as np

from bazar.config.models import (
    BASELINES,
    BaselineOptions,
    BlendComponent,
    BlendModel,
    BlendOptions,
)
from bazar.config.networks import NetworkOptions
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.blend import Blend, Component
from bazar.models.extended_catalogue import ExtendedCatalogueScorer
from bazar.models.nearest_titles import TitleIndex
from bazar.models.popularity import Popularity, RecentPopularity
from bazar.models.repurchase_timing import RepurchaseTiming
from bazar.models.scorer import Scorer

BLEND = "blend"
"""Name of the model that combines other models."""

NamedComponents = dict[str, tuple[BlendComponent, int]]
"""The components of a blend by name, each with the training seed of its network."""


class Network(Protocol):
    """A trained network: in Keras, or exported."""

    @property
    def options(self) -> NetworkOptions:
        """Options of the network."""
        ...

    def make_scorer(self, item_vectors: np.ndarray, index: TitleIndex | None) -> Scorer:
        """Return the scorer of the network.

        Args:
            item_vectors: shape (items + 1, dimension), float32, unit vectors; zeros if an item has
                no title.
            index: an index of the same vectors for a network with head ``vector``.
        """
        ...


N = TypeVar("N", bound=Network)


@dataclass(frozen=True)
class ModelRegistry:
    """Builds models by name, and builds each model only once.

    Attributes:
        item_vectors: shape (items + 1, dimension), float32, unit vectors; zeros if an item has no
            title.
        rows: histories and targets that the baselines are fitted to.
        counts: shape (items + 1,), int64, number of times each item occurs in ``rows``.
        recent_counts: the same for the most recent period.
        baseline_options: parameters of the baselines.
        read_network: function of the name of a model and a training seed that returns the network.
    """

    item_vectors: np.ndarray
    rows: Windows
    counts: np.ndarray
    recent_counts: np.ndarray
    baseline_options: BaselineOptions
    read_network: Callable[[str, int], Network]
    _scorers: dict[tuple[str, int], Scorer] = field(default_factory=dict, init=False, repr=False)
    # If several threads request the same model, one thread builds it and the others wait.
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models that can be built, including the blend."""
        return (BLEND, *get_args(BlendModel))

    def get_scorer(self, model: str, seed: int) -> Scorer:
        """Return a model. The first call builds it.

        Args:
            model: ``classifier``, ``regressor``, a baseline, or the file name of a network.
            seed: training seed of a network; baselines ignore it.

        Raises:
            InputError: if the network does not exist.
        """
        with self._lock:
            if (model, seed) not in self._scorers:
                self._scorers[model, seed] = self._build_scorer(model, seed)
            return self._scorers[model, seed]

    def share_baselines(self, fitted: "ModelRegistry") -> None:
        """Use the baselines that another registry has built, instead of fitting them again.

        Models that read titles are not shared.

        Args:
            fitted: a registry for the same interactions and for the first items of this catalogue.
        """
        n_items = len(self.counts)
        with fitted._lock:
            built = dict(fitted._scorers)
        for (model, seed), scorer in built.items():
            if isinstance(scorer, ExtendedCatalogueScorer):
                self._scorers[model, seed] = scorer.extend(n_items)
            elif model in BASELINES and scorer.informative_items is None:
                extended = ExtendedCatalogueScorer(scorer, len(fitted.counts), n_items)
                self._scorers[model, seed] = extended

    def build_components(self, named: NamedComponents) -> dict[str, Component]:
        """Return the components of a blend by name.

        Components that differ only in their history length share a model.
        """
        return {
            name: Component(self.get_scorer(component.model, seed), component.history_length)
            for name, (component, seed) in named.items()
        }

    def build_blend(self, options: BlendOptions, weights: Mapping[str, float], seed: int) -> Blend:
        """Return a blend of the components with a weight above 0.

        Args:
            options: options of the blend.
            weights: the chosen weights by the name of the component.
            seed: seed of the run.

        Raises:
            InputError: if the weights belong to other components.
        """
        named = name_components(options, seed)
        check_blend_weights(named, weights)
        return Blend(self.build_components(select_weighted_components(named, weights)), weights)

    @cached_property
    def _title_index(self) -> TitleIndex:
        """Search index of the title vectors. All models share it."""
        return TitleIndex(self.item_vectors)

    def _build_scorer(self, model: str, seed: int) -> Scorer:
        match model:
            case "popularity":
                return Popularity(self.counts)
            case "recent_popularity":
                return RecentPopularity(self.recent_counts, self.counts)
            case "repurchase_timing":
                timing = self.baseline_options.repurchase_timing
                return RepurchaseTiming(self.rows, self.counts, timing)
        if model in BASELINES:
            return self._build_sparse_baseline(model)
        network = self.read_network(model, seed)
        # Only a network that predicts title vectors needs the index.
        index = self._title_index if network.options.head == "vector" else None
        return network.make_scorer(self.item_vectors, index)

    def _build_sparse_baseline(self, model: str) -> Scorer:
        """Build a baseline that needs the sparse matrices of SciPy."""
        from bazar.models import baselines, personal_frequency, tifu_knn

        rows, counts, options = self.rows, self.counts, self.baseline_options
        builders: dict[str, Callable[[], Scorer]] = {
            "last_item_cooccurrence": lambda: baselines.LastItemCooccurrence(rows, counts),
            "decayed_cooccurrence": lambda: baselines.DecayedCooccurrence(
                rows, counts, options.decayed_cooccurrence
            ),
            "session_knn": lambda: baselines.SessionKnn(rows, counts, options.session_knn),
            "ease": lambda: baselines.Ease(rows, counts, options.ease),
            "nearest_titles": lambda: baselines.NearestTitles(self.item_vectors, self._title_index),
            "personal_frequency": lambda: personal_frequency.PersonalFrequency(counts),
            "recent_personal_frequency": lambda: personal_frequency.RecentPersonalFrequency(
                counts, options.recent_personal_frequency
            ),
            "tifu_knn": lambda: tifu_knn.TifuKnn(rows, counts, options.tifu_knn),
        }
        return builders[model]()


def name_components(blend: BlendOptions, seed: int) -> NamedComponents:
    """Return the components of a blend by name: first those of the run's seed, then other seeds."""
    named = {component.name: (component, seed) for component in blend.components}
    for other_seed in blend.seeds:
        named |= {
            f"{component.name}, seed {other_seed}": (component, other_seed)
            for component in blend.components
            if component.is_network and other_seed != seed
        }
    return named


def check_blend_weights(named: NamedComponents, weights: Mapping[str, float]) -> None:
    """Raise InputError if blend weights belong to other components.

    Raises:
        InputError: if the names of the weights and of the components differ.
    """
    if set(weights) != set(named):
        raise InputError(
            "The weights of the blend do not match its parameters. They were chosen for\n"
            f"  {'; '.join(weights)}\nThe parameters have\n  {'; '.join(named)}\n"
            "Run the pipeline modelling_blend again, or restore the components and seeds of the "
            "weights."
        )


def select_weighted_components(
    named: NamedComponents, weights: Mapping[str, float]
) -> NamedComponents:
    """Return the components with a weight above 0."""
    return {name: named[name] for name, weight in weights.items() if weight > 0}


def get_network_path(model: str, seed: int) -> str:
    """Return the path of a network file without its suffix, relative to the folder of a split.

    Args:
        model: ``classifier``, ``regressor``, or a file name.
        seed: training seed of the network.
    """
    return f"seed_{seed}/{model.removesuffix('.keras')}"


def make_network_reader(networks: Mapping[str, Callable[[], N]]) -> Callable[[str, int], N]:
    """Return a function that loads the trained network of a model and a seed.

    Args:
        networks: functions that load the networks, by the result of :func:`get_network_path`.

    Returns:
        The function. It raises InputError if the network does not exist.
    """

    def read_network(model: str, seed: int) -> N:
        path = get_network_path(model, seed)
        if path in networks:
            return networks[path]()
        if model.endswith(".keras"):
            raise InputError(
                f"blend.components: {path}.keras is not among the trained networks. Copy it "
                "and its .sha256 file to the folder of this split in data/06_models, or remove the "
                "component."
            )
        raise InputError(
            f"There is no {model} with seed {seed}. Train it with "
            f"'kedro run --pipelines modelling_{model} --params seed={seed}' (and the same --env "
            "and split), or remove the model or its seed from the parameters."
        )

    return read_network

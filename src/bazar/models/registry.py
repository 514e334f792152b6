"""Every model that there is, by its name: networks that were trained, and baselines that count."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from bazar.config.base import DEFAULT_SEED
from bazar.config.models import BaselineOptions, BlendComponent, BlendModel, BlendOptions
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models import baselines
from bazar.models import blend as blending
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import make_scorer
from bazar.models.scorer import Scorer

BLEND = "blend"
"""The model that is made of others."""

Named = dict[str, tuple[BlendComponent, int]]
"""Components of a blend by what they are called, each with the seed of its training."""


ReadNetwork = Callable[[str, int], RecurrentNetwork]
"""Reads the network of a model that was trained with a seed, for the catalogue that there is."""


@dataclass(frozen=True)
class ModelRegistry:
    """What models are made of.

    Attributes:
        item_vectors: shape (items + 1, dimension), float32, unit vectors, zeros where an item has
            no title.
        rows: what baselines count in: histories and the purchases after them.
        counts: shape (items + 1,), int64, times that each item stands in ``rows``.
        recent_counts: the same of its most recent period alone.
        options: parameters of the baselines.
        read_network: reads trained networks.
    """

    item_vectors: np.ndarray
    rows: Windows
    counts: np.ndarray
    recent_counts: np.ndarray
    options: BaselineOptions
    read_network: ReadNetwork
    _made: dict[tuple[str, int], Scorer] = field(default_factory=dict, init=False, repr=False)
    # Threads of a service that ask for a model at once wait for one to be made.
    _making: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """What can be made, the blend included."""
        return (BLEND, *get_args(BlendModel))

    def make(self, model: str, seed: int) -> Scorer:
        """Make a model, or give what was made of it before: on its own and in a blend it is one.

        Args:
            model: ``classifier``, ``regressor``, a baseline, or the file of a network.
            seed: of the training of a network.
        """
        made: dict[str, Callable[[], Scorer]] = {
            "popularity": lambda: baselines.Popularity(self.counts),
            "recent_popularity": lambda: baselines.RecentPopularity(
                self.recent_counts, self.counts
            ),
            "last_item_cooccurrence": lambda: baselines.LastItemCooccurrence(
                self.rows, self.counts
            ),
            "decayed_cooccurrence": lambda: baselines.DecayedCooccurrence(
                self.rows, self.counts, self.options.decayed_cooccurrence
            ),
            "session_knn": lambda: baselines.SessionKnn(
                self.rows, self.counts, self.options.session_knn
            ),
            "ease": lambda: baselines.Ease(self.rows, self.counts, self.options.ease),
            "nearest_titles": lambda: baselines.NearestTitles(self.item_vectors),
        }
        with self._making:
            if (model, seed) not in self._made:
                self._made[model, seed] = (
                    made[model]()
                    if model in made
                    else make_scorer(self.read_network(model, seed), self.item_vectors)
                )
            return self._made[model, seed]

    def components(self, named: Named) -> dict[str, blending.Component]:
        """Make components, each model once, over whichever lengths of history it is blended."""
        return {
            name: blending.Component(self.make(component.model, seed), component.history_length)
            for name, (component, seed) in named.items()
        }

    def blend(
        self, options: BlendOptions, weights: Mapping[str, float], seed: int
    ) -> blending.Blend:
        """Make the blend; components of weight 0 are not made.

        Args:
            options: what is blended.
            weights: that were chosen, by the name of the component.
            seed: of the run.

        Raises:
            InputError: if the weights were chosen for other components.
        """
        named = name_components(options, seed)
        check_weights(named, weights)
        return blending.Blend(self.components(select_weighted(named, weights)), weights)

    def count_parameters(self, named: Named) -> int:
        """Parameters of the networks among the components, each network once."""
        models = {(one.model, seed) for one, seed in named.values() if one.is_network}
        return sum(self.read_network(model, seed).count_trainable() for model, seed in models)


def name_components(blend: BlendOptions, seed: int) -> Named:
    """Name the components, those of other seeds after the run's own."""
    named = {component.name: (component, seed) for component in blend.components}
    for other in blend.seeds:
        named |= {
            f"{component.name}, seed {other}": (component, other)
            for component in blend.components
            if component.is_network and other != seed
        }
    return named


def check_weights(named: Named, weights: Mapping[str, float]) -> None:
    """Refuse weights that were chosen for other components.

    Raises:
        InputError: naming both.
    """
    if set(weights) != set(named):
        raise InputError(
            f"the weights of the blend were chosen for\n  {'; '.join(weights)}\nand blend names\n"
            f"  {'; '.join(named)}\nRun the pipeline modelling_blend again with these, or this one "
            "with those"
        )


def select_weighted(named: Named, weights: Mapping[str, float]) -> Named:
    """Return the components with a weight above 0."""
    return {name: named[name] for name, weight in weights.items() if weight > 0}


def get_network_path(model: str, seed: int) -> str:
    """The file of a network, as a path within the folder of results, without its suffix.

    Args:
        model: ``classifier``, ``regressor``, or the name of a file.
        seed: of its training.
    """
    name = model.removesuffix(".keras")
    return name if seed == DEFAULT_SEED else f"seed_{seed}/{name}"


Networks = dict[str, Callable[[], RecurrentNetwork]]
"""What reads each network, by its path within the folder of results."""


def make_network_reader(
    own: dict[str, RecurrentNetwork], seed: int, networks: Networks
) -> ReadNetwork:
    """Make what reads the networks of any seed.

    Args:
        own: those of the run's own seed.
        seed: the run's own.
        networks: what reads each network, by its path within the folder of results.
    """

    def read(model: str, of_seed: int) -> RecurrentNetwork:
        if of_seed == seed and model in own:
            return own[model]
        file = get_network_path(model, of_seed)
        if file not in networks and model not in own:
            raise InputError(
                f"blend.components: there is no {file}.keras among the trained networks\nPut it "
                "and its .sha256 into the folder of this run in data/06_models, or leave it out"
            )
        if file not in networks:
            raise InputError(
                f"blend.seeds: there is no {model} of seed {of_seed}\nTrain it with "
                f"kedro run --pipelines modelling_{model} --params seed={of_seed} (and the --env "
                "and split of this run), or leave the seed out"
            )
        return networks[file]()

    return read

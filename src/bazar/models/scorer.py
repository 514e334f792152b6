"""Whatever can score the catalogue for a history; the baselines are in :mod:`bazar.baselines`."""

from typing import Protocol

import numpy as np

from bazar.data.windows import Windows


class Scorer(Protocol):
    """Scores every item for every history.

    Attributes:
        telling: shape (items + 1,), bool, items of a history that say anything to the model: of a
            history without one, nothing is known. None where every item does.
    """

    informative_items: np.ndarray | None

    def score(self, windows: Windows) -> np.ndarray:
        """Score the catalogue.

        Args:
            windows: rows of histories; targets and what was seen before are not looked at.

        Returns:
            shape (rows, items + 1), float32, higher is better; ``-inf`` where the model has
            no means to recommend an item. Column 0 (padding) means nothing.
        """
        ...

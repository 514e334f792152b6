"""Next-purchase recommendation for an online store."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bazar.serving.recommender import Recommender


__version__ = "0.2.0"
__all__ = ["Recommender"]


def __getattr__(name: str) -> Any:
    # The libraries that a Recommender needs take seconds to import. `import bazar` does not wait.
    if name == "Recommender":
        from bazar.serving.recommender import Recommender

        return Recommender
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

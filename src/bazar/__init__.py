"""Next-purchase recommendation for an online store."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bazar.serving.recommender import Recommender


__version__ = "0.1.0"
__all__ = ["Recommender"]


def __getattr__(name: str) -> Any:
    # TensorFlow takes seconds to import: only who recommends waits for it.
    if name == "Recommender":
        from bazar.serving.recommender import Recommender

        return Recommender
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

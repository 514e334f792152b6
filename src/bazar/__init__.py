"""Next-purchase recommendation for an online store."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bazar.recommender import Recommender

__version__ = "0.1.0"
__all__ = ["Recommender"]


def __getattr__(name: str) -> Any:
    # TensorFlow takes seconds to import: only who recommends waits for it.
    if name == "Recommender":
        from bazar.recommender import Recommender  # noqa: PLC0415

        return Recommender
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

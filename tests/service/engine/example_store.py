"""A small grocer with known answers, answered by baselines alone."""

import zlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from bazar.config.recommendation import BundleOptions
from bazar.data.catalogue import Products
from bazar.data.counts import count_interactions
from bazar.data.sequences import Sequences
from bazar.data.vector_search import normalize_rows
from bazar.data.windows import build_full_histories
from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import Visitor
from bazar.service.live import EventType, LiveEvent
from bazar.serving.bundle import Bundle
from tests.serving.baseline_options import BASELINE_OPTIONS

DAY = 86_400_000
START = 1_700_000_000_000
DIMENSION = 64
LAST_DAY = 90

_TITLES = {
    "milk": ("Whole Milk 1 l", "Dairy, Alpina"),
    "coffee": ("Roasted Coffee Beans 500 g", "Drinks, Kanto"),
    "bread": ("Sourdough Bread", "Bakery, Miller"),
    "butter": ("Salted Butter 250 g", "Dairy, Alpina"),
    "jam": ("Strawberry Jam", "Spreads, Miller"),
    "lamp": ("LED Torch", "Household, Lumen"),
    "couch": ("Couch Cover Grey", "Household, Lumen"),
    "shampoo": ("Herbal Shampoo Rosemary 250 ml", "Care, Flora"),
    "shampoo-l": ("Herbal Shampoo Rosemary 500 ml", "Care, Flora"),
    "shampoo-xl": ("Herbal Shampoo Rosemary 1000 ml", "Care, Flora"),
    "soap": ("Lavender Soap", "Care, Flora"),
    "moisturiser": ("Day Moisturiser Rice Water", "Care, Flora"),
    "untitled": (None, None),
}
ITEM_IDS = [*_TITLES, *(f"misc{number:02}" for number in range(17))]
VARIANT_GROUPS = {"shampoo": "shampoo", "shampoo-l": "shampoo", "shampoo-xl": "shampoo"}
# Words that mean the same: the encoder gives them the same vector.
_SYNONYMS = {"sofa": "couch", "flashlight": "torch"}

OPTIONS = BundleOptions.model_validate(
    {
        "dataset": "grocer",
        "split": "auto",
        "seed": 42,
        "models": ["decayed_cooccurrence", "nearest_titles", "repurchase_timing"],
        "filter_seen": False,
        "blend": {
            "components": [{"model": "decayed_cooccurrence"}], "seeds": [], "rows": 10,
            "rounds": 1, "seed": 1,
        },
        "weights": {},
        "embedded_text": "title",
        "live_sequence": 0,
        "baselines": BASELINE_OPTIONS,
    }
)  # fmt: skip


def encode(texts: Sequence[str]) -> np.ndarray:
    """Return the unit mean of one random vector per word."""
    vectors = np.zeros((len(texts), DIMENSION), np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            seed = zlib.crc32(_SYNONYMS.get(word, word).encode())
            vectors[row] += np.random.default_rng(seed).normal(size=DIMENSION)
    return normalize_rows(vectors)


def list_orders() -> dict[str, list[tuple[int, list[str]]]]:
    """Return the orders of each user: the day, and the products."""
    rng = np.random.default_rng(5)
    orders: dict[str, list[tuple[int, list[str]]]] = {
        "alice": [
            (day, ["milk", *(["coffee"] if day in (0, 28, 56) else [])]) for day in range(0, 85, 7)
        ],
        "bob": [(3, ["bread", "butter", "jam"]), (50, ["lamp"])],
    }
    for user in range(30):
        days = sorted(rng.choice(LAST_DAY, 3, replace=False).tolist())
        baskets = [
            ["bread", "butter"] if rng.random() < 0.7 else [str(rng.choice(ITEM_IDS))] for _ in days
        ]
        if user % 4 == 0:
            baskets[-1] = ["bread", "butter", "jam"]
        orders[f"u{user:02}"] = list(zip(days, baskets, strict=True))
    # Every product is bought at least once.
    orders["zoe"] = [(day, [item]) for day, item in enumerate(ITEM_IDS)]
    return orders


def make_bundle(has_clock: bool = True) -> Bundle:
    orders = list_orders()
    index = {item_id: number for number, item_id in enumerate(ITEM_IDS, start=1)}
    items, numbers, times, starts = [], [], [], [0]
    n_orders = 0
    for user_orders in orders.values():
        for day, basket in user_orders:
            items += [index[item_id] for item_id in basket]
            numbers += [n_orders] * len(basket)
            times += [START + day * DAY] * len(basket)
            n_orders += 1
        starts.append(len(items))
    sequences = Sequences(
        pa.array(list(orders), pa.large_string()),
        np.array(items, np.int32),
        np.array(starts, np.int64),
        orders=np.array(numbers, np.int32),
        timestamps=np.array(times, np.int64) if has_clock else None,
    )
    counts, recent = count_interactions(sequences, len(ITEM_IDS), 0.2)
    titles = [_TITLES.get(item_id, (f"Thing {item_id}", "Misc"))[0] for item_id in ITEM_IDS]
    attributes = [_TITLES.get(item_id, ("", "Misc"))[1] for item_id in ITEM_IDS]
    vectors = np.vstack([np.zeros((1, DIMENSION), np.float32), encode([t or "" for t in titles])])
    products = Products(
        np.array(["", *ITEM_IDS], object),
        np.array([None, *titles], object),
        np.array([None, *attributes], object),
        counts,
        recent,
        vectors,
        np.array([None, *(VARIANT_GROUPS.get(item_id) for item_id in ITEM_IDS)], object),
    )
    return Bundle(OPTIONS, products, build_full_histories(sequences, history_length=20), {})


def make_engine(**options: object) -> Engine:
    settings = {"encode": encode} | options
    return Engine(make_bundle(), "bundle-1", **settings)  # type: ignore[arg-type]


def at_day(day: float) -> int:
    """Return a time, UTC milliseconds."""
    return START + round(day * DAY)


def make_event(kind: EventType, item_id: str, day: float, order: str | None = None) -> LiveEvent:
    return LiveEvent(kind, item_id, at_day(day), order)


def visit(*events: LiveEvent, user_id: str | None = None) -> Visitor:
    return Visitor(user_id=user_id, events=tuple(sorted(events, key=lambda e: e.timestamp)))

"""A made-up cosmetics shop of any size, in the file formats of Amazon Reviews 2023.

``python -m bazar.sample_store --output-dir data/01_raw/sample`` writes the store that the project
ships. Its customers follow care routines step by step, buy again what is used up, stay with a
brand and a shade, buy sunscreen in summer and gifts in December: a model of sequences can learn
that, a list of popular products cannot. One seed gives the same files, byte for byte.
"""

import argparse
import gzip
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from tqdm import tqdm

REVIEWS_FILE = "All_Beauty.jsonl.gz"
PRODUCTS_FILE = "meta_All_Beauty.jsonl.gz"

_FIRST_MS = int(datetime(2021, 1, 1, tzinfo=UTC).timestamp() * 1000)
_DAY_MS = 86_400_000
_DAYS = 3 * 365
_LATE_DAYS = 180
"""New products appear within this many days of the end."""
_CUSTOMERS_AT_A_TIME = 20_000
_REFILL_AFTER_DAYS = 45

# What a customer does next, as shares that add up to 1.
_NEXT_STEP, _REFILL, _SAME_BRAND, _OTHER_BRAND, _ON_A_WHIM = 0.62, 0.10, 0.12, 0.08, 0.08
_SUMMER_SUNSCREEN, _DECEMBER_GIFT = 0.25, 0.30
_NEXT_LINE = 0.7
"""Share of those who finish a routine that go on with the brand's next one."""

# fmt: off
_BRANDS = [
    "Velmora", "Ombravelle", "Nuvessa", "Tirelune", "Caldrise", "Fennavie", "Ruvaline",
    "Solmere", "Brunelis", "Ashkari", "Petravelle", "Lumisette", "Orvanna", "Quillaya",
    "Zephyrine", "Marivolt", "Dewkind", "Halvetia", "Isolanthe", "Kervaille", "Tasmirel",
    "Oriveda",
]
_SYLLABLES = [
    "bel", "cor", "dan", "fel", "gri", "hol", "jun", "kel", "lor", "mir", "nav", "ost",
    "pel", "quin", "rav", "sol", "tam", "vel", "win", "zar",
]
_SKIN = [
    "Rose Petal", "Green Tea", "Oat Milk", "Sea Mineral", "Honey Calendula",
    "Vitamin C Glow", "Cucumber", "Birch Sap", "Rice Water", "Blue Algae", "Apricot Seed",
    "White Clay",
]
_HAIR = [
    "Argan", "Coconut", "Nettle", "Biotin", "Macadamia", "Chamomile", "Keratin",
    "Black Seed",
]
_MAKEUP = [
    "Silk Veil", "Soft Matte", "Second Skin", "Satin Light", "Airbrush", "Mineral Touch",
]
_NAILS = [
    "Gloss Lab", "Quick Dry", "Gel Effect", "Crystal",
]
_BODY = [
    "Fig Leaf", "White Musk", "Orange Blossom", "Cedar and Sage", "Vanilla Bean",
    "Lavender Field",
]
_SKIN_TYPES = [
    "Dry Skin", "Oily Skin", "Sensitive Skin", "Normal Skin", "Mature Skin",
]
_SHADES = [
    "01 Porcelain", "02 Ivory", "03 Warm Sand", "04 Honey", "05 Caramel", "06 Espresso",
]
_POLISHES = [
    "Cherry Red", "Dusty Pink", "Midnight Blue", "Nude Beige", "Plum",
]
# fmt: on

# (step, sizes) of each routine, in the order in which they are bought.
_ROUTINES = {
    "skin": (
        ("Gentle Cleanser", "150 ml"),
        ("Hydrating Toner", "200 ml"),
        ("Repair Serum", "30 ml"),
        ("Day Moisturiser", "50 ml"),
        ("Sunscreen SPF 50", "75 ml"),
    ),
    "hair": (
        ("Shampoo", "250 ml"),
        ("Conditioner", "250 ml"),
        ("Hair Mask", "200 ml"),
        ("Finishing Oil", "100 ml"),
    ),
    "makeup": (("Foundation", "30 ml"), ("Concealer", "7 ml"), ("Pressed Powder", "9 g")),
    "nails": (("Base Coat", "11 ml"), ("Nail Polish", "11 ml"), ("Top Coat", "11 ml")),
    "body": (("Shower Gel", "300 ml"), ("Body Lotion", "400 ml"), ("Eau de Toilette", "50 ml")),
    "gift": (("Gift Set", "4 pieces"),),
}
_CATEGORIES = {
    "skin": "Skin Care",
    "hair": "Hair Care",
    "makeup": "Makeup",
    "nails": "Nails",
    "body": "Bath & Body",
    "gift": "Gift Sets",
}
_PER_BRAND = ("skin", "hair", "makeup", "skin", "body", "nails", "skin", "gift")
_N_SHADES = {"makeup": 4, "nails": 2}


class StoreOptions(BaseModel):
    """Size of the shop, and how dirty its files are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    products: int = Field(default=800, ge=60)
    customers: int = Field(default=3_000, ge=1)
    interactions: int = Field(default=25_000, ge=1)
    seed: int = Field(default=7, ge=0)
    dirt_share: float = Field(default=0.005, ge=0, le=0.5)
    """Unusable or doubled lines, as a share of the good ones, in each file."""

    @model_validator(mode="after")
    def _everybody_buys(self) -> "StoreOptions":
        if self.interactions < self.customers:
            raise ValueError("interactions must be at least customers: everybody buys once")
        return self


class StoreSummary(BaseModel):
    """What was written.

    Attributes:
        reviews: usable lines of the reviews' file, each once.
        products: usable lines of the products' file, each once.
        review_dirt: further lines of the reviews' file, by kind.
        product_dirt: further lines of the products' file, by kind.
        untitled: products whose title is null or blank.
        unsold: ids of products that nobody bought.
    """

    model_config = ConfigDict(frozen=True)

    reviews: int
    products: int
    review_dirt: dict[str, int]
    product_dirt: dict[str, int]
    untitled: int
    unsold: list[str]


class _Catalogue:
    """The products, and the routines that they belong to.

    A family is a routine of a brand in all its shades. All arrays are indexed by product,
    family or brand, from 0.
    """

    def __init__(self, options: StoreOptions, rng: np.random.Generator) -> None:
        self.n_unsold = max(10, options.products // 100)
        sold = options.products - self.n_unsold
        self.titles: list[str] = []
        self.brands: list[str] = []
        self.categories: list[str] = []
        family_first, family_steps, family_shades, family_brand = [], [], [], []
        self.gift_of_brand: list[int] = []
        self.sunscreen_of_brand: list[int] = []
        for brand, name in enumerate(_brand_names()):
            if len(self.titles) >= sold:
                break
            used = Counter[str]()
            sunscreen = gift = len(self.titles)
            for kind in _PER_BRAND:
                line = self._line(kind, brand, used[kind])
                used[kind] += 1
                shades = _N_SHADES.get(kind, 1)
                steps = _ROUTINES[kind]
                if len(self.titles) + shades * len(steps) > sold:
                    steps, shades = (("Travel Kit", "5 pieces"),), sold - len(self.titles)
                if not shades:
                    continue
                family_first.append(len(self.titles))
                family_steps.append(len(steps))
                family_shades.append(shades)
                family_brand.append(brand)
                for shade in range(shades):
                    for step, size in steps:
                        if step.startswith("Sunscreen") and sunscreen < family_first[-1]:
                            sunscreen = len(self.titles)
                        if step == "Gift Set":
                            gift = len(self.titles)
                        variant = self._variant(kind, step, brand + used[kind] - 1, shade)
                        self._add(name, f"{line} {step}", variant, size, kind)
            self.gift_of_brand.append(gift)
            self.sunscreen_of_brand.append(sunscreen)
        self.family_first = np.array(family_first)
        self.family_steps = np.array(family_steps)
        self.family_shades = np.array(family_shades)
        self.family_brand = np.array(family_brand)
        self.n_sold = len(self.titles)
        for number in range(self.n_unsold):
            name = self.brands[number * 37 % self.n_sold]
            line = _BODY[number % len(_BODY)]
            self._add(name, f"{line} Bath Salts", f"New No. {number + 1}", "500 g", "body")

        # Moderate: the first families are some times, not hundreds of times, the last ones.
        n_families = len(self.family_first)
        rank = rng.permutation(n_families) + 1
        self.family_weight = rank**-0.6 / (rank**-0.6).sum()
        late = rng.random(n_families) < 0.06
        late[0] = False
        self.release_day = np.where(late, _DAYS - rng.integers(5, _LATE_DAYS, n_families), 0)
        self.first_family = np.searchsorted(self.family_brand, np.arange(len(self.gift_of_brand)))
        self.n_families_of_brand = np.bincount(self.family_brand)
        self.item_ids = _item_ids(len(self.titles), rng)

    @staticmethod
    def _line(kind: str, brand: int, use: int) -> str:
        names = {
            "skin": _SKIN, "hair": _HAIR, "makeup": _MAKEUP, "nails": _NAILS, "body": _BODY,
            "gift": _BODY,
        }[kind]  # fmt: skip
        return names[(brand * 5 + use * 7) % len(names)]

    @staticmethod
    def _variant(kind: str, step: str, place: int, shade: int) -> str:
        if step == "Travel Kit":
            return f"Edition {shade + 1}"
        if kind == "makeup":
            return _SHADES[shade]
        if kind == "nails":
            return _POLISHES[(place + shade) % len(_POLISHES)]
        return _SKIN_TYPES[place % len(_SKIN_TYPES)] if kind == "skin" else ""

    def _add(self, brand: str, product: str, variant: str, size: str, kind: str) -> None:
        self.titles.append(
            ", ".join(part for part in (f"{brand} {product}", variant, size) if part)
        )
        self.brands.append(brand)
        self.categories.append(_CATEGORIES[kind])


def generate(output_dir: Path, options: StoreOptions) -> StoreSummary:
    """Write the shop's two files.

    Each is written beside its place and renamed when it is whole. Memory is bounded: customers
    are made a group at a time.

    Args:
        output_dir: folder of the files; made if it is missing.
        options: size and dirt.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([options.seed, 0])
    catalogue = _Catalogue(options, rng)
    bought = np.zeros(len(catalogue.titles), bool)
    review_dirt = Counter[str]()
    lengths = _lengths(options, rng)
    level = 6 if options.interactions <= 100_000 else 1
    with (
        _whole_gzip(output_dir / REVIEWS_FILE, level) as reviews,
        tqdm(total=options.interactions, unit="row", unit_scale=True, mininterval=1) as progress,
    ):
        for group, first in enumerate(range(0, options.customers, _CUSTOMERS_AT_A_TIME)):
            own = np.random.default_rng([options.seed, 1, group])
            customers, items, times = _purchases(
                catalogue, lengths[first : first + _CUSTOMERS_AT_A_TIME], own
            )
            bought[items] = True
            lines = _review_lines(catalogue, customers, items, times, own)
            dirty = _dirty_reviews(lines, options.dirt_share, own, review_dirt)
            # As in the real files: a customer's lines together, in no order of time.
            places = own.permutation(int(customers.max()) + 1)[customers]
            anywhere = own.integers(0, len(lengths), len(dirty))
            keys = np.concatenate([places, anywhere])
            every = np.array(lines + dirty, dtype=object)
            reviews.write("".join(every[np.lexsort((own.random(len(keys)), keys))]).encode())
            progress.update(len(lines))
    product_dirt = Counter[str]()
    lines, untitled = _product_lines(catalogue, options, rng, product_dirt)
    with _whole_gzip(output_dir / PRODUCTS_FILE, level) as products:
        products.write("".join(lines).encode())
    return StoreSummary(
        reviews=options.interactions,
        products=len(catalogue.titles),
        review_dirt=dict(review_dirt),
        product_dirt=dict(product_dirt),
        untitled=untitled,
        unsold=[str(catalogue.item_ids[item]) for item in np.flatnonzero(~bought)],
    )


def _purchases(
    catalogue: _Catalogue, lengths: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a group of customers buys, one purchase of each customer at a time.

    Args:
        catalogue: the products.
        lengths: purchases of each customer, shape (customers,).
        rng: the group's own generator.

    Returns:
        Customer, product and time (UTC milliseconds) of each purchase, in one order.
    """
    n, longest = len(lengths), int(lengths.max())
    customers = np.repeat(np.arange(n), lengths)
    joined = rng.random(n) * 0.7 * _DAYS
    days = joined[customers] + rng.random(len(customers)) * (_DAYS - joined)[customers]
    days = days[np.lexsort((days, customers))]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])

    items = np.zeros(len(customers), np.int64)
    family = np.zeros(n, np.int64)
    step = np.zeros(n, np.int64)
    shade = rng.integers(0, 12, n)
    for purchase in range(longest):
        who = np.flatnonzero(lengths > purchase)
        place = starts[who] + purchase
        day = days[place]
        if purchase == 0:
            family[who] = _pick_family(catalogue, day, rng)
            now_family, now_step = family[who], np.zeros(len(who), np.int64)
        else:
            now_family, now_step = _next(catalogue, family[who], step[who], day, rng)
        choice = _product(catalogue, now_family, now_step, shade[who])

        draw = rng.random(len(who))
        whim = draw < _ON_A_WHIM
        other = _pick_family(catalogue, day, rng)
        other_step = rng.integers(0, catalogue.family_steps[other])
        choice[whim] = _product(catalogue, other, other_step, shade[who])[whim]

        # What was bought some purchases ago is used up, if enough time has passed.
        back = np.maximum(purchase - rng.integers(2, 7, len(who)), 0)
        before = starts[who] + back
        used_up = (day - days[before] > _REFILL_AFTER_DAYS) & (purchase > 0)
        refill = used_up & (draw > 1 - _REFILL)
        choice[refill] = items[before][refill]

        month = ((day % 365) // 30.5).astype(np.int64)
        brand = catalogue.family_brand[now_family]
        season = rng.random(len(who))
        summer = (month >= 5) & (month <= 7) & (season < _SUMMER_SUNSCREEN)
        choice[summer] = np.array(catalogue.sunscreen_of_brand)[brand][summer]
        december = (month == 11) & (season < _DECEMBER_GIFT)
        choice[december] = np.array(catalogue.gift_of_brand)[brand][december]

        # A whim, a refill or a gift does not change where the customer is in the routine.
        follows = ~(whim | refill | summer | december) | (purchase == 0)
        family[who[follows]] = now_family[follows]
        step[who[follows]] = now_step[follows]
        items[place] = choice
    times = _FIRST_MS + (days * _DAY_MS).astype(np.int64)
    return customers, items, times


def _next(
    catalogue: _Catalogue,
    family: np.ndarray,
    step: np.ndarray,
    day: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The next step of each customer's routine, or the first of another one."""
    total = _NEXT_STEP + _SAME_BRAND + _OTHER_BRAND
    draw = rng.random(len(family)) * total
    brand = catalogue.family_brand[family]
    within = family - catalogue.first_family[brand]
    count = catalogue.n_families_of_brand[brand]

    finished = step + 1 >= catalogue.family_steps[family]
    goes_on = rng.random(len(family)) < _NEXT_LINE
    following = catalogue.first_family[brand] + (within + 1) % count
    anywhere = catalogue.first_family[brand] + rng.integers(0, count)
    new_family = np.where(finished, np.where(goes_on, following, anywhere), family)
    new_step = np.where(finished, 0, step + 1)

    same_brand = (draw >= _NEXT_STEP) & (draw < _NEXT_STEP + _SAME_BRAND)
    new_family = np.where(same_brand, anywhere, new_family)
    other = draw >= _NEXT_STEP + _SAME_BRAND
    new_family = np.where(other, _pick_family(catalogue, day, rng), new_family)
    new_step = np.where(same_brand | other, 0, new_step)

    early = catalogue.release_day[new_family] > day
    new_family = np.where(early, family, new_family)
    return new_family, np.where(
        early, np.minimum(step, catalogue.family_steps[family] - 1), new_step
    )


def _pick_family(catalogue: _Catalogue, day: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A routine by popularity, among those on sale on the day."""
    edges = np.cumsum(catalogue.family_weight)
    picked = np.minimum(np.searchsorted(edges, rng.random(len(day))), len(edges) - 1)
    return np.where(catalogue.release_day[picked] > day, 0, picked)


def _product(
    catalogue: _Catalogue, family: np.ndarray, step: np.ndarray, shade: np.ndarray
) -> np.ndarray:
    """The product at a step of a routine, in the customer's shade."""
    steps = catalogue.family_steps[family]
    own_shade = shade % catalogue.family_shades[family]
    return catalogue.family_first[family] + own_shade * steps + step


def _lengths(options: StoreOptions, rng: np.random.Generator) -> np.ndarray:
    """Purchases of each customer: one, and a long-tailed share of the rest."""
    weights = rng.gamma(1.2, size=options.customers)
    more = rng.multinomial(options.interactions - options.customers, weights / weights.sum())
    return 1 + more


def _review_lines(
    catalogue: _Catalogue,
    customers: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    rng: np.random.Generator,
) -> list[str]:
    alphabet = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
    letters = alphabet[rng.integers(0, 32, (int(customers.max()) + 1, 27))]
    users = ["A" + "".join(row) for row in letters]
    ratings = rng.choice([5.0, 4.0, 3.0, 2.0, 1.0], len(items), p=[0.62, 0.2, 0.08, 0.04, 0.06])
    names = {5.0: "Love it", 4.0: "Good", 3.0: "It is fine", 2.0: "Not for me", 1.0: "Sent back"}
    verified = rng.random(len(items)) < 0.93
    ids = catalogue.item_ids
    return [
        f'{{"rating": {rating}, "title": "{names[rating]}", "text": "", "images": [], '
        f'"asin": "{ids[item]}", "parent_asin": "{ids[item]}", "user_id": "{users[customer]}", '
        f'"timestamp": {time}, "helpful_vote": 0, '
        f'"verified_purchase": {"true" if sure else "false"}}}\n'
        for customer, item, time, rating, sure in zip(
            customers.tolist(), items.tolist(), times.tolist(), ratings.tolist(), verified.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def _dirty_reviews(
    lines: list[str], share: float, rng: np.random.Generator, counts: Counter[str]
) -> list[str]:
    """Spoiled copies of good lines, every kind as often as the others."""
    kinds = [
        "broken line", "not JSON", "null user_id", "empty parent_asin", "no parent_asin",
        "timestamp 0", "negative timestamp", "timestamp in 2190", "duplicate",
    ]  # fmt: skip
    chosen = rng.integers(0, len(lines), round(share * len(lines)))
    dirty = []
    for number, line in enumerate(lines[place] for place in chosen):
        kind = kinds[number % len(kinds)]
        counts[kind] += 1
        if kind == "duplicate":
            dirty.append(line)
        elif kind == "broken line":
            dirty.append(line[: len(line) // 2] + "\n")
        elif kind == "not JSON":
            dirty.append("<html>503 Service Unavailable</html>\n")
        else:
            record = json.loads(line)
            if kind == "no parent_asin":
                del record["parent_asin"]
            else:
                key, value = {
                    "null user_id": ("user_id", None),
                    "empty parent_asin": ("parent_asin", ""),
                    "timestamp 0": ("timestamp", 0),
                    "negative timestamp": ("timestamp", -record["timestamp"]),
                    "timestamp in 2190": ("timestamp", 6_942_672_000_000),
                }[kind]
                record[key] = value
            dirty.append(json.dumps(record) + "\n")
    return dirty


def _product_lines(
    catalogue: _Catalogue,
    options: StoreOptions,
    rng: np.random.Generator,
    counts: Counter[str],
) -> tuple[list[str], int]:
    """Lines of the products' file, shuffled, and how many products have no title."""
    n = len(catalogue.titles)
    n_dirty = round(options.dirt_share * n)
    untitled = set(rng.choice(catalogue.n_sold, n_dirty, replace=False).tolist())
    prices = np.round(rng.gamma(4, 5, n) + 2.5, 2)
    lines = []
    for item, title in enumerate(catalogue.titles):
        missing = None if item % 2 else "   "
        record = {
            "main_category": "All Beauty",
            "title": missing if item in untitled else title,
            "average_rating": 4.3,
            "rating_number": 0,
            "features": [],
            "description": [],
            "price": float(prices[item]),
            "images": [],
            "videos": [],
            "store": catalogue.brands[item],
            "categories": [catalogue.categories[item]],
            "details": {"Brand": catalogue.brands[item]},
            "parent_asin": str(catalogue.item_ids[item]),
        }
        lines.append(json.dumps(record) + "\n")
    kinds = itertools.cycle(["broken line", "null parent_asin", "duplicate"])
    for item, kind in zip(rng.integers(0, n, n_dirty).tolist(), kinds, strict=False):
        counts[kind] += 1
        line = lines[item]
        if kind == "broken line":
            line = line[: len(line) // 2] + "\n"
        elif kind == "null parent_asin":
            line = json.dumps(json.loads(line) | {"parent_asin": None}) + "\n"
        lines.append(line)
    order = rng.permutation(len(lines))
    return [lines[place] for place in order], len(untitled)


def _brand_names() -> Iterator[str]:
    yield from _BRANDS
    for number in itertools.count(2):
        for syllables in itertools.product(_SYLLABLES, repeat=number):
            yield "".join(syllables).capitalize()


def _item_ids(count: int, rng: np.random.Generator) -> np.ndarray:
    """Distinct ids of ten characters; one in twenty is digits that begin with 0."""
    digits = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    numbers = rng.choice(10**8, count, replace=False)
    numeric = rng.random(count) < 0.05
    numeric[0] = True
    ids = []
    for number, only_digits in zip(numbers.tolist(), numeric.tolist(), strict=True):
        if only_digits:
            ids.append(f"0{number:09d}")
            continue
        letters = ""
        # An odd multiplier mixes the digits and keeps the numbers distinct.
        mixed = number * 1_000_003 % 36**7
        for _ in range(7):
            mixed, digit = divmod(mixed, 36)
            letters += digits[digit]
        ids.append(f"B0{letters}{number % 10}")
    return np.array(ids)


class _whole_gzip:  # noqa: N801
    """A gzip file without name or time in it, that appears when it is whole."""

    def __init__(self, path: Path, level: int) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}")
        self._level = level

    def __enter__(self) -> gzip.GzipFile:
        self._file = self._temporary.open("wb")
        self._gzip = gzip.GzipFile("", "wb", self._level, self._file, mtime=0)
        return self._gzip

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._gzip.close()
        self._file.close()
        if error is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink()


def main() -> None:
    """Write a shop from the command line."""
    defaults = StoreOptions()
    parser = argparse.ArgumentParser(prog="python -m bazar.sample_store", description=__doc__)
    parser.add_argument("--output-dir", type=Path, required=True)
    for name, kind in (("products", int), ("customers", int), ("interactions", int), ("seed", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(defaults, name))
    parser.add_argument("--dirt-share", type=float, default=defaults.dirt_share)
    arguments = vars(parser.parse_args())
    output_dir = arguments.pop("output_dir")
    summary = generate(output_dir, StoreOptions(**arguments))
    print(summary.model_dump_json(indent=2))  # noqa: T201
    print(f"written to {output_dir}: {REVIEWS_FILE}, {PRODUCTS_FILE}")  # noqa: T201


if __name__ == "__main__":
    main()

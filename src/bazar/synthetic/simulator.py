"""A made-up cosmetics shop: what it sells, and who buys what and when.

Its customers follow care routines step by step, buy again what is used up, stay with a brand and
a shade, buy sunscreen in summer and gifts in December: a model of sequences can learn that, a
list of popular products cannot. :mod:`bazar.sample_store` and :mod:`bazar.sample_sets` write such
a shop in the formats of real data sets.
"""

import argparse
import gzip
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

CUSTOMERS_AT_A_TIME = 20_000
DAY_MS = 86_400_000
TEXT = pa.large_string()
_FIRST_MS = int(datetime(2021, 1, 1, tzinfo=UTC).timestamp() * 1000)
_DAYS = 3 * 365
_LATE_DAYS = 180
"""New products appear within this many days of the end."""
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


class Catalogue:
    """The products, and the routines that they belong to.

    A family is a routine of a brand in all its shades. All arrays are indexed by product,
    family or brand, from 0.

    Args:
        products: how many there are. One in a hundred, and 10 at least, are so new that
            :func:`buy` never picks them: they are the last ones.
        rng: the generator to draw from.
        first_brand: number of the first brand, so that two catalogues have no brand in common.
    """

    def __init__(self, products: int, rng: np.random.Generator, first_brand: int = 0) -> None:
        self.n_unsold = max(10, products // 100)
        sold = products - self.n_unsold
        self.titles: list[str] = []
        self.brands: list[str] = []
        self.categories: list[str] = []
        family_first, family_steps, family_shades, family_brand = [], [], [], []
        self.gift_of_brand: list[int] = []
        self.sunscreen_of_brand: list[int] = []
        for brand, name in enumerate(itertools.islice(_brand_names(), first_brand, None)):
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
        self.item_ids = make_item_ids(len(self.titles), rng)

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


def buy(
    catalogue: Catalogue, lengths: np.ndarray, rng: np.random.Generator
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
    times = _FIRST_MS + (days * DAY_MS).astype(np.int64)
    return customers, items, times


def _next(
    catalogue: Catalogue,
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


def _pick_family(catalogue: Catalogue, day: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A routine by popularity, among those on sale on the day."""
    edges = np.cumsum(catalogue.family_weight)
    picked = np.minimum(np.searchsorted(edges, rng.random(len(day))), len(edges) - 1)
    return np.where(catalogue.release_day[picked] > day, 0, picked)


def _product(
    catalogue: Catalogue, family: np.ndarray, step: np.ndarray, shade: np.ndarray
) -> np.ndarray:
    """The product at a step of a routine, in the customer's shade."""
    steps = catalogue.family_steps[family]
    own_shade = shade % catalogue.family_shades[family]
    return catalogue.family_first[family] + own_shade * steps + step


def draw_lengths(
    customers: int, interactions: int, evenness: float, rng: np.random.Generator
) -> np.ndarray:
    """Purchases of each customer: one, and a long-tailed share of the rest.

    Args:
        customers: how many there are.
        interactions: the purchases of all, at least one of each.
        evenness: shape of the gamma distribution of the shares: the smaller, the more customers
            buy once, and the more the others buy.
        rng: the generator to draw from.
    """
    weights = rng.gamma(evenness, size=customers)
    more = rng.multinomial(interactions - customers, weights / weights.sum())
    return 1 + more


def _brand_names() -> Iterator[str]:
    yield from _BRANDS
    for number in itertools.count(2):
        for syllables in itertools.product(_SYLLABLES, repeat=number):
            yield "".join(syllables).capitalize()


def make_item_ids(count: int, rng: np.random.Generator) -> np.ndarray:
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


def make_user_ids(count: int, length: int, rng: np.random.Generator) -> pa.Array:
    """Ids of customers: an A, and letters and digits, so many that no two are alike.

    Args:
        count: how many.
        length: characters of an id.
        rng: the generator to draw from.

    Returns:
        Large strings, shape (count,).
    """
    alphabet = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", np.uint8)
    letters = np.full((count, length), ord("A"), np.uint8)
    letters[:, 1:] = alphabet[rng.integers(0, 32, (count, length - 1))]
    ids = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(length), count, [None, pa.py_buffer(letters)]
    )
    return ids.cast(pa.large_binary()).cast(TEXT)


def join_text(*parts: pa.Array | str) -> pa.Array:
    """Put texts together row by row.

    Args:
        parts: arrays of one length, and texts that are the same in each row.

    Returns:
        Large strings, one per row.
    """
    columns = [
        pa.scalar(part, TEXT) if isinstance(part, str) else pc.cast(part, TEXT) for part in parts
    ]
    return pc.binary_join_element_wise(*columns, pa.scalar("", TEXT))


def write_lines(files: Sequence[IO[bytes]], lines: pa.Array, customers: np.ndarray) -> None:
    """Write lines in their order, those of one customer into one file.

    Args:
        files: open files.
        lines: large strings with their line ends, none null.
        customers: number of the customer of each line.
    """
    for number, file in enumerate(files):
        own = lines.filter(pa.array(customers % len(files) == number)) if files[1:] else lines
        # The lines of a string array lie one behind the other in its last buffer.
        own = pa.concat_arrays([own])
        offsets = np.frombuffer(own.buffers()[1], np.int64)[own.offset :]
        file.write(memoryview(own.buffers()[2] or b"")[offsets[0] : offsets[len(own)]])


def name_files(name: str, files: int) -> list[str]:
    """Names of a file's parts: its own name if there is one part.

    Args:
        name: such as ``purchases.csv.gz``.
        files: number of parts, such as 2: ``purchases-1.csv.gz``, ``purchases-2.csv.gz``.
    """
    stem, dot, suffix = name.partition(".")
    return [name] if files == 1 else [f"{stem}-{part + 1}{dot}{suffix}" for part in range(files)]


@contextmanager
def whole_files(paths: Sequence[Path], level: int) -> Iterator[list[IO[bytes]]]:
    """Open files that appear when all of them are whole.

    Args:
        paths: the files; a name that ends in ``.gz`` is packed, without name or time in it.
        level: of gzip, 1 to 9.

    Yields:
        The files, open to write bytes.
    """
    temporary = [path.with_name(f".{path.name}") for path in paths]
    try:
        with ExitStack() as opened:
            files = [opened.enter_context(path.open("wb")) for path in temporary]
            yield [
                _packed(path, file, level, opened) for path, file in zip(paths, files, strict=True)
            ]
        for path, whole in zip(paths, temporary, strict=True):
            whole.replace(path)
    finally:
        for path in temporary:
            path.unlink(missing_ok=True)


def _packed(path: Path, file: IO[bytes], level: int, opened: ExitStack) -> IO[bytes]:
    if path.suffix != ".gz":
        return file
    packed = opened.enter_context(gzip.GzipFile("", "wb", level, file, mtime=0))
    return cast(IO[bytes], packed)


def add_options(parser: argparse.ArgumentParser, defaults: BaseModel) -> None:
    """Give a command an argument for each number of the options.

    Args:
        parser: of the command.
        defaults: the options, with the values of arguments that are not given.
    """
    for name, value in defaults:
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)

"""Products of a synthetic cosmetics store, and their care routines."""

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

from bazar.synthetic.product_names import BRANDS, NAMES, SYLLABLES, Language

N_DAYS = 3 * 365
"""Number of days of the simulation."""
_RELEASE_DAYS = 180
"""New products are released in this number of days before the end of the simulation."""
_RELEASE_SHARE = 0.06
"""Share of new families."""

# Steps of each routine, in the order of purchase: name and size of the product, and the days until
# an average customer has used it up. Gift sets and travel kits are not used up: 0 days.
_ROUTINES = {
    "skin": (
        ("Gentle Cleanser", "150 ml", 60),
        ("Hydrating Toner", "200 ml", 70),
        ("Repair Serum", "30 ml", 55),
        ("Day Moisturiser", "50 ml", 60),
        ("Sunscreen SPF 50", "75 ml", 45),
    ),
    "hair": (
        ("Shampoo", "250 ml", 45),
        ("Conditioner", "250 ml", 50),
        ("Hair Mask", "200 ml", 90),
        ("Finishing Oil", "100 ml", 150),
    ),
    "makeup": (
        ("Foundation", "30 ml", 90),
        ("Concealer", "7 ml", 130),
        ("Pressed Powder", "9 g", 150),
    ),
    "nails": (
        ("Base Coat", "11 ml", 240),
        ("Nail Polish", "11 ml", 210),
        ("Top Coat", "11 ml", 240),
    ),
    "body": (
        ("Shower Gel", "300 ml", 35),
        ("Body Lotion", "400 ml", 60),
        ("Eau de Toilette", "50 ml", 220),
    ),
    "gift": (("Gift Set", "4 pieces", 0),),
}
_TRAVEL_KIT = ("Travel Kit", "5 pieces", 0)
USE_DAYS = {name: days for steps in _ROUTINES.values() for name, _, days in steps if days}
"""Needs of the customers, such as shampoo, and the days until an average customer has used up a
product for the need."""
SUNSCREEN_NEED = list(USE_DAYS).index("Sunscreen SPF 50")
"""Number of the need for sunscreen."""
NO_NEED = -1
"""Need of the products that are not used up."""
_ROUTINES_PER_BRAND = ("skin", "hair", "makeup", "skin", "body", "nails", "skin", "gift")
_N_SHADES = {"makeup": 4, "nails": 2}


class Catalogue:
    """The products and their care routines.

    A family is a routine of a brand, in all its shades. Arrays are indexed by product, family or
    brand, from 0. ``needs`` has the number of the need of each sold product, in the order of
    :data:`USE_DAYS`, or :data:`NO_NEED`.

    Args:
        products: number of products. The last 1% of the products, and at least 10, are never
            bought.
        rng: the random generator.
        first_brand: number of the first brand. Different numbers give catalogues with different
            brands.
        language: language of the titles and the categories. It changes nothing else.
    """

    def __init__(
        self,
        products: int,
        rng: np.random.Generator,
        first_brand: int = 0,
        language: Language = "en",
    ) -> None:
        self._names = NAMES[language]
        self.n_unsold = max(10, products // 100)
        self.titles: list[str] = []
        self.brands: list[str] = []
        self.categories: list[str] = []
        self._add_brands(products - self.n_unsold, first_brand)
        self.n_sold = len(self.titles)
        self._add_unsold_products()
        self._draw_popularity(rng)
        self.first_family = np.searchsorted(self.family_brand, np.arange(len(self.gift_of_brand)))
        self.n_families_of_brand = np.bincount(self.family_brand)
        self.item_ids = make_item_ids(len(self.titles), rng)

    def is_released(self, items: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Return whether sold products are released at the given days.

        Args:
            items: numbers of products, shape (items,).
            days: days of the simulation, shape (items,).
        """
        families = np.searchsorted(self.family_first, items, side="right") - 1
        return self.release_day[families] <= days

    def _add_brands(self, n_sold: int, first_brand: int) -> None:
        """Add the families of one brand after another, until ``n_sold`` products exist."""
        first, steps, shades, brands = [], [], [], []
        gifts, sunscreens, needs = [], [], []
        need_numbers = {name: number for number, name in enumerate(USE_DAYS)}
        for brand, name in enumerate(itertools.islice(_generate_brand_names(), first_brand, None)):
            if len(self.titles) >= n_sold:
                break
            used = Counter[str]()
            sunscreen = gift = len(self.titles)
            for kind in _ROUTINES_PER_BRAND:
                line = self._choose_line(kind, brand, used[kind])
                used[kind] += 1
                n_shades = _N_SHADES.get(kind, 1)
                routine = _ROUTINES[kind]
                if len(self.titles) + n_shades * len(routine) > n_sold:
                    routine, n_shades = (_TRAVEL_KIT,), n_sold - len(self.titles)
                if not n_shades:
                    continue
                first.append(len(self.titles))
                steps.append(len(routine))
                shades.append(n_shades)
                brands.append(brand)
                for shade, (step, size, _) in itertools.product(range(n_shades), routine):
                    if step.startswith("Sunscreen"):
                        sunscreen = len(self.titles)
                    if step == "Gift Set":
                        gift = len(self.titles)
                    variant = self._choose_variant(kind, step, brand + used[kind] - 1, shade)
                    self._add_product(name, line, step, variant, size, kind)
                    needs.append(need_numbers.get(step, NO_NEED))
            gifts.append(gift)
            sunscreens.append(sunscreen)
        self.gift_of_brand = np.array(gifts)
        self.sunscreen_of_brand = np.array(sunscreens)
        self.needs = np.array(needs)
        self.family_first = np.array(first)
        self.family_steps = np.array(steps)
        self.family_shades = np.array(shades)
        self.family_brand = np.array(brands)

    def _add_unsold_products(self) -> None:
        for number in range(self.n_unsold):
            name = self.brands[number * 37 % self.n_sold]
            lines = self._names.lines["body"]
            variant = self._names.novelty.format(number=number + 1)
            line = lines[number % len(lines)]
            self._add_product(name, line, "Bath Salts", variant, "500 g", "body")

    def _draw_popularity(self, rng: np.random.Generator) -> None:
        """Draw the popularity and the release day of each family."""
        n_families = len(self.family_first)
        rank = rng.permutation(n_families) + 1
        # The exponent is small, so that popularities do not differ by orders of magnitude.
        self.family_weight = rank**-0.6 / (rank**-0.6).sum()
        is_new = rng.random(n_families) < _RELEASE_SHARE
        is_new[0] = False
        release_day = N_DAYS - rng.integers(5, _RELEASE_DAYS, n_families)
        self.release_day = np.where(is_new, release_day, 0)

    def _choose_line(self, kind: str, brand: int, use: int) -> str:
        names = self._names.lines[kind]
        return names[(brand * 5 + use * 7) % len(names)]

    def _choose_variant(self, kind: str, step: str, number: int, shade: int) -> str:
        names = self._names
        if step == "Travel Kit":
            return names.edition.format(number=shade + 1)
        if kind == "makeup":
            return names.shades[shade]
        if kind == "nails":
            return names.polishes[(number + shade) % len(names.polishes)]
        return names.skin_types[number % len(names.skin_types)] if kind == "skin" else ""

    def _add_product(
        self, brand: str, line: str, step: str, variant: str, size: str, kind: str
    ) -> None:
        names = self._names
        product = names.title.format(brand=brand, line=line, product=names.products[step])
        parts = (product, variant, names.sizes.get(size, size))
        self.titles.append(", ".join(part for part in parts if part))
        self.brands.append(brand)
        self.categories.append(names.categories[kind])


def make_item_ids(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return distinct ids of ten characters. About 5% of them have only digits and start with 0."""
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
        # The odd multiplier mixes the digits and keeps the numbers distinct.
        mixed = number * 1_000_003 % 36**7
        for _ in range(7):
            mixed, digit = divmod(mixed, 36)
            letters += digits[digit]
        ids.append(f"B0{letters}{number % 10}")
    return np.array(ids)


def _generate_brand_names() -> Iterator[str]:
    yield from BRANDS
    for length in itertools.count(2):
        for syllables in itertools.product(SYLLABLES, repeat=length):
            yield "".join(syllables).capitalize()

"""Products of a synthetic cosmetics store, and their care routines."""

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

N_DAYS = 3 * 365
"""Number of days of the simulation."""
_RELEASE_DAYS = 180
"""New products are released in this number of days before the end of the simulation."""
_RELEASE_SHARE = 0.06
"""Share of new families."""

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

# Steps of each routine, in the order of purchase: name and size of the product.
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
_ROUTINES_PER_BRAND = ("skin", "hair", "makeup", "skin", "body", "nails", "skin", "gift")
_N_SHADES = {"makeup": 4, "nails": 2}


class Catalogue:
    """The products and their care routines.

    A family is a routine of a brand, in all its shades. Arrays are indexed by product, family or
    brand, from 0.

    Args:
        products: number of products. The last 1% of the products, and at least 10, are never
            bought.
        rng: the random generator.
        first_brand: number of the first brand. Different numbers give catalogues with different
            brands.
    """

    def __init__(self, products: int, rng: np.random.Generator, first_brand: int = 0) -> None:
        self.n_unsold = max(10, products // 100)
        self.titles: list[str] = []
        self.brands: list[str] = []
        self.categories: list[str] = []
        self.gift_of_brand: list[int] = []
        self.sunscreen_of_brand: list[int] = []
        self._add_brands(products - self.n_unsold, first_brand)
        self.n_sold = len(self.titles)
        self._add_unsold_products()
        self._draw_popularity(rng)
        self.first_family = np.searchsorted(self.family_brand, np.arange(len(self.gift_of_brand)))
        self.n_families_of_brand = np.bincount(self.family_brand)
        self.item_ids = make_item_ids(len(self.titles), rng)

    def _add_brands(self, n_sold: int, first_brand: int) -> None:
        """Add the families of one brand after another, until ``n_sold`` products exist."""
        first, steps, shades, brands = [], [], [], []
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
                    routine, n_shades = (("Travel Kit", "5 pieces"),), n_sold - len(self.titles)
                if not n_shades:
                    continue
                first.append(len(self.titles))
                steps.append(len(routine))
                shades.append(n_shades)
                brands.append(brand)
                for shade, (step, size) in itertools.product(range(n_shades), routine):
                    if step.startswith("Sunscreen") and sunscreen < first[-1]:
                        sunscreen = len(self.titles)
                    if step == "Gift Set":
                        gift = len(self.titles)
                    variant = self._choose_variant(kind, step, brand + used[kind] - 1, shade)
                    self._add_product(name, f"{line} {step}", variant, size, kind)
            self.gift_of_brand.append(gift)
            self.sunscreen_of_brand.append(sunscreen)
        self.family_first = np.array(first)
        self.family_steps = np.array(steps)
        self.family_shades = np.array(shades)
        self.family_brand = np.array(brands)

    def _add_unsold_products(self) -> None:
        for number in range(self.n_unsold):
            name = self.brands[number * 37 % self.n_sold]
            line = _BODY[number % len(_BODY)]
            self._add_product(name, f"{line} Bath Salts", f"New No. {number + 1}", "500 g", "body")

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

    @staticmethod
    def _choose_line(kind: str, brand: int, use: int) -> str:
        names = {
            "skin": _SKIN, "hair": _HAIR, "makeup": _MAKEUP, "nails": _NAILS, "body": _BODY,
            "gift": _BODY,
        }[kind]  # fmt: skip
        return names[(brand * 5 + use * 7) % len(names)]

    @staticmethod
    def _choose_variant(kind: str, step: str, number: int, shade: int) -> str:
        if step == "Travel Kit":
            return f"Edition {shade + 1}"
        if kind == "makeup":
            return _SHADES[shade]
        if kind == "nails":
            return _POLISHES[(number + shade) % len(_POLISHES)]
        return _SKIN_TYPES[number % len(_SKIN_TYPES)] if kind == "skin" else ""

    def _add_product(self, brand: str, product: str, variant: str, size: str, kind: str) -> None:
        self.titles.append(
            ", ".join(part for part in (f"{brand} {product}", variant, size) if part)
        )
        self.brands.append(brand)
        self.categories.append(_CATEGORIES[kind])


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
    yield from _BRANDS
    for length in itertools.count(2):
        for syllables in itertools.product(_SYLLABLES, repeat=length):
            yield "".join(syllables).capitalize()

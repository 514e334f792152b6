"""The products as the pages show them: categories, prices, stock, and tiles instead of images."""

import threading
import zlib
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlencode

from bazar.data.catalogue import Products
from bazar.labels import NO_TITLE
from bazar.service.engine.answers import ListedProduct
from bazar.service.live import ItemState
from bazar.service.store import LiveStore

N_HUES = 12
"""Number of colours of the tiles; the style sheet has a class for each."""
N_SHAPES = 6
"""Number of drawings of the tiles."""
_N_CATEGORIES = 6


@dataclass(frozen=True)
class Tile:
    """A drawing in place of an image.

    Attributes:
        hue: number of the colour, from 0.
        shape: number of the drawing, from 0.
        initials: one or two letters.
        alternative: the text for those who do not see it.
    """

    hue: int
    shape: int
    initials: str
    alternative: str


@dataclass(frozen=True)
class Card:
    """A product as a list shows it.

    Attributes:
        item_id: the product.
        title: its title, or a text for a product without one.
        category: its most general attribute; empty if it has no attributes.
        brand: its other attributes; empty if there are none.
        price: price of one unit; None if it is not known.
        in_stock: whether it can be bought.
        url: address of its page.
        tile: the drawing.
        reason: why it is listed, in words; empty if nothing is known.
        is_new: whether it was not in the list at the last visit.
        is_shared: whether the search of the list beside this one finds it, too.
    """

    item_id: str
    title: str
    category: str
    brand: str
    price: float | None
    in_stock: bool
    url: str
    tile: Tile
    reason: str = ""
    is_new: bool = False
    is_shared: bool = False


class Assortment:
    """The categories of a catalogue.

    A catalogue has attributes, but does not say which of them are categories. Of the attributes of
    a product, the one that occurs together with the most others is taken for its category: a
    category has products of more brands than a brand has categories.

    Attributes:
        products: the catalogue.
        categories: the largest categories, the largest first.
    """

    def __init__(self, products: Products) -> None:
        """Count the attributes of a catalogue."""
        self.products = products
        counts = Counter(products.attributes[1:].tolist())
        frequencies: Counter[str] = Counter()
        companions: dict[str, set[str]] = {}
        for text, count in counts.items():
            names = _split(text)
            for name in names:
                frequencies[name] += count
                companions.setdefault(name, set()).update(names)
        self._generality = {
            name: (len(others), frequencies[name], name) for name, others in companions.items()
        }
        sizes = Counter(self.get_category(text) for text in products.attributes[1:])
        sizes.pop("", None)
        ordered = [name for name, _ in sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0]))]
        self.categories = tuple(ordered[:_N_CATEGORIES])
        # Neighbouring numbers get colours that differ much.
        self._hues = {name: position * 5 % N_HUES for position, name in enumerate(ordered)}

    def get_category(self, attributes: str | None) -> str:
        """Return the category among the attributes of a product; empty if there are none."""
        names = _split(attributes)
        return max(names, key=self._generality.__getitem__) if names else ""

    def make_card(self, item_id: str, state: ItemState | None) -> Card:
        """Return a product of the catalogue as a list shows it.

        Args:
            item_id: a product of the catalogue.
            state: its live state; None if nothing changed.
        """
        index = self.products.index[item_id]
        return self._make_card(
            item_id,
            self.products.titles[index],
            self.products.attributes[index],
            None if state is None else state.price,
            state is None or state.in_stock is not False,
        )

    def describe(self, listed: ListedProduct) -> Card:
        """Return a product of an answer as a list shows it."""
        product = listed.recommendation
        return self._make_card(
            product.item_id, product.title, listed.attributes, listed.price, listed.in_stock
        )

    def list_variants(self, item_id: str) -> list[str]:
        """Return the other products of the variant group of a product."""
        group = self.products.variant_groups[self.products.index[item_id]]
        if group is None:
            return []
        members = self.products.item_ids[self.products.variant_groups == group]
        return [member for member in members.tolist() if member != item_id]

    def _make_card(
        self,
        item_id: str,
        title: str | None,
        attributes: str | None,
        price: float | None,
        in_stock: bool,
    ) -> Card:
        category = self.get_category(attributes)
        names = dict.fromkeys(name for name in _split(attributes) if name != category)
        shown = title or NO_TITLE
        tile = Tile(
            self._hues.get(category, 0),
            zlib.crc32(item_id.encode(errors="replace")) % N_SHAPES,
            _make_initials(title or item_id),
            f"Drawing of a product of the category {category}" if category else "Drawing",
        )
        return Card(
            item_id, shown, category, ", ".join(names), price, in_stock, make_url(item_id), tile
        )


class LiveStates:
    """The live states of all products that changed, for pages about single products.

    Threads share one object.
    """

    def __init__(self, store: LiveStore) -> None:
        """Read nothing yet.

        Args:
            store: the store.
        """
        self._store = store
        self._lock = threading.Lock()
        self._revision = 0
        self._states: dict[str, ItemState] = {}

    def read(self) -> dict[str, ItemState]:
        """Return the current states, by item id. Callers must not change them.

        Raises:
            StoreError: if the database fails.
        """
        with self._lock:
            changes = self._store.read_changes(self._revision)
            if changes.item_states:
                self._states = self._states | changes.item_states
            self._revision = changes.revision
            return self._states


def make_url(item_id: str) -> str:
    """Return the address of the page of a product.

    The id is a parameter, because browsers shorten paths such as ``/products/..``.
    """
    return f"/product?{urlencode({'id': item_id})}"


def _split(attributes: str | None) -> list[str]:
    return [name for name in (attributes or "").split(", ") if name]


def _make_initials(text: str) -> str:
    letters = [word[0] for word in text.split() if word[0].isalnum()]
    return "".join(letters[:2]).upper() or "?"

"""Simulate the purchases of a synthetic cosmetics store whose customers come back.

:mod:`bazar.synthetic.sample_store` and :mod:`bazar.synthetic.benchmark_sets` write the purchases in
the formats of real data sets. The numbers below are assumptions. They are plausible for a cosmetics
store, but they are not estimated from data.

Orders
    A customer orders at irregular times. The median time between two orders is about 45 days. It
    differs between customers, and the gaps of one customer vary strongly, with some long pauses.
    The times do not depend on what the customer needs. All lines of an order have the same time,
    and their sequence has no meaning. An order has 1.8 lines on average and at most 12. Some
    customers prefer large orders. A product occurs once per order.
Products in use
    A customer has a need for each kind of product in the routines, such as shampoo, and uses at
    most one product for it. A customer keeps a new product with a probability of 80%, and a product
    that was bought on impulse with 40%. A product that is kept replaces the one before it. A
    product is used up after a number of days, from a month for shower gel to eight months for nail
    care. Each customer has a personal pace, which is the same for all products.
Refills
    With each order, a customer may buy each product in use again. The probability rises when the
    product is nearly used up. It decreases when the product is long overdue, because the customer
    has found something else (:func:`compute_refill_chance`). If the order has fewer lines than
    refills, random refills are left out. Gift sets and travel kits are not refilled.
New products
    The other lines of an order are new products. A customer follows a care routine step by step:
    cleanser, toner, serum. After the last step, the customer starts another routine, mostly of the
    same brand. Some customers change to another routine or brand earlier. Some lines are impulse
    purchases: any product of the store. A customer has one shade in all routines. A product in use
    is not bought as a new product. Gift sets and travel kits belong to no routine.
Seasons and releases
    From June to August, customers add sunscreen to some orders, even if they never bought it. From
    October to March they do not refill it. In December they add gift sets of their brand. Some
    routines are released in the last months.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from bazar.synthetic.catalogue import N_DAYS, NO_NEED, SUNSCREEN_NEED, USE_DAYS, Catalogue
from bazar.synthetic.files import TEXT
from bazar.synthetic.routines import continue_routine, draw_any_item, draw_family, find_item

CUSTOMERS_PER_GROUP = 20_000
"""Number of customers that are simulated at a time. It limits the memory."""
MAX_LINES = 12
"""Largest number of lines of an order."""
DAY_MS = 86_400_000
_FIRST_MS = int(datetime(2021, 1, 1, tzinfo=UTC).timestamp() * 1000)

_GAP_DAYS = 45
"""Median number of days between two orders."""
_GAP_SPREAD_OF_CUSTOMERS, _GAP_SPREAD, _PACE_SPREAD = 0.4, 0.8, 0.25
"""Standard deviations of logarithms: of the customers' median gaps, of the gaps of one customer,
and of the customers' paces."""
_ORDER_END = (5, 5)
"""Parameters of the beta distribution of the probability that a line is the last of its order."""

_IMPULSE = 0.09
"""Probability that a new line is an impulse purchase."""
_KEEPS, _KEEPS_IMPULSE = 0.8, 0.4
"""Probabilities that a customer keeps using a new product."""
_MAX_REFILL = 0.85
"""Upper bound of the probability that an order contains a refill of a product in use."""
_SUMMER_SUNSCREEN, _DECEMBER_GIFT = 0.25, 0.30

_USE_DAYS = np.array(list(USE_DAYS.values()))


@dataclass
class Customers:
    """State of customers between two orders.

    Attributes:
        order_end: probability that a line is the last of its order, shape (customers,).
        pace: days until the customer uses up a product, divided by those of an average customer;
            shape (customers,).
        shade: shade of the customer, 0 to 11, shape (customers,).
        family: routine that the customer follows, shape (customers,).
        step: last bought step of the routine, -1 before the first one; shape (customers,).
        in_use: product in use for each need, -1 for none; shape (customers, needs).
        since: day of the last purchase of the product in use, -inf without one; shape
            (customers, needs).
    """

    order_end: np.ndarray
    pace: np.ndarray
    shade: np.ndarray
    family: np.ndarray
    step: np.ndarray
    in_use: np.ndarray
    since: np.ndarray

    def take(self, rows: np.ndarray) -> "Customers":
        """Return a copy of the state of some customers.

        Args:
            rows: numbers of the customers, or a mask.
        """
        return Customers(**{name: values[rows] for name, values in vars(self).items()})

    def put(self, rows: np.ndarray, state: "Customers") -> None:
        """Set the state of some customers.

        Args:
            rows: numbers of the customers, without duplicates.
            state: their new state.
        """
        for name, values in vars(self).items():
            values[rows] = getattr(state, name)


@dataclass(frozen=True)
class Orders:
    """Simulated orders, one per row.

    Attributes:
        items: products of the lines, -1 after the last line; int64, shape (orders, lines).
        is_kept: whether the customer uses the product from then on, bool, shape (orders, lines).
        family: routine that the customer follows after the order, shape (orders,).
        step: last bought step of the routine, shape (orders,).
    """

    items: np.ndarray
    is_kept: np.ndarray
    family: np.ndarray
    step: np.ndarray


@dataclass(frozen=True)
class Purchases:
    """Simulated purchases of a group of customers.

    Attributes:
        customers: customer of each purchase, ascending, shape (purchases,).
        items: product of each purchase, shape (purchases,).
        times: time of each purchase, UTC milliseconds, ascending for each customer; shape
            (purchases,). Purchases of a customer at the same time are an order.
        n_orders: number of orders of each customer, shape (customers,).
        last_days: day of the last order of each customer, shape (customers,).
        before_last: state of the customers before their last orders.
    """

    customers: np.ndarray
    items: np.ndarray
    times: np.ndarray
    n_orders: np.ndarray
    last_days: np.ndarray
    before_last: Customers


def simulate_purchases(
    catalogue: Catalogue, counts: np.ndarray, rng: np.random.Generator
) -> Purchases:
    """Return the simulated purchases of a group of customers.

    Args:
        catalogue: the products.
        counts: number of purchases of each customer, at least 1, shape (customers,).
        rng: the random generator of the group.
    """
    order_end = rng.beta(*_ORDER_END, len(counts))
    order_customers, sizes = _draw_order_sizes(counts, order_end, rng)
    n_orders = np.bincount(order_customers)
    first_order = np.cumsum(n_orders) - n_orders
    days = _draw_days(order_customers, n_orders, rng)
    customers = _draw_customers(catalogue, order_end, days[first_order], rng)
    before_last = customers.take(np.arange(len(counts)))
    first_line = np.cumsum(sizes) - sizes
    items = np.zeros(int(counts.sum()), np.int64)
    for number in range(int(n_orders.max())):
        # The customers who have an order with this number. All first orders are drawn first.
        buyers = np.flatnonzero(n_orders > number)
        rows = first_order[buyers] + number
        state = customers.take(buyers)
        is_last = n_orders[buyers] == number + 1
        before_last.put(buyers[is_last], state.take(is_last))
        orders = draw_orders(catalogue, state, days[rows], np.arange(len(buyers)), sizes[rows], rng)
        is_line = orders.items >= 0
        lines = first_line[rows][:, None] + np.arange(orders.items.shape[1])
        items[lines[is_line]] = orders.items[is_line]
        _update_customers(catalogue, state, days[rows], orders)
        customers.put(buyers, state)
    line_orders = np.repeat(np.arange(len(sizes)), sizes)
    # The lines of an order are shuffled.
    items = items[np.lexsort((rng.random(len(items)), line_orders))]
    times = _FIRST_MS + (days * DAY_MS).astype(np.int64)
    last_days = days[first_order + n_orders - 1]
    return Purchases(
        order_customers[line_orders], items, times[line_orders], n_orders, last_days, before_last
    )


def draw_orders(
    catalogue: Catalogue,
    customers: Customers,
    days: np.ndarray,
    rows: np.ndarray,
    sizes: np.ndarray,
    rng: np.random.Generator,
) -> Orders:
    """Return random orders of customers in a given state. The state does not change.

    Args:
        catalogue: the products.
        customers: state of the customers.
        days: day of the order of each customer, shape (customers,).
        rows: customer of each order, shape (orders,). A customer may occur several times.
        sizes: number of lines of each order, 1 to :data:`MAX_LINES`, shape (orders,).
        rng: the random generator.
    """
    items = np.full((len(rows), int(sizes.max())), -1)
    is_kept = np.zeros(items.shape, bool)
    orders, places, chosen = _choose_proposals(catalogue, customers, days, rows, sizes, rng)
    items[orders, places] = chosen
    is_refill = _is_in_use(catalogue, customers, rows[orders], chosen)
    is_kept[orders, places] = is_refill | (rng.random(len(orders)) < _KEEPS)

    family, step = customers.family[rows], customers.step[rows]
    n_lines = np.bincount(orders, minlength=len(rows))
    pending = np.flatnonzero(n_lines < sizes)
    while len(pending):
        customer, day = rows[pending], days[rows[pending]]
        shade = customers.shade[customer]
        new_family, new_step = continue_routine(catalogue, family[pending], step[pending], day, rng)
        choice = find_item(catalogue, new_family, new_step, shade)
        is_impulse = rng.random(len(pending)) < _IMPULSE
        choice[is_impulse] = draw_any_item(catalogue, shade[is_impulse], day[is_impulse], rng)
        # An impulse purchase does not change the position in the routine. A step whose product is
        # in use is skipped. Gift sets are not a step of a routine.
        family[pending] = np.where(is_impulse, family[pending], new_family)
        step[pending] = np.where(is_impulse, step[pending], new_step)
        is_added = is_impulse | (catalogue.needs[choice] != NO_NEED)
        is_added &= ~_is_in_use(catalogue, customers, customer, choice)
        is_added &= (items[pending] != choice[:, None]).all(axis=1)
        added = pending[is_added]
        items[added, n_lines[added]] = choice[is_added]
        keeps = np.where(is_impulse[is_added], _KEEPS_IMPULSE, _KEEPS)
        is_kept[added, n_lines[added]] = rng.random(len(added)) < keeps
        n_lines[added] += 1
        pending = pending[n_lines[pending] < sizes[pending]]
    return Orders(items, is_kept, family, step)


def compute_refill_chance(ages: np.ndarray) -> np.ndarray:
    """Return the probability that an order contains a refill of a product in use.

    It is 0 for a new product, has its maximum when the product has just been used up, and is small
    for a product that is long overdue.

    Args:
        ages: time since the last purchase, divided by the time until the product is used up; any
            shape.
    """
    is_due = 1 / (1 + np.exp((0.95 - ages) / 0.08))
    return _MAX_REFILL * is_due * np.exp(-np.maximum(ages - 1.25, 0) / 1.5)


def _draw_order_sizes(
    counts: np.ndarray, order_end: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Split the purchases of each customer into orders.

    Returns:
        Customer of each order, ascending, and its number of lines; shape (orders,).
    """
    customers = np.repeat(np.arange(len(counts)), counts)
    starts_order = np.empty(len(customers), bool)
    starts_order[1:] = rng.random(len(customers) - 1) < order_end[customers[:-1]]
    starts_order[np.cumsum(counts) - counts] = True
    first = np.flatnonzero(starts_order)
    place = np.arange(len(customers)) - first[np.cumsum(starts_order) - 1]
    first = np.flatnonzero(place % MAX_LINES == 0)
    return customers[first], np.diff(first, append=len(customers))


def _draw_days(customers: np.ndarray, n_orders: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the days of orders.

    Args:
        customers: customer of each order, ascending, shape (orders,).
        n_orders: number of orders of each customer, shape (customers,).
        rng: the random generator.

    Returns:
        Random days, ascending for each customer; float, shape (orders,).
    """
    first = np.cumsum(n_orders) - n_orders
    median = _GAP_DAYS * rng.lognormal(0, _GAP_SPREAD_OF_CUSTOMERS, len(n_orders))
    gaps = median[customers] * rng.lognormal(0, _GAP_SPREAD, len(customers))
    # Rounded to minutes, the gaps are the same on every processor.
    gaps = np.maximum(np.rint(gaps * 1440), 1) / 1440
    gaps[first] = 0
    elapsed = np.cumsum(gaps)
    elapsed -= elapsed[first][customers]
    # The gaps of customers with very many orders are shortened to fit into the simulated days.
    span = elapsed[first + n_orders - 1]
    fitted = np.minimum(span, 0.98 * N_DAYS)
    scale = np.divide(fitted, span, out=np.ones(len(span)), where=span > 0)
    start = rng.random(len(n_orders)) * (N_DAYS - fitted)
    return start[customers] + elapsed * scale[customers]


def _draw_customers(
    catalogue: Catalogue, order_end: np.ndarray, first_days: np.ndarray, rng: np.random.Generator
) -> Customers:
    """Return random customers before their first orders."""
    shape = (len(order_end), len(USE_DAYS))
    return Customers(
        order_end=order_end,
        pace=rng.lognormal(0, _PACE_SPREAD, len(order_end)),
        shade=rng.integers(0, 12, len(order_end)),
        family=draw_family(catalogue, first_days, rng),
        step=np.full(len(order_end), -1),
        in_use=np.full(shape, -1),
        since=np.full(shape, -np.inf),
    )


def _choose_proposals(
    catalogue: Catalogue,
    customers: Customers,
    days: np.ndarray,
    rows: np.ndarray,
    sizes: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose refills and seasonal products for orders.

    Returns:
        Order, number of the line in the order, and product of each chosen one; shape (chosen,).
    """
    proposed, chances = _list_proposals(catalogue, customers, days)
    is_chosen = rng.random((len(rows), proposed.shape[1]), np.float32) < chances[rows]
    # If an order has fewer lines than chosen products, random ones are left out.
    crowded = np.flatnonzero(is_chosen.sum(axis=1) > sizes)
    keys = np.where(is_chosen[crowded], rng.random((len(crowded), proposed.shape[1])), 1)
    is_chosen[crowded] &= keys.argsort(axis=1).argsort(axis=1) < sizes[crowded, None]
    orders, columns = np.nonzero(is_chosen)
    places = (is_chosen.cumsum(axis=1) - 1)[orders, columns]
    return orders, places, proposed[rows[orders], columns]


def _list_proposals(
    catalogue: Catalogue, customers: Customers, days: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return refills and seasonal products for each customer, and their probabilities.

    Returns:
        Products and probabilities, shape (customers, needs + 1). The last column has gift sets.
    """
    chances = compute_refill_chance(
        (days[:, None] - customers.since) / (_USE_DAYS * customers.pace[:, None])
    )
    month = ((days % 365) // 30.5).astype(np.int64)
    brand = catalogue.family_brand[customers.family]

    sunscreen = customers.in_use[:, SUNSCREEN_NEED]
    offered = catalogue.sunscreen_of_brand[brand]
    is_offered = (catalogue.needs[offered] == SUNSCREEN_NEED) & catalogue.is_released(offered, days)
    age = (days - customers.since[:, SUNSCREEN_NEED]) / (_USE_DAYS[SUNSCREEN_NEED] * customers.pace)
    is_summer = (month >= 5) & (month <= 7)
    is_summer &= np.where(sunscreen >= 0, age > 0.5, is_offered)
    is_winter = (month < 3) | (month > 8)
    chance = chances[:, SUNSCREEN_NEED]
    chance = np.where(is_summer, np.maximum(chance, _SUMMER_SUNSCREEN), chance)
    chances[:, SUNSCREEN_NEED] = np.where(is_winter, 0, chance)

    gift = catalogue.gift_of_brand[brand]
    is_offered = (catalogue.needs[gift] == NO_NEED) & catalogue.is_released(gift, days)
    gift_chance = np.where(is_offered & (month == 11), _DECEMBER_GIFT, 0)
    items = np.column_stack([customers.in_use, gift])
    items[:, SUNSCREEN_NEED] = np.where(sunscreen >= 0, sunscreen, offered)
    return items, np.column_stack([chances, gift_chance]).astype(np.float32)


def _is_in_use(
    catalogue: Catalogue, customers: Customers, rows: np.ndarray, items: np.ndarray
) -> np.ndarray:
    """Return whether the customers ``rows`` use the products; bool, shape (rows,)."""
    # A product without a need is compared with a product of another need, which differs.
    return customers.in_use[rows, catalogue.needs[items]] == items


def _update_customers(
    catalogue: Catalogue, customers: Customers, days: np.ndarray, orders: Orders
) -> None:
    """Change the state of the customers after their orders. Row i is the order of customer i."""
    customers.family, customers.step = orders.family, orders.step
    for items, is_kept in zip(orders.items.T, orders.is_kept.T, strict=True):
        rows = np.flatnonzero(is_kept)
        needs = catalogue.needs[items[rows]]
        rows, needs = rows[needs != NO_NEED], needs[needs != NO_NEED]
        customers.in_use[rows, needs] = items[rows]
        customers.since[rows, needs] = days[rows]


def draw_lengths(
    customers: int, interactions: int, evenness: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a random number of purchases for each customer, from a long-tailed distribution.

    Each customer has at least one purchase.

    Args:
        customers: number of customers.
        interactions: total number of purchases, at least ``customers``.
        evenness: shape parameter of the gamma distribution of the shares. A smaller value
            makes the numbers of purchases per customer more unequal.
        rng: the random generator.
    """
    weights = rng.gamma(evenness, size=customers)
    further = rng.multinomial(interactions - customers, weights / weights.sum())
    return 1 + further


def make_user_ids(count: int, length: int, rng: np.random.Generator) -> pa.Array:
    """Return random customer ids: the letter A, followed by letters and digits.

    Args:
        count: number of ids.
        length: number of characters of an id. With 14 or more, duplicates are improbable.
        rng: the random generator.

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

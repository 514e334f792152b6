"""Compute how probable each product was in the last orders of simulated customers.

The oracle knows the state of the customers before their last orders: their position in the
routines, their shade, their pace, and when they bought the products in use. It also knows the time
of the last order, but not its number of lines. A model knows only the earlier purchases and the
time. So, apart from chance, no model can rank better than the oracle.
"""

import numpy as np
import pyarrow as pa
from scipy import stats

from bazar.synthetic.catalogue import Catalogue
from bazar.synthetic.files import ORACLE_SCHEMA
from bazar.synthetic.simulator import MAX_LINES, Customers, Purchases, draw_orders

TOP_K = 50
"""Largest number of products per customer."""
_SAMPLES = 2_000
"""Number of random orders per customer."""
_CUSTOMERS_PER_CHUNK = 50
"""Number of customers whose orders are simulated at a time. It limits the memory."""


def compute_oracle(
    catalogue: Catalogue, purchases: Purchases, users: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """Return the most probable products of the last orders of customers with two or more orders.

    The last order of each customer is simulated 2,000 times from the state before it. The
    probability of a product is the share of these orders that contain it.

    Args:
        catalogue: the products.
        purchases: the simulated purchases.
        users: ids of the customers, strings, shape (customers,).
        rng: the random generator. It must not be the generator of the simulation.

    Returns:
        ``user_id`` (string), ``item_id`` (string) and ``score`` (float32, the probability). Each
        customer has at most 50 rows with probabilities above 0, sorted by descending probability,
        then by the number of the product.
    """
    returning = np.flatnonzero(purchases.n_orders > 1)
    n_lines = np.bincount(purchases.customers)
    item_ids = pa.array(catalogue.item_ids.tolist(), pa.string())
    tables = [ORACLE_SCHEMA.empty_table()]
    for first in range(0, len(returning), _CUSTOMERS_PER_CHUNK):
        chunk = returning[first : first + _CUSTOMERS_PER_CHUNK]
        probabilities = compute_probabilities(
            catalogue,
            purchases.before_last.take(chunk),
            purchases.last_days[chunk],
            np.minimum(n_lines[chunk] - 1, MAX_LINES),
            _SAMPLES,
            rng,
        )
        items = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP_K]
        scores = np.take_along_axis(probabilities, items, axis=1)
        row, rank = np.nonzero(scores > 0)
        columns = [
            users.take(pa.array(chunk[row])).cast(pa.string()),
            item_ids.take(pa.array(items[row, rank])),
            pa.array(scores[row, rank].astype(np.float32)),
        ]
        tables.append(pa.table(columns, schema=ORACLE_SCHEMA))
    return pa.concat_tables(tables)


def compute_probabilities(
    catalogue: Catalogue,
    customers: Customers,
    days: np.ndarray,
    max_lines: np.ndarray,
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the share of random orders that contain each product.

    Args:
        catalogue: the products.
        customers: state of the customers before the order.
        days: day of the order of each customer, shape (customers,).
        max_lines: largest possible number of lines of each order, shape (customers,).
        samples: number of random orders of each customer.
        rng: the random generator.

    Returns:
        Shares, float64, shape (customers, sold products).
    """
    rows = np.repeat(np.arange(len(days)), samples)
    # A geometric distribution that is cut off at max_lines.
    order_end, largest = customers.order_end[rows], max_lines[rows]
    drawn = rng.random(len(rows)) * stats.geom.cdf(largest, order_end)
    sizes = np.clip(stats.geom.ppf(drawn, order_end), 1, largest).astype(np.int64)
    orders = draw_orders(catalogue, customers, days, rows, sizes, rng)
    order, line = np.nonzero(orders.items >= 0)
    keys = rows[order] * catalogue.n_sold + orders.items[order, line]
    counts = np.bincount(keys, minlength=len(days) * catalogue.n_sold)
    return counts.reshape(len(days), catalogue.n_sold) / samples

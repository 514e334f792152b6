"""Amounts of data that useful results need."""

from bazar.data.order_statistics import count_at_least
from bazar.reporting.data_summary import (
    MIN_PURCHASES,
    DataFacts,
    Requirement,
    compute_interval,
    compute_title_share,
)

MIN_CUSTOMERS = 1_000
MIN_ORDERS = 3
MIN_DAYS = 90
MIN_FREQUENT_SHARE = 0.8
MIN_TITLE_SHARE = 0.9
_DAY_MS = 86_400_000


def list_requirements(facts: DataFacts) -> list[Requirement]:
    """Return the amounts of data that useful results need, with the amounts found."""
    orders = facts.orders
    regular = count_at_least(orders.orders_per_customer, MIN_ORDERS)
    bought = sum(n * count for n, count in orders.purchases_per_item.items())
    rare = sum(n * count for n, count in orders.purchases_per_item.items() if n < MIN_PURCHASES)
    frequent_share = 1 - rare / bought if bought else 0.0
    title_share = compute_title_share(facts)
    points = 100 * compute_interval(facts.test_rows)
    requirements = [
        Requirement(
            name=f"customers with at least {MIN_ORDERS} orders",
            found=f"{regular:,}",
            needed=f"{MIN_CUSTOMERS:,}",
            is_met=regular >= MIN_CUSTOMERS,
            explanation=f"Results are measured on {facts.test_rows:,} test rows. If 10% of them "
            f"are hits, the 95% interval is ±{points:.1f} points. Smaller differences between "
            "models are uncertain.",
        ),
        Requirement(
            name=f"purchases of products bought at least {MIN_PURCHASES} times",
            found=f"{frequent_share:.0%}",
            needed=f"{MIN_FREQUENT_SHARE:.0%}",
            is_met=frequent_share >= MIN_FREQUENT_SHARE,
            explanation="Models learn little about products that are rarely bought. For these, "
            "they depend on the titles.",
        ),
        Requirement(
            name="purchases of products with a title",
            found=f"{title_share:.0%}",
            needed=f"{MIN_TITLE_SHARE:.0%}",
            is_met=title_share >= MIN_TITLE_SHARE,
            explanation="Products without a title have no title vector. Add a source with titles "
            "under products in globals.yml.",
        ),
    ]
    if orders.times.first is not None and orders.times.last is not None:
        days = (orders.times.last - orders.times.first) // _DAY_MS + 1
        requirements.append(
            Requirement(
                name="days from the first to the last purchase",
                found=f"{days:,}",
                needed=f"{MIN_DAYS:,}",
                is_met=days >= MIN_DAYS,
                explanation="In a short period, few customers come back.",
            )
        )
    return requirements

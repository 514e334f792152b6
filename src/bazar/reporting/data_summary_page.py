"""Page of the data summary: one self-contained HTML file without external requests."""

from bazar.data.order_statistics import Counts
from bazar.reporting.data_summary import DataSummary, describe_facts
from bazar.reporting.figures import plot_groups, render_svg
from bazar.reporting.page_templates import create_environment, hash_script

# First value of each group. The last group is open.
_PURCHASE_GROUPS = (1, 2, 3, 4, 5, 10, 20, 50, 100)
_DAY_GROUPS = (0, 1, 7, 14, 30, 60, 90, 180, 365)


def render_data_summary(summary: DataSummary) -> str:
    """Return the data summary as HTML. All text from the data is escaped."""
    environment = create_environment()
    script = environment.get_template("report.js.j2").render()
    facts = summary.facts
    rows_read = facts.steps[0].remaining
    return environment.get_template("data_summary.html.j2").render(
        summary=summary,
        facts=facts,
        described=describe_facts(facts),
        rows_read=rows_read,
        # Interactions first, and large numbers first.
        removed=sorted(
            facts.removed, key=lambda rows: (rows.read_as != "interactions", -rows.count)
        ),
        drawings=_draw_figures(summary),
        script=script,
        script_hash=hash_script(script),
    )


def group_counts(counts: Counts, starts: tuple[int, ...]) -> dict[str, int]:
    """Sum counts by groups of values.

    Args:
        counts: number of cases by value.
        starts: first value of each group, ascending; no value is smaller than the first one. The
            last group is open.

    Returns:
        The number of cases by label of the group, such as ``5–9``. Empty groups at the
        start and at the end are left out.
    """
    ends = [*(start - 1 for start in starts[1:]), None]
    groups = {}
    for start, end in zip(starts, ends, strict=True):
        label = f"{start}+" if end is None else f"{start}" if start == end else f"{start}–{end}"
        groups[label] = sum(
            count
            for value, count in counts.items()
            if start <= value and (end is None or value <= end)
        )
    filled = [place for place, count in enumerate(groups.values()) if count]
    return dict(list(groups.items())[min(filled, default=0) : max(filled, default=0) + 1])


def _draw_figures(summary: DataSummary) -> list[str]:
    """Return the figures as SVG: purchases per customer, and days between orders."""
    orders = summary.facts.orders
    figures = {
        "purchases": plot_groups(
            group_counts(orders.purchases_per_customer, _PURCHASE_GROUPS),
            "Purchases per customer",
            "purchases",
        )
    }
    if orders.days_between_orders:
        figures["gaps"] = plot_groups(
            group_counts(orders.days_between_orders, _DAY_GROUPS),
            "Days between two orders of a customer",
            "days",
        )
    return [render_svg(figure, name) for name, figure in figures.items()]

"""Style of the figures: colours, axes, legends and texts."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette is suitable for colour-blind readers, on light and dark backgrounds.
TRAINING, VALIDATION, BASELINE = "#0072b2", "#d55e00", "#8a8f98"
BLEND, CEILING = "#009e73", "#cc79a7"
# Colour of texts, axes and grid lines. A page replaces it with its own text colour.
TEXT_COLOUR = "#1d2330"
# Width in inches. It is small, so that text is legible when a phone scales the figure down.
WIDTH = 5.0


def create_axes(height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of the width of the page, and its axes.

    Args:
        height: height in inches.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def add_legend_below(figure: Figure, axes: Axes, markerscale: float = 1) -> None:
    """Add a legend below the axes, where it hides no data."""
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="outside lower left", ncols=2, frameon=False, labelcolor=TEXT_COLOUR,
        markerscale=markerscale,
    )  # fmt: skip
    for text in legend.get_texts():
        # A dollar sign in a name must not start a formula.
        text.set_parse_math(False)


def apply_text_colour(figure: Figure, axes: Axes) -> Figure:
    """Set the colour of texts and axes to :data:`TEXT_COLOUR`, and return the figure."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(TEXT_COLOUR)
    axes.tick_params(color=TEXT_COLOUR, labelcolor=TEXT_COLOUR)
    legend = axes.get_legend()
    texts = [axes.xaxis.label, axes.yaxis.label, axes.xaxis.get_offset_text()]
    texts += [axes.yaxis.get_offset_text(), *(legend.get_texts() if legend else [])]
    for text in texts:
        text.set_color(TEXT_COLOUR)
    # Matplotlib stores the left title separately from `axes.title`.
    title = axes.get_title(loc="left")
    axes.set_title(title, loc="left", color=TEXT_COLOUR, fontsize=11, weight="bold")
    return figure

"""One page that says how good the models are, and shows what they recommend."""

from dataclasses import dataclass
from typing import Any

from bazar.config.models import BASELINES
from bazar.labels import get_model_label


def findings(metrics: dict[str, Any]) -> list[str]:
    """Say what the numbers say, and no more: who leads, and whether models beat the baselines.

    A model is said to beat another when their 95% intervals of HR@10 are apart. Where they
    overlap, it is said which value is higher, and that the difference is not settled.

    Args:
        metrics: the content of ``metrics.json``.

    Returns:
        A sentence on the model that leads, then one for each model that is no baseline, if there are
        baselines.
    """
    filtered = {
        name: _Estimate(figures["filtered"]["hr@10"], *figures["filtered"]["hr@10_ci95"])
        for name, figures in metrics["models"].items()
    }
    best = max(filtered, key=lambda name: filtered[name].value)
    close = [
        _in_sentence(name)
        for name in filtered
        if name != best and filtered[name].high >= filtered[best].low
    ]
    leads = (
        f"{get_model_label(best)}{', a baseline,' if best in BASELINES else ''} has the highest HR@10 "
        f"with the history filtered, {filtered[best]}"
    )
    said = [f"{leads}."]
    if len(close) == 1:
        said = [f"{leads}; the interval of {close[0]} overlaps."]
    elif close:
        said = [f"{leads}; the intervals of {', '.join(close[:-1])} and {close[-1]} overlap."]
    baselines = [name for name in BASELINES if name in filtered]
    if not baselines:
        return said
    best_floor = max(baselines, key=lambda name: filtered[name].value)
    first_floor = "popularity" if "popularity" in baselines else best_floor
    for model in (name for name in filtered if name not in baselines):
        told = [
            _compare(
                filtered[model],
                filtered[baseline],
                f"{'the best baseline, ' if baseline == best_floor else ''}{_in_sentence(baseline)}",
            )
            for baseline in dict.fromkeys([first_floor, best_floor])
        ]
        said.append(f"{get_model_label(model)} ({filtered[model].value:.4f}) {'; it '.join(told)}.")
    return said


def _in_sentence(model: str) -> str:
    """A baseline's name without a capital, unless it is an abbreviation."""
    name = get_model_label(model)
    return name[0].lower() + name[1:] if model in BASELINES and name[1:2].islower() else name


@dataclass(frozen=True)
class _Estimate:
    """A value and the ends of its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} (95% interval {self.low:.4f} to {self.high:.4f})"


def _compare(model: _Estimate, baseline: _Estimate, name: str) -> str:
    against = f"{name} ({baseline.value:.4f})"
    if model.low > baseline.high:
        return f"beats {against}"
    if model.high < baseline.low:
        return f"does not beat {against}: it is worse"
    if model.value > baseline.value:
        return f"is above {against}, but their intervals overlap: it is not shown to beat it"
    where = "below it" if model.value < baseline.value else "equal to it"
    return f"does not beat {against}: it is {where}, and their intervals overlap"

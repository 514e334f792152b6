"""Findings of a run in sentences: which model to use, and comparisons with the baselines."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bazar.config.models import BASELINES
from bazar.config.networks import REPRODUCTION_NETWORKS
from bazar.evaluation.metrics import FILTER_MODES
from bazar.labels import ORACLE, get_filter_label, get_model_label

Metrics = dict[str, Any]

LIST_LENGTH = 10
_SETTINGS_FILE = "conf/<env>/parameters_recommendation.yml"
_FRACTIONS = [(1, 5), (1, 4), (3, 10), (1, 3), (2, 5), (1, 2), (3, 5), (2, 3), (7, 10), (3, 4),
              (4, 5), (9, 10)]  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """The conclusion of a run, for readers who do not know the metrics.

    Attributes:
        headline: the model to use and its quality, or the reason why no model can be chosen.
        sentences: details of the headline.
        model: the recommended model; None if no model can be chosen.
        setting: YAML for the configuration; None if no change is needed.
    """

    headline: str
    sentences: list[str] = field(default_factory=list)
    model: str | None = None
    setting: str | None = None


@dataclass(frozen=True)
class _Estimate:
    """A share and its 95% interval."""

    value: float
    low: float
    high: float

    def format_interval(self) -> str:
        return f"{_format_percent(self.low)} to {_format_percent(self.high)}"


def build_verdict(metrics: Metrics) -> Verdict:
    """Return the verdict: the model with the best validation NDCG@10, and its test results.

    Test results are not used to choose the model. The networks of the reproduction cannot be
    chosen, because the bundle does not support them. The oracle of the sample store is only a
    ceiling.

    Args:
        metrics: the content of ``metrics.json``.
    """
    complete, metrics = metrics, _leave_out_oracle(metrics)
    if not metrics["models"]:
        return Verdict("No model has been measured yet.", ["Run `kedro run` to train the models."])
    for explain in (_explain_leak, _explain_small_catalogue, _explain_no_hits, _explain_equal):
        if (verdict := explain(metrics)) is not None:
            return verdict
    best = select_best_model(metrics)
    if best is None:
        return Verdict(
            "No model can be chosen: no model has a validation NDCG@10 above 0.",
            ["The tables show the test results. Do not use them to choose a model."],
        )
    sentences = [
        _describe_certainty(metrics, best),
        *_describe_oracle(complete, best),
        *_describe_repeats(metrics, best),
    ]
    setting = format_models_setting(metrics, best)
    if setting is not None:
        first = _format_model_name(metrics["recommendation_models"][0])
        sentences.append(
            f"Recommendations currently come from {first}. To change this, set these lines in "
            f"`{_SETTINGS_FILE}` and run `kedro run --pipelines recommendation`:"
        )
    return Verdict(_write_headline(metrics, best), sentences, best, setting)


def select_best_model(metrics: Metrics, among: Iterable[str] | None = None) -> str | None:
    """Return the model with the highest validation NDCG@10, or None if no value is above 0.

    Args:
        metrics: the content of ``metrics.json``.
        among: candidate models; by default, all models that a bundle supports.
    """
    if among is None:
        excluded = {ORACLE, *REPRODUCTION_NETWORKS.values()}
        among = [model for model in metrics["models"] if model not in excluded]
    values = {model: get_validation_ndcg(metrics["models"][model]) for model in among}
    best = max(values, key=lambda model: values[model], default=None)
    return best if best is not None and values[best] > 0 else None


def get_validation_ndcg(results: dict[str, Any]) -> float:
    """Return the validation NDCG@10 of a model, or -inf if it is unknown."""
    value = results.get("validation_ndcg@10")
    return -math.inf if value is None or math.isnan(value) else float(value)


def get_display_order(metrics: Metrics) -> list[str]:
    """Return the models in the order of tables: the oracle, then the best validation NDCG@10."""
    models = metrics["models"]
    return sorted(models, key=lambda name: (name != ORACLE, -get_validation_ndcg(models[name])))


def has_several_targets(metrics: Metrics) -> bool:
    """Return whether a test row has several targets. Only then does Recall@k differ from HR@k.

    Args:
        metrics: the content of ``metrics.json`` or ``comparison.json``.
    """
    return bool(metrics["n_test_targets"] > metrics["n_test_rows"])


def can_rank_models(metrics: Metrics) -> bool:
    """Return whether the test results can rank the models."""
    metrics = _leave_out_oracle(metrics)
    checks = (_explain_small_catalogue, _explain_no_hits, _explain_equal)
    return bool(metrics["models"]) and all(explain(metrics) is None for explain in checks)


def format_models_setting(metrics: Metrics, best: str) -> str | None:
    """Return the YAML that makes a model the default of the bundle; None if it is the default.

    Args:
        metrics: the content of ``metrics.json``.
        best: the model.
    """
    current = metrics.get("recommendation_models") or []
    if not current or current[0] == best:
        return None
    names = [best, *(model for model in current if model != best and model in metrics["models"])]
    return f"recommendation:\n  models: [{', '.join(names)}]"


def describe_share(share: float) -> str:
    """Return a share in words, such as ``about 1 in 5``.

    Args:
        share: from 0 to 1.
    """
    if share <= 0:
        return "no"
    if share > 0.95:
        return "almost all" if share < 1 else "all"
    if share < 0.18:
        one_in = round(1 / share)
        digits = len(str(one_in))
        return f"about 1 in {round(one_in, min(0, 2 - digits)):,}"
    part, of = min(_FRACTIONS, key=lambda fraction: abs(fraction[0] / fraction[1] - share))
    return f"about {part} in {of}"


def list_findings(metrics: Metrics) -> list[str]:
    """Return sentences that compare each model with popularity and with the best baseline.

    A model beats a baseline if its HR@10 is higher and the 95% intervals do not overlap.

    Args:
        metrics: the content of ``metrics.json``.

    Returns:
        One sentence for each model that is not a baseline. The list is empty without baselines.
    """
    complete, metrics = metrics, _leave_out_oracle(metrics)
    estimates = _estimate_hit_rates(metrics)
    baselines = [name for name in BASELINES if name in estimates]
    if not baselines:
        return []
    best_baseline = max(baselines, key=lambda name: estimates[name].value)
    first_baseline = "popularity" if "popularity" in baselines else best_baseline
    sentences = []
    for model in (name for name in estimates if name not in baselines):
        comparisons = []
        for baseline in dict.fromkeys([first_baseline, best_baseline]):
            name = _format_model_name(baseline)
            name = f"the best baseline, {name}" if baseline == best_baseline else name
            comparisons.append(_compare_with_baseline(estimates[model], estimates[baseline], name))
        label = f"{get_model_label(model)} ({_format_percent(estimates[model].value)})"
        share = _compare_with_oracle(complete, model)
        comparisons += [] if share is None else [share]
        sentences.append(f"{label} {'; it '.join(comparisons)}.")
    return sentences


def _leave_out_oracle(metrics: Metrics) -> Metrics:
    models = {name: results for name, results in metrics["models"].items() if name != ORACLE}
    return metrics | {"models": models}


def _explain_leak(metrics: Metrics) -> Verdict | None:
    if metrics["protocol"] != "shuffled_windows":
        return None
    return Verdict(
        "Do not choose a model by this run: its split leaks test data into training.",
        [
            "With the protocol shuffled_windows, training and test contain overlapping windows of "
            "the same customers. Its only purpose is to reproduce earlier work. The results are "
            "too optimistic, and they are not comparable with the results of other protocols.",
            "Run `kedro run --params split=leave_one_out` to choose a model.",
        ],
    )


def _explain_small_catalogue(metrics: Metrics) -> Verdict | None:
    if metrics["n_items"] > LIST_LENGTH:
        return None
    return Verdict(
        f"The catalogue is too small to compare models: it has {metrics['n_items']} products.",
        [
            f"A list of {LIST_LENGTH} recommendations contains the complete catalogue. Therefore "
            "every list contains the next purchase."
        ],
    )


def _explain_no_hits(metrics: Metrics) -> Verdict | None:
    mode = metrics["filter_mode"]
    highest = {
        name: max(results[name]["hr@10"] for results in metrics["models"].values())
        for name in FILTER_MODES
    }
    if highest[mode] > 0:
        return None
    sentences = [f"HR@10 is 0 for all models, {get_filter_label(mode)}."]
    sentences += [
        f"With {get_filter_label(name)}, HR@10 is up to {_format_percent(value)}."
        for name, value in highest.items()
        if value > 0
    ]
    return Verdict(f"No model has the next purchase among its {LIST_LENGTH} products.", sentences)


def _explain_equal(metrics: Metrics) -> Verdict | None:
    mode = metrics["filter_mode"]
    rates = [(found[mode]["hr@10"], found[mode]["ndcg@10"]) for found in metrics["models"].values()]
    if len(rates) < 2 or any(
        abs(value - first) > 1e-9
        for rate in rates
        for value, first in zip(rate, rates[0], strict=True)
    ):
        return None
    return Verdict(
        "All models have the same results: this data cannot show which one to use.",
        [
            f"HR@10 is {_format_percent(rates[0][0])} for each of the {len(rates)} models, on "
            f"{metrics['n_test_rows']:,} test rows. Use data with more customers or more products."
        ],
    )


def _write_headline(metrics: Metrics, best: str) -> str:
    share = metrics["models"][best][metrics["filter_mode"]]["hr@10"]
    name = _format_model_name(best)
    words = describe_share(share)
    if best not in BASELINES or set(metrics["models"]) <= set(BASELINES):
        advice = f"Use {name}: {words}"
    else:
        advice = f"No trained network is needed: with {name}, {words}"
    if metrics["protocol"] == "temporal":
        return f"{advice} purchases are among the ten recommended products."
    if has_several_targets(metrics):
        return f"{advice} customers see a product of their next order among ten products."
    return f"{advice} customers see their next purchase among ten products."


def _describe_certainty(metrics: Metrics, best: str) -> str:
    """Return a sentence about the certainty of the advantage of a model, on the test part."""
    estimates = _estimate_hit_rates(metrics)
    baselines = [name for name in BASELINES if name in estimates]
    networks = [name for name in estimates if name not in baselines]
    own = f"{_format_percent(estimates[best].value)} of {_format_test_rows(metrics)}"
    if not networks:
        return f"It succeeds for {own}. Only baselines were run. No network was trained."
    if not baselines:
        return f"It succeeds for {own}. No baseline was run, so a comparison is not possible."
    if best in baselines:
        candidates = [name for name in networks if name not in REPRODUCTION_NETWORKS.values()]
        rival = select_best_model(metrics, candidates or networks) or networks[0]
        return (
            f"It succeeds for {own}. The best trained model on the validation part, "
            f"{_format_model_name(rival)}, succeeds for {_format_percent(estimates[rival].value)}. "
            f"{_format_intervals(estimates[best], estimates[rival])}."
        )
    rival = max(baselines, key=lambda name: estimates[name].value)
    return _describe_advantage(estimates[best], estimates[rival], rival, own)


def _describe_advantage(model: _Estimate, baseline: _Estimate, name: str, own: str) -> str:
    known = f"the best baseline, {_format_model_name(name)}"
    against = f"{own} against {_format_percent(baseline.value)}"
    intervals = _format_intervals(model, baseline)
    if model.low > baseline.high:
        return f"It beats {known}: {against}. {intervals}. They do not overlap."
    if model.value > baseline.value:
        return (
            f"It is better than {known} ({against}), but this is not certain. {intervals}. "
            "They overlap. `kedro run --pipelines comparison` runs a more sensitive test."
        )
    return (
        f"It does not beat {known} ({against}). A baseline may be enough for this data. "
        f"{intervals}."
    )


def _describe_oracle(metrics: Metrics, model: str) -> list[str]:
    """Return a sentence that compares a model with the oracle, if there is one."""
    share = _compare_with_oracle(metrics, model)
    if share is None:
        return []
    name = _format_model_name(model)
    return [
        f"{name[0].upper()}{name[1:]} {share}. The oracle knows how the purchases were generated."
    ]


def _compare_with_oracle(metrics: Metrics, model: str) -> str | None:
    models, mode = metrics["models"], metrics["filter_mode"]
    ceiling = models[ORACLE][mode]["ndcg@10"] if ORACLE in models else 0
    if ceiling == 0:
        return None
    return f"reaches {models[model][mode]['ndcg@10'] / ceiling:.0%} of the oracle's NDCG@10"


def _describe_repeats(metrics: Metrics, best: str) -> list[str]:
    """Return sentences about repeats if the results with repeats come first."""
    if metrics["filter_mode"] != "unfiltered":
        return []
    results = metrics["models"][best]["unfiltered"]
    sentence = (
        f"{_format_percent(metrics['repeat_share'])} of the purchases to predict are products that "
        "the customer had bought before. Results with seen items not filtered come first, because "
        "more than 5% of the validation targets are such products."
    )
    if results["repeat"] and results["explore"]:
        sentence += (
            f" NDCG@10 of {_format_model_name(best)} is {results['repeat']['ndcg@10']:.4f} for "
            f"these products and {results['explore']['ndcg@10']:.4f} for all others."
        )
    sentences = [sentence]
    if metrics["filter_seen"]:
        sentences.append(
            "Recommendations never contain products that the customer had bought before, because "
            f"`recommendation.filter_seen` is true. To change this, set it to auto in "
            f"`{_SETTINGS_FILE}`."
        )
    return sentences


def _format_test_rows(metrics: Metrics) -> str:
    """Return the number of test rows: customers if each has one row, else purchases."""
    one_each = metrics["protocol"] in ("next_order", "leave_one_out", "cold_items")
    return f"the {metrics['n_test_rows']:,} test {'customers' if one_each else 'purchases'}"


def _format_intervals(first: _Estimate, second: _Estimate) -> str:
    return f"The 95% intervals are {first.format_interval()} and {second.format_interval()}"


def _estimate_hit_rates(metrics: Metrics) -> dict[str, _Estimate]:
    mode = metrics["filter_mode"]
    return {
        name: _Estimate(results[mode]["hr@10"], *results[mode]["hr@10_ci95"])
        for name, results in metrics["models"].items()
    }


def _format_model_name(model: str) -> str:
    """Return the name of a model for use inside a sentence."""
    label = get_model_label(model)
    if model in ("blend", "classifier", "regressor"):
        return f"the {label.lower()}"
    return label[0].lower() + label[1:] if model in BASELINES and label[1:2].islower() else label


def _format_percent(share: float) -> str:
    return f"{share:.2%}" if 0 < share < 0.01 else f"{share:.1%}"


def _compare_with_baseline(model: _Estimate, baseline: _Estimate, name: str) -> str:
    against = f"{name} ({_format_percent(baseline.value)})"
    if model.low > baseline.high:
        return f"beats {against}"
    if model.high < baseline.low:
        return f"is worse than {against}"
    if model.value > baseline.value:
        return f"is above {against}, but the intervals overlap"
    relation = "below" if model.value < baseline.value else "equal to"
    return f"does not beat {against}: it is {relation} it, and the intervals overlap"

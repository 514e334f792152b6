from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bazar.errors import InputError
from bazar.evaluation.comparison import (
    MEASURED,
    OF_LISTS,
    Result,
    check_same_rows,
    compare,
    read_results,
)
from bazar.evaluation.metrics import FILTER_MODES, bootstrap_interval, row_metrics
from bazar.evaluation.significance import holm, paired_bootstrap
from bazar.reporting.comparison_page import cold_table, pairs_table, triangle, write_page
from bazar.reporting.console import print_comparison
from bazar.reporting.figures import plot_comparison

ROWS = 2000
USERS = np.array([f"u{row:04d}" for row in range(ROWS)], object)
TARGETS = np.array([f"i{row % 7}" for row in range(ROWS)], object)


def result(model: str, ranks: np.ndarray, seed: int = 42, trained: bool = True) -> Result:
    """What a model left that gave these ranks, with the history filtered and not."""
    means = {name: values.mean() for name, values in row_metrics(ranks).items()}
    figures = {name: means[name] for name in MEASURED} | dict.fromkeys(OF_LISTS, 0.25)
    table = pd.DataFrame(
        {
            "row": range(len(ranks)), "user_id": USERS[: len(ranks)],
            "item_id": TARGETS[: len(ranks)], "rank_filtered": ranks, "rank_unfiltered": ranks,
            "target_count": np.arange(len(ranks)) % 4,
        }
    )  # fmt: skip
    metrics = dict.fromkeys(FILTER_MODES, figures) | {
        "measured_on": {"test_rows": len(ranks), "items": 1000}
    }
    facts = {"seconds_training": 60.0 + seed, "n_parameters": 1234} if trained else None
    return Result(model, seed, table, metrics, facts)


def ranks_with(hit_rate: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hits = rng.random(ROWS) < hit_rate
    return np.where(hits, rng.integers(1, 11, ROWS), rng.integers(11, 1000, ROWS)).astype(float)


@pytest.fixture(scope="module")
def comparison() -> dict:
    """Of a good model with three seeds, its twin, a bad one, and a baseline."""
    good = [ranks_with(0.30, seed) for seed in (1, 2, 3)]
    results = [
        *(result("classifier", good[n], 42 + n) for n in range(3)),
        *(result("regressor", good[n], 42 + n) for n in range(3)),
        result("popularity", ranks_with(0.05, 9), trained=False),
        result("ease", ranks_with(0.05, 10), trained=False),
    ]
    sizes = {"dataset": "shop", "protocol": "leave_one_out", "n_users": ROWS, "n_items": 1000,
             "n_interactions": 9999, "n_test_rows": ROWS, "bootstrap_resamples": 2000}  # fmt: skip
    return sizes | compare(results, USERS, 2000, seed=0)


def told(comparison: dict, *models: str) -> dict:
    (found,) = (one for one in comparison["differences"] if set(one["models"]) == set(models))
    return found["filtered"]["ndcg@10"]


def test_equal_models_do_not_differ(comparison: dict) -> None:
    twins = told(comparison, "classifier", "regressor")
    assert twins["difference"] == 0
    assert twins["ci95"] == [0, 0]
    assert twins["p"] == twins["p_holm"] == 1
    assert not twins["real"]
    # Two baselines of the same quality that err on other rows.
    assert not told(comparison, "popularity", "ease")["real"]


def test_a_better_model_is_really_better(comparison: dict) -> None:
    for model in ("classifier", "regressor"):
        for baseline in ("popularity", "ease"):
            one = told(comparison, model, baseline)
            low, high = one["ci95"]
            assert one["real"]
            assert 0 < low < one["difference"] < high
            assert one["p"] < one["p_holm"] < 0.05
    order = list(comparison["models"])
    assert set(order[:2]) == {"classifier", "regressor"}
    assert [one["models"] for one in comparison["differences"]] == [
        [first, second] for place, first in enumerate(order) for second in order[place + 1 :]
    ]


def test_rows_of_cold_products_are_told_apart(comparison: dict) -> None:
    cold = np.arange(ROWS) % 4 == 0
    assert comparison["cold_rows"] == cold.sum()
    of_seeds = [row_metrics(ranks_with(0.30, seed)[cold])["ndcg@10"].mean() for seed in (1, 2, 3)]
    figures = comparison["models"]["classifier"]["cold"]["filtered"]["ndcg@10"]
    assert figures["mean"] == pytest.approx(np.mean(of_seeds))
    assert figures["sd"] == pytest.approx(np.std(of_seeds, ddof=1))
    low, high = figures["ci95"]
    assert low < figures["mean"] < high
    whole = comparison["models"]["classifier"]["filtered"]["ndcg@10"]["ci95"]
    assert high - low > 1.5 * (whole[1] - whole[0])
    table = cold_table(comparison).splitlines()
    assert table[0].startswith(
        f"| {cold.sum():,} cold rows | HR@10, filtered | NDCG@10, filtered |"
    )
    assert {line.split(" | ")[0] for line in table[2:4]} == {"| Classifier", "| Regressor"}
    assert f"{figures['mean']:.4f} ± {figures['sd']:.4f}" in cold_table(comparison)
    assert "## Products that are not in training" in write_page(comparison)


def test_means_over_seeds(comparison: dict) -> None:
    model = comparison["models"]["classifier"]
    of_seeds = [row_metrics(ranks_with(0.30, seed)) for seed in (1, 2, 3)]
    hits = [one["hr@10"].mean() for one in of_seeds]
    figures = model["filtered"]["hr@10"]
    assert model["seeds"] == [42, 43, 44]
    assert figures["mean"] == pytest.approx(np.mean(hits))
    assert figures["sd"] == pytest.approx(np.std(hits, ddof=1))
    assert figures["by_seed"] == pytest.approx(dict(zip(("42", "43", "44"), hits, strict=True)))
    assert model["seconds_training"] == 103.0
    baseline = comparison["models"]["popularity"]
    assert baseline["seeds"] == []
    assert baseline["filtered"]["hr@10"]["sd"] is None
    assert baseline["seconds_training"] is None
    # A user's rows are averaged over seeds before users are drawn.
    average = np.mean([one["hr@10"] for one in of_seeds], axis=0)
    expected = bootstrap_interval(average, USERS, 2000, seed=5)
    assert figures["ci95"] == pytest.approx(expected, abs=0.003)


def test_paired_bootstrap_by_hand() -> None:
    # Two users of one row and of three: a sample is one of them twice, or both.
    values = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    means = paired_bootstrap(values, np.array(["a", "b", "b", "b"]), 400, seed=0)
    np.testing.assert_allclose(means.sum(axis=1), 1)
    found, times = np.unique(means[:, 0], return_counts=True)
    assert found.tolist() == [0, 0.25, 1]
    assert times / 400 == pytest.approx([0.25, 0.5, 0.25], abs=0.08)


def test_the_pairing_takes_out_what_users_have_in_common() -> None:
    # Both find the same easy users; one of them finds a few more: alone, the intervals overlap.
    worse = ranks_with(0.30, 1)
    better = worse.copy()
    better[np.flatnonzero(worse > 10)[:25]] = 5.0
    found = compare([result("a", better), result("b", worse)], USERS, 1000, seed=0)
    one, two = (found["models"][name]["filtered"]["hr@10"]["ci95"] for name in "ab")
    assert one[0] < two[1]
    assert told(found, "a", "b")["real"]


def test_false_alarms_are_rare_among_many_models() -> None:
    alarms = 0
    for trial in range(20):
        results = [result(f"m{n}", ranks_with(0.2, 100 * trial + n)) for n in range(5)]
        found = compare(results, USERS, 1000, seed=trial)
        alarms += any(one["filtered"]["hr@10"]["real"] for one in found["differences"])
    assert alarms <= 4


def test_holm_by_hand() -> None:
    corrected = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert holm(np.array([])).tolist() == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_no_correction_and_bonferroni(p_values: list[float]) -> None:
    p = np.array(p_values)
    corrected = holm(p)
    assert (p <= corrected).all()
    assert (corrected <= np.minimum(1, p * len(p)) + 1e-12).any()
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()


def test_too_few_resamples_are_refused() -> None:
    results = [result(f"m{n}", ranks_with(0.2, n)) for n in range(9)]
    with pytest.raises(InputError, match=r"36 pairs.*\n.*1,440 or more"):
        compare(results, USERS, 1000, seed=0)


def files_of(*results: Result) -> tuple[dict, dict, dict]:
    names = [one.model if one.seed == 42 else f"seed_{one.seed}/{one.model}" for one in results]
    ranks = {name: (lambda one=one: one.ranks) for name, one in zip(names, results, strict=True)}
    metrics = {
        name: (lambda one=one: one.metrics) for name, one in zip(names, results, strict=True)
    }
    training = {
        name: (lambda one=one: one.training)
        for name, one in zip(names, results, strict=True)
        if one.training is not None
    }
    return ranks, metrics, training


def test_results_are_found_by_model_and_seed() -> None:
    ranks = ranks_with(0.2, 0)
    made = [result("ease", ranks, trained=False), *(result("regressor", ranks, n) for n in (7, 42))]
    files = files_of(*made)
    # Another protocol's folder, and what a killed save left, are not of this comparison.
    for name in ("shuffled_windows/ease", "shuffled_windows/seed_7/ease", ".1a2b3c4d.ease"):
        files[0][name] = None
    found = read_results(*files)
    assert [(one.model, one.seed) for one in found] == [
        ("ease", 42), ("regressor", 7), ("regressor", 42),
    ]  # fmt: skip
    assert found[0].training is None
    assert found[1].training == made[1].training
    with pytest.raises(InputError, match="no ranks to compare"):
        read_results({}, {}, {})
    del files[1]["seed_7/regressor"]
    with pytest.raises(InputError, match="seed_7/regressor: there are ranks, but no metrics"):
        read_results(*files)


def test_ranks_of_other_rows_are_refused() -> None:
    ranks = ranks_with(0.2, 0)
    results = [result("ease", ranks), result("classifier", ranks, 43)]
    check_same_rows(results, USERS, TARGETS, 1000)
    for users, targets, n_items in (
        (USERS[:-1], TARGETS[:-1], 1000),
        (USERS, TARGETS, 999),
        (USERS[::-1], TARGETS, 1000),
        (USERS, np.roll(TARGETS, 1), 1000),
    ):
        with pytest.raises(InputError, match=r"ease, classifier \(seed 43\): measured on other"):
            check_same_rows(results, users, targets, n_items)


def test_the_page_tells_models_and_differences(comparison: dict) -> None:
    page = write_page(comparison)
    best = comparison["models"]["classifier"]["filtered"]["ndcg@10"]
    low, high = best["ci95"]
    assert f"{best['mean']:.4f} ± {best['sd']:.4f} [{low:.4f}, {high:.4f}]" in page
    assert "2,000 users, 1,000 items, 9,999 interactions" in page
    assert "| EASE | – |" in page
    order = list(comparison["models"])
    cells = triangle(comparison, "filtered", "ndcg@10")
    assert cells[0][0] == "+0.0000"
    difference = told(comparison, order[1], order[3])["difference"]
    assert cells[1][2] == f"**{difference:+.4f}**"
    assert cells[2] == ["", "", cells[2][2]]
    assert not cells[2][2].startswith("**")
    assert "Leaky" not in page
    assert "Leaky" in write_page(comparison | {"protocol": "shuffled_windows"})


def test_a_pair_may_be_asked_for_either_way(comparison: dict) -> None:
    def row(first: str, second: str) -> str:
        return pairs_table(comparison, [(first, second)], "filtered").splitlines()[-1]

    one = told(comparison, "classifier", "ease")
    low, high = one["ci95"]
    assert f"| {one['difference']:+.4f} [{low:+.4f}, {high:+.4f}] |" in row("classifier", "ease")
    assert f"| {-one['difference']:+.4f} [{-high:+.4f}, {-low:+.4f}] |" in row("ease", "classifier")
    assert row("classifier", "ease").count("**yes**") == 2
    assert row("classifier", "regressor").count("| no |") == 2


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_says_which_are_alike(comparison: dict, width: int) -> None:
    console = Console(record=True, width=width, force_terminal=False)
    print_comparison(comparison, Path("/data/page.md"), console)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert any("/data/page.md" in line for line in lines)
    first = next(line.split() for line in lines if line.split()[:1] == ["1"])
    assert first[-1] == "2"


def test_the_figure_draws_means_intervals_and_seeds(comparison: dict) -> None:
    axes = plot_comparison(comparison).axes[0]
    best = next(iter(comparison["models"].values()))["filtered"]["ndcg@10"]
    assert axes.patches[-1].get_width() == best["mean"]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == 2
    assert list(dots[-1].get_xdata()) == list(best["by_seed"].values())

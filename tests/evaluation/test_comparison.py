from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bazar.datasets.results import ResultsDataset
from bazar.errors import InputError
from bazar.evaluation.comparison import (
    LIST_METRICS,
    ROW_METRICS,
    SeedResults,
    compare_results,
    read_results,
)
from bazar.evaluation.metrics import FILTER_MODES, compute_bootstrap_interval, compute_row_metrics
from bazar.evaluation.results import ModelResults
from bazar.evaluation.significance import apply_holm_correction, run_paired_bootstrap
from bazar.labels import ORACLE
from bazar.reporting.comparison_page import (
    build_differences_table,
    build_models_table,
    build_pairs_table,
    build_part_table,
    describe_baselines,
    write_page,
)
from bazar.reporting.console import print_comparison
from bazar.reporting.figures import plot_comparison

ROWS = 2000
USERS = np.array([f"u{row:04d}" for row in range(ROWS)], object)
TARGETS = np.array([f"i{row % 7}" for row in range(ROWS)], object)


def measure(ranks: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics of rows with one target each."""
    return compute_row_metrics(ranks, np.arange(len(ranks)))


def make_results(
    model: str,
    ranks: np.ndarray,
    seed: int = 42,
    trained: bool = True,
    unfiltered: np.ndarray | None = None,
    rows: np.ndarray | None = None,
    is_repeat: np.ndarray | None = None,
    is_new_day: list[bool | None] | None = None,
) -> SeedResults:
    """Make the results of a model with these ranks, seen items filtered and not.

    By default, each row has one target, no target is a repeat, days are unknown, and both filter
    modes have the same ranks.
    """
    rows = np.arange(len(ranks)) if rows is None else rows
    by_mode = {"filtered": ranks, "unfiltered": ranks if unfiltered is None else unfiltered}
    figures = {
        mode: {
            name: float(values.mean())
            for name, values in compute_row_metrics(by_mode[mode], rows).items()
            if name in ROW_METRICS
        }
        | dict.fromkeys(LIST_METRICS, 0.25)
        for mode in FILTER_MODES
    }
    table = pd.DataFrame(
        {
            "row": rows, "user_id": USERS[rows], "item_id": TARGETS[: len(ranks)],
            "rank_filtered": by_mode["filtered"], "rank_unfiltered": by_mode["unfiltered"],
            "target_count": np.arange(len(ranks)) % 4,
            "is_repeat": False if is_repeat is None else is_repeat,
        }
    )  # fmt: skip
    if is_new_day is not None:
        table["is_new_day"] = pd.array(is_new_day, "boolean")
    metrics = figures | {"measured_on": {"test_rows": len(ranks), "items": 1000}}
    training = {"seconds_training": 60.0 + seed, "n_parameters": 1234} if trained else None
    return SeedResults(model, seed, ModelResults(metrics, table, pd.DataFrame(), training))


def ranks_with(hit_rate: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hits = rng.random(ROWS) < hit_rate
    return np.where(hits, rng.integers(1, 11, ROWS), rng.integers(11, 1000, ROWS)).astype(float)


@pytest.fixture(scope="module")
def comparison() -> dict:
    """Compare a good model with three seeds, an equal one, and two bad baselines."""
    good = [ranks_with(0.30, seed) for seed in (1, 2, 3)]
    results = [
        *(make_results("classifier", good[n], 42 + n) for n in range(3)),
        *(make_results("regressor", good[n], 42 + n) for n in range(3)),
        make_results("popularity", ranks_with(0.05, 9), trained=False),
        make_results("ease", ranks_with(0.05, 10), trained=False),
    ]
    sizes = {"dataset": "shop", "protocol": "leave_one_out", "n_users": ROWS, "n_items": 1000,
             "n_interactions": 9999, "n_test_rows": ROWS, "bootstrap_resamples": 2000}  # fmt: skip
    return sizes | compare_results(results, "filtered", 2000, seed=0)


def find_pair(comparison: dict, *models: str) -> dict:
    """Return the NDCG@10 difference of two models."""
    (pair,) = (pair for pair in comparison["differences"] if set(pair["models"]) == set(models))
    return pair["filtered"]["ndcg@10"]


def test_equal_models_do_not_differ(comparison: dict) -> None:
    difference = find_pair(comparison, "classifier", "regressor")
    assert difference["difference"] == 0
    assert difference["ci95"] == [0, 0]
    assert difference["p"] == difference["p_holm"] == 1
    assert not difference["significant"]
    # Two baselines of the same quality that are wrong on different rows.
    assert not find_pair(comparison, "popularity", "ease")["significant"]


def test_a_better_model_is_really_better(comparison: dict) -> None:
    for model in ("classifier", "regressor"):
        for baseline in ("popularity", "ease"):
            difference = find_pair(comparison, model, baseline)
            low, high = difference["ci95"]
            assert difference["significant"]
            assert 0 < low < difference["difference"] < high
            assert difference["p"] < difference["p_holm"] < 0.05
    order = list(comparison["models"])
    assert set(order[:2]) == {"classifier", "regressor"}
    assert [pair["models"] for pair in comparison["differences"]] == [
        [first, second] for number, first in enumerate(order) for second in order[number + 1 :]
    ]


def test_rows_with_cold_targets_are_measured_separately(comparison: dict) -> None:
    cold = np.arange(ROWS) % 4 == 0
    assert comparison["cold_rows"] == cold.sum()
    by_seed = [measure(ranks_with(0.30, seed)[cold])["ndcg@10"].mean() for seed in (1, 2, 3)]
    figures = comparison["models"]["classifier"]["cold"]["filtered"]["ndcg@10"]
    assert figures["mean"] == pytest.approx(np.mean(by_seed))
    assert figures["sd"] == pytest.approx(np.std(by_seed, ddof=1))
    low, high = figures["ci95"]
    assert low < figures["mean"] < high
    pair = comparison["part_differences"]["cold"][0]
    first, second = (
        comparison["models"][model]["cold"]["filtered"]["ndcg@10"]["mean"]
        for model in pair["models"]
    )
    assert pair["filtered"]["ndcg@10"]["difference"] == pytest.approx(first - second)
    all_rows = comparison["models"]["classifier"]["filtered"]["ndcg@10"]["ci95"]
    assert high - low > 1.5 * (all_rows[1] - all_rows[0])
    table = build_part_table(comparison, "cold").to_markdown().splitlines()
    assert table[0].startswith(
        f"| {cold.sum():,} cold rows | HR@10, filtered | NDCG@10, filtered |"
    )
    assert {line.split(" | ")[0] for line in table[2:4]} == {"| Classifier", "| Regressor"}
    assert f"{figures['mean']:.4f} ± {figures['sd']:.4f}" in "\n".join(table)
    assert "## Cold items" in write_page(comparison)


NEW_DAYS = [(True, False, None)[row % 3] for row in range(ROWS)]


def compare_on_days(is_new_day: list[bool | None] | None) -> dict:
    """Compare two models that differ only on the rows whose number is a multiple of 3."""
    worse = ranks_with(0.30, 1)
    better = np.where(np.arange(ROWS) % 3 == 0, 1.0, worse)
    results = [
        make_results("classifier", better, is_new_day=is_new_day),
        make_results("ease", worse, trained=False, is_new_day=is_new_day),
        make_results("popularity", worse, trained=False, is_new_day=is_new_day),
        make_results(ORACLE, better, trained=False, is_new_day=is_new_day),
    ]
    sizes = {"dataset": "shop", "protocol": "leave_one_out", "n_users": ROWS, "n_items": 1000,
             "n_interactions": 9999, "n_test_rows": ROWS, "bootstrap_resamples": 1000}  # fmt: skip
    return sizes | compare_results(results, "filtered", 1000, seed=0)


@pytest.fixture(scope="module")
def on_days() -> dict:
    return compare_on_days(NEW_DAYS)


def test_targets_on_a_new_day_are_measured_separately(on_days: dict) -> None:
    assert on_days["new_day_rows"] == 667
    figures = {
        model: on_days["models"][model]["new_day"]["filtered"]["ndcg@10"]["mean"]
        for model in ("classifier", "ease")
    }
    rows = np.arange(ROWS) % 3 == 0
    expected = measure(ranks_with(0.30, 1)[rows])["ndcg@10"].mean()
    assert figures == {"classifier": 1.0, "ease": pytest.approx(expected)}
    table = build_part_table(on_days, "new_day")
    assert table.headings[0] == "667 new-day rows"
    assert table.rows[1][:2] == ["Classifier", "1.0000 [1.0000, 1.0000]"]
    page = write_page(on_days)
    assert page.count("## Targets on a new day") == 1
    assert table.to_markdown() in page


def test_differences_on_a_new_day_are_tested_on_these_rows(on_days: dict) -> None:
    tests = {
        tuple(pair["models"]): pair["filtered"]["ndcg@10"]
        for pair in on_days["part_differences"]["new_day"]
    }
    assert set(tests) == {
        ("classifier", "ease"), ("classifier", "popularity"), ("ease", "popularity"),
    }  # fmt: skip
    means = [
        on_days["models"][model]["new_day"]["filtered"]["ndcg@10"]["mean"]
        for model in ("classifier", "ease")
    ]
    better, equal = tests["classifier", "ease"], tests["ease", "popularity"]
    assert better["difference"] == pytest.approx(means[0] - means[1])
    # The models differ on these rows only.
    assert better["difference"] == pytest.approx(
        find_pair(on_days, "classifier", "ease")["difference"] * ROWS / 667
    )
    assert (better["significant"], equal["significant"], equal["p_holm"]) == (True, False, 1)
    table = build_pairs_table(on_days, [("ease", "classifier")], "filtered", "new_day")
    assert table.rows[0][4].startswith(f"{-better['difference']:+.4f} [")


@pytest.mark.parametrize(
    "is_new_day", [None, [None] * ROWS, [True] * ROWS, [None, True] * (ROWS // 2)]
)
def test_new_days_are_shown_only_if_some_targets_have_an_old_day(
    is_new_day: list[bool | None] | None,
) -> None:
    found = compare_on_days(is_new_day)
    assert (found["new_day_rows"], found["part_differences"]["new_day"]) == (0, [])
    assert all(model["new_day"] is None for model in found["models"].values())
    assert "new day" not in write_page(found)


def test_a_model_is_compared_by_its_mean_over_seeds(comparison: dict) -> None:
    model = comparison["models"]["classifier"]
    by_seed = [measure(ranks_with(0.30, seed)) for seed in (1, 2, 3)]
    hits = [metrics["hr@10"].mean() for metrics in by_seed]
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
    # Rows are averaged over seeds before users are resampled.
    average = np.mean([metrics["hr@10"] for metrics in by_seed], axis=0)
    expected = compute_bootstrap_interval(average, USERS, 2000, seed=5)
    assert figures["ci95"] == pytest.approx(expected, abs=0.003)


def test_paired_bootstrap_by_hand() -> None:
    # Two users with one and three rows: a sample has one of them twice, or both.
    values = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    means = run_paired_bootstrap(values, np.array(["a", "b", "b", "b"]), 400, seed=0)
    np.testing.assert_allclose(means.sum(axis=1), 1)
    found, counts = np.unique(means[:, 0], return_counts=True)
    assert found.tolist() == [0, 0.25, 1]
    assert counts / 400 == pytest.approx([0.25, 0.5, 0.25], abs=0.08)


def test_pairing_finds_a_difference_although_the_intervals_overlap() -> None:
    # Both models have the same hits; one has a few more.
    worse = ranks_with(0.30, 1)
    better = worse.copy()
    better[np.flatnonzero(worse > 10)[:25]] = 5.0
    found = compare_results(
        [make_results("a", better), make_results("b", worse)], "filtered", 1000, seed=0
    )
    first, second = (found["models"][name]["filtered"]["hr@10"]["ci95"] for name in "ab")
    assert first[0] < second[1]
    assert find_pair(found, "a", "b")["significant"]


def test_a_difference_of_few_users_is_not_significant() -> None:
    worse = np.full(len(USERS), 99.0)
    better = worse.copy()
    different = np.unique(USERS)[:5]
    better[np.isin(USERS, different)] = 1.0
    found = compare_results(
        [make_results("a", better), make_results("b", worse)], "filtered", 1000, seed=0
    )
    test = find_pair(found, "a", "b")
    # Five users with a difference have 32 patterns of signs. Two of them are the most extreme.
    assert test["p"] == pytest.approx(2 / 32)
    assert not test["significant"]
    # With one more, the difference is significant.
    better[np.isin(USERS, np.unique(USERS)[:6])] = 1.0
    found = compare_results(
        [make_results("a", better), make_results("b", worse)], "filtered", 1000, seed=0
    )
    assert find_pair(found, "a", "b")["p"] == pytest.approx(2 / 64)


def test_only_selected_pairs_are_tested() -> None:
    results = [make_results(name, ranks_with(rate, 1)) for name, rate in (
        ("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", 0.4)
    )]  # fmt: skip
    pairs = [("a", "d"), ("c", "b")]
    found = compare_results(results, "filtered", 1000, 0, pairs)
    assert [pair["models"] for pair in found["differences"]] == [["d", "a"], ["c", "b"]]
    explored = found["part_differences"]["explore"]
    assert [pair["models"] for pair in explored] == [["d", "a"], ["c", "b"]]
    everything = compare_results(results, "filtered", 1000, 0)
    one, all_pairs = (find_pair(one, "d", "a") for one in (found, everything))
    # The correction counts two pairs instead of six.
    assert (one["p_holm"], all_pairs["p_holm"]) == pytest.approx((2 * one["p"], 6 * one["p"]))


def test_false_positives_are_rare_among_many_models() -> None:
    false_positives = 0
    for trial in range(20):
        results = [make_results(f"m{n}", ranks_with(0.2, 100 * trial + n)) for n in range(5)]
        found = compare_results(results, "filtered", 1000, seed=trial)
        false_positives += any(
            pair["filtered"]["hr@10"]["significant"] for pair in found["differences"]
        )
    assert false_positives <= 4


def test_holm_by_hand() -> None:
    corrected = apply_holm_correction(np.array([0.01, 0.04, 0.03, 0.005]))
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert apply_holm_correction(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert apply_holm_correction(np.array([])).tolist() == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_no_correction_and_bonferroni(p_values: list[float]) -> None:
    p = np.array(p_values)
    corrected = apply_holm_correction(p)
    assert (p <= corrected).all()
    assert (corrected <= np.minimum(1, p * len(p)) + 1e-12).any()
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()


def test_too_few_resamples_raise() -> None:
    results = [make_results(f"m{n}", ranks_with(0.2, n)) for n in range(9)]
    with pytest.raises(InputError, match=r"36 pairs.*\n.*1,440 or more"):
        compare_results(results, "filtered", 1000, seed=0)


def test_results_are_read_by_model_and_seed() -> None:
    ranks = ranks_with(0.2, 0)
    trained = {seed: make_results("regressor", ranks, seed).results for seed in (7, 42)}
    shuffled = ModelResults(
        trained[7].metrics, trained[7].ranks.iloc[::-1], pd.DataFrame(), trained[7].training
    )
    baseline = make_results("ease", ranks, trained=False).results
    # Folders of other splits, and the rest of an interrupted save, are not part of a comparison.
    others = ("shuffled_windows/seed_42/ease", "seed_42/.1a2b3c4d.ease", "ease")
    read = read_results(
        {
            "seed_42/regressor": trained[42],
            "seed_42/ease": baseline,
            "seed_7/regressor": shuffled,
            **dict.fromkeys(others, baseline),
        }
    )
    assert [(result.model, result.seed) for result in read] == [
        ("ease", 42), ("regressor", 7), ("regressor", 42),
    ]  # fmt: skip
    assert read[0].results.training is None
    assert read[1].results.training == trained[7].training
    assert read[1].ranks.equals(trained[7].ranks)
    assert [result.label for result in read] == ["ease", "regressor (seed 7)", "regressor"]
    with pytest.raises(InputError, match="no results to compare"):
        read_results({"ease": baseline})


def test_a_model_without_randomness_is_read_from_the_lowest_seed() -> None:
    first, second = (
        make_results("ease", ranks_with(0.2, n), trained=False).results for n in range(2)
    )
    (read,) = read_results({"seed_43/ease": second, "seed_9/ease": first})
    assert read.seed == 9
    assert read.ranks.equals(first.ranks)
    found = compare_results([read], "filtered", 100, seed=0)["models"]["ease"]
    assert found["seeds"] == []
    assert found["filtered"]["hr@10"]["sd"] is None


@pytest.fixture(scope="module")
def orders() -> dict:
    """Compare models on rows with three targets; the first target of a row is a repeat."""
    rows = np.repeat(np.arange(600), 3)
    is_repeat = np.arange(len(rows)) % 3 == 0
    rng = np.random.default_rng(0)

    def make(model: str, repeat_rate: float, rate: float, trained: bool = True) -> SeedResults:
        hits = rng.random(len(rows)) < np.where(is_repeat, repeat_rate, rate)
        misses = rng.integers(11, 900, len(rows))
        ranks = np.where(hits, rng.integers(1, 11, len(rows)), misses).astype(float)
        filtered = np.where(is_repeat, 990.0, ranks)
        return make_results(
            model, filtered, trained=trained, unfiltered=ranks, rows=rows, is_repeat=is_repeat
        )

    results = [
        make("classifier", 0.2, 0.30),
        make("tifu_knn", 0.8, 0.10, trained=False),
        make("popularity", 0.1, 0.05, trained=False),
        make(ORACLE, 0.9, 0.4, trained=False),
    ]
    sizes = {"dataset": "shop", "protocol": "next_order", "n_users": 600, "n_items": 1000,
             "n_interactions": 9999, "n_test_rows": 600, "bootstrap_resamples": 1000}  # fmt: skip
    return sizes | compare_results(results, "unfiltered", 1000, seed=0)


def test_models_are_sorted_by_the_filter_mode_that_comes_first(orders: dict) -> None:
    assert orders["filter_mode"] == "unfiltered"
    assert list(orders["models"]) == [ORACLE, "tifu_knn", "classifier", "popularity"]
    filtered = [orders["models"][name]["filtered"]["ndcg@10"]["mean"] for name in orders["models"]]
    assert filtered[2] > filtered[1]
    page = write_page(orders)
    assert page.index("| seen items not filtered |") < page.index("| seen items filtered |")
    assert "sorted by NDCG@10 with seen items not filtered" in page
    assert "600 test rows with 1,800 targets" in page


def test_repeats_and_other_targets_are_measured_separately(orders: dict) -> None:
    assert (orders["n_test_targets"], orders["repeat_rows"], orders["explore_rows"]) == (
        1800, 600, 600,
    )  # fmt: skip
    found = orders["models"]["tifu_knn"]
    assert found["repeat"]["filtered"]["hr@10"]["mean"] == 0
    assert found["repeat"]["unfiltered"]["recall@10"]["mean"] == pytest.approx(0.8, abs=0.06)
    assert found["explore"]["unfiltered"]["recall@10"]["mean"] == pytest.approx(0.1, abs=0.03)
    # Two of three targets count, and either of them is a hit.
    assert found["explore"]["unfiltered"]["hr@10"]["mean"] == pytest.approx(0.19, abs=0.06)
    table = build_part_table(orders, "repeat").to_markdown().splitlines()
    assert table[0] == (
        "| 600 repeat rows | HR@10, unfiltered | Recall@10, unfiltered | NDCG@10, unfiltered |"
    )
    assert [line.split(" | ")[0] for line in table[2:4]] == [
        "| Oracle (knows the generator)", "| TIFU-KNN",
    ]  # fmt: skip


def test_recall_is_shown_only_with_several_targets(orders: dict, comparison: dict) -> None:
    assert "Recall@10" in build_models_table(orders, "unfiltered").headings
    assert "Recall@10" not in write_page(comparison)
    for difference in comparison["differences"]:
        assert difference["filtered"]["recall@10"] == difference["filtered"]["hr@10"]


def test_the_oracle_is_shown_and_takes_no_part_in_tests(orders: dict) -> None:
    assert not any(ORACLE in pair["models"] for pair in orders["differences"])
    rows = build_differences_table(orders, "unfiltered", "ndcg@10").rows
    assert [row[0] for row in rows] == ["1. TIFU-KNN", "2. Classifier", "3. Popularity"]
    assert "is the ceiling" in write_page(orders)


def test_a_model_that_does_not_beat_the_best_baseline_is_named(
    orders: dict, comparison: dict
) -> None:
    (sentence,) = describe_baselines(orders)
    assert sentence == (
        "Classifier does not beat the best baseline, TIFU-KNN: its NDCG@10 with seen items not "
        "filtered is not significantly higher."
    )
    assert sentence in write_page(orders)
    assert describe_baselines(comparison) == []


@pytest.mark.parametrize("width", [80, 140])
def test_console_shows_the_filter_mode_that_comes_first(orders: dict, width: int) -> None:
    console = Console(record=True, width=width, force_terminal=False)
    print_comparison(orders, Path("/data/page.md"), console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    flat = " ".join(text.split())
    assert "seen items not filtered: 600 test rows, 1,800 targets, 1,000 products" in flat
    assert "All results, including seen items filtered:" in flat
    ndcg = orders["models"]["classifier"]["unfiltered"]["ndcg@10"]["mean"]
    assert f"{ndcg:.4f}" in text
    if width == 140:
        part = orders["models"]["classifier"]["repeat"]["unfiltered"]["ndcg@10"]["mean"]
        assert f"{part:.4f}" in text
        assert "Recall@10" in text


def test_page_has_models_and_differences(comparison: dict) -> None:
    page = write_page(comparison)
    best = comparison["models"]["classifier"]["filtered"]["ndcg@10"]
    low, high = best["ci95"]
    assert f"{best['mean']:.4f} ± {best['sd']:.4f} [{low:.4f}, {high:.4f}]" in page
    assert "2,000 users, 1,000 items, 9,999 interactions" in page
    assert "| EASE | – |" in page
    order = list(comparison["models"])
    rows = build_differences_table(comparison, "filtered", "ndcg@10").rows
    assert rows[0][1] == "+0.0000"
    difference = find_pair(comparison, order[1], order[3])["difference"]
    assert rows[1][3] == f"**{difference:+.4f}**"
    assert rows[2][1:3] == ["", ""]
    assert not rows[2][3].startswith("**")
    assert rows[3][1:] == ["", "", ""]
    assert [row[0][:3] for row in rows] == ["1. ", "2. ", "3. ", "4. "]
    assert "Leaky" not in page
    assert "Leaky" in write_page(comparison | {"protocol": "shuffled_windows"})


def test_a_pair_can_be_selected_in_either_order(comparison: dict) -> None:
    def format_row(first: str, second: str) -> str:
        table = build_pairs_table(comparison, [(first, second)], "filtered")
        return table.to_markdown().splitlines()[-1]

    difference = find_pair(comparison, "classifier", "ease")
    value, (low, high) = difference["difference"], difference["ci95"]
    assert f"| {value:+.4f} [{low:+.4f}, {high:+.4f}] |" in format_row("classifier", "ease")
    assert f"| {-value:+.4f} [{-high:+.4f}, {-low:+.4f}] |" in format_row("ease", "classifier")
    assert format_row("classifier", "ease").count("**yes**") == 2
    assert format_row("classifier", "regressor").count("| no |") == 2


@pytest.mark.parametrize("width", [80, 120])
def test_console_lists_models_that_do_not_differ(comparison: dict, width: int) -> None:
    console = Console(record=True, width=width, force_terminal=False)
    print_comparison(comparison, Path("/data/page.md"), console)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert any("/data/page.md" in line for line in lines)
    first = next(line.split() for line in lines if line.split()[:1] == ["1"])
    assert first[-1] == "2"


def test_figure_shows_means_intervals_and_seeds(comparison: dict) -> None:
    axes = plot_comparison(comparison).axes[0]
    best = next(iter(comparison["models"].values()))["filtered"]["ndcg@10"]
    assert axes.patches[-1].get_width() == best["mean"]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == 2
    assert list(dots[-1].get_xdata()) == list(best["by_seed"].values())


def test_stored_results_of_several_seeds_are_compared(tmp_path: Path) -> None:
    results = [make_results("classifier", ranks_with(0.3, seed), seed) for seed in (42, 43)]
    results.append(make_results("ease", ranks_with(0.1, 9), trained=False))
    dataset = ResultsDataset(filepath=str(tmp_path))
    dataset.save({f"seed_{result.seed}/{result.model}": result.results for result in results})
    stored = compare_results(read_results(dataset.load()), "filtered", 200, seed=0)
    assert stored == compare_results(results, "filtered", 200, seed=0)

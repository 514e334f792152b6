"""The verdict of a run and the comparison of each model with the baselines."""

from typing import Any, get_args

import pytest

from bazar.config.data import Protocol
from bazar.labels import describe_split
from bazar.reporting.findings import (
    build_verdict,
    can_rank_models,
    describe_share,
    get_display_order,
    list_findings,
    select_best_model,
)
from tests.reporting.report_data import (
    keep_models,
    make_metrics,
    make_repeat_metrics,
    make_results,
)


def join(metrics: dict[str, Any]) -> str:
    return " ".join(build_verdict(metrics).sentences)


def test_verdict_advises_a_model_that_beats_the_best_baseline() -> None:
    verdict = build_verdict(make_metrics())
    assert verdict.headline == (
        "Use the classifier: about 3 in 10 customers see their next purchase among ten products."
    )
    assert verdict.model == "classifier"
    assert verdict.sentences == [
        "It beats the best baseline, last-item co-occurrence: 30.0% of the 1,100 test customers "
        "against 25.0%. The 95% intervals are 29.0% to 31.0% and 24.0% to 26.0%. "
        "They do not overlap."
    ]
    assert verdict.setting is None


def test_verdict_is_chosen_by_validation_and_not_by_test() -> None:
    metrics = make_metrics()
    metrics["models"]["regressor"]["validation_ndcg@10"] = 0.9
    verdict = build_verdict(metrics)
    assert verdict.model == "regressor"
    assert verdict.headline.startswith("Use the regressor: about 1 in 5 customers")
    assert "It does not beat the best baseline" in verdict.sentences[0]
    assert "A baseline may be enough" in verdict.sentences[0]
    assert verdict.setting == (
        "recommendation:\n  models: [regressor, classifier, last_item_cooccurrence]"
    )
    assert "currently come from the classifier" in verdict.sentences[-1]


def test_reproduced_networks_are_never_advised() -> None:
    metrics = make_metrics()
    metrics["models"]["model_i"] = make_results(0.6, trained=True)
    assert build_verdict(metrics).model == "classifier"
    assert select_best_model(keep_models(metrics, "model_i")) is None


def test_verdict_is_not_certain_if_intervals_overlap() -> None:
    text = join(make_metrics(classifier=0.255))
    assert "is better than the best baseline" in text
    assert "not certain" in text
    assert "kedro run --pipelines comparison" in text


def test_verdict_says_that_counting_is_enough_if_a_baseline_is_best() -> None:
    metrics = make_metrics(last_item_cooccurrence=0.5)
    verdict = build_verdict(metrics)
    assert verdict.headline.startswith(
        "No trained network is needed: with last-item co-occurrence, about 1 in 2 customers see"
    )
    assert (
        "The best trained model on the validation part, the classifier, succeeds for 30.0%"
        in (verdict.sentences[0])
    )
    assert verdict.setting == "recommendation:\n  models: [last_item_cooccurrence, classifier]"
    titles = build_verdict(make_metrics(nearest_titles=0.5))
    assert titles.headline.startswith("No trained network is needed: with nearest titles, about")


def test_verdict_on_baselines_alone() -> None:
    metrics = keep_models(make_metrics(), "popularity", "last_item_cooccurrence")
    verdict = build_verdict(metrics)
    assert verdict.model == "last_item_cooccurrence"
    assert verdict.headline.startswith("Use last-item co-occurrence: about 1 in 4 customers")
    # The classifier, which the bundle names, has no results here.
    assert verdict.setting == "recommendation:\n  models: [last_item_cooccurrence]"
    assert "Only baselines were run" in verdict.sentences[0]


def test_verdict_without_baselines() -> None:
    assert "No baseline was run" in join(keep_models(make_metrics(), "classifier", "regressor"))


def test_verdict_without_models() -> None:
    verdict = build_verdict(keep_models(make_metrics()))
    assert verdict.headline == "No model has been measured yet."
    assert verdict.model is None
    assert list_findings(keep_models(make_metrics())) == []


def test_verdict_without_validation_results_chooses_nothing() -> None:
    metrics = make_metrics()
    for results in metrics["models"].values():
        results["validation_ndcg@10"] = None
    verdict = build_verdict(metrics)
    assert verdict.model is None
    assert "no model has a validation NDCG@10" in verdict.headline


def test_verdict_explains_filtered_results_without_a_hit() -> None:
    metrics = make_metrics()
    for results in metrics["models"].values():
        results["unfiltered"] = results["filtered"]
        results["filtered"] = make_results(0.0, trained=False)["filtered"]
    verdict = build_verdict(metrics)
    assert verdict.model is None
    assert verdict.headline == "No model has the next purchase among its 10 products."
    text = " ".join(verdict.sentences)
    assert "HR@10 is 0 for all models, seen items filtered." in text
    assert "With seen items not filtered, HR@10 is up to 30.0%." in text
    assert "ighest" not in verdict.headline + text
    assert not can_rank_models(metrics)


def test_verdict_explains_a_catalogue_of_ten_products() -> None:
    verdict = build_verdict(make_metrics(changes={"n_items": 10}))
    assert verdict.headline == ("The catalogue is too small to compare models: it has 10 products.")
    assert verdict.model is None
    assert build_verdict(make_metrics(changes={"n_items": 11})).model == "classifier"


def test_verdict_explains_equal_models() -> None:
    equal = dict.fromkeys(make_metrics()["models"], 0.2)
    verdict = build_verdict(make_metrics(**equal))
    assert verdict.headline.startswith("All models have the same results")
    assert verdict.model is None
    assert not can_rank_models(make_metrics(**equal))
    assert can_rank_models(make_metrics())


def test_verdict_does_not_choose_by_a_leaky_split() -> None:
    verdict = build_verdict(make_metrics("shuffled_windows"))
    assert verdict.headline.startswith("Do not choose a model by this run")
    assert verdict.model is None


def test_verdict_explains_why_unfiltered_results_come_first() -> None:
    text = join(make_repeat_metrics())
    assert "50.0% of the purchases to predict are products that the customer had bought" in text
    assert "Results with seen items not filtered come first, because more than 5%" in text
    assert "NDCG@10 of the classifier is 0.1125 for these products and 0.0375 for all" in text
    assert "filter_seen" not in text
    assert "bought before" not in join(make_metrics())


def test_verdict_uses_the_results_that_come_first() -> None:
    verdict = build_verdict(make_repeat_metrics())
    assert verdict.headline == (
        "Use the classifier: about 1 in 7 customers see a product of their next order among ten "
        "products."
    )
    assert "15.0% of the 1,100 test customers against 12.5%" in verdict.sentences[0]
    assert "about 1 in 7 customers see their next purchase" in (
        build_verdict(make_repeat_metrics(n_test_targets=1100)).headline
    )


def test_verdict_warns_if_recommendations_leave_out_what_customers_buy_again() -> None:
    text = join(make_repeat_metrics(filter_seen=True))
    assert "because `recommendation.filter_seen` is true" in text


def test_the_oracle_is_a_ceiling_and_never_wins() -> None:
    metrics = make_repeat_metrics(with_oracle=True)
    metrics["models"]["oracle"]["validation_ndcg@10"] = 0.99
    verdict = build_verdict(metrics)
    assert verdict.model == "classifier"
    assert (
        "The classifier reaches 75% of the oracle's NDCG@10. The oracle knows how the purchases "
        "were generated." in verdict.sentences
    )
    findings = list_findings(metrics)
    assert len(findings) == 2
    assert findings[0].endswith("it reaches 75% of the oracle's NDCG@10.")
    assert get_display_order(metrics)[:2] == ["oracle", "classifier"]
    assert select_best_model(metrics) == "classifier"
    alone = keep_models(metrics, "oracle")
    assert build_verdict(alone).headline == "No model has been measured yet."
    assert not can_rank_models(alone)


def test_temporal_results_are_of_purchases() -> None:
    verdict = build_verdict(make_metrics("temporal"))
    assert "about 3 in 10 purchases are among the ten recommended products" in verdict.headline
    assert "1,100 test purchases" in verdict.sentences[0]


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "no"), (0.0004, "about 1 in 2,500"), (0.0446, "about 1 in 22"),
        (0.1217, "about 1 in 8"), (0.19, "about 1 in 5"), (0.34, "about 1 in 3"),
        (0.574, "about 3 in 5"), (0.93, "about 9 in 10"), (0.97, "almost all"), (1, "all"),
    ],
)  # fmt: skip
def test_share_is_described_in_words(share: float, words: str) -> None:
    assert describe_share(share) == words


def test_findings_compare_each_model_with_the_baselines() -> None:
    assert list_findings(make_metrics()) == [
        "Classifier (30.0%) beats popularity (2.0%); it beats the best baseline, last-item "
        "co-occurrence (25.0%).",
        "Regressor (20.0%) beats popularity (2.0%); it is worse than the best baseline, last-item "
        "co-occurrence (25.0%).",
    ]


def test_findings_claim_nothing_if_intervals_overlap() -> None:
    first, second = list_findings(make_metrics(classifier=0.26, regressor=0.015))
    assert "is above the best baseline, last-item co-occurrence (25.0%), but" in first
    assert "does not beat popularity (2.0%): it is below it, and the intervals overlap" in second
    assert "equal to it" in list_findings(make_metrics(regressor=0.02))[1]


def test_findings_name_popularity_once_if_it_is_the_best_baseline() -> None:
    first, _ = list_findings(make_metrics(popularity=0.5))
    assert first.count("opularity") == 1


SUMMARY = {"test_targets": 1200, "cold_test_targets": 34, "split_reason": ""}


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_every_protocol_has_a_description(protocol: str) -> None:
    text = describe_split(SUMMARY | {"protocol": protocol, "split": protocol})
    assert text.endswith("; 34 of 1,200 test targets are items that do not occur in training")


def test_description_names_the_reason_of_an_automatic_choice() -> None:
    reason = "1,234 of 5,000 orders (25%) have several items"
    text = describe_split(
        SUMMARY | {"protocol": "next_order", "split": "auto", "split_reason": reason}
    )
    assert text.endswith(f"; split=auto chose next_order: {reason}")


def test_description_names_dates_and_cold_items() -> None:
    summary = SUMMARY | {"protocol": "temporal", "split": "temporal"}
    dates = {"validation_from": "2023-05-01T00:00:00+00:00", "test_from": "2023-06-01"}
    assert "validation from 2023-05-01T00:00:00+00:00, test from 2023-06-01; " in describe_split(
        summary | dates
    )
    cold = describe_split(summary | {"protocol": "cold_items", "cold_items": 1201})
    assert ": 1,201 cold items; " in cold

"""A small shop whose right answers are known: everybody walks a cycle of products."""

import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from kedro.io import DataCatalog

import bazar
from bazar.config.models import BundleOptions
from bazar.data.catalogue import ADDED_PRODUCTS, Products
from bazar.data.counts import count_interactions
from bazar.data.windows import build_full_histories
from bazar.datasets.arrays import ArrayDataset, WindowsDataset
from bazar.datasets.kedro_types import JSONDataset, ParquetDataset
from bazar.datasets.network import NetworkDataset
from bazar.errors import InputError
from bazar.serving.answers import RECOMMENDATIONS
from bazar.serving.recommender import BUNDLE, CUSTOMERS, PRODUCTS, VECTORS, Recommender
from tests.data.test_splits import sequences_of
from tests.evaluation.test_ranking import unit
from tests.training.test_trainer import BLOCKS, N_ITEMS, cycle_split, train, with_training

BOUGHT = [[(user + step) % N_ITEMS + 1 for step in range(5)] for user in range(N_ITEMS)]
# Nobody has bought the last product, which is like the first.
N_PRODUCTS = N_ITEMS + 1
OPTIONS = BundleOptions.model_validate(
    {
        "dataset": "cycle",
        "seed": 42,
        "models": ["blend", "classifier", "regressor"],
        "filter_seen": True,
        "blend": {
            "components": [{"model": "classifier"}, {"model": "decayed_cooccurrence"}],
            "seeds": [], "rows": 10, "rounds": 1, "seed": 1,
        },
        "weights": {"classifier": 0.7, "decayed_cooccurrence": 0.3},
        "baselines": {
            "decayed_cooccurrence": {
                "distance_power": 1, "backward_weight": 0.1, "popularity_power": 0,
                "history_decay": 0.5,
            },
            "session_knn": {"neighbours": 5, "history_decay": 0.5},
            "ease": {"regularisation": 1, "history_decay": 0.5, "max_items": 100},
        },
    }
)  # fmt: skip

# What a Recommender asks a catalog for.
ASKED = ("shop", "bundle_products", "bundle_vectors", "bundle_customers", "all_networks")


def ids(n_products: int) -> np.ndarray:
    return np.array(["", *(f"P{index:02d}" for index in range(1, n_products + 1))], dtype=object)


def title_vectors() -> np.ndarray:
    found = unit(np.random.default_rng(3).normal(size=(N_PRODUCTS + 1, 24)))
    found[0] = 0
    like_the_first = found[1] + 0.05 * found[2]
    found[N_PRODUCTS] = like_the_first / np.linalg.norm(like_the_first)
    return found


def small_products() -> Products:
    counts, recent = count_interactions(sequences_of(BOUGHT), N_PRODUCTS, None, 0.2)
    titles = np.array([None, *(f"title {index}" for index in range(1, N_PRODUCTS + 1))], object)
    colours = [f"{'Red' if index % 2 else 'Blue'}, Brand {index}" for index in range(N_PRODUCTS)]
    attributes = np.array([None, *colours], object)
    return Products(ids(N_PRODUCTS), titles, attributes, counts, recent, title_vectors())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves: networks that were trained before the last product was there."""
    place = tmp_path_factory.mktemp("models")
    split = cycle_split()
    for model, name in (("classifier", "ids and titles"), ("regressor", "titles")):
        vectors = title_vectors()[: N_ITEMS + 1]
        network = train(split, with_training(BLOCKS[name], epochs=20), 1, None, vectors).network
        network.item_ids = ids(N_ITEMS)
        NetworkDataset(filepath=str(place / f"{model}.keras")).save(network)
    products = small_products()
    JSONDataset(filepath=str(place / BUNDLE)).save(OPTIONS.model_dump(mode="json"))
    ParquetDataset(filepath=str(place / PRODUCTS)).save(products.to_frame())
    ArrayDataset(filepath=str(place / VECTORS)).save(products.vectors)
    customers = build_full_histories(sequences_of(BOUGHT), history_length=8)
    WindowsDataset(filepath=str(place / CUSTOMERS)).save(customers)
    return place


@pytest.fixture(scope="module")
def shop(folder: Path) -> Recommender:
    return bazar.Recommender.load(folder)


@pytest.mark.parametrize("model", ["blend", "classifier", "regressor", "decayed_cooccurrence"])
def test_what_comes_next_is_recommended_first(shop: Recommender, model: str) -> None:
    for last in range(3, N_ITEMS):
        history = [f"P{index:02d}" for index in range(last - 2, last + 1)]
        found = shop.recommend(history, k=3, model=model)
        assert found[0].item_id == f"P{last + 1:02d}"
        assert found[0].title == f"title {last + 1}"
        assert [one.rank for one in found] == [1, 2, 3]
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        assert not {one.item_id for one in found} & set(history)
        assert found.model == model


def test_the_first_model_answers_where_none_is_named(shop: Recommender) -> None:
    assert shop.recommend(["P01", "P02"]).model == "blend"


def test_a_network_of_the_blend_is_read_once(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "shop"))
    shop = bazar.Recommender.load(copy)
    (copy / "classifier.keras").unlink()
    assert len(shop.recommend(["P01", "P02"], 3, model="classifier")) == 3


def test_the_last_purchase_counts(shop: Recommender) -> None:
    before, after = (
        shop.recommend(history, 1) for history in (["P02", "P03"], ["P02", "P03", "P04"])
    )
    assert (before[0].item_id, after[0].item_id) == ("P04", "P05")


def test_one_purchase_is_enough(shop: Recommender) -> None:
    assert shop.recommend(["P05"], 1, model="classifier")[0].item_id == "P06"


def test_who_bought_nothing_is_told_what_is_bought_of_late(shop: Recommender) -> None:
    found = shop.recommend([], k=N_PRODUCTS)
    assert found.model == "recent_popularity"
    recent = dict(zip(shop.products.item_ids, shop.products.recent_counts, strict=True))
    shown = [recent[one.item_id] for one in found]
    assert shown == sorted(shown, reverse=True)
    assert all(one.nearest_item_id is None for one in found)


def test_unknown_products_are_skipped_and_said(
    shop: Recommender, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = shop.recommend(["nothing", "P02", "P03", "neither"], 2)
    assert found.skipped == ("nothing", "neither")
    assert "nothing, neither" in caplog.text
    assert list(found) == list(shop.recommend(["P02", "P03"], 2))
    assert shop.recommend(["nothing"]).model == "recent_popularity"


def test_seen_products_are_left_out_or_kept(shop: Recommender) -> None:
    history = [f"P{index:02d}" for index in range(1, 5)]
    left_out = shop.recommend(history, k=N_PRODUCTS)
    kept = shop.recommend(history, k=N_PRODUCTS, filter_seen=False)
    assert {one.item_id for one in kept} - {one.item_id for one in left_out} == set(history)


def test_categories(shop: Recommender) -> None:
    found = shop.recommend(["P02", "P03"], k=N_PRODUCTS, categories=["BLUE"])
    assert found[0].item_id == "P05"
    assert {int(one.item_id[1:]) % 2 for one in found} == {1}
    both = shop.recommend(["P02", "P03"], k=N_PRODUCTS, categories=["Blue", "Brand 3"])
    assert {one.item_id for one in both} == {one.item_id for one in found} | {"P04"}
    with pytest.raises(InputError, match="'Bleu': did you mean blue"):
        shop.recommend(["P02"], categories=["Bleu"])


def test_the_nearest_past_purchase_is_told(shop: Recommender) -> None:
    vectors = shop.products.vectors
    for one in shop.recommend(["P01", "P02", "P03"], 4):
        cosines = vectors[1:4] @ vectors[shop.products.index[one.item_id]]
        assert one.nearest_item_id == f"P{np.argmax(cosines) + 1:02d}"
        assert one.nearest_title == f"title {np.argmax(cosines) + 1}"
        assert one.nearest_cosine == pytest.approx(cosines.max(), abs=1e-6)


def test_similar_products(shop: Recommender) -> None:
    found = shop.similar(f"P{N_PRODUCTS}", 3)
    assert found[0].item_id == "P01"
    vectors = shop.products.vectors
    cosines = np.sort(vectors[1:N_PRODUCTS] @ vectors[N_PRODUCTS])[::-1]
    assert [one.score for one in found] == pytest.approx(cosines[:3].tolist(), abs=1e-6)
    assert len(shop.similar("P01", 100)) == N_PRODUCTS - 1
    with pytest.raises(InputError, match="no product P99"):
        shop.similar("P99")


def test_a_new_product_is_ranked_by_models_that_read_titles(shop: Recommender) -> None:
    new = f"P{N_PRODUCTS}"
    # It is like the first product, which comes after the last of the cycle.
    for model in ("classifier", "regressor"):
        found = [one.item_id for one in shop.recommend(["P11", "P12"], 3, model=model)]
        assert new in found, model
    assert shop.recommend([new], 1, model="regressor")[0].item_id in {"P01", "P02"}


def test_wrong_questions(shop: Recommender) -> None:
    with pytest.raises(InputError, match=r"no model clasifier\nThere are .*classifier"):
        shop.recommend(["P01"], model="clasifier")
    with pytest.raises(InputError, match="1 at least, not 0"):
        shop.recommend(["P01"], k=0)
    with pytest.raises(InputError, match="no customer nobody"):
        shop.history("nobody")


def test_an_answer_as_a_table_and_as_plain_values(shop: Recommender) -> None:
    found = shop.recommend(["P01", "what"], 3)
    frame = found.to_frame()
    assert frame["item_id"].tolist() == [one.item_id for one in found]
    assert json.loads(json.dumps(found.to_json()))["skipped"] == ["what"]
    assert "Blend" in found._repr_html_()
    assert found[0].item_id in found._repr_html_()


def test_what_was_bought_before_is_as_the_shop_says(shop: Recommender) -> None:
    reader, history = shop._made_of.read_network, ["P03", "P03", "P04"]
    keeps = Recommender(
        shop.products, shop._customers, OPTIONS.model_copy(update={"filter_seen": False}), reader
    )
    for asked, expected in ((None, False), (True, True), (False, False)):
        found = {one.item_id for one in keeps.recommend(history, N_PRODUCTS, None, asked)}
        assert found.isdisjoint(history) == expected
    assert {one.item_id for one in shop.recommend(history, N_PRODUCTS)}.isdisjoint(history)


@pytest.mark.parametrize("filter_seen", [True, False])
def test_everybody_is_recommended_what_each_is(shop: Recommender, filter_seen: bool) -> None:
    for model in ("blend", "regressor"):
        batches = list(shop.recommend_to_everyone(model, 3, filter_seen, batch_size=5))
        assert max(len(set(batch["user_id"].to_pylist())) for batch in batches) <= 5
        rows = pa.Table.from_batches(batches, RECOMMENDATIONS).to_pandas()
        users = sequences_of(BOUGHT).user_ids.to_pylist()
        assert sorted(rows["user_id"].unique()) == sorted(users)
        for user in users:
            own = rows[rows["user_id"] == user]
            alone = shop.recommend(shop.history(user), 3, model, filter_seen)
            assert own["item_id"].tolist() == [one.item_id for one in alone]
            assert own["title"].tolist() == [one.title for one in alone]
            assert own["score"].tolist() == pytest.approx([one.score for one in alone], rel=1e-4)
            assert own["rank"].tolist() == [1, 2, 3]
            assert (own["model"] == model).all()
            assert (own["answered_by"] == alone.model).all()


def test_the_history_of_a_customer(shop: Recommender) -> None:
    for user, items in zip(sequences_of(BOUGHT).user_ids.to_pylist(), BOUGHT, strict=True):
        assert shop.history(user) == [f"P{item:02d}" for item in items]


def test_a_shop_can_be_copied(folder: Path, shop: Recommender, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "elsewhere")
    assert list(Recommender.load(copied).recommend(["P03"], 5)) == list(shop.recommend(["P03"], 5))


def test_another_file_than_was_trained_is_refused(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "shop")
    shutil.copy(copied / "regressor.keras", copied / "classifier.keras")
    with pytest.raises(InputError, match=r"classifier.keras is not the file that was written"):
        Recommender.load(copied)
    (copied / "classifier.keras.sha256").unlink()
    with pytest.raises(InputError, match=r"no .*classifier.keras.sha256: train the network again"):
        Recommender.load(copied)


def test_a_network_that_a_catalog_lacks_is_named(shop: Recommender) -> None:
    products = shop.products
    catalog = DataCatalog.from_config(
        {name: {"type": "MemoryDataset", "copy_mode": "assign"} for name in ASKED}
    )
    contents = (OPTIONS.model_dump(mode="json"), products.to_frame(), products.vectors,
                shop._customers, {"regressor": lambda: None})  # fmt: skip
    for name, content in zip(ASKED, contents, strict=True):
        catalog.save(name, content)
    with pytest.raises(InputError, match=r"no classifier.keras: train the network again"):
        Recommender.from_catalog(catalog)


@pytest.mark.parametrize("name", [BUNDLE, PRODUCTS, VECTORS, CUSTOMERS])
def test_what_is_missing_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    copied = shutil.copytree(folder, tmp_path / "shop")
    (copied / name).unlink()
    with pytest.raises(InputError, match=rf"{name}\nRun the pipeline recommendation"):
        Recommender.load(copied)


@pytest.mark.parametrize("name", [PRODUCTS, VECTORS, CUSTOMERS])
def test_what_is_damaged_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    copied = shutil.copytree(folder, tmp_path / "shop")
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=rf"(?s){name} cannot be read.*Run the pipeline recommen"):
        Recommender.load(copied)


def test_files_of_two_runs_are_refused(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "shop")
    # The same customers, their products numbered otherwise.
    otherwise = [[(item + 1) % N_ITEMS + 1 for item in items] for items in BOUGHT[:-1]]
    customers = build_full_histories(sequences_of([*otherwise, [1, 2]]), history_length=8)
    WindowsDataset(filepath=str(copied / CUSTOMERS)).save(customers)
    with pytest.raises(InputError, match=rf"{CUSTOMERS} and {PRODUCTS} are not of the same run"):
        Recommender.load(copied)


def test_a_settings_file_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "shop")
    (copied / BUNDLE).write_text('{"dataset": "x"}')
    with pytest.raises(InputError, match=r"shop.json cannot be read\n  seed: is missing"):
        Recommender.load(copied)


@pytest.mark.parametrize("model", ["regressor", "nearest_titles"])
def test_products_without_titles_in_the_history_of_a_title_model(
    shop: Recommender, model: str
) -> None:
    products = small_products()
    blank = products.vectors.copy()
    blank[3] = 0
    titles = products.titles.copy()
    titles[3] = None
    untitled = Recommender(
        replace(products, vectors=blank, titles=titles),
        shop._customers,
        OPTIONS,
        shop._made_of.read_network,
    )
    assert untitled.recommend(["P03"], 2, model=model).model == "recent_popularity"
    assert untitled.recommend(["P03", "P04"], 1, model=model).model == model
    # So it is for everybody at once: here for one who bought that product alone.
    customers = build_full_histories(sequences_of([[3], [3, 4]]), history_length=8)
    everybody = Recommender(
        replace(products, vectors=blank, titles=titles), customers, OPTIONS,
        shop._made_of.read_network,
    )  # fmt: skip
    (rows,) = everybody.recommend_to_everyone(model, 2, True, batch_size=5)
    answers = [everybody.recommend(history, 2, model) for history in (["P03"], ["P03", "P04"])]
    assert rows["item_id"].to_pylist() == [one.item_id for answer in answers for one in answer]
    assert rows["answered_by"].to_pylist() == [answer.model for answer in answers for _ in answer]
    with pytest.raises(InputError, match="P03 has no title"):
        untitled.similar("P03")


def test_what_was_never_learned_and_has_no_title_tells_nothing(shop: Recommender) -> None:
    new = f"P{N_PRODUCTS}"
    assert shop.recommend([new], 2, model="classifier").model == "classifier"
    products = small_products()
    blank = products.vectors.copy()
    blank[[3, N_PRODUCTS]] = 0
    customers = build_full_histories(sequences_of([[N_PRODUCTS], [3]]), history_length=8)
    untitled = Recommender(
        replace(products, vectors=blank), customers, OPTIONS, shop._made_of.read_network
    )
    assert untitled.recommend([new], 2, model="classifier").model == "recent_popularity"
    # An id that was learned says enough.
    assert untitled.recommend(["P03"], 2, model="classifier").model == "classifier"
    (rows,) = untitled.recommend_to_everyone("classifier", 2, True, batch_size=5)
    answers = [untitled.recommend(history, 2, "classifier") for history in ([new], ["P03"])]
    assert rows["item_id"].to_pylist() == [one.item_id for answer in answers for one in answer]
    assert rows["answered_by"].to_pylist() == [answer.model for answer in answers for _ in answer]


def test_products_are_added_behind_those_that_are_there_or_told_anew() -> None:
    products = small_products()
    added = pa.Table.from_pylist(
        [
            {"item_id": "P02", "title": "another", "attributes": None},
            {"item_id": "A01", "title": "new", "attributes": "Green"},
        ],
        ADDED_PRODUCTS,
    )
    grown = products.add(added, np.eye(2, 24, dtype=np.float32))
    assert grown.item_ids.tolist() == [*products.item_ids, "A01"]
    place = products.index["P02"]
    assert (grown.titles[place], grown.attributes[place]) == ("another", None)
    assert grown.counts[place] == products.counts[place] > 0
    np.testing.assert_array_equal(grown.vectors[place], np.eye(2, 24)[0])
    np.testing.assert_array_equal(grown.vectors[:place], products.vectors[:place])
    assert grown.attributes[-1] == "Green"
    assert grown.counts[-1] == grown.recent_counts[-1] == 0
    np.testing.assert_array_equal(grown.vectors[-1], np.eye(2, 24)[1])
    again = Products.from_frame(grown.to_frame(), grown.vectors)
    for field in ("item_ids", "titles", "attributes", "counts", "recent_counts"):
        np.testing.assert_array_equal(getattr(again, field), getattr(grown, field))
    with pytest.raises(InputError, match="13 vectors of titles for 14 products"):
        Products.from_frame(grown.to_frame(), grown.vectors[1:])


def test_a_category_may_hold_what_joins_them() -> None:
    products = small_products()
    attributes = products.attributes.copy()
    attributes[1], attributes[2] = "Acme, Inc., Foot, Hand & Nail Care", "Hand & Nail Care, Acme"
    named = replace(products, attributes=attributes)
    assert np.flatnonzero(named.select_by_attributes(["foot, hand & nail care"])).tolist() == [1]
    assert np.flatnonzero(named.select_by_attributes(["Acme, Inc."])).tolist() == [1]
    assert np.flatnonzero(named.select_by_attributes(["Hand & Nail Care"])).tolist() == [1, 2]
    with pytest.raises(InputError, match="no product has"):
        named.select_by_attributes(["Foot, Hair"])


def test_it_needs_no_kedro(folder: Path) -> None:
    program = "\n".join(
        [
            "import sys",
            "sys.modules['kedro'] = sys.modules['kedro_datasets'] = None",
            "from bazar import Recommender",
            f"print(Recommender.load({str(folder)!r}).recommend(['P03'], 1)[0].item_id)",
        ]
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "P04", ran.stderr[-2000:]

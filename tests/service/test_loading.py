import gc
import json
import shutil
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bazar.data.encoder_cache import get_exported_encoder
from bazar.data.onnx_encoder import OnnxEncoder
from bazar.data.title_embeddings import PACKAGED_ENCODER, find_encoder
from bazar.errors import InputError
from bazar.service.engine.requests import RecommendRequest, Visitor
from bazar.service.loading import BundleLoader
from bazar.service.store import ItemChange, LiveStore
from tests.service.engine.example_store import make_bundle
from tests.service.example_bundles import damage, set_current, write_example


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LiveStore]:
    opened = LiveStore(f"sqlite:///{tmp_path}/live.db")
    yield opened
    opened.close()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A folder as data/06_models/<dataset>, with the current bundle "a" and another one, "b"."""
    folder = tmp_path / "grocer"
    write_example(folder / "a", seed=1)
    write_example(folder / "b", seed=2)
    set_current(folder, folder / "a")
    return folder


@pytest.fixture
def loader(dataset: Path, store: LiveStore) -> BundleLoader:
    return BundleLoader(dataset, store)


def ask(loader: BundleLoader, user_id: str = "alice") -> list[str]:
    return loader.gateway.recommend(RecommendRequest(visitor=Visitor(user_id=user_id))).item_ids


def test_a_new_bundle_answers_with_the_changes_of_the_store(
    loader: BundleLoader, dataset: Path
) -> None:
    first = loader.gateway.bundle_id
    best = ask(loader)[0]
    loader.gateway.change_items([ItemChange(best, in_stock=False)])
    loader.reload_if_changed()
    assert loader.gateway.bundle_id == first
    set_current(dataset, dataset / "b")
    loader.reload_if_changed()
    assert loader.gateway.bundle_id != first
    assert loader.state.n_loaded == 2
    assert best not in ask(loader)
    assert not loader.reload()


def test_a_damaged_bundle_is_reported_once_and_the_old_one_keeps_answering(
    loader: BundleLoader, dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = loader.gateway.bundle_id
    damage(dataset / "b")
    set_current(dataset, dataset / "b")
    loader.reload_if_changed()
    loader.reload_if_changed()
    assert loader.state.n_failed == 1
    assert "bundle.json is damaged" in (loader.state.problem or "")
    assert "bundle.json is damaged" in caplog.text
    assert loader.gateway.bundle_id == first
    assert ask(loader)
    with pytest.raises(InputError, match="damaged"):
        loader.reload()
    set_current(dataset, dataset / "a")
    loader.reload_if_changed()
    assert loader.state.problem is None


def test_a_bundle_that_disappears_is_reported(loader: BundleLoader, dataset: Path) -> None:
    set_current(dataset, dataset / "missing")
    loader.reload_if_changed()
    assert "missing" in (loader.state.problem or "")
    assert ask(loader)


def test_a_bundle_of_another_shop_is_an_error(loader: BundleLoader, dataset: Path) -> None:
    bundle = make_bundle()
    ids = np.array(["", *(f"other {item}" for item in bundle.products.item_ids[1:])], object)
    other = replace(bundle, products=replace(bundle.products, item_ids=ids))
    write_example(dataset / "c", bundle=other)
    set_current(dataset, dataset / "c")
    with pytest.raises(InputError, match="no product of the current catalogue"):
        loader.reload()
    assert ask(loader)


def test_a_request_in_flight_finishes_with_the_old_engine(
    loader: BundleLoader, dataset: Path
) -> None:
    engine = loader.gateway.engine
    first = engine.recommend(RecommendRequest(k=2))
    set_current(dataset, dataset / "b")
    loader.reload()
    following = RecommendRequest(k=2, cursor=first.cursor)
    assert engine.recommend(following).bundle_id == first.bundle_id
    with pytest.raises(InputError, match="Request the first page again"):
        loader.gateway.recommend(following)


def test_bundles_with_equal_encoders_share_one(
    dataset: Path, store: LiveStore, tmp_path: Path
) -> None:
    exported = get_exported_encoder(find_encoder(PACKAGED_ENCODER, None))
    changed = Path(shutil.copytree(exported, tmp_path / "changed"))
    description = changed / "encoder.json"
    content = json.loads(description.read_text()) | {"max_length": 7}
    description.write_text(json.dumps(content))
    for seed, (name, folder) in enumerate({"c": exported, "d": exported, "e": changed}.items()):
        bundle = replace(make_bundle(), encoder_folder=folder)
        write_example(dataset / name, seed=10 + seed, bundle=bundle)
    set_current(dataset, dataset / "c")
    others = list_encoders()
    loader = BundleLoader(dataset, store)
    loader.load_encoder()
    (first,) = list_encoders(others)
    set_current(dataset, dataset / "d")
    assert loader.reload()
    assert list_encoders(others) == [first]
    set_current(dataset, dataset / "e")
    assert loader.reload()
    del first
    (second,) = list_encoders(others)
    assert (second.max_length, second.is_loaded) == (7, True)


def list_encoders(others: Sequence[OnnxEncoder] = ()) -> list[OnnxEncoder]:
    """Return the encoders in the memory of this process, without those of other tests."""
    gc.collect()
    found = [found for found in gc.get_objects() if isinstance(found, OnnxEncoder)]
    return [encoder for encoder in found if encoder not in others]


def test_fifty_swaps_do_not_increase_memory(
    loader: BundleLoader, dataset: Path, request: pytest.FixtureRequest
) -> None:
    # An engine is freed without the garbage collector, which leaves out what the start created.
    gc.disable()
    request.addfinalizer(gc.enable)
    engines: weakref.WeakSet[object] = weakref.WeakSet([loader.gateway.engine])
    memory = []
    for swap in range(50):
        set_current(dataset, dataset / ("b" if swap % 2 == 0 else "a"))
        assert loader.reload()
        ask(loader)
        engines.add(loader.gateway.engine)
        memory.append(read_memory())
    assert len(engines) == 1
    # The first swaps fill caches and arenas.
    assert memory[-1] - memory[9] < 20e6


def read_memory() -> int:
    """Return the resident memory, bytes."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


def test_rules_are_read_again_and_survive_a_swap(
    dataset: Path, store: LiveStore, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("rules: [{name: no milk, action: exclude, items: [milk]}]")
    loader = BundleLoader(dataset, store, rules)
    assert "milk" not in ask(loader)
    rules.write_text("rules: [{name: no milk, action: exclude, items: [mlik]}]")
    with pytest.raises(InputError, match="mlik"):
        loader.reload_rules()
    assert "milk" not in ask(loader)
    set_current(dataset, dataset / "b")
    loader.reload()
    assert "milk" in ask(loader)
    rules.write_text("rules: []")
    assert loader.reload_rules() == 0


def test_rules_without_a_file_are_an_error(loader: BundleLoader) -> None:
    with pytest.raises(InputError, match="--rules"):
        loader.reload_rules()

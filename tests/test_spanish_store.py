"""A store with Spanish titles and another encoder, from the raw files to the search of the service.

The encoder is a folder, as a multilingual one would be. Its weights are random and known.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bazar.data.multilingual_e5 import write_model
from bazar.data.title_embeddings import find_encoder, load_encoder
from bazar.service.engine.requests import SearchRequest
from bazar.service.opening import OpenedBundle, open_bundle
from bazar.synthetic.sample_store import generate_store
from tests.data.tiny_e5 import POSITIONS, WIDTH, build_tiny_e5
from tests.project import SMALL_STORE, copy_project, kedro_here

FOLDER = "models/tiny-e5"
ENCODER = ("--params", f"embedding.encoder={FOLDER},embedding.sha256=null,embedding.text=title")
PIPELINES = "ingestion,joining,sequencing,embedding,modelling_baselines,recommendation"
SHAMPOO = "Velmora Champú de argán, 250 ml"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with recommendations of baselines."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    store = SMALL_STORE.model_copy(update={"language": "es"})
    generate_store(folder / "data" / "01_raw" / "sample", store)
    write_model(build_tiny_e5(folder / "e5-small-q4.bin").path, folder / FOLDER)
    run = kedro_here(folder, "run", "--pipelines", PIPELINES, *ENCODER)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert "cannot be read by" not in run.stdout
    return folder


@pytest.fixture(scope="module")
def opened(project: Path) -> OpenedBundle:
    """The bundle as the service opens it."""
    return open_bundle(project / "data" / "06_models" / "sample")


def test_each_spanish_title_has_a_vector_of_the_folder(project: Path) -> None:
    table = pq.read_table(project / "data" / "04_feature" / "sample" / "title_vectors.parquet")
    encoder = find_encoder(str(project / FOLDER), None)
    checksum = encoder.identity.rpartition("@")[2]
    assert set(table["encoder"].to_pylist()) == {f"{FOLDER}@{checksum}"}
    texts = table["text"].to_pylist()
    assert SHAMPOO in texts
    expected = load_encoder(encoder).encode([SHAMPOO])[0]
    np.testing.assert_allclose(table["vector"][texts.index(SHAMPOO)].as_py(), expected, atol=1e-5)


def test_the_bundle_searches_with_the_encoder_of_the_folder(opened: OpenedBundle) -> None:
    assert opened.encoder is not None
    assert (opened.encoder.dimension, opened.encoder.max_length) == (WIDTH, POSITIONS)
    products = opened.bundle.products
    (number,) = np.flatnonzero(products.titles == SHAMPOO)
    np.testing.assert_allclose(
        opened.encoder.encode([SHAMPOO])[0], products.vectors[number], atol=1e-5
    )
    for mode in ("meaning", "both"):
        answer = opened.engine.search(SearchRequest(query=SHAMPOO, mode=mode))
        assert answer.item_ids[0] == products.item_ids[number]
        assert answer.notes == ()


def test_an_added_product_is_near_the_one_with_an_equal_title(
    project: Path, opened: OpenedBundle
) -> None:
    line = {"parent_asin": "NUEVO1", "title": SHAMPOO, "store": "Novum", "categories": []}
    (project / "new.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    # The parameters of the run are not kept: the environment has them.
    (project / "conf" / "local" / "parameters.yml").write_text(
        f"embedding:\n  encoder: {FOLDER}\n  sha256: null\n  text: title\n"
    )
    added = kedro_here(project, "add-products", "new.jsonl")
    assert added.returncode == 0, added.stdout + added.stderr
    products = open_bundle(project / "data" / "06_models" / "sample").bundle.products
    (earlier,) = np.flatnonzero(opened.bundle.products.titles == SHAMPOO)
    (new,) = np.flatnonzero(products.item_ids == "NUEVO1")
    np.testing.assert_allclose(products.vectors[new], products.vectors[earlier], atol=1e-6)

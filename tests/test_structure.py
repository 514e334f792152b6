"""The shape of the project: what is connected to what, and who may know whom."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from bazar.config.models import BASELINES, BlendModel
from tests.project import ROOT

SOURCE = ROOT / "src" / "bazar"
ENVIRONMENTS = ["base", "amazon_beauty_2014", "amazon_all_beauty_2023", "set_a", "set_b"]
ORDER = [
    "ingestion",
    "joining",
    "sequencing",
    "embedding",
    "modelling_classifier",
    "modelling_regressor",
    "modelling_reproduction",
    "modelling_baselines",
    "modelling_blend",
    "recommendation",
    "reproduction",
    "reporting",
    "comparison",
    "tuning",
]
LAYERS = [
    "raw", "intermediate", "primary", "feature", "model_input", "models", "model_output",
    "reporting",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _project() -> None:
    bootstrap_project(ROOT)
    configure_project("bazar")


@pytest.fixture(params=ENVIRONMENTS)
def catalog(request: pytest.FixtureRequest) -> Iterator[DataCatalog]:
    with KedroSession.create(ROOT, env=request.param) as session:
        yield session.load_context().catalog


def data_sets() -> set[str]:
    return {name for name in everything().datasets() if not name.startswith("param")}


def everything() -> Pipeline:
    """All pipelines, those that the default leaves out as well."""
    return sum((pipelines[name] for name in ORDER), Pipeline([]))


def test_a_whole_run_compares_searches_and_repeats_nothing() -> None:
    left_out = everything().nodes
    assert {node.name for node in left_out if node not in pipelines["__default__"].nodes} == {
        node.name
        for name in ("comparison", "reproduction", "tuning")
        for node in pipelines[name].nodes
    }


def test_the_search_never_reads_the_test_part() -> None:
    assert {"train", "validation"} < pipelines["tuning"].inputs()
    assert "test" not in pipelines["tuning"].inputs()


def test_the_weights_of_the_blend_never_read_the_test_part() -> None:
    inputs = pipelines["modelling_blend"].to_outputs("blend.training").inputs()
    assert "validation" in inputs
    assert "test" not in inputs


def test_the_blend_knows_every_floor() -> None:
    assert get_args(BlendModel) == ("classifier", "regressor", *BASELINES)


def test_the_pipelines_are_there() -> None:
    assert set(pipelines) == {*ORDER, "__default__"}


def test_no_layer_boundary_is_only_in_memory(catalog: DataCatalog) -> None:
    for name in data_sets():
        assert name in catalog, f"{name} is in no catalog file"
        assert not isinstance(catalog.get(name), MemoryDataset), name


def test_every_data_set_has_a_layer(catalog: DataCatalog) -> None:
    for name in data_sets():
        metadata = catalog.get(name).metadata
        assert metadata["kedro-viz"]["layer"] in LAYERS, name


def test_every_data_set_of_a_run_has_a_folder_of_its_own(catalog: DataCatalog) -> None:
    paths = {
        name: Path(str(catalog.get(name)._filepath))
        for name in data_sets()
        if not name.startswith(("raw_", "all_"))
    }
    parts = {path.relative_to(ROOT / "data").parts[1] for path in paths.values()}
    assert len(parts) == 1
    # Two entries on one file are what is known, read before it is written.
    shared = {name for name in paths if list(paths.values()).count(paths[name]) > 1}
    networks = {name.removesuffix("last_network") for name in paths if "last_network" in name}
    assert len(networks) == 4
    assert shared == {
        "previous_reproduction_results", "previous_title_vectors", "reproduction_results", "title_vectors",
        *(f"{model}{which}" for model in networks for which in ("network", "last_network")),
    }  # fmt: skip


def test_no_catalog_entry_is_unused(catalog: DataCatalog) -> None:
    used = data_sets()
    for name in catalog.keys():  # noqa: SIM118
        assert name in used or name.startswith("param"), name


def test_every_parameter_of_a_node_exists(catalog: DataCatalog) -> None:
    for name in everything().inputs():
        if name.startswith("param"):
            assert name in catalog, name


def test_data_flows_in_one_direction() -> None:
    made_by = {name: pipeline for pipeline in ORDER for name in pipelines[pipeline].all_outputs()}
    for place, pipeline in enumerate(ORDER):
        for name in pipelines[pipeline].all_inputs():
            if name in made_by:
                assert ORDER.index(made_by[name]) <= place, f"{pipeline} reads {name}"


def test_layers_follow_the_direction(catalog: DataCatalog) -> None:
    def layer(name: str) -> int:
        return LAYERS.index(catalog.get(name).metadata["kedro-viz"]["layer"])

    for node in everything().nodes:
        read = [layer(name) for name in node.inputs if not name.startswith("param")]
        written = [layer(name) for name in node.outputs]
        assert max(read) <= min(written), node.name


def test_every_node_is_named_typed_and_told() -> None:
    for node in everything().nodes:
        assert node._name, node
        assert node.func.__doc__, node.name
        hints = node.func.__annotations__
        assert "return" in hints, node.name
        further = bool(node.func.__code__.co_flags & inspect.CO_VARKEYWORDS)
        assert len(hints) - 1 == node.func.__code__.co_argcount + further, node.name


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


KEDRO_SIDE = {
    "cli.py", "command_errors.py", "shop_commands.py", "growth.py", "hooks.py", "settings.py",
    "pipeline_registry.py", "__main__.py",
}  # fmt: skip


def test_plain_modules_know_nothing_of_kedro() -> None:
    modules = [path for path in SOURCE.glob("*.py") if path.name not in KEDRO_SIDE]
    assert len(modules) > 10
    for path in modules:
        for name in imports_of(path):
            assert not name.startswith(("kedro", "bazar.pipelines", "bazar.datasets")), path


def test_nobody_imports_the_reporting_pipeline() -> None:
    for path in SOURCE.rglob("*.py"):
        if "reporting" not in path.parts:
            assert not any("pipelines.reporting" in name for name in imports_of(path)), path


def test_nothing_that_runs_code_when_loaded() -> None:
    for path in SOURCE.rglob("*.py"):
        assert not imports_of(path) & {"pickle", "joblib", "dill", "cloudpickle"}, path
        assert "allow_pickle=True" not in path.read_text(), path
        assert "safe_mode=False" not in path.read_text(), path

"""The structure of the project: packages, modules, pipelines and the catalog."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
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
ENVIRONMENTS = ["base", "amazon_beauty_2014", "amazon_all_beauty_2023", "amazon_toys_2014"]
ENVIRONMENTS += ["amazon_beauty_2014_days", "online_retail_2010", "set_a", "set_b"]
DEFAULT = [
    "ingestion",
    "joining",
    "sequencing",
    "embedding",
    "modelling_classifier",
    "modelling_regressor",
    "modelling_baselines",
    "modelling_blend",
    "recommendation",
    "reporting",
]
ORDER = [
    *DEFAULT[:6],
    "modelling_reproduction",
    *DEFAULT[6:9],
    "reproduction",
    "reporting",
    "comparison",
    "tuning",
]
LAYERS = [
    "raw", "intermediate", "primary", "feature", "model_input", "models", "model_output",
    "reporting",
]  # fmt: skip
# A package imports only packages of the rows below its own.
PACKAGES = [
    {"cli"},
    {"pipelines"},
    {"modelling"},
    {"datasets", "service"},
    {"reporting", "reproduction", "serving"},
    {"training"},
    {"evaluation"},
    {"models"},
    {"data"},
    {"ingestion"},
    {"config", "synthetic"},
    {"atomic", "labels"},
    {"errors"},
]
WITHOUT_KEDRO = {
    "reporting", "reproduction", "service", "serving", "training", "evaluation", "models", "data",
    "ingestion", "config", "synthetic", "errors", "atomic", "labels",
}  # fmt: skip
UNRESTRICTED = {"__init__", "__main__", "hooks", "settings", "pipeline_registry"}


@pytest.fixture(scope="module", autouse=True)
def _project() -> None:
    bootstrap_project(ROOT)
    configure_project("bazar")


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def catalog(request: pytest.FixtureRequest) -> Iterator[DataCatalog]:
    with KedroSession.create(ROOT, env=request.param) as session:
        yield session.load_context().catalog


def all_pipelines() -> Pipeline:
    """Return the sum of all pipelines, also of those that the default run leaves out."""
    return sum((pipelines[name] for name in ORDER), Pipeline([]))


def list_data_sets() -> set[str]:
    return {name for name in all_pipelines().datasets() if not name.startswith("param")}


# Packages and modules


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def list_imports(path: Path, top_level_only: bool = False) -> set[str]:
    """Return the modules and the names that a module imports, except those for type checks."""
    tree = parse(path)
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def get_package(path: Path) -> str:
    """Return the package of a module, or the name of a module without package."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def find_module(name: str) -> Path | None:
    """Return the file of a module of the project by its dotted name."""
    path = SOURCE.parent / Path(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def test_packages_are_those_of_the_layout() -> None:
    found = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name[0] != "_"}
    modules = {path.stem for path in SOURCE.glob("*.py")}
    assert found | modules == set().union(*PACKAGES, UNRESTRICTED)
    assert len(modules) <= 8


def test_packages_import_only_what_stands_below_them() -> None:
    row = {package: place for place, packages in enumerate(PACKAGES) for package in packages}
    for path in SOURCE.rglob("*.py"):
        package = get_package(path)
        if package in UNRESTRICTED:
            continue
        for name in list_imports(path):
            parts = name.split(".")
            if parts[0] != "bazar" or len(parts) == 1 or parts[1] == package:
                continue
            if package == "cli" and parts[1] == "hooks":
                continue
            assert parts[1] in row, f"{path} imports {name}"
            assert row[parts[1]] > row[package], f"{path} imports {name}"


def test_modules_do_not_import_each_other_in_circles() -> None:
    graph = {
        path: {
            module
            for name in list_imports(path, top_level_only=True)
            if name.startswith("bazar")
            and (module := find_module(name)) is not None
            and module != path
            and module.name != "__init__.py"
        }
        for path in SOURCE.rglob("*.py")
    }
    # Raises CycleError with the circle.
    list(TopologicalSorter(graph).static_order())


def test_plain_packages_do_not_import_kedro() -> None:
    checked = 0
    for path in SOURCE.rglob("*.py"):
        if get_package(path) in WITHOUT_KEDRO:
            checked += 1
            assert not any(name.startswith("kedro") for name in list_imports(path)), path
    assert checked > 50


def test_no_private_name_of_kedro_is_imported() -> None:
    for path in [*SOURCE.rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        for name in list_imports(path):
            if name.startswith("kedro"):
                assert not any(part.startswith("_") for part in name.split(".")), f"{path}: {name}"


def test_tests_mirror_the_packages() -> None:
    packages = set().union(*PACKAGES) - {"errors", "labels", "atomic", "modelling"}
    for package in packages:
        assert list((ROOT / "tests" / package).glob("test_*.py")), f"no tests of {package}"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.stem)
def test_modules_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name


def test_nothing_runs_code_when_it_is_loaded() -> None:
    for path in SOURCE.rglob("*.py"):
        assert not list_imports(path) & {"pickle", "joblib", "dill", "cloudpickle"}, path
        text = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in text, path
        assert "safe_mode=False" not in text, path


# Pipelines


def test_all_pipelines_are_registered() -> None:
    assert set(pipelines) == {*ORDER, "__default__"}


def test_default_run_leaves_out_what_is_run_on_its_own() -> None:
    default = sum((pipelines[name] for name in DEFAULT), Pipeline([]))
    assert set(pipelines["__default__"].nodes) == set(default.nodes)


def test_each_pipeline_is_one_box() -> None:
    for name in ORDER:
        assert {node.namespace for node in pipelines[name].nodes} == {name}


def test_closed_lineage_is_small() -> None:
    boundary: set[str] = set()
    whole = pipelines["__default__"]
    for name in DEFAULT:
        rest = whole - pipelines[name]
        shared = pipelines[name].all_outputs() & rest.all_inputs()
        boundary |= pipelines[name].inputs() | pipelines[name].outputs() | shared
    data_sets = {name for name in boundary if not name.startswith("param")}
    assert len(DEFAULT) <= 12
    assert len(data_sets) <= 25, sorted(data_sets)


def test_nodes_have_at_most_eight_inputs() -> None:
    for node in all_pipelines().nodes:
        assert len(node.inputs) <= 8, node.name


def test_nodes_are_named_documented_and_typed() -> None:
    for node in all_pipelines().nodes:
        assert node._name, node
        assert node.func.__doc__, node.name
        hints = node.func.__annotations__
        assert "return" in hints, node.name
        assert not node.func.__code__.co_flags & inspect.CO_VARKEYWORDS, node.name
        assert len(hints) - 1 == node.func.__code__.co_argcount, node.name


def test_nodes_receive_no_path() -> None:
    for node in all_pipelines().nodes:
        for name, hint in node.func.__annotations__.items():
            assert "Path" not in str(hint), f"{node.name}: {name}"


def test_blend_can_combine_every_baseline() -> None:
    assert get_args(BlendModel) == ("classifier", "regressor", *BASELINES)


def test_data_flows_in_one_direction() -> None:
    made_by = {name: pipeline for pipeline in ORDER for name in pipelines[pipeline].all_outputs()}
    for place, pipeline in enumerate(ORDER):
        for name in pipelines[pipeline].all_inputs():
            if name in made_by and name != "reproduction_table":
                assert ORDER.index(made_by[name]) <= place, f"{pipeline} reads {name}"


# Catalog


def test_data_sets_between_pipelines_are_files(catalog: DataCatalog) -> None:
    in_memory = set()
    for name in list_data_sets():
        assert name in catalog, f"{name} is in no catalog file"
        if isinstance(catalog.get(name), MemoryDataset):
            in_memory.add(name)
    for name in in_memory:
        users = [
            pipeline
            for pipeline in ORDER
            if name in pipelines[pipeline].all_inputs() | pipelines[pipeline].all_outputs()
        ]
        assert len(users) == 1, f"{name} is only in memory, and used by {users}"


def test_every_data_set_has_a_layer(catalog: DataCatalog) -> None:
    for name in list_data_sets():
        metadata = catalog.get(name).metadata
        assert metadata["kedro-viz"]["layer"] in LAYERS, name


def test_only_previous_data_sets_share_their_file(catalog: DataCatalog) -> None:
    paths = {
        name: Path(str(path))
        for name in list_data_sets()
        if not name.startswith("raw_")
        and (path := getattr(catalog.get(name), "_filepath", None)) is not None
        and not name.endswith(".results")
    }
    parts = {path.relative_to(ROOT / "data").parts[1] for path in paths.values()}
    assert len(parts) == 1
    shared = {name for name in paths if list(paths.values()).count(paths[name]) > 1}
    assert shared == {
        "previous_title_vectors", "title_vectors", "previous_variant_results", "variant_results",
    }  # fmt: skip


def test_every_catalog_entry_is_used(catalog: DataCatalog) -> None:
    used = list_data_sets()
    for name in catalog.keys():  # noqa: SIM118
        assert name in used or name.startswith("param"), name


def test_every_parameter_of_a_node_exists(catalog: DataCatalog) -> None:
    for name in all_pipelines().inputs():
        if name.startswith("param"):
            assert name in catalog, name


def test_layers_follow_the_direction(catalog: DataCatalog) -> None:
    def get_layer(name: str) -> int:
        return LAYERS.index(catalog.get(name).metadata["kedro-viz"]["layer"])

    for node in all_pipelines().nodes:
        read = [get_layer(name) for name in node.inputs if not name.startswith("param")]
        written = [get_layer(name) for name in node.outputs]
        assert max(read, default=0) <= min(written), node.name

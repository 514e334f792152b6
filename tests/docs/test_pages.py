"""The examples of the documentation do what it says."""

import re
from pathlib import Path
from typing import get_args

import ibis
import numpy as np
import pytest
import yaml
from kedro.config import OmegaConfigLoader
from pydantic import TypeAdapter

from bazar.config.base import Options
from bazar.config.networks import Layer, ModelOptions, NetworkBlock, TrainingOptions
from bazar.hooks import check_parameters
from bazar.modelling.nodes import train_configured_network
from bazar.settings import CONFIG_LOADER_ARGS
from tests.project import ROOT, copy_project
from tests.training.test_trainer import N_ITEMS, cycle_split, vectors

NETWORKS = (ROOT / "docs" / "networks.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", NETWORKS, re.S)]


def options_in(folder: Path, example: dict, **changes: dict) -> dict[str, ModelOptions]:
    """The models as a project has them whose environment ``local`` holds an example."""
    project = copy_project(folder)
    (project / "conf" / "local").mkdir(exist_ok=True)
    (project / "conf" / "local" / "parameters.yml").write_text(yaml.safe_dump(example))
    loader = OmegaConfigLoader(
        str(project / "conf"), env="local", runtime_params=changes, **CONFIG_LOADER_ARGS
    )
    checked = check_parameters(loader["parameters"])
    return {"classifier": checked.classifier, "regressor": checked.regressor}


@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if "layers" not in example],
    ids=lambda example: "-".join(next(iter(example.values()))["networks"]),
)  # fmt: skip
def test_an_example_of_a_network_trains(tmp_path: Path, example: dict) -> None:
    ((model, described),) = example.items()
    (name,) = described["networks"]
    chosen = options_in(tmp_path, example, **{model: {"network": name}})[model]
    assert chosen.network == name
    assert chosen.block == NetworkBlock.model_validate(described["networks"][name])
    assert "model_i" in chosen.networks
    # The networks of the project stay as they are but for the one that the example describes.
    once = chosen.block.training.model_copy(update={"epochs": 1})
    block = chosen.block.model_copy(update={"training": once})
    quick = chosen.model_copy(update={"networks": {**chosen.networks, name: block}})
    split = cycle_split(users=12)
    index = ibis.memtable(
        {"item_id": [str(item) for item in range(N_ITEMS)], "item_index": range(1, N_ITEMS + 1)}
    )
    ((network, history, facts),) = train_configured_network(
        split.train, split.validation, index, vectors(), quick, 1, False,
        tmp_path / "state.npz", tmp_path / "last.keras", tmp_path / "optimizer.npz",
    )  # fmt: skip
    assert facts["network"] == name
    assert np.isfinite(history["loss"]).all()
    assert network.options == block.network


def test_the_list_of_layers_has_every_kind() -> None:
    (example,) = (example for example in EXAMPLES if "layers" in example)
    layers = TypeAdapter(list[Layer]).validate_python(example["layers"])
    kinds = get_args(get_args(Layer)[0])
    assert {type(layer) for layer in layers} == set(kinds)
    types = {kind for one in kinds for kind in get_args(one.model_fields["type"].annotation)}
    assert {layer.type for layer in layers} == types


@pytest.mark.parametrize("options", [NetworkBlock, TrainingOptions])
def test_every_key_and_value_is_told(options: type[Options]) -> None:
    rows = [line for line in NETWORKS.splitlines() if line.startswith("| ")]
    keys = {line.split("|")[1].strip(" `") for line in rows}
    for name, field in options.model_fields.items():
        if name == "training":
            continue
        assert name in keys, name
        for value in get_args(field.annotation):
            if isinstance(value, str):
                assert any(f"`{value}`" in line for line in rows), value


def test_the_first_figures_are_those_of_the_results() -> None:
    shown = (ROOT / "README.md").read_text().partition("## Measured")[2]
    measured = (ROOT / "docs" / "results.md").read_text()
    measured = measured.partition("<!-- results: amazon_beauty_2014; ")[2]
    found = {
        cells[1]: (cells[4].partition(" [")[0], cells[3].partition(" [")[0])
        for line in measured.partition("<details>")[0].splitlines()
        if len(cells := [cell.strip() for cell in line.split("|")]) == 11
    }
    rows = [[cell.strip() for cell in line.split("|")] for line in shown.splitlines()]
    ours = [row for row in rows if len(row) == 6 and row[1] in found]
    assert len(ours) >= 4
    for _, name, hits, ndcg, *_ in ours:
        assert (hits, ndcg) == found[name], name


def test_the_command_chooses_the_example() -> None:
    (name,) = EXAMPLES[1]["classifier"]["networks"]
    assert f"--params classifier.network={name}\n" in NETWORKS

"""The examples and tables of the documentation agree with the code and the results."""

import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from kedro.config import OmegaConfigLoader
from pydantic import TypeAdapter

from bazar.config.base import Options
from bazar.config.networks import (
    REPRODUCTION_NETWORKS,
    Layer,
    ModelOptions,
    NetworkBlock,
    TrainingOptions,
)
from bazar.hooks import check_parameters
from bazar.modelling.nodes import train_model
from bazar.settings import CONFIG_LOADER_ARGS
from bazar.training.checkpoints import Checkpoint
from tests.project import ROOT, copy_project
from tests.training.test_trainer import N_ITEMS, cycle_split, vectors

GUIDE = (ROOT / "docs" / "how-to" / "networks.md").read_text()
KEYS = (ROOT / "docs" / "reference" / "networks.md").read_text()


def read_examples(page: str) -> list[Any]:
    """Return the YAML blocks of a page."""
    return [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.S)]


EXAMPLES = read_examples(GUIDE)
# One example changes two keys of the network bazar. The others are complete networks.
COMPLETE_EXAMPLES = [
    example for example in EXAMPLES if "bazar" not in next(iter(example.values()))["networks"]
]


def load_options(folder: Path, example: dict, **changes: dict) -> dict[str, ModelOptions]:
    """Return the models of a project whose environment ``local`` contains an example."""
    project = copy_project(folder)
    (project / "conf" / "local").mkdir(exist_ok=True)
    (project / "conf" / "local" / "parameters.yml").write_text(yaml.safe_dump(example))
    loader = OmegaConfigLoader(
        str(project / "conf"), env="local", runtime_params=changes, **CONFIG_LOADER_ARGS
    )
    checked = check_parameters(loader["parameters"])
    return {"classifier": checked.classifier, "regressor": checked.regressor}


@pytest.mark.parametrize(
    "example",
    COMPLETE_EXAMPLES,
    ids=lambda example: "-".join(next(iter(example.values()))["networks"]),
)
def test_example_of_a_network_trains(tmp_path: Path, example: dict) -> None:
    ((model, described),) = example.items()
    (name,) = described["networks"]
    chosen = load_options(tmp_path, example, **{model: {"network": name}})[model]
    assert chosen.network == name
    assert chosen.block == NetworkBlock.model_validate(described["networks"][name])
    assert {"bazar", REPRODUCTION_NETWORKS[model]} <= set(chosen.networks)
    # The example changes no other network of the project.
    once = chosen.block.training.model_copy(update={"epochs": 1})
    block = chosen.block.model_copy(update={"training": once})
    quick = chosen.model_copy(update={"networks": {**chosen.networks, name: block}})
    item_ids = np.array(["", *(str(item) for item in range(1, N_ITEMS + 1))], object)
    state, training = train_model(
        model, name, quick.block, cycle_split(users=12), item_ids, vectors(), 1,
        Checkpoint(tmp_path / "checkpoint.npz"),
    )  # fmt: skip
    assert training["facts"]["network"] == name
    assert np.isfinite([epoch["loss"] for epoch in training["log"]]).all()
    assert state.network.options == block.network


def test_there_are_examples_of_both_models() -> None:
    models = [model for example in COMPLETE_EXAMPLES for model in example]
    assert models == ["classifier", "classifier", "classifier", "regressor"]


def test_example_for_cold_items_changes_the_classifier(tmp_path: Path) -> None:
    (example,) = (example for example in EXAMPLES if example not in COMPLETE_EXAMPLES)
    changed = load_options(tmp_path, example)["classifier"].block
    assert changed.add_title_similarity
    assert changed.training.cold_item_share == 0.1


def test_list_of_layers_has_every_type() -> None:
    (example,) = read_examples(KEYS)
    layers = TypeAdapter(list[Layer]).validate_python(example["layers"])
    kinds = get_args(get_args(Layer)[0])
    assert {type(layer) for layer in layers} == set(kinds)
    types = {name for kind in kinds for name in get_args(kind.model_fields["type"].annotation)}
    assert {layer.type for layer in layers} == types


@pytest.mark.parametrize("options", [NetworkBlock, TrainingOptions])
def test_every_key_and_value_is_documented(options: type[Options]) -> None:
    rows = [line for line in KEYS.splitlines() if line.startswith("| ")]
    keys = {line.split("|")[1].strip(" `") for line in rows}
    for name, field in options.model_fields.items():
        if name == "training":
            continue
        assert name in keys, name
        for value in get_args(field.annotation):
            if isinstance(value, str):
                assert any(f"`{value}`" in line for line in rows), value


def read_rows(text: str, n_columns: int) -> list[list[str]]:
    """Return the cells of the table rows with so many columns."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if len(row) == n_columns and not row[0].startswith("--")]


def read_new_day_ndcg(results: str) -> dict[str, str]:
    """Return the filtered NDCG@10 of the rows on a new day, by model that reads no times."""
    table = results.partition("<!-- untimed: ")[2].partition("<!-- /untimed -->")[0]
    return {row[0]: row[3] for row in read_rows(table, 6)}


def test_figures_of_the_readme_are_those_of_the_results() -> None:
    readme = (ROOT / "README.md").read_text()
    (shown,) = re.findall(r"^## Results$(.*?)^##", readme, re.MULTILINE | re.DOTALL)
    results = (ROOT / "docs" / "explanation" / "results.md").read_text()
    section = results.partition("<!-- results: amazon_beauty_2014/leave_one_out; ")[2]
    reproduced = results.partition("### Model I and Model II")[2]
    filtered = [
        section.partition("<details")[0],
        reproduced.partition("| seen items not filtered")[0],
    ]
    measured = {
        name: (hits.partition(" [")[0], ndcg.partition(" [")[0], seeds)
        for table in filtered
        for name, seeds, ndcg, hits, *_ in read_rows(table, 9)
    }
    variants = read_rows(results.partition("<!-- ablation: amazon_beauty_2014_days/")[2], 11)
    new_day = read_new_day_ndcg(results)
    for name, reads in (
        ("Network on ids", "ids; 256 dimensions, with history vectors"),
        ("Network on titles", "titles; with words"),
        ("Network on ids and titles", "ids, titles; with words"),
    ):
        (row,) = [row for row in variants if row[0] == reads]
        hits, ndcg, new_day[name] = (row[column].partition(" [")[0] for column in (3, 4, 8))
        measured.setdefault(name, (hits, ndcg, row[1]))
    rows = [row for row in read_rows(shown, 6) if row[0] in measured]
    assert len(rows) >= 8
    for name, _, hits, ndcg, new_day_ndcg, runs in rows:
        assert (hits, ndcg) == measured[name][:2], name
        assert new_day_ndcg in ("–", new_day.get(name)), name
        assert runs.startswith("best baseline") or runs.split()[0] == measured[name][2], name
    assert sum(row[4] != "–" for row in rows) >= 8


def test_figures_of_shuffled_days_are_those_of_the_results() -> None:
    pages = ROOT / "docs" / "explanation"
    shown = (pages / "new-days.md").read_text().partition("## Learn from shuffled days")[2]
    results = (pages / "results.md").read_text()
    variants = read_rows(results.partition("<!-- ablation: amazon_beauty_2014_days/")[2], 11)
    means = {row[0]: [row[column].partition(" ")[0] for column in (2, 4, 8)] for row in variants}
    texts = "ids, titles, brands, categories"
    heading, *rows = read_rows(shown.partition("## ")[0], 5)
    assert heading[:2] == ["reads times", "days in training"]
    assert rows == [
        ["no", "order of the source", *means[f"{texts}; with words and an id_shrinkage of 5"]],
        [
            "no", "shuffled in each epoch",
            *means[f"{texts}; with words, an id_shrinkage of 5 and shuffled days"],
        ],
        [
            "yes", "order of the source",
            *means[f"{texts}, times; with words and an id_shrinkage of 5"],
        ],
        [
            "yes", "shuffled in each epoch",
            *means[f"{texts}, times; with words, an id_shrinkage of 5 and shuffled days"],
        ],
    ]  # fmt: skip


def test_published_figures_of_the_readme_are_those_of_the_results() -> None:
    (shown,) = re.findall(
        r"^## Results$(.*?)^##", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    results = (ROOT / "docs" / "explanation" / "results.md").read_text()
    section = results.partition("### Published on the same data")[2].partition("## ")[0]
    published = {(row[1], row[2], row[3]) for row in read_rows(section, 6)}
    rows = [row for row in read_rows(shown, 6) if row[0].startswith("*")]
    assert len(rows) >= 5
    assert all((row[1], row[2], row[3]) in published for row in rows)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(name: str) -> None:
    """MkDocs checks only the links of the site."""
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text())
    local = [link for link in links if not link.startswith(("http", "#"))]
    for link in local:
        path, _, anchor = link.partition("#")
        assert (ROOT / path).exists(), link
        headings = (
            re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.MULTILINE) if anchor else []
        )
        anchors = {
            re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings
        }
        assert not anchor or anchor in anchors, link


def test_hooks_run_what_make_check_runs() -> None:
    described = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repo in described["repos"] for hook in repo["hooks"]]
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    assert hooks == commands


def test_command_chooses_the_example() -> None:
    (name,) = EXAMPLES[1]["classifier"]["networks"]
    assert f"--params classifier.network={name}\n" in GUIDE

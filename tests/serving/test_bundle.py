import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bazar.errors import InputError
from bazar.serving.bundle import (
    CHECKSUMS,
    CUSTOMERS,
    OPTIONS,
    PRODUCTS,
    VECTORS,
    Bundle,
    find_bundle,
    find_network_models,
    has_bundle,
    read_bundle,
    write_bundle,
)
from tests.serving import example_bundle as example

CLASSIFIER = "networks/seed_42/classifier.safetensors"
REGRESSOR = "networks/seed_42/regressor.safetensors"
FILES = [OPTIONS, PRODUCTS, VECTORS, CUSTOMERS, CLASSIFIER, REGRESSOR]


def copy_bundle(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_bundle_is_read_as_it_was_written(folder: Path, bundle: Bundle) -> None:
    read = read_bundle(folder)
    assert read.options == bundle.options
    for field in bundle.products.__dataclass_fields__:
        np.testing.assert_array_equal(
            getattr(read.products, field), getattr(bundle.products, field)
        )
    for mine, theirs in zip(
        read.customers.get_arrays(), bundle.customers.get_arrays(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert read.customers.user_ids.equals(bundle.customers.user_ids)
    assert set(read.networks) == set(bundle.networks) == {"seed_42/classifier", "seed_42/regressor"}
    for name, load in bundle.networks.items():
        mine, theirs = read.networks[name](), load()
        assert mine.options == theirs.options
        assert mine.weights.keys() == theirs.weights.keys()
        for weight, values in mine.weights.items():
            np.testing.assert_array_equal(values, theirs.weights[weight])


def test_every_file_has_a_checksum_that_sha256sum_accepts(folder: Path) -> None:
    listed = [line.split("  ")[1] for line in (folder / CHECKSUMS).read_text().splitlines()]
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(listed) == set(FILES) == files - {CHECKSUMS}
    subprocess.run(
        ["sha256sum", "--check", "--strict", CHECKSUMS], cwd=folder, check=True, capture_output=True
    )


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flipped bit", "cut", "missing", "not listed"])
def test_damaged_bundle_is_rejected_with_the_file(
    folder: Path, tmp_path: Path, name: str, damage: str
) -> None:
    copy = copy_bundle(folder, tmp_path)
    path, sums = copy / name, copy / CHECKSUMS
    content = bytearray(path.read_bytes())
    if damage == "flipped bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "missing":
        path.unlink()
    else:
        lines = sums.read_text().splitlines(keepends=True)
        sums.write_text("".join(line for line in lines if name not in line))
        if name.startswith("networks/"):
            # A network that is not listed does not exist.
            assert name.removeprefix("networks/")[:-6] not in read_bundle(copy).networks
            return
    with pytest.raises(InputError, match=rf"(?s){name}.*kedro run --pipelines recommendation"):
        read_bundle(copy)


def test_bundle_without_checksums_is_rejected(folder: Path, tmp_path: Path) -> None:
    copy = copy_bundle(folder, tmp_path)
    (copy / CHECKSUMS).unlink()
    with pytest.raises(InputError, match=rf"no .*{CHECKSUMS}"):
        read_bundle(copy)


@pytest.mark.parametrize("line", ["nonsense", f"{'0' * 64}  ../secret", f"{'0' * 64}  /secret"])
def test_malformed_checksum_line_is_rejected(folder: Path, tmp_path: Path, line: str) -> None:
    copy = copy_bundle(folder, tmp_path)
    with (copy / CHECKSUMS).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(InputError, match="malformed line"):
        read_bundle(copy)


def test_network_replaced_after_reading_is_rejected(folder: Path, tmp_path: Path) -> None:
    copy = copy_bundle(folder, tmp_path)
    read = read_bundle(copy)
    shutil.copy(copy / REGRESSOR, copy / CLASSIFIER)
    with pytest.raises(InputError, match=rf"{CLASSIFIER} is damaged or was replaced"):
        read.networks["seed_42/classifier"]()


def test_options_of_another_version_are_explained(folder: Path, tmp_path: Path) -> None:
    copy = copy_bundle(folder, tmp_path)
    (copy / OPTIONS).write_text('{"dataset": "x"}')
    subprocess.run(f"sha256sum {' '.join(FILES)} > {CHECKSUMS}", cwd=copy, shell=True, check=True)
    with pytest.raises(InputError, match=r"(?s)bundle.json cannot be read.*\n  seed: "):
        read_bundle(copy)


def test_read_bundle_can_be_written_again(folder: Path, tmp_path: Path) -> None:
    read = read_bundle(folder)
    write_bundle(replace(read, products=example.make_products()), tmp_path / "again")
    # Networks are copied as they are.
    assert (tmp_path / "again" / CLASSIFIER).read_bytes() == (folder / CLASSIFIER).read_bytes()
    assert set(read_bundle(tmp_path / "again").networks) == set(read.networks)


def test_bundle_is_written_into_an_empty_folder_only(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not empty"):
        write_bundle(bundle, tmp_path)


def test_bundle_with_a_missing_network_is_not_written(bundle: Bundle, tmp_path: Path) -> None:
    only_one = {"seed_42/classifier": bundle.networks["seed_42/classifier"]}
    with pytest.raises(InputError, match=r"not trained: seed_42/regressor\."):
        write_bundle(replace(bundle, networks=only_one), tmp_path / "bundle")


def test_products_and_customers_of_different_runs_are_not_written(
    bundle: Bundle, tmp_path: Path
) -> None:
    others = example.make_bundle(bundle.networks, purchases=[[1, 2, 3]]).customers
    with pytest.raises(InputError, match="come from different runs"):
        write_bundle(replace(bundle, customers=others), tmp_path / "bundle")


def test_needed_networks_are_those_of_the_models_and_the_weighted_components() -> None:
    blend = example.OPTIONS.blend.model_validate(
        {
            "components": [
                {"model": "classifier"},
                {"model": "classifier", "history_length": 3},
                {"model": "mine.keras"},
                {"model": "ease"},
            ],
            "seeds": [42, 7], "rows": 10, "rounds": 1, "seed": 1,
        }
    )  # fmt: skip
    weights = {
        "classifier": 0.2, "classifier, history 3": 0.1, "mine.keras": 0, "ease": 0.3,
        "classifier, seed 7": 0.4, "classifier, history 3, seed 7": 0, "mine.keras, seed 7": 0.1,
    }  # fmt: skip
    change = {"models": ("ease", "regressor"), "blend": blend, "weights": weights}
    assert find_network_models(example.OPTIONS.model_copy(update=change)) == [
        ("regressor", 42), ("classifier", 42), ("classifier", 7), ("mine.keras", 7),
    ]  # fmt: skip
    change["weights"] = {}
    assert find_network_models(example.OPTIONS.model_copy(update=change)) == [("regressor", 42)]


def test_bundle_is_found_in_the_folder_of_a_data_set(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "sample" / "leave_one_out" / "seed_42"
    bundle = Path(shutil.copytree(folder, run / "bundle"))
    with pytest.raises(InputError, match=r"no bundle in .*sample"):
        find_bundle(tmp_path / "sample")
    (tmp_path / "sample" / "current").write_text("leave_one_out/seed_42/bundle\n")
    for path in (tmp_path / "sample", str(tmp_path / "sample"), run, bundle):
        found = find_bundle(path)
        assert found.samefile(bundle)
        assert has_bundle(found)


def test_bundle_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*nowhere\. .*`kedro run`"):
        find_bundle(tmp_path / "nowhere")
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "current").write_text("temporal/seed_1/bundle")
    with pytest.raises(InputError, match=r"(?s)current names .*temporal/seed_1/bundle, where.*Run"):
        find_bundle(tmp_path / "sample")
    # The folder of all data sets, or a data set with a typing error.
    for folder in (tmp_path, tmp_path / "smaple"):
        with pytest.raises(InputError, match=rf"Give one of: {tmp_path}/sample\."):
            find_bundle(folder)


def test_bundle_is_found_while_a_run_replaces_it(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / ".earlier.bundle")
    assert find_bundle(tmp_path / "bundle") == tmp_path / ".earlier.bundle"

"""The command new-shop: what it writes, asks and prints."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from kedro.framework.startup import ProjectMetadata

from bazar.cli import cli
from tests.cli.conftest import assert_error

ROWS = [
    f"C-{n:03d},A-{n},2024-03-0{n} 10:00:00,SKU{n},Rose Toner [red] {n} ml,{status}"
    for n in range(1, 9)
    for status in ("paid", "refunded")
]
HEADER = "customer_id,order_id,created_at,sku,product_name,status"

Invoke = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "my project" / "conf" / "base").mkdir(parents=True)
    return tmp_path / "my project"


@pytest.fixture
def orders(project: Path) -> Path:
    path = project / "data" / "01_raw" / "shop" / "orders.csv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def new_shop(project: Path, metadata: ProjectMetadata) -> Invoke:
    in_project = metadata._replace(project_path=project)

    def invoke(*arguments: str | Path, answers: str = "") -> Result:
        command = ["new-shop", *map(str, arguments)]
        runner = CliRunner(env={"COLUMNS": "120"})
        return runner.invoke(cli, command, obj=in_project, input=answers)

    return invoke


def test_it_writes_an_environment_and_the_next_command(
    new_shop: Invoke, orders: Path, project: Path
) -> None:
    result = new_shop("shop", orders, "--yes")
    assert result.exit_code == 0, result.output
    text = (project / "conf" / "shop" / "globals.yml").read_text(encoding="utf-8")
    columns = {"item_id": "sku", "title": "product_name"}
    assert yaml.safe_load(text) == {
        "dataset": "shop",
        "raw_dir": "data/01_raw/shop",
        "interactions": {
            "orders": {
                "files": "orders.csv",
                "columns": {
                    "user_id": "customer_id", "item_id": "sku", "timestamp": "created_at",
                    "order_id": "order_id",
                },
                "timestamp_format": "iso",
                "timezone": "UTC",
                "where": {"status": {"in": ["paid"]}},
            }
        },
        "products": {"orders": {"files": "orders.csv", "columns": columns}},
    }  # fmt: skip
    assert "# Rows by value: paid (8), refunded (8)." in text
    assert "customer_id # 8 different values" in text
    assert result.stdout.endswith(
        "Next:\n    kedro run --env shop --pipelines ingestion,joining,sequencing\n"
    )
    assert [path.name for path in (project / "conf" / "shop").iterdir()] == ["globals.yml"]


def test_it_shows_columns_rows_exclusions_and_doubts(new_shop: Invoke, orders: Path) -> None:
    output = new_shop("shop", orders, "--yes").stdout
    assert "C-001 | C-002" in output
    assert "Rose Toner [red] 1 ml" in output
    assert "2024-03-01 10:00:00" in output
    assert "16 rows: 8 kept, 8 excluded by a rule, 0 rejected as invalid." in output
    assert "where: status" in output
    assert "Assumed: UTC." in output


def test_an_equal_environment_is_up_to_date(new_shop: Invoke, orders: Path, project: Path) -> None:
    new_shop("shop", orders, "--yes")
    written = project / "conf" / "shop" / "globals.yml"
    # Comments and the folder are the reader's.
    written.write_text("# mine\n" + written.read_text().replace("01_raw/shop", "01_raw/moved"))
    before = written.read_bytes()
    result = new_shop("shop", orders, "--yes")
    assert result.exit_code == 0
    assert "exists and is up to date" in result.stdout
    assert written.read_bytes() == before


def test_another_environment_is_not_changed(new_shop: Invoke, orders: Path, project: Path) -> None:
    new_shop("shop", orders, "--yes")
    written = project / "conf" / "shop" / "globals.yml"
    written.write_text(written.read_text().replace("[paid]", "[paid, refunded]"))
    before = written.read_bytes()
    result = new_shop("shop", orders, "--yes")
    assert result.exit_code == 1
    assert "interactions.orders.where.status.in: [paid, refunded], proposed: [paid]" in (
        result.stderr
    )
    assert "for example shop_2" in result.stderr
    assert written.read_bytes() == before


@pytest.mark.parametrize("name", ["base", "local", "sample", "../shop", ".shop", "my shop", ""])
def test_names_that_no_environment_can_have(
    new_shop: Invoke, orders: Path, project: Path, name: str
) -> None:
    assert_error(new_shop(name, orders, "--yes"), "name, for example" if name == "base" else "name")
    assert [path.name for path in (project / "conf").iterdir()] == ["base"]


def test_an_environment_without_globals_is_not_used(
    new_shop: Invoke, orders: Path, project: Path
) -> None:
    (project / "conf" / "tuned").mkdir()
    assert_error(new_shop("tuned", orders, "--yes"), "Choose another name")


def test_it_asks_until_the_answer_is_valid(new_shop: Invoke, orders: Path, project: Path) -> None:
    result = new_shop("shop", orders, answers="Berlin\nEurope/Berlin\n")
    assert result.exit_code == 0, result.output
    assert "in which time zone are the times in created_at" in result.stdout
    assert "'Berlin' is not a time zone" in result.stdout
    content = yaml.safe_load((project / "conf" / "shop" / "globals.yml").read_text())
    assert content["interactions"]["orders"]["timezone"] == "Europe/Berlin"
    assert "Please check" not in result.stdout


def test_without_a_terminal_it_needs_yes(new_shop: Invoke, orders: Path, project: Path) -> None:
    result = new_shop("shop", orders)
    assert result.exit_code == 1
    assert "The input is not a terminal" in result.stderr
    assert "--yes" in result.stderr
    assert not (project / "conf" / "shop").exists()


def test_yes_does_not_guess_the_order_of_day_and_month(
    new_shop: Invoke, project: Path, tmp_path: Path
) -> None:
    path = tmp_path / "orders.csv"
    rows = [f"c{n},s{n},Rose Toner {n} ml,0{n}/03/2024" for n in range(1, 9)]
    path.write_text("\n".join(["customer,sku,title,date", *rows]))
    assert_error(
        new_shop("shop", path, "--yes"), "begin with the day or the month", "without --yes"
    )
    assert not (project / "conf" / "shop").exists()
    assert new_shop("shop", path, answers="day\n").exit_code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("customer,colour\nc1,red\n", "no column was recognised for item_id, timestamp"),
    ],
)
def test_files_without_orders(new_shop: Invoke, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(text)
    assert_error(new_shop("shop", path, "--yes"), message)


def test_a_missing_file(new_shop: Invoke, tmp_path: Path) -> None:
    assert_error(new_shop("shop", tmp_path / "none.csv", "--yes"), "none.csv")


def test_files_outside_the_project_have_an_absolute_folder(
    new_shop: Invoke, orders: Path, project: Path, tmp_path: Path
) -> None:
    moved = orders.rename(tmp_path / "orders.csv")
    assert new_shop("shop", moved, "--yes").exit_code == 0
    content = yaml.safe_load((project / "conf" / "shop" / "globals.yml").read_text())
    assert content["raw_dir"] == str(tmp_path)

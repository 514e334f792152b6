"""Paths and patterns of files, with any character in their names."""

from pathlib import Path

import pytest

from bazar.errors import InputError
from bazar.ingestion.readers.paths import find_files
from tests.ingestion.readers.reading import read_columns


def write(path: Path, user: str = "u") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"user,item,time\n{user},a,1\n")
    return path


@pytest.mark.parametrize("name", ["shop [1]", "shop *", "shop ?", "a[b]*?c", "{a,b}", "50% ü 'x'"])
def test_path_is_read_literally(tmp_path: Path, name: str) -> None:
    other = "shop 1"
    write(tmp_path / other / "orders1.csv", "OTHER")
    path = write(tmp_path / name / "orders[1].csv")
    assert read_columns(path) == [("u", "a", "1")]
    assert find_files(tmp_path / name, "orders*.csv") == [path]
    assert find_files(tmp_path, f"{name}/orders[1].csv") == [path]
    assert find_files(tmp_path, f"{name}/ord*") == [path]


def test_name_that_exists_is_no_pattern(tmp_path: Path) -> None:
    paths = [write(tmp_path / name) for name in ("orders1.csv", "orders[1].csv")]
    assert find_files(tmp_path, "orders[1].csv") == [paths[1]]
    assert find_files(tmp_path, "orders*.csv") == paths
    paths[1].unlink()
    assert find_files(tmp_path, "orders[1].csv") == [paths[0]]


def test_absolute_paths_and_the_home_folder_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "home" / "orders.csv")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    raw = tmp_path / "raw"
    for pattern in (
        str(path),
        f"{path.parent}/*.csv",
        "~/orders.csv",
        "~/ord*",
        "../home/orders.csv",
    ):
        assert [found.resolve() for found in find_files(raw, pattern)] == [path], pattern
    assert find_files(raw, "none-*.csv") == []
    assert find_files(raw, "none.csv") == [raw / "none.csv"]


def test_folder_stands_for_its_parquet_files(tmp_path: Path) -> None:
    folder = tmp_path / "orders.parquet"
    names = ["part-1.parquet", "part-0.snappy.parquet", "year=2024/part-0.parquet"]
    for name in [
        *names,
        "_SUCCESS",
        ".part-0.parquet.crc",
        ".a.parquet",
        "_a.parquet",
        "_b/x.parquet",
    ]:
        write(folder / name)
    expected = sorted(folder / name for name in names)
    assert find_files(tmp_path, "orders.parquet") == expected
    assert find_files(tmp_path, "orders*") == expected
    write(tmp_path / "texts" / "orders.csv")
    with pytest.raises(InputError, match=r"without a Parquet file. It contains orders\.csv"):
        find_files(tmp_path, "texts")

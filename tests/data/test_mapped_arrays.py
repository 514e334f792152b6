"""Arrays that are mapped from a file."""

from pathlib import Path

import numpy as np
import pytest

from bazar.data.mapped_arrays import map_array, release_pages


def read_mapped_bytes() -> int:
    """Return how much memory of this process is mapped from files and resident."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("RssFile"))
    return 1024 * int(line.split()[1])


def test_released_memory_is_read_again_from_the_file(tmp_path: Path) -> None:
    values = np.arange(4_000_000, dtype=np.float32).reshape(-1, 4)
    np.save(tmp_path / "values.npy", values)
    mapped = map_array(tmp_path / "values.npy")
    before = read_mapped_bytes()
    np.testing.assert_array_equal(mapped, values)
    assert read_mapped_bytes() - before > values.nbytes / 2
    release_pages(mapped[10:])
    assert read_mapped_bytes() - before < values.nbytes / 2
    np.testing.assert_array_equal(mapped, values)


def test_a_mapped_array_cannot_be_written(tmp_path: Path) -> None:
    np.save(tmp_path / "values.npy", np.zeros(3))
    with pytest.raises(ValueError, match="read-only"):
        map_array(tmp_path / "values.npy")[0] = 1


def test_other_arrays_do_not_change() -> None:
    values = np.arange(3)
    release_pages(values)
    assert values.tolist() == [0, 1, 2]

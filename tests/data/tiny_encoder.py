"""A sentence encoder that is exported within seconds."""

from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from bazar.data.title_embeddings import Encoder

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "rose", "nail", "toner"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
VOCABULARY = [*TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]


def build_tiny_model(folder: Path) -> Encoder:
    """Save random weights: BERT, CLS pooling, a dense layer, no normalization."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    configuration = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(configuration).save_pretrained(folder / "bert")
    tokenizer = Tokenizer(
        WordPiece({token: row for row, token in enumerate(VOCABULARY)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=32, unk_token="[UNK]", pad_token="[PAD]",
        cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
    ).save_pretrained(folder / "bert")  # fmt: skip
    SentenceTransformer(
        modules=[
            Transformer(str(folder / "bert")),
            Pooling(16, pooling_mode="cls"),
            Dense(16, 12),
        ],
        prompts={"title": "toner: "},
        default_prompt_name="title",
        device="cpu",
    ).save(str(folder / "model"))
    return Encoder(source=str(folder / "model"), identity="tiny@1")

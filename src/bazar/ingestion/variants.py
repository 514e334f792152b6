"""Find the variants of a product: titles that differ only in size, amount, colour or case."""

import re
import unicodedata

import ibis

from bazar.ingestion.titles import apply_to_matches

_MIN_WORDS = 2
"""Number of words with at least two letters that a key must have."""

_NUMBER = r"\d+(?:[.,/\u2044]\d+)?"
_LENGTH = (
    "mm|cm|m|met(?:er|re)s?|metros?|mètres?|inch(?:es)?|zoll|pulgadas?|pouces?|polegadas?|"
    "ft|feet|foot|yards?"
)
_PIECES = (
    "pcs?|pieces?|piezas?|pzs?|pièces?|peças?|stück|stk|count|ct|packs?|pk|units?|uds?|unidades|"
    "unités"
)
_DOSES = "capsules?|kapseln?|cápsulas?|gélules?|tablets|tabletten|tabletas|comprimidos?|comprimés?"
_UNIT = (
    rf"{_LENGTH}|{_PIECES}|ml|cl|dl|l|lt|ltr|lit(?:er|re)s?|litros?|g|grs?|gramm|gram(?:me)?s?|"
    "gram[oa]s?|kg|kilos?|mg|mcg|μg|fl\\.? ?oz|oz|ounces?|onzas?|lbs?|pounds?|pfund"
)
_SIZE_LETTERS = r"(?:\d?x{1,4}[sl]|[sml])(?:[/-](?:\d?x{1,4}[sl]|[sml]))?"
_SIZE_WORDS = (
    "(?:extra |x-?)?(?:small|large)|medium|klein|mittel|groß|pequeñ[oa]|median[oa]|grande?|petite?|"
    "moyen(?:ne)?|pequen[oa]|médi[oa]"
)
_LAST_SIZE = f"(?:{_SIZE_LETTERS}|{_SIZE_WORDS})"
_CONTAINER = (
    "packs?|pk|packung|sets?|box|case|kit|lote?|paquete?|caja|caixa|boîte|conjunto|estuche|coffret"
)

_DIMENSIONS = re.compile(
    rf"(?<!\w){_NUMBER} ?(?:{_LENGTH})? ?x ?{_NUMBER} ?(?:{_LENGTH})?"
    rf"(?: ?x ?{_NUMBER} ?(?:{_LENGTH})?)?(?!\w)"
)
_ONE_DIGIT_EACH = re.compile(r"\d(?: ?x ?\d)+")
_AMOUNTS = re.compile(
    # pack of 6, set/3, lot de 2
    rf"(?<!\w)(?:{_CONTAINER}) ?(?:of|de|von|à|/) ?\d+(?: ?(?:{_PIECES}))?(?!\w)"
    # 3er-Pack
    rf"|(?<!\w)\d+[ -]?er[ -]?(?:{_CONTAINER})(?!\w)"
    # 250 ml, 2 x 1,5 l, 8-10 oz; not 3M, 4G and 5G, which are names
    rf"|(?<!\w)(?<!\d[.,])(?!(?:[2-5]g|3m)(?!\w))(?:\d+ ?x ?)?{_NUMBER}(?: ?[-–] ?{_NUMBER})?"
    rf"[ -]?(?:{_UNIT})(?!\w)"
    # The number of 60 capsules
    rf"|(?<!\w)\d+ (?=(?:{_DOSES})(?!\w))"
    # 10in and 10"; not 2 in 1
    rf"|(?<!\w){_NUMBER}(?:in(?!\w)|[\"″])"
    # x2 at the end, 2x at the start
    r"|(?<!\w)x ?\d{1,3}(?= *(?:[,;)]|$))|^\d{1,3} ?x(?!\w)"
)
_SIZES = re.compile(
    # size M, Gr. 38, talla L
    r"(?<!\w)(?:size|sz|größe|grösse|groesse|gr|talla|taille|tamanho|tam)[.:]* ?"
    rf"(?:\d{{1,3}}(?:[.,/-]\d{{1,2}})?|{_LAST_SIZE})(?!\w)"
    r"|(?<!\w)(?:eu|uk|us)[ -]?\d{1,2}(?:[.,]\d)?(?!\w)"
    r"|(?<!\w)(?:one size|einheitsgröße|talla única|taille unique|tamanho único)(?!\w)"
    # M at the end, or between commas or parentheses
    rf"|(?:[,;/(|]| -) ?{_LAST_SIZE}(?= *(?:[,;/)|]|$))"
    rf"|(?<=\s){_LAST_SIZE}$"
)
_APOSTROPHES = re.compile("['`\u2019\xb4]")
# Letters, digits and the marks of all scripts remain. \W would split Thai and Hindi words.
_PUNCTUATION = re.compile(
    r"[\s\x00-/:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7\u2000-\u200b\u200e-\u206f\u20a0-\u20cf"
    r"\u2100-\u2bff\u3000-\u3004\u3008-\u303f\ufe0e\ufe0f\ufffd]+"
)


def _list_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GERMAN_COLOURS = _list_words("schwarz weiß weiss rot grün blau gelb braun grau")
_COLOURS = _list_words(
    """
    black white red green blue yellow brown grey gray pink purple navy beige
    negro negra negros negras blanco blanca blancos blancas rojo roja rojos rojas verde verdes azul
    azules amarillo amarilla amarillos amarillas marrón marrones gris grises rosa morado morada
    noir noire noirs noires blanc blanche blancs blanches rouge rouges vert verte verts vertes
    bleu bleue bleus bleues jaune jaunes brun brune bruns brunes marron grise
    preto preta pretos pretas branco branca brancos brancas vermelho vermelha vermelhos vermelhas
    azuis amarelo amarela amarelos amarelas marrom castanho castanha cinza cinzento cinzenta roxo
    roxa bege lila
    """
) | {
    prefix + colour + ending
    for prefix in ("", "hell", "dunkel")
    for colour in _GERMAN_COLOURS
    for ending in ("", "e", "er", "es", "en", "em")
}
# As in "light blue", "color azul" and "in red".
_BEFORE = "light|dark|pale|sky|off|hell|dunkel|colou?r|farbe|couleur|cor|in|en|em"
# As in "azul claro" and "bleu foncé".
_AFTER = "claro|clara|oscuro|oscura|clair|claire|foncé|foncée|escuro|escura|marino|marine|marinho"
_ANY_COLOUR = "|".join(sorted(_COLOURS))
_COLOUR_RUN = re.compile(
    rf"(?<!\S)(?:(?:{_BEFORE}) )*(?:{_ANY_COLOUR})"
    rf"(?: (?:(?:{_AFTER}|{_BEFORE}|and|und|y|e|et) )*(?:{_ANY_COLOUR}))*(?: (?:{_AFTER}))*(?!\S)"
)
_KINDS = _list_words(
    """
    wine wines vino vinos wein vin vins vinho vinhos pinot tea teas té thé tee chá coffee rice arroz
    reis riz pepper pimienta pfeffer poivre pimenta chocolate schokolade chocolat bean beans
    frijoles alubias bohnen haricots feijão sugar azúcar zucker sucre açúcar bread brot pan pain
    vinegar vinagre essig vinaigre onion cebolla zwiebel oignon cabbage cheese salt salz sal sel
    meat truffle currant salsa lentils lentejas linsen rose roses rosen mosqueta musk clover ginseng
    light noise
    """
)
"""Beside these words, a colour is a kind: green tea, vino blanco."""
_OF = _list_words("of de del du des da do di von d")


def make_variant_key(title: str) -> str | None:
    """Return the part of a title that all variants of a product have in common.

    Two titles with the same key differ only in upper and lower case, punctuation, and in:

    - amounts and measures: ``250 ml``, ``2 x 1,5 l``, ``8 oz``, ``60 capsules``, ``10x20 cm``,
      ``pack of 6``, ``3er-Pack``, ``x2`` at the end. SPF 30, 64 GB and other numbers remain;
    - sizes: ``size M``, ``Gr. 38``, ``talla L``, ``EU 42``, and S to XXL, small or large at the end
      or between commas or parentheses;
    - basic colours in English, Spanish, German, French and Portuguese, also ``light blue``,
      ``dunkelgrün`` and ``azul claro``.

    Wrong groups are worse than missing ones. Therefore a colour remains if it is a kind beside the
    name of a food, a drink or a flower (green tea, vino blanco, red rose), or follows "of" or "de"
    (agua de rosa). Words that also name a taste, a scent or a metal, such as orange, violet, cream
    and gold, are not colours. Accents remain.

    Args:
        title: a clean title.

    Returns:
        The key, or None if fewer than two words with at least two letters remain. The key of a key
        is the key itself.
    """
    key = title
    while (shorter := _shorten(key)) != key:
        # The end of the title changes when the last words are removed, as in "Shirt M Red".
        key = shorter
    words = [word for word in key.split() if sum(letter.isalpha() for letter in word) > 1]
    return key if len(words) >= _MIN_WORDS else None


@ibis.udf.scalar.pyarrow
def make_variant_keys(titles: str) -> str:
    """Make variant keys on any backend; see :func:`make_variant_key`. No key is ``""``."""
    return apply_to_matches(titles, ".", make_variant_key)


def _shorten(title: str) -> str:
    """Remove what variants differ in, once."""
    text = unicodedata.normalize("NFKC", title).lower()
    text = " ".join(_APOSTROPHES.sub("", text).replace("\xd7", "x").split())
    if any(character.isdigit() for character in text):
        text = _DIMENSIONS.sub(_remove_dimensions, text)
        text = _AMOUNTS.sub(" ", text).strip()
    text = _SIZES.sub(" ", text)
    words = _PUNCTUATION.sub(" ", text).split()
    text = " ".join(words)
    return text if _COLOURS.isdisjoint(words) else " ".join(_remove_colours(text).split())


def _remove_dimensions(match: re.Match[str]) -> str:
    # 4x4 is a kind of drive and 3x3 a kind of cube.
    return match[0] if _ONE_DIGIT_EACH.fullmatch(match[0].strip()) else " "


def _remove_colours(text: str) -> str:
    def remove(match: re.Match[str]) -> str:
        before, after = text[: match.start()].split()[-1:], text[match.end() :].split()[:1]
        is_name = not _KINDS.isdisjoint(before + after) or not _OF.isdisjoint(before)
        return match[0] if is_name else " "

    return _COLOUR_RUN.sub(remove, text)

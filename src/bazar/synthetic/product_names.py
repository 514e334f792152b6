"""Names of the products of a synthetic store, in several languages.

The names of the same position in two languages mean the same. Brands have no language.
"""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "es"]
"""Language of the titles and of the categories: English or Spanish."""

# fmt: off
BRANDS = [
    "Velmora", "Ombravelle", "Nuvessa", "Tirelune", "Caldrise", "Fennavie", "Ruvaline",
    "Solmere", "Brunelis", "Ashkari", "Petravelle", "Lumisette", "Orvanna", "Quillaya",
    "Zephyrine", "Marivolt", "Dewkind", "Halvetia", "Isolanthe", "Kervaille", "Tasmirel",
    "Oriveda",
]
"""The first brands. The further ones are made of :data:`SYLLABLES`."""
SYLLABLES = [
    "bel", "cor", "dan", "fel", "gri", "hol", "jun", "kel", "lor", "mir", "nav", "ost",
    "pel", "quin", "rav", "sol", "tam", "vel", "win", "zar",
]


@dataclass(frozen=True)
class ProductNames:
    """The words of the titles in one language.

    Attributes:
        lines: names of the lines of each kind of routine, such as ``Oat Milk``.
        products: name of each product, such as ``Shampoo``, by its English name.
        skin_types: skin types of the products for the skin.
        shades: shades of the makeup.
        polishes: colours of the products for nails.
        sizes: sizes that are not the same in all languages, by the English one.
        categories: the category of each kind of routine.
        edition: variant of a travel kit, with the field ``number``.
        novelty: variant of a product that nobody buys, with the field ``number``.
        title: the first part of a title, with the fields ``brand``, ``line`` and ``product``.
    """

    lines: dict[str, tuple[str, ...]]
    products: dict[str, str]
    skin_types: tuple[str, ...]
    shades: tuple[str, ...]
    polishes: tuple[str, ...]
    sizes: dict[str, str]
    categories: dict[str, str]
    edition: str
    novelty: str
    title: str


_ENGLISH_BODY = (
    "Fig Leaf", "White Musk", "Orange Blossom", "Cedar and Sage", "Vanilla Bean",
    "Lavender Field",
)
_SPANISH_BODY = (
    "de hoja de higuera", "de almizcle blanco", "de azahar", "de cedro y salvia",
    "de vaina de vainilla", "de campo de lavanda",
)
_PRODUCTS = {
    "Gentle Cleanser": "Limpiador suave",
    "Hydrating Toner": "Tónico hidratante",
    "Repair Serum": "Sérum reparador",
    "Day Moisturiser": "Crema hidratante de día",
    "Sunscreen SPF 50": "Protector solar SPF 50",
    "Shampoo": "Champú",
    "Conditioner": "Acondicionador",
    "Hair Mask": "Mascarilla capilar",
    "Finishing Oil": "Aceite de acabado",
    "Foundation": "Base de maquillaje",
    "Concealer": "Corrector",
    "Pressed Powder": "Polvo compacto",
    "Base Coat": "Base protectora",
    "Nail Polish": "Esmalte de uñas",
    "Top Coat": "Brillo protector",
    "Shower Gel": "Gel de ducha",
    "Body Lotion": "Loción corporal",
    "Eau de Toilette": "Agua de colonia",
    "Gift Set": "Estuche de regalo",
    "Travel Kit": "Neceser de viaje",
    "Bath Salts": "Sales de baño",
}

NAMES: dict[Language, ProductNames] = {
    "en": ProductNames(
        lines={
            "skin": (
                "Rose Petal", "Green Tea", "Oat Milk", "Sea Mineral", "Honey Calendula",
                "Vitamin C Glow", "Cucumber", "Birch Sap", "Rice Water", "Blue Algae",
                "Apricot Seed", "White Clay",
            ),
            "hair": (
                "Argan", "Coconut", "Nettle", "Biotin", "Macadamia", "Chamomile", "Keratin",
                "Black Seed",
            ),
            "makeup": (
                "Silk Veil", "Soft Matte", "Second Skin", "Satin Light", "Airbrush",
                "Mineral Touch",
            ),
            "nails": ("Gloss Lab", "Quick Dry", "Gel Effect", "Crystal"),
            "body": _ENGLISH_BODY,
            "gift": _ENGLISH_BODY,
        },
        products={name: name for name in _PRODUCTS},
        skin_types=("Dry Skin", "Oily Skin", "Sensitive Skin", "Normal Skin", "Mature Skin"),
        shades=(
            "01 Porcelain", "02 Ivory", "03 Warm Sand", "04 Honey", "05 Caramel", "06 Espresso",
        ),
        polishes=("Cherry Red", "Dusty Pink", "Midnight Blue", "Nude Beige", "Plum"),
        sizes={},
        categories={
            "skin": "Skin Care",
            "hair": "Hair Care",
            "makeup": "Makeup",
            "nails": "Nails",
            "body": "Bath & Body",
            "gift": "Gift Sets",
        },
        edition="Edition {number}",
        novelty="New No. {number}",
        title="{brand} {line} {product}",
    ),
    "es": ProductNames(
        lines={
            "skin": (
                "de pétalos de rosa", "de té verde", "de leche de avena", "de sales marinas",
                "de miel y caléndula", "de vitamina C", "de pepino",
                "de savia de abedul", "de agua de arroz", "de algas azules",
                "de hueso de albaricoque", "de arcilla blanca",
            ),
            "hair": (
                "de argán", "de coco", "de ortiga", "de biotina", "de macadamia",
                "de manzanilla", "de queratina", "de comino negro",
            ),
            "makeup": (
                "Velo de Seda", "Mate Suave", "Segunda Piel", "Luz Satinada",
                "Acabado de Aerógrafo", "Toque Mineral",
            ),
            "nails": ("Taller de Brillo", "Secado Rápido", "Efecto Gel", "Cristal"),
            "body": _SPANISH_BODY,
            "gift": _SPANISH_BODY,
        },
        products=_PRODUCTS,
        skin_types=("piel seca", "piel grasa", "piel sensible", "piel normal", "piel madura"),
        shades=(
            "01 Porcelana", "02 Marfil", "03 Arena cálida", "04 Miel", "05 Caramelo",
            "06 Café solo",
        ),
        polishes=(
            "Rojo cereza", "Rosa empolvado", "Azul medianoche", "Beis natural", "Ciruela",
        ),
        sizes={"4 pieces": "4 piezas", "5 pieces": "5 piezas"},
        categories={
            "skin": "Cuidado facial",
            "hair": "Cuidado del cabello",
            "makeup": "Maquillaje",
            "nails": "Uñas",
            "body": "Baño y cuerpo",
            "gift": "Estuches de regalo",
        },
        edition="Edición {number}",
        novelty="Novedad n.º {number}",
        title="{brand} {product} {line}",
    ),
}
"""The words of each language."""
# fmt: on

from bazar.service.gateway import Gateway
from bazar.service.live import NewItem
from bazar.service.shop.catalogue import N_HUES, N_SHAPES, Assortment, LiveStates, make_url
from bazar.service.store import ItemChange


def test_the_attribute_with_the_most_companions_is_the_category(gateway: Gateway) -> None:
    gateway.add_items(
        [NewItem(f"new{number}", "Soap", f"Brand {number}, Care") for number in range(3)]
    )
    assortment = Assortment(gateway.engine.products)
    assert assortment.get_category("Flora, Care") == "Care"
    assert assortment.get_category(None) == ""
    assert assortment.categories[0] == "Misc"
    card = assortment.make_card("new1", None)
    assert (card.category, card.brand) == ("Care", "Brand 1")


def test_products_without_title_have_a_card(gateway: Gateway) -> None:
    card = Assortment(gateway.engine.products).make_card("untitled", None)
    assert card.title == "(no title)"
    assert card.tile.initials == "U"
    assert card.price is None
    assert card.in_stock


def test_tiles_have_a_colour_and_a_drawing_of_the_style_sheet(gateway: Gateway) -> None:
    assortment = Assortment(gateway.engine.products)
    tiles = [assortment.make_card(item_id, None).tile for item_id in ("milk", "soap", "misc01")]
    assert all(0 <= tile.hue < N_HUES and 0 <= tile.shape < N_SHAPES for tile in tiles)
    assert len({tile.hue for tile in tiles}) == 3
    assert all(tile.alternative.startswith("Drawing of a product") for tile in tiles)


def test_addresses_keep_every_id() -> None:
    assert make_url("../a b&c") == "/product?id=..%2Fa+b%26c"


def test_variants_are_the_others_of_the_group(gateway: Gateway) -> None:
    assortment = Assortment(gateway.engine.products)
    assert assortment.list_variants("shampoo") == ["shampoo-l", "shampoo-xl"]
    assert assortment.list_variants("milk") == []


def test_live_states_follow_the_store(gateway: Gateway) -> None:
    states = LiveStates(gateway.store)
    assert states.read() == {}
    gateway.change_items([ItemChange("milk", in_stock=False), ItemChange("jam", price=2.5)])
    assert states.read()["milk"].in_stock is False
    gateway.change_items([ItemChange("milk", in_stock=True)])
    assert states.read()["milk"].in_stock is True
    assert states.read()["jam"].price == 2.5

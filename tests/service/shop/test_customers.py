from bazar.service.shop.catalogue import Assortment
from bazar.service.shop.customers import choose_customers, find_end_of_data
from tests.service.engine.example_store import LAST_DAY, at_day, make_bundle


def test_customers_with_many_purchases_and_different_tastes_are_chosen() -> None:
    bundle = make_bundle()
    assortment = Assortment(bundle.products)
    chosen = choose_customers(bundle.customers, bundle.products, assortment)
    labels = {customer.user_id: customer.label for customer in chosen}
    assert labels["alice"] == "Customer A: Dairy"
    assert len(chosen) == 6
    # This customer bought more, but long ago.
    assert "zoe" not in labels
    assert chosen == choose_customers(bundle.customers, bundle.products, assortment)


def test_a_bundle_without_a_clock_has_customers_but_no_end() -> None:
    bundle = make_bundle(has_clock=False)
    assert find_end_of_data(bundle.customers) is None
    assert choose_customers(bundle.customers, bundle.products, Assortment(bundle.products))


def test_the_data_ends_with_the_last_purchase() -> None:
    end = find_end_of_data(make_bundle().customers)
    assert end is not None
    assert at_day(84) <= end < at_day(LAST_DAY)

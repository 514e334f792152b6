"""What is proposed for files of shops, asked and noted."""

import json
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
import yaml

from bazar.errors import InputError
from bazar.ingestion.inspection.preview import preview_source
from tests.ingestion.ingest import ingest
from tests.ingestion.inspection.shop_files import NOW_MS, inspect, write


def write_orders(folder: Path, header: str, *rows: str, name: str = "orders.csv") -> Path:
    """Write orders of eight customers. Each row is written for each of them, with its number."""
    lines = [row.replace("N", str(number)) for number in range(1, 9) for row in rows]
    return write(folder, name, header, *lines)


def test_plain_orders_need_no_rule(tmp_path: Path) -> None:
    path = write_orders(
        tmp_path, "customer,sku,product,ordered_at", "cN,a1,Rose Toner,2024-03-0NT10:00:00Z"
    )
    with inspect([path]) as found:
        assert found.orders == {
            "files": "orders.csv",
            "columns": {"user_id": "customer", "item_id": "sku", "timestamp": "ordered_at"},
            "timestamp_format": "iso",
        }
        assert not found.asked
        assert found.unsure == found.dropped == ""
        assert found.proposal.raw_dir == tmp_path


def test_a_column_whose_content_contradicts_its_name_is_dropped(tmp_path: Path) -> None:
    header = "customer_id,sku,order_date,created_at,quantity"
    path = write_orders(tmp_path, header, "cN,a1,10:15,2024-03-0NT10:00:00Z,many")
    with inspect([path]) as found:
        assert found.columns["timestamp"] == "created_at"
        assert "quantity" not in found.columns
        assert (
            "quantity is not used as quantity, because its values are not numbers" in found.dropped
        )


def test_two_columns_of_customers_are_asked_for(tmp_path: Path) -> None:
    header = "account_id,user_id,sku,created_at"
    path = write_orders(
        tmp_path, header, "aN,u1N,p,2024-03-01T10:00:00Z", "aN,u2N,q,2024-03-02T10:00:00Z"
    )
    with inspect([path], {"columns.user_id": "account_id"}) as found:
        assert found.columns["user_id"] == "account_id"
        [question] = found.asked
        assert set(question.choices) == {"account_id", "user_id"}


def test_an_address_beside_an_id_is_not_asked_for(tmp_path: Path) -> None:
    header = "customer_email,customer_id,sku,created_at"
    rows = ["cN@x.com,N,p,2024-03-01T10:00:00Z", "guestN@x.com,,q,2024-03-02T10:00:00Z"]
    with inspect([write_orders(tmp_path, header, *rows)]) as found:
        assert found.columns["user_id"] == "customer_id"
        assert not found.asked
        assert "Guests have a value in customer_email as well" in found.unsure
        assert found.orders["guests"] == "exclude"
        assert "8 of 16 rows (50.0%) have no customer" in found.text


def test_day_and_month_are_asked_for_if_no_value_decides(tmp_path: Path) -> None:
    path = write_orders(tmp_path, "user_id,sku,date", "uN,p,0N/03/2024")
    with inspect([path], {"timestamp_format": "month"}) as found:
        [question] = found.asked
        assert question.choices == ("day", "month")
        assert question.default is None
        assert "'01/03/2024'" in question.text
        assert found.orders["timestamp_format"].startswith("%m/%d/%Y")
        preview = preview_source(found.proposal.interactions[0], NOW_MS)
        assert preview.purchases[0]["timestamp"] == 1_704_240_000_000  # 2024-01-03


def test_the_zone_of_local_times_is_asked_for(tmp_path: Path) -> None:
    path = write_orders(tmp_path, "user_id,sku,created_at", "uN,p,2024-07-0N 10:00:00")
    with inspect([path], {"timezone": "Europe/Berlin"}) as found:
        [question] = found.asked
        assert found.orders["timezone"] == "Europe/Berlin"
        with pytest.raises(ValueError, match="not a time zone"):
            question.check("Berlin")
        preview = preview_source(found.proposal.interactions[0], NOW_MS)
        assert preview.purchases[0]["timestamp"] == 1_719_820_800_000  # 2024-07-01 08:00 UTC


def test_the_name_of_a_column_can_answer_the_zone(tmp_path: Path) -> None:
    path = write_orders(tmp_path, "user_id,sku,date_created_gmt", "uN,p,2024-07-0N 10:00:00")
    with inspect([path]) as found:
        assert found.orders["timezone"] == "UTC"
        assert not found.asked


def test_unknown_statuses_are_asked_for(tmp_path: Path) -> None:
    rows = [f"uN,pN,2024-03-01T10:00:00Z,{status}" for status in ("paid", "X1", "X2", "pending")]
    path = write_orders(tmp_path, "user_id,sku,created_at,status", *rows)
    with inspect([path]) as found:
        assert [question.key for question in found.asked] == ["where.status"] * 2
        assert found.orders["where"] == {"status": {"in": ["paid"]}}
        assert "8 rows with 'pending' are excluded" in found.unsure
        assert "Rows by value: X1 (8), X2 (8), paid (8), pending (8)." in found.text


def test_a_column_without_known_statuses_is_not_used(tmp_path: Path) -> None:
    rows = [f"uN,pN,2024-03-01T10:00:00Z,{state}" for state in ("Bayern", "Hessen")]
    path = write_orders(tmp_path, "user_id,sku,created_at,state", *rows)
    with inspect([path]) as found:
        assert "where" not in found.orders
        assert not found.asked


def test_rows_without_a_status_are_kept(tmp_path: Path) -> None:
    rows = [f"uN,pN,2024-03-01T10:00:00Z,{status}" for status in ("paid", "", "refunded")]
    path = write_orders(tmp_path, "user_id,sku,created_at,status", *rows)
    with inspect([path]) as found:
        assert found.orders["where"] == {"status": {"not_in": ["refunded"]}}


def test_further_columns_exclude_what_the_first_status_keeps(tmp_path: Path) -> None:
    header = "user_id,sku,created_at,order_status,item_status,cancelled_at"
    time = "2024-03-01T10:00:00Z"
    rows = [
        f"uN,p,{time},shipped,shipped,", f"uN,q,{time},shipped,cancelled,",
        f"uN,r,{time},shipped,shipped,{time}", f"uN,s,{time},cancelled,cancelled,{time}",
    ]  # fmt: skip
    with inspect([write_orders(tmp_path, header, *rows)]) as found:
        assert found.orders["where"] == {
            "order_status": {"in": ["shipped"]},
            "item_status": {"not_in": ["cancelled"]},
            "cancelled_at": {"missing": True},
        }
        preview = preview_source(found.proposal.interactions[0], NOW_MS)
        assert (preview.n_read, preview.n_kept) == (32, 8)


def test_magento_repeats_configurable_products(tmp_path: Path) -> None:
    header = "increment_id,customer_id,sku,name,qty_ordered,created_at,parent_item_id,status"
    order = "00N,N,red-{},Shirt for everyone,1,2024-03-0N 10:00:00,{},{}"
    rows = [order.format(1, "", "complete"), order.format(1, 7, "complete"),
            order.format(2, "", "closed")]  # fmt: skip
    with inspect([write_orders(tmp_path, header, *rows)]) as found:
        assert found.orders["where"] == {
            "status": {"in": ["complete"]},
            "parent_item_id": {"missing": True},
        }
        assert found.orders["timezone"] == "UTC"
        assert not found.asked


def test_values_of_the_first_line_of_an_order_are_filled(tmp_path: Path) -> None:
    header = "order_id,customer_id,date,status,sku"
    rows = ["N,cN,2024-03-0N,paid,a", "N,,,,b", "N9,cN,2024-03-0N,cancelled,a", "N9,,,,b"]
    with inspect([write_orders(tmp_path, header, *rows)]) as found:
        assert set(found.orders["fill_within_order"]) == {"customer_id", "date", "status"}
        assert "guests" not in found.orders
        preview = preview_source(found.proposal.interactions[0], NOW_MS)
        assert (preview.n_read, preview.n_kept) == (32, 16)


def test_credit_notes_are_returns(tmp_path: Path) -> None:
    header = "invoice,customer_id,date,sku,quantity"
    rows = ["RN,cN,2024-03-0N,a,2", "RGN,cN,2024-03-0N,a,-1", "RNN,cN,2024-03-0N,b,-1"]
    with inspect([write_orders(tmp_path, header, *rows)]) as found:
        # Only the letters RG are those of credit notes.
        assert found.orders["returns"] == {"where": {"invoice": {"matches": "^RG"}}}
        assert "8 rows begin with RG and have negative quantities" in found.text


def test_the_letter_of_credit_notes_may_begin_other_letters(tmp_path: Path) -> None:
    header = "invoice,customer_id,date,sku,quantity"
    rows = ["CDN,cN,2024-03-0N,a,2", "CN,cN,2024-03-0N,a,-1"]
    with inspect([write_orders(tmp_path, header, *rows)]) as found:
        assert found.orders["returns"] == {"where": {"invoice": {"matches": "^C[^A-Za-z]"}}}
        preview = preview_source(found.proposal.interactions[0], NOW_MS)
        assert (preview.n_read, preview.n_kept) == (16, 8)


def test_the_purchase_of_an_unknown_event_log_is_asked_for(tmp_path: Path) -> None:
    rows = [f"uN,pN,2024-03-01T10:00:00Z,{event}" for event in ("E1", "view", "E2")]
    path = write_orders(tmp_path, "user_id,item_id,timestamp,event", *rows)
    with inspect([path], {"events.purchase": "E2"}) as found:
        assert found.orders["events"] == {"purchase": ["E2"], "view": ["view"]}
        assert "rows with the values E1 (8) are excluded" in found.unsure


def test_types_of_products_are_no_events(tmp_path: Path) -> None:
    rows = [f"uN,pN,2024-03-01T10:00:00Z,{kind}" for kind in ("simple", "bundle")]
    path = write_orders(tmp_path, "user_id,item_id,timestamp,type", *rows)
    with inspect([path]) as found:
        assert "event_type" not in found.columns
        assert "events" not in found.orders


def test_one_id_of_all_guests_is_excluded(tmp_path: Path) -> None:
    rows = ["N,p,2024-03-01T10:00:00Z", "0,q,2024-03-02T10:00:00Z"]
    with inspect([write_orders(tmp_path, "customer_id,sku,created_at", *rows)]) as found:
        assert found.orders["where"] == {"customer_id": {"not_in": ["0"]}}


def test_visits_of_guests_may_be_used(tmp_path: Path) -> None:
    header = "event_time,event_type,product_id,category_code,user_id,user_session"
    rows = ["2024-03-0N 10:00:00 UTC,purchase,p1,shoes,uN,sN",
            "2024-03-0N 11:00:00 UTC,purchase,p2,shoes,,tN"]  # fmt: skip
    with inspect([write_orders(tmp_path, header, *rows)]) as found:
        assert "user_session groups the rows of a visit" in found.unsure
        assert "order_id" not in found.columns


def test_ids_in_several_forms_are_unified(tmp_path: Path) -> None:
    header = "customer_id,customer_name,sku,created_at"
    rows = ["N,Ana,ab1,2024-03-01T10:00:00Z", "N.0,Ana,AB1,2024-03-02T10:00:00Z",
            "N,Ana,\u00a0AB1,2024-03-03T10:00:00Z"]  # fmt: skip
    products = write(tmp_path, "products.csv", "sku,title", "AB1,Rose Toner for all")
    with inspect([write_orders(tmp_path, header, *rows), products]) as found:
        item_steps = ["strip", "upper"]
        assert found.orders["normalise_ids"] == {
            "user_id": ["integer_like"],
            "item_id": item_steps,
        }
        [source] = yaml.safe_load(found.text)["products"].values()
        assert source["normalise_ids"] == {"item_id": item_steps}


def test_addresses_are_unified_in_lower_case(tmp_path: Path) -> None:
    rows = ["aN@x.com,p,2024-03-01T10:00:00Z", "AN@x.com,q,2024-03-02T10:00:00Z"]
    with inspect([write_orders(tmp_path, "email,sku,created_at", *rows)]) as found:
        assert found.orders["normalise_ids"] == {"user_id": ["lower"]}
        assert "8 ids differ only in case" in found.text


def test_services_are_excluded_by_id_and_by_pattern(tmp_path: Path) -> None:
    header = "customer_id,order_id,sku,title,price,created_at"
    rows = [
        "cN,N,8500N,Rose Toner for all,5,2024-03-0NT10:00:00Z",
        "cN,N,POST,Postage,3,2024-03-0NT10:00:00Z",
        "cN,N,gift_0N,Gift voucher,3,2024-03-0NT10:00:00Z",
    ]
    with inspect([write_orders(tmp_path, header, *rows)]) as found:
        assert found.orders["exclude_items"] == {"ids": ["POST"], "id_patterns": ["^gift_"]}
        preview = preview_source(found.proposal.interactions[0], NOW_MS)
        assert preview.n_kept == 8


def test_products_are_matched_by_the_ids_that_orders_have(tmp_path: Path) -> None:
    orders = write_orders(
        tmp_path, "customer_id,product_id,product_name,created_at",
        "cN,70N,Rose Toner N,2024-03-0NT10:00:00Z",
    )  # fmt: skip
    products = write(
        tmp_path, "catalogue.csv", "sku,product_id,title,brand,category",
        *(f"RT-{n},70{n},Rose Toner {n} for all,Rosalind,Skin care" for n in range(1, 9)),
    )  # fmt: skip
    with inspect([products, orders]) as found:
        assert found.columns["item_id"] == "product_id"
        sources = yaml.safe_load(found.text)["products"]
        # The catalogue is trusted more than the titles in the orders.
        assert list(sources) == ["products", "orders"]
        assert sources["products"]["columns"] == {
            "item_id": "product_id", "title": "title", "attributes": ["brand", "category"],
        }  # fmt: skip
        assert found.unsure == ""


def test_unrelated_products_are_noted(tmp_path: Path) -> None:
    orders = write_orders(tmp_path, "customer_id,sku,date", "cN,a,2024-03-0N")
    products = write(tmp_path, "products.csv", "sku,title", "b,Rose Toner for all")
    with inspect([orders, products]) as found:
        assert "products.csv has only 0% of the products" in found.unsure


def test_names_are_ids_where_there_are_none(tmp_path: Path) -> None:
    rows = ["cN,Rose Toner for all,2024-03-0N", "cN,Rose Milk for all,2024-03-0N"]
    with inspect([write_orders(tmp_path, "customer_id,product_name,date", *rows)]) as found:
        assert found.columns["item_id"] == "product_name"
        assert "no column has product ids" in found.unsure


def test_reviews_have_no_titles_of_products(tmp_path: Path) -> None:
    header = "rating,title,text,asin,parent_asin,user_id,timestamp"
    rows = [
        "5,I love it so much,Nice,B1,B1,uN,1700000000000",
        "1,I hate it,Bad,B2,B2,uN,1700000000",
    ]
    with inspect([write_orders(tmp_path, header, rows[0])]) as found:
        assert found.columns == {
            "user_id": "user_id", "item_id": "parent_asin", "timestamp": "timestamp",
            "rating": "rating",
        }  # fmt: skip
        assert found.proposal.products == []


def test_files_with_one_header_are_one_source(tmp_path: Path) -> None:
    header, row = "customer_id,sku,date", "cN,a,2024-03-0N"
    (tmp_path / "2024").mkdir()
    paths = [
        write_orders(tmp_path, header, row, name="2024/may.csv"),
        write_orders(tmp_path, header, row, row, name="june [1].csv"),
    ]
    with inspect([*paths, paths[0]]) as found:
        assert found.orders["files"] == ["2024/may.csv", "june [1].csv"]
        assert preview_source(found.proposal.interactions[0], NOW_MS).n_read == 24


def test_files_with_other_headers_are_other_sources(tmp_path: Path) -> None:
    paths = [
        write_orders(tmp_path, "customer_id,sku,date", "cN,a,2024-03-0N", name="web shop.csv"),
        write_orders(tmp_path, "Kunde;Artikel;Datum", "cN;a;0N.03.2024", name="Läden.csv"),
    ]
    with inspect(paths, {"timestamp_format": "day"}) as found:
        assert {source.name for source in found.proposal.interactions} == {"web_shop", "läden"}


def test_all_sheets_of_a_workbook_are_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name in ("Year 2009", "Year 2010", "Notes"):
            sheet = book.add_worksheet(name)
            if name == "Notes":
                sheet.write_row(0, 0, ["Written by", "Ana"])
                continue
            sheet.write_row(0, 0, ["Customer ID", "StockCode", "InvoiceDate"])
            for row in range(1, 9):
                sheet.write_row(row, 0, [row, f"s{row}", f"2009-12-0{row} 10:00"])
    with inspect([path]) as found:
        sources = found.proposal.to_sources()["interactions"]
        assert {source["sheet"] for source in sources.values()} == {"Year 2009", "Year 2010"}


def test_an_uncertain_encoding_is_written(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    rows = "".join(f"Kunde{n};Crème à la rose für Damen;0{n}.03.2024\n" for n in range(1, 9))
    path.write_bytes(f"Kunde;Artikel;Datum\n{rows}99;Größe;13.03.2024\n".encode("cp1252"))
    with inspect([path]) as found:
        assert found.orders["encoding"] == "cp1252"


def test_an_incomplete_file_is_explained(tmp_path: Path) -> None:
    path = write_orders(tmp_path, "customer_id,colour,date", "cN,red,2024-03-0N")
    with pytest.raises(InputError) as raised, inspect([path]):
        pass
    message = str(raised.value)
    assert "orders.csv: no column was recognised for item_id" in message
    assert "'customer_id', 'colour', 'date'" in message
    assert "columns: {user_id: YOUR COLUMN" in message


def test_files_that_must_be_joined_are_explained(tmp_path: Path) -> None:
    orders = write_orders(tmp_path, "order_id,customer_id,date", "N,cN,2024-03-0N")
    lines = write_orders(tmp_path, "order_id,product_id,price", "N,p1,3.50", name="lines.csv")
    with pytest.raises(InputError, match="Join the files first"), inspect([orders, lines]):
        pass


@pytest.mark.parametrize(
    ("header", "row", "part"),
    [
        ("user_id,sku,order_id,date", "N,a,oN,Fri", "its values, such as 'Fri', are not times."),
        (
            "user_id,sku,date",
            ",a,2024-03-0N",
            "user_id is not used as user_id, because it is empty",
        ),
        ("Report,,", ",,", "delete them"),
        (",".join(f"c{number}" for number in range(32)), "N," * 31, "'c29' and 2 more"),
    ],
)
def test_missing_columns_are_explained(tmp_path: Path, header: str, row: str, part: str) -> None:
    with pytest.raises(InputError) as raised, inspect([write_orders(tmp_path, header, row)]):
        pass
    assert part in str(raised.value)


def test_line_items_in_json_are_found(tmp_path: Path) -> None:
    order = {
        "customer": "c1",
        "created_at": "2024-03-01",
        "discounts": [{"code": "x"}],
        "line_items": [{"sku": "a", "taxes": [{"id": 1}]}, {"sku": "b"}],
    }
    path = write(tmp_path, "orders.jsonl", *[json.dumps(order)] * 2)
    with inspect([path]) as found:
        assert found.columns == {
            "user_id": "customer", "item_id": "line_items.sku", "timestamp": "created_at",
        }  # fmt: skip
        preview = preview_source(found.proposal.interactions[0], NOW_MS)
        assert (preview.n_read, preview.n_kept) == (4, 4)


def make_shopify_order(number: int) -> dict[str, Any]:
    """Return an order as Shopify's API writes it, with two lines."""
    lines = [
        {
            "id": 10 * number + line, "sku": f"S{line}", "product_id": 70 + line,
            "variant_id": 80 + line, "title": f"Rose Cream {line}", "vendor": "Rosalind",
            "name": f"Rose Cream {line} - 50 ml", "quantity": 1 + line, "price": "9.50",
            "tax_lines": [{"price": "1.80", "title": "VAT"}],
        }
        for line in (1, 2)
    ]  # fmt: skip
    return {
        "id": 5_000_000_000 + number, "name": f"#{number}", "order_number": number,
        "email": f"c{number % 3}@example.com", "created_at": f"2024-03-0{number}T10:00:00-05:00",
        "financial_status": "paid" if number < 8 else "refunded", "currency": "USD",
        "user_id": None, "total_price": "47.50", "customer": {"id": 900 + number % 3, "tags": ""},
        "line_items": lines, "shipping_lines": [{"title": "Standard", "price": "5.00"}],
        "fulfillments": [{"id": number, "line_items": lines}],
        "refunds": [{"refund_line_items": [{"quantity": 1, "line_item": lines[0]}]}],
    }  # fmt: skip


SHOPIFY_COLUMNS = {
    "user_id": "customer.id", "item_id": "line_items.sku", "timestamp": "created_at",
    "order_id": "name", "quantity": "line_items.quantity", "price": "line_items.price",
    "currency": "currency",
}  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "orders."])
def test_orders_of_the_api_of_shopify_are_found(tmp_path: Path, prefix: str) -> None:
    orders = [make_shopify_order(number) for number in range(1, 9)]
    content = {"orders": orders} if prefix else orders
    path = write(tmp_path, "orders.json", json.dumps(content))
    with inspect([path]) as found:
        expected = {role: f"{prefix}{name}" for role, name in SHOPIFY_COLUMNS.items()}
        if prefix:
            # The platform is recognised only without the outer object.
            expected["order_id"] = "orders.order_number"
        assert found.columns == expected
        assert found.orders["where"] == {f"{prefix}financial_status": {"in": ["paid"]}}
        [products] = yaml.safe_load(found.text)["products"].values()
        assert products["columns"]["item_id"] == f"{prefix}line_items.sku"
        preview = preview_source(found.proposal.interactions[0], NOW_MS)
        assert (preview.n_read, preview.n_kept) == (16, 14)
        assert preview.purchases[1]["quantity"] == 3
        sources = found.proposal.to_sources()
    ingested = ingest(tmp_path, sources["interactions"], sources["products"])
    assert len(ingested.purchases) == 14
    assert ingested.titles["S1"].startswith("Rose Cream 1")


def test_orders_of_the_api_of_woocommerce_are_found(tmp_path: Path) -> None:
    orders = [
        {
            "id": 700 + number, "number": str(700 + number), "status": "completed",
            "currency": "EUR", "date_created": f"2024-03-0{number}T11:00:00",
            "date_created_gmt": f"2024-03-0{number}T10:00:00", "customer_id": number % 3,
            "billing": {"first_name": "Ada", "email": f"c{number}@example.com"},
            "line_items": [
                {
                    "id": 10 * number + line, "name": f"Rose Cream {line}", "product_id": 70 + line,
                    "variation_id": 0, "quantity": 1, "sku": "", "price": 9.5, "total": "9.50",
                    "meta_data": [{"id": 1, "key": "size", "value": "50 ml"}],
                }
                for line in (1, 2)
            ],
            "meta_data": [{"id": 1, "key": "lang", "value": "en"}],
            "fee_lines": [], "refunds": [],
        }
        for number in range(1, 10)
    ]  # fmt: skip
    path = write(tmp_path, "orders.json", json.dumps(orders))
    with inspect([path]) as found:
        assert found.columns == {
            "user_id": "customer_id", "item_id": "line_items.product_id",
            "timestamp": "date_created_gmt", "order_id": "number",
            "quantity": "line_items.quantity", "price": "line_items.price", "currency": "currency",
        }  # fmt: skip
        assert found.orders["timezone"] == "UTC"
        assert not found.asked
        preview = preview_source(found.proposal.interactions[0], NOW_MS)
        assert preview.n_read == 18


def test_a_file_without_rows_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "orders.csv", "customer,sku,ordered_at")
    with pytest.raises(InputError, match="has a header but no record"), inspect([path]):
        pass


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"), inspect([tmp_path]):
        pass


def test_unknown_times_are_an_error(tmp_path: Path) -> None:
    path = write_orders(tmp_path, "customer,sku,date", "cN,a,0N.03.2024 10:00 Uhr")
    with pytest.raises(InputError, match=r"times in date is unknown.*Uhr"), inspect([path]):
        pass


def test_names_are_reported_if_they_are_used_as_ids(tmp_path: Path) -> None:
    rows = ["cN,a1,Rose Toner,2024-03-0N", "cN,,Rose Oil,2024-03-0N"]
    with inspect([write_orders(tmp_path, "customer,sku,product,date", *rows)]) as found:
        assert found.columns["item_id"] == "product"
        assert "sku is empty in 50% of the first rows" in found.unsure

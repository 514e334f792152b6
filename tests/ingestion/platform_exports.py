"""Exports of shop platforms and of event logs, with the headers that these write."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.ingestion.shop import (
    Expected,
    Export,
    Line,
    Order,
    Purchase,
    Rows,
    email,
    make_purchase,
    simulate_orders,
    to_milliseconds,
    write_text,
)

SHOPIFY_HEADER = [
    "Name", "Email", "Financial Status", "Paid at", "Fulfillment Status", "Fulfilled at",
    "Accepts Marketing", "Currency", "Subtotal", "Shipping", "Taxes", "Total", "Discount Code",
    "Discount Amount", "Shipping Method", "Created at", "Lineitem quantity", "Lineitem name",
    "Lineitem price", "Lineitem compare at price", "Lineitem sku", "Lineitem requires shipping",
    "Lineitem taxable", "Lineitem fulfillment status", "Billing Name", "Billing Street",
    "Billing Address1", "Billing Address2", "Billing Company", "Billing City", "Billing Zip",
    "Billing Province", "Billing Country", "Billing Phone", "Shipping Name", "Shipping Street",
    "Shipping Address1", "Shipping Address2", "Shipping Company", "Shipping City",
    "Shipping Zip", "Shipping Province", "Shipping Country", "Shipping Phone", "Notes",
    "Note Attributes", "Cancelled at", "Payment Method", "Payment Reference", "Refunded Amount",
    "Vendor", "Outstanding Balance", "Employee", "Location", "Device ID", "Id", "Tags",
    "Risk Level", "Source", "Lineitem discount", "Tax 1 Name", "Tax 1 Value", "Tax 2 Name",
    "Tax 2 Value", "Tax 3 Name", "Tax 3 Value", "Tax 4 Name", "Tax 4 Value", "Tax 5 Name",
    "Tax 5 Value", "Phone", "Receipt Number", "Duties", "Billing Province Name",
    "Shipping Province Name", "Payment ID", "Payment Terms Name", "Next Payment Due At",
    "Payment References",
]  # fmt: skip
WOOCOMMERCE_HEADER = [
    "Order Number", "Order Status", "Order Date", "Customer Note", "First Name (Billing)",
    "Last Name (Billing)", "Company (Billing)", "Address 1&2 (Billing)", "City (Billing)",
    "State Code (Billing)", "Postcode (Billing)", "Country Code (Billing)", "Email (Billing)",
    "Phone (Billing)", "First Name (Shipping)", "Last Name (Shipping)", "Address 1&2 (Shipping)",
    "City (Shipping)", "State Code (Shipping)", "Postcode (Shipping)", "Country Code (Shipping)",
    "Payment Method Title", "Cart Discount Amount", "Order Subtotal Amount",
    "Shipping Method Title", "Order Shipping Amount", "Order Refund Amount", "Order Total Amount",
    "Order Total Tax Amount", "SKU", "Item #", "Item Name", "Quantity (- Refund)", "Item Cost",
    "Coupon Code", "Discount Amount", "Discount Amount Tax",
]  # fmt: skip
AMAZON_ALL_ORDERS_HEADER = [
    "amazon-order-id", "merchant-order-id", "purchase-date", "last-updated-date",
    "order-status", "fulfillment-channel", "sales-channel", "order-channel", "url",
    "ship-service-level", "product-name", "sku", "asin", "item-status", "quantity", "currency",
    "item-price", "item-tax", "shipping-price", "shipping-tax", "gift-wrap-price",
    "gift-wrap-tax", "item-promotion-discount", "ship-promotion-discount", "ship-city",
    "ship-state", "ship-postal-code", "ship-country", "promotion-ids", "buyer-email",
]  # fmt: skip
AMAZON_SHIPMENTS_HEADER = [
    "amazon-order-id", "merchant-order-id", "shipment-id", "shipment-item-id",
    "amazon-order-item-id", "merchant-order-item-id", "purchase-date", "payments-date",
    "shipment-date", "reporting-date", "buyer-email", "buyer-name", "buyer-phone-number", "sku",
    "product-name", "quantity-shipped", "currency", "item-price", "item-tax", "shipping-price",
    "shipping-tax", "gift-wrap-price", "gift-wrap-tax", "ship-service-level", "recipient-name",
    "ship-address-1", "ship-address-2", "ship-address-3", "ship-city", "ship-state",
    "ship-postal-code", "ship-country", "ship-phone-number", "bill-address-1", "bill-address-2",
    "bill-address-3", "bill-city", "bill-state", "bill-postal-code", "bill-country",
    "item-promotion-discount", "ship-promotion-discount", "carrier", "tracking-number",
    "estimated-arrival-date", "fulfillment-center-id", "fulfillment-channel", "sales-channel",
]  # fmt: skip
AMAZON_ORDERS_HEADER = [
    "order-id", "order-item-id", "purchase-date", "payments-date", "buyer-email", "buyer-name",
    "buyer-phone-number", "sku", "product-name", "quantity-purchased", "currency", "item-price",
    "item-tax", "shipping-price", "shipping-tax", "ship-service-level", "recipient-name",
    "ship-address-1", "ship-address-2", "ship-address-3", "ship-city", "ship-state",
    "ship-postal-code", "ship-country", "ship-phone-number", "delivery-start-date",
    "delivery-end-date", "delivery-time-zone", "delivery-Instructions", "sales-channel",
]  # fmt: skip
EVENT_HEADER = [
    "event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price",
    "user_id", "user_session",
]  # fmt: skip


def write_shopify(folder: Path) -> Export:
    """Write an orders export of Shopify: the status is only in the first line of an order."""
    found, zone = Rows(), ZoneInfo("Europe/Berlin")
    statuses = {"complete": "paid", "cancelled": "voided", "refunded": "refunded"}

    def make_row(order: Order, line: Line, is_first: bool) -> dict[str, Any]:
        created = order.time.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %z")
        total = f"{sum(each.quantity * each.product.price for each in order.lines):.2f}"
        row = {
            "Name": f"#{order.number}", "Email": email(order.customer), "Created at": created,
            "Lineitem quantity": line.quantity, "Lineitem name": line.product.title,
            "Lineitem price": f"{line.product.price:.2f}", "Lineitem sku": line.product.sku,
            "Lineitem requires shipping": "true", "Lineitem taxable": "true",
            "Lineitem fulfillment status": "fulfilled", "Vendor": "Rosalind",
            "Lineitem discount": "0.00",
        }  # fmt: skip
        first = {
            "Financial Status": statuses[order.kind], "Fulfillment Status": "fulfilled",
            "Accepts Marketing": "no", "Currency": "EUR", "Subtotal": total, "Shipping": "4.90",
            "Taxes": "0.00", "Total": total, "Discount Amount": "0.00",
            "Paid at": "" if order.kind == "cancelled" else created,
            "Cancelled at": created if order.kind == "cancelled" else "",
            "Shipping Method": "Standard", "Billing Name": f"Customer {order.customer}",
            "Billing Zip": "'10115", "Billing Country": "DE", "Payment Method": "Shopify Payments",
            "Refunded Amount": total if order.kind == "refunded" else "0.00",
            "Outstanding Balance": "0.00", "Id": 5_400_000_000_000 + order.number,
            "Risk Level": "Low", "Source": "web", "Phone": f"'+4930{5_550_000 + order.number}",
        }  # fmt: skip
        return row | (first if is_first else {})

    found.add_orders(
        simulate_orders(),
        make_row,
        lambda order, line: make_purchase(
            order, line, email(order.customer), line.product.sku, f"#{order.number}"
        ),
        status="Financial Status",
    )
    path = write_text(folder / "orders_export_1.csv", SHOPIFY_HEADER, found.rows)
    expected = Expected(
        columns={
            "user_id": "Email", "item_id": "Lineitem sku", "timestamp": "Created at",
            "order_id": "Name", "quantity": "Lineitem quantity", "price": "Lineitem price",
            "currency": "Currency",
        },
        title="Lineitem name", file_format="csv", encoding="utf-8", delimiter=",", decimal=".",
        timestamp_format="%Y-%m-%d %H:%M:%S %z",
        rules={
            "where": {"Financial Status": {"in": ["paid"]}},
            "fill_within_order": ["Financial Status", "Currency"],
        },
        purchases=found.purchases, excluded=dict(found.excluded),
    )  # fmt: skip
    return Export("shopify", [path], expected)


def write_woocommerce(folder: Path) -> Export:
    """Write a CSV of WooCommerce's Advanced Order Export. Refunded lines have quantity 0."""
    found = Rows()
    statuses = {"complete": "Completed", "cancelled": "Cancelled", "refunded": "Refunded"}

    def make_row(order: Order, line: Line, is_first: bool) -> dict[str, Any]:
        status = statuses[order.kind]
        if status == "Completed" and order.number % 5 == 0:
            status = "Processing"
        if status == "Cancelled" and order.number % 2:
            status = "Failed"
        return {
            "Order Number": order.number, "Order Status": status,
            "Order Date": f"{order.time:%Y-%m-%d %H:%M}", "First Name (Billing)": "Ana",
            "Postcode (Billing)": "04109", "Country Code (Billing)": "DE",
            "Email (Billing)": email(order.customer), "Phone (Billing)": f"030{order.number}",
            "Payment Method Title": "PayPal", "Order Shipping Amount": "4.90",
            "Order Refund Amount": "0", "SKU": line.product.sku,
            "Item #": order.lines.index(line) + 1, "Item Name": line.product.title,
            "Quantity (- Refund)": line.quantity, "Item Cost": f"{line.product.price:g}",
        }  # fmt: skip

    found.add_orders(
        simulate_orders(seed=8),
        make_row,
        lambda order, line: make_purchase(
            order, line, email(order.customer), line.product.sku, str(order.number)
        ),
        status="Order Status",
    )
    for purchase in found.purchases[4:20:5]:
        row = next(
            row
            for row in found.rows
            if (str(row["Order Number"]), row["SKU"]) == (purchase.order_id, purchase.item_id)
        )
        row["Quantity (- Refund)"] = 0
        found.purchases.remove(purchase)
        found.excluded["quantity 0"] += 1
    path = write_text(folder / "orders-2024-08-01.csv", WOOCOMMERCE_HEADER, found.rows)
    expected = Expected(
        columns={
            "user_id": "Email (Billing)", "item_id": "SKU", "timestamp": "Order Date",
            "order_id": "Order Number", "quantity": "Quantity (- Refund)", "price": "Item Cost",
        },
        title="Item Name", file_format="csv", encoding="utf-8", delimiter=",", decimal=".",
        timestamp_format="iso",
        rules={"where": {"Order Status": {"in": ["Completed", "Processing"]}}},
        purchases=found.purchases, excluded=dict(found.excluded),
    )  # fmt: skip
    return Export("woocommerce", [path], expected)


def write_magento(folder: Path) -> Export:
    """Write order items of Magento 2, with the names of its tables. Guests have no customer id."""
    found = Rows()
    statuses = {"complete": "complete", "cancelled": "canceled", "refunded": "closed"}

    def make_row(order: Order, line: Line, is_first: bool) -> dict[str, Any]:
        customer = order.customer
        return {
            "increment_id": f"{order.number:09d}", "status": statuses[order.kind],
            "created_at": f"{order.time:%Y-%m-%d %H:%M:%S}", "store_id": 1,
            "customer_id": "NULL" if customer is None else 400 + customer,
            "customer_email": email(customer) or f"guest{order.number}@example.org",
            "customer_is_guest": int(customer is None), "order_currency_code": "EUR",
            "sku": line.product.sku, "product_type": "simple", "name": line.product.title,
            "qty_ordered": f"{line.quantity:.4f}", "price": f"{line.product.price:.4f}",
        }  # fmt: skip

    found.add_orders(
        simulate_orders(seed=9),
        make_row,
        lambda order, line: make_purchase(
            order, line, str(400 + (order.customer or 0)), line.product.sku, f"{order.number:09d}"
        ),
        status="status",
    )
    path = write_text(folder / "sales_order_item.csv", list(found.rows[0]), found.rows)
    expected = Expected(
        columns={
            "user_id": "customer_id", "item_id": "sku", "timestamp": "created_at",
            "order_id": "increment_id", "quantity": "qty_ordered", "price": "price",
            "currency": "order_currency_code",
        },
        title="name", file_format="csv", encoding="utf-8", delimiter=",", decimal=".",
        timestamp_format="iso", rules={"where": {"status": {"in": ["complete"]}}},
        purchases=found.purchases, excluded=dict(found.excluded),
    )  # fmt: skip
    return Export("magento", [path], expected)


def _write_amazon(
    folder: Path, name: str, header: list[str], quantity: str, status: str | None = None
) -> Export:
    """Write a report of Amazon Seller Central: separated by tabs, encoded as Windows-1252.

    Reports have no guests. Prices are those of the line, not of one piece.
    """
    found = Rows()
    order_id = header[0]

    def name_order(order: Order) -> str:
        return f"305-{order.number:07d}-4400123"

    def name_buyer(order: Order) -> str:
        return f"x{order.customer}k9@marketplace.amazon.de"

    def make_row(order: Order, line: Line, is_first: bool) -> dict[str, Any]:
        time = f"{order.time:%Y-%m-%dT%H:%M:%S}+00:00"
        state = "Shipped" if order.kind == "complete" else "Cancelled"
        cells = {
            order_id: name_order(order), "merchant-order-id": name_order(order),
            "shipment-id": f"D{order.number}", "order-item-id": f"6{order.number}{line.quantity}",
            "purchase-date": time, "payments-date": time, "last-updated-date": time,
            "order-status": state, "item-status": state, "fulfillment-channel": "Amazon",
            "sales-channel": "Amazon.de", "buyer-email": name_buyer(order), "buyer-name": "Zoë",
            "buyer-phone-number": f"+49 30 {5_550_000 + order.number}",
            "product-name": line.product.title, "sku": line.product.sku, "asin": line.product.asin,
            quantity: line.quantity, "currency": "EUR", "item-tax": "0.0",
            "item-price": f"{line.quantity * line.product.price:.2f}", "ship-city": "MÜNCHEN",
            "ship-postal-code": "80331", "ship-country": "DE",
        }  # fmt: skip
        return {column: value for column, value in cells.items() if column in header}

    def to_purchase(order: Order, line: Line) -> Purchase:
        one = make_purchase(order, line, name_buyer(order), line.product.sku, name_order(order))
        return one._replace(price=round(line.quantity * line.product.price, 2))

    orders = [order for order in simulate_orders(seed=10) if order.customer is not None]
    if status is None:
        orders = [order for order in orders if order.kind == "complete"]
    found.add_orders(orders, make_row, to_purchase, status)
    path = write_text(folder / f"{name}.txt", header, found.rows, "\t", "cp1252", "\r\n")
    expected = Expected(
        columns={
            "user_id": "buyer-email", "item_id": "sku", "timestamp": "purchase-date",
            "order_id": order_id, "quantity": quantity, "price": "item-price",
            "currency": "currency",
        },
        title="product-name", file_format="csv", encoding="cp1252", delimiter="\t", decimal=".",
        timestamp_format="iso", rules={"where": {status: {"in": ["Shipped"]}}} if status else {},
        purchases=found.purchases, excluded=dict(found.excluded),
    )  # fmt: skip
    return Export(name, [path], expected)


def write_amazon_shipments(folder: Path) -> Export:
    """Write the report Amazon Fulfilled Shipments."""
    return _write_amazon(folder, "amazon_shipments", AMAZON_SHIPMENTS_HEADER, "quantity-shipped")


def write_amazon_orders(folder: Path) -> Export:
    """Write the Order Report of orders that the seller ships."""
    return _write_amazon(folder, "amazon_orders", AMAZON_ORDERS_HEADER, "quantity-purchased")


def write_amazon(folder: Path) -> Export:
    """Write the report All Orders, to which the e-mail address of the buyer was added."""
    return _write_amazon(folder, "amazon", AMAZON_ALL_ORDERS_HEADER, "quantity", "order-status")


def write_rees46(folder: Path) -> Export:
    """Write an event log as REES46 publishes it: views, carts and purchases, and no titles."""
    found = Rows()
    for order in simulate_orders(seed=11):
        if order.customer is None:
            continue
        user, session = 512_475_440 + order.customer, f"9d7bd4ca-{order.number}-4ad2-84d1"
        for index, line in enumerate(order.lines):
            number = line.product.number.replace("0", "5")
            base = {
                "product_id": number, "category_id": 2_053_013_555_631_882_655, "brand": "rosalind",
                "category_code": "" if index % 3 else "apparel.cosmetics", "user_id": user,
                "price": f"{line.product.price:.2f}", "user_session": session,
            }  # fmt: skip
            seen = ["view", "view", "cart", "remove_from_cart"][: 2 + index % 3]
            if order.kind == "complete":
                seen = ["view", "cart", "purchase"]
            for step, kind in enumerate(seen):
                time = order.time + timedelta(seconds=40 * step)
                outcome: Purchase | str = "other" if kind == "remove_from_cart" else kind
                if kind == "purchase":
                    milliseconds, price = to_milliseconds(time), line.product.price
                    outcome = Purchase(str(user), number, None, milliseconds, None, price)
                row = {"event_time": f"{time:%Y-%m-%d %H:%M:%S} UTC", "event_type": kind}
                found.add(base | row, outcome)
    path = write_text(folder / "2024-Jan.csv", EVENT_HEADER, found.rows)
    expected = Expected(
        columns={
            "user_id": "user_id", "item_id": "product_id", "timestamp": "event_time",
            "price": "price", "event_type": "event_type",
        },
        title=None, file_format="csv", encoding="utf-8", delimiter=",", decimal=".",
        timestamp_format="iso",
        rules={
            "events": {
                "purchase": ["purchase"], "view": ["view"], "cart": ["cart"],
                "other": ["remove_from_cart"],
            }
        },
        purchases=found.purchases, excluded=dict(found.excluded),
        events=dict(found.events),
    )  # fmt: skip
    return Export("rees46", [path], expected)


def write_ga4(folder: Path) -> Export:
    """Write events of Google Analytics 4 as JSON lines: microseconds, refunds, no user id."""
    found = Rows()
    returned = []
    for order in simulate_orders(seed=12):
        if order.customer is None:
            continue
        user, number = f"{1_700_000_000 + order.customer}.{1_704_000_000}", f"T{order.number}"

        def add(
            line: Line, minutes: int, name: str, outcome: Purchase | str, order: Order = order,
            user: str = user, number: str = number,
        ) -> None:  # fmt: skip
            time = order.time + timedelta(minutes=minutes)
            has_order = name in ("purchase", "refund")
            row = {
                "event_date": f"{time:%Y%m%d}", "event_name": name, "user_id": None,
                "event_timestamp": to_milliseconds(time) * 1000, "user_pseudo_id": user,
                "transaction_id": number if has_order else None, "item_id": line.product.sku,
                "item_name": line.product.title, "price": line.product.price,
                "quantity": line.quantity if has_order else None,
                "currency": "EUR" if has_order else None,
            }  # fmt: skip
            found.add(row, outcome)

        for line in order.lines:
            add(line, -5, "view_item", "view")
            add(line, -2, "add_to_cart", "cart")
            if order.kind != "cancelled":
                purchase = make_purchase(order, line, user, line.product.sku, number)
                add(line, 0, "purchase", purchase)
                if order.kind == "refunded":
                    returned.append(purchase)
        for line in order.lines if order.kind == "refunded" else ():
            add(line, 45, "refund", "return")
    path = folder / "events_20240108.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.rows))
    expected = Expected(
        columns={
            "user_id": "user_pseudo_id", "item_id": "item_id", "timestamp": "event_timestamp",
            "order_id": "transaction_id", "quantity": "quantity", "price": "price",
            "currency": "currency", "event_type": "event_name",
        },
        title="item_name", file_format="jsonl", encoding="utf-8", delimiter=None, decimal=".",
        timestamp_format="us",
        rules={
            "events": {"purchase": ["purchase"], "view": ["view_item"], "cart": ["add_to_cart"]},
            "returns": {"where": {"event_name": {"in": ["refund"]}}},
        },
        purchases=found.purchases, excluded=dict(found.excluded),
        events=dict(found.events), returned=returned,
    )  # fmt: skip
    return Export("ga4", [path], expected)

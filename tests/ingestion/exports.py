"""All synthetic exports by name. A function writes one of them into a folder.

``EXPORTS["shopify"](folder)`` returns the export with its files and what is true of it.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.ingestion import file_exports, platform_exports
from tests.ingestion.shop import Export

EXPORTS: dict[str, Callable[[Path], Export]] = {
    "shopify": platform_exports.write_shopify,
    "woocommerce": platform_exports.write_woocommerce,
    "magento": platform_exports.write_magento,
    "amazon": platform_exports.write_amazon,
    "amazon_orders": platform_exports.write_amazon_orders,
    "amazon_shipments": platform_exports.write_amazon_shipments,
    "rees46": platform_exports.write_rees46,
    "ga4": platform_exports.write_ga4,
    "german": file_exports.write_german,
    "german_with_sep": file_exports.write_german_with_sep,
    "spanish": file_exports.write_spanish,
    "french": file_exports.write_french,
    "portuguese": file_exports.write_portuguese,
    "utf16": file_exports.write_utf16,
    "excel": file_exports.write_excel,
    "json_array": file_exports.write_json_array,
    **{
        f"parquet_{times}": partial(file_exports.write_parquet, times=times)
        for times in file_exports.PARQUET_TIMES
    },
}

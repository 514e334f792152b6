"""Templates of the HTML pages."""

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bazar.labels import (
    format_title,
    get_filter_label,
    get_metric_label,
    get_model_label,
    get_protocol_label,
)


@cache
def create_environment() -> Environment:
    """Return the templates and their filters. Text from the data is escaped."""
    environment = Environment(
        loader=PackageLoader("bazar.reporting", "templates"),
        autoescape=lambda name: name is not None and ".html." in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "date": _format_date,
        "metric_name": get_metric_label,
        "metric": lambda value: f"{value:.4f}",
        "model": get_model_label,
        "protocol": get_protocol_label,
        "seen_items": get_filter_label,
        "number": lambda value: f"{int(value):,}",
        "sentence": _render_code,
        "share": lambda part, total: f"{part / total:.1%}" if total else "–",
    }
    environment.globals["format_title"] = format_title
    return environment


def hash_script(script: str) -> str:
    """Return the hash of a script for the content security policy of a page."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _render_code(sentence: str) -> Markup:
    """Return a sentence as HTML. Text between backticks becomes code."""
    parts = [escape(part) for part in sentence.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part
        for index, part in enumerate(parts)
    )


def _format_date(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d")

"""Write the configuration of a shop as YAML with comments, and compare it with another one."""

import textwrap
from typing import Any

import yaml

from bazar.ingestion.inspection.sources import Proposal, Source

_WIDTH = 100
_NOT_COMPARED = ("raw_dir",)


def build_globals(dataset: str, raw_dir: str, proposal: Proposal) -> dict[str, Any]:
    """Return the content of ``globals.yml``."""
    return {"dataset": dataset, "raw_dir": raw_dir, **proposal.to_sources()}


def write_globals(dataset: str, raw_dir: str, proposal: Proposal, unsure: list[str]) -> str:
    """Return the text of ``globals.yml``, with a comment for each key that was chosen.

    Args:
        dataset: name of the data set.
        raw_dir: folder of the files.
        proposal: the sources.
        unsure: notes to check, for the comment at the start.
    """
    lines = ["# Written by kedro new-shop. Change it as you like."]
    if unsure:
        lines += ["# Please check:", *(line for note in unsure for line in _wrap(note, "# - "))]
    lines += _write_pairs({"dataset": dataset, "raw_dir": raw_dir}, {}, "", "")
    groups = {"interactions": proposal.interactions, "products": proposal.products}
    comments = {"products": "the most trusted source first"} if len(proposal.products) > 1 else {}
    for group, sources in groups.items():
        lines.append("")
        if not sources:
            lines.append(f"{group}: {{}} # no file has titles")
            continue
        comment = f" # {comments[group]}" if group in comments else ""
        lines.append(f"{group}:{comment}")
        for source in sources:
            lines += _write_source(source)
    return "\n".join(lines) + "\n"


def _write_source(source: Source) -> list[str]:
    lines = [f"  {_to_yaml(source.name)}:"]
    return lines + _write_pairs(source.rules.keys, source.rules.comments, "    ", "")


def _write_pairs(
    block: dict[str, Any], comments: dict[str, str], indent: str, prefix: str
) -> list[str]:
    """Return the lines of a block. If a key in a block has a comment, each key gets a line."""
    lines = []
    for key, value in block.items():
        path = f"{prefix}{key}"
        # A line break would end the comment.
        comment = " ".join(comments[path].split()) if path in comments else None
        has_inner = any(other.startswith(f"{path}.") for other in comments)
        name = f"{indent}{_to_yaml(key)}:"
        if isinstance(value, dict) and has_inner:
            lines += [name, *_write_pairs(value, comments, f"{indent}  ", f"{path}.")]
            continue
        written = f"{name} {_to_yaml(value)}"
        if comment is None:
            lines.append(written)
        elif len(written) + len(comment) <= _WIDTH and path.startswith("columns."):
            lines.append(f"{written} # {comment}")
        else:
            lines += [*_wrap(comment, f"{indent}# "), written]
    return lines


def _wrap(text: str, start: str) -> list[str]:
    """Return the lines of a comment."""
    later = start.replace("-", " ")
    return textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=later, break_on_hyphens=False
    )


def _to_yaml(value: Any) -> str:
    """Return a value in one line. Texts that look like other types get quotes."""
    dumped = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False
    )
    return dumped.removesuffix("\n...\n").removesuffix("\n")


def read_globals(text: str) -> dict[str, Any]:
    """Return the content of a ``globals.yml``."""
    return yaml.safe_load(text) or {}


def list_differences(existing: dict[str, Any], proposed: dict[str, Any]) -> list[str]:
    """Return the keys and values that differ between two configurations, without ``raw_dir``."""
    ours, theirs = _flatten(existing), _flatten(proposed)
    return [
        f"{key}: {_describe(ours, key)}, proposed: {_describe(theirs, key)}"
        for key in [*ours, *(key for key in theirs if key not in ours)]
        if key not in _NOT_COMPARED and _describe(ours, key) != _describe(theirs, key)
    ]


def _flatten(block: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in block.items():
        if isinstance(value, dict) and value:
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _describe(flat: dict[str, Any], key: str) -> str:
    return _to_yaml(flat[key]) if key in flat else "not set"

"""Proposed sources of a shop."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bazar.ingestion.inspection.mapping import ShopFile
from bazar.ingestion.inspection.records import Records
from bazar.ingestion.inspection.row_rules import Rules


@dataclass
class Source:
    """A proposed source.

    Attributes:
        name: its name in the configuration.
        files: the files, which have the same header. The first one describes all of them.
        records: the records of the files.
        rules: the keys of the source, and why they were chosen.
    """

    name: str
    files: list[ShopFile]
    records: Records
    rules: Rules

    @property
    def file(self) -> ShopFile:
        """The file that describes all of them."""
        return self.files[0]


@dataclass
class Proposal:
    """How to read the files of a shop.

    Attributes:
        raw_dir: the folder of the files.
        interactions: the sources of interactions.
        products: the sources of products, the most trusted first.
        unused: files that are not read, and why.
    """

    raw_dir: Path
    interactions: list[Source]
    products: list[Source]
    unused: list[str] = field(default_factory=list)

    def to_sources(self) -> dict[str, dict[str, Any]]:
        """Return the keys ``interactions`` and ``products`` of ``globals.yml``."""
        return {
            "interactions": {source.name: source.rules.keys for source in self.interactions},
            "products": {source.name: source.rules.keys for source in self.products},
        }

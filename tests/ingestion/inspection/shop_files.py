"""Small files of shops, and what is proposed for them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bazar.data.suspicious import find_suspicious_items
from bazar.ingestion.inspection.dialogue import Dialogue, Question
from bazar.ingestion.inspection.globals_file import write_globals
from bazar.ingestion.inspection.proposal import propose_sources
from bazar.ingestion.inspection.records import open_workspace
from bazar.ingestion.inspection.sources import Proposal

NOW_MS = int(time.time() * 1000)


@dataclass
class Inspection:
    """A proposal with its questions and notes."""

    proposal: Proposal
    text: str
    asked: list[Question] = field(default_factory=list)
    unsure: str = ""
    dropped: str = ""

    @property
    def orders(self) -> dict[str, Any]:
        """The keys of the only source of orders, as they are written."""
        [orders] = yaml.safe_load(self.text)["interactions"].values()
        return dict(orders)

    @property
    def columns(self) -> dict[str, str]:
        return dict(self.orders["columns"])


@contextmanager
def inspect(paths: list[Path], answers: dict[str, str] | None = None) -> Iterator[Inspection]:
    """Propose sources for files. Questions are answered by key, or with the proposed answer."""
    asked: list[Question] = []

    def answer(question: Question) -> str:
        asked.append(question)
        found = (answers or {}).get(question.key, question.default)
        assert found is not None, question.text
        assert not question.choices or found in question.choices
        question.check(found)
        return found

    dialogue = Dialogue(answer)
    with open_workspace() as connection:
        proposal = propose_sources(paths, connection, dialogue, find_suspicious_items, NOW_MS)
        text = write_globals("shop", str(proposal.raw_dir), proposal, dialogue.unsure)
        yield Inspection(
            proposal, text, asked, "\n".join(dialogue.unsure), "\n".join(dialogue.dropped)
        )


def write(folder: Path, name: str, *lines: str) -> Path:
    """Write a text file."""
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path

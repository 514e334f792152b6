"""Questions that the files do not answer, and notes for the reader."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Question:
    """A question that the files do not answer.

    Attributes:
        key: the key of the configuration that the answer decides.
        text: the question.
        choices: the possible answers; empty if any text is an answer.
        default: the proposed answer. None: there is no proposal.
        check: raises ValueError if an answer is invalid.
    """

    key: str
    text: str
    choices: tuple[str, ...] = ()
    default: str | None = None
    check: Callable[[str], object] = str


Ask = Callable[[Question], str]
"""Returns the answer to a question."""


@dataclass
class Dialogue:
    """Asks questions, and collects notes for the reader.

    Attributes:
        ask: returns the answer to a question.
        unsure: notes that the reader should check.
        dropped: notes on columns whose content contradicts their name.
    """

    ask: Ask
    unsure: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

"""The project's commands. Kedro looks for ``cli`` and ``run`` here."""

from bazar.cli.main import cli, run

__all__ = ["cli", "run"]

"""What the commands share: options that select a run, and access to its results."""

import logging
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.startup import ProjectMetadata

from bazar.cli.errors import check_environment
from bazar.errors import InputError

# These take seconds to import, and `--help` should answer at once.
if TYPE_CHECKING:
    from kedro.io import CatalogProtocol

    from bazar.serving.recommender import Recommender

_OPTIONS = (
    click.option(
        "--env", "-e", envvar="KEDRO_ENV", help="The environment of the run: a folder of conf/."
    ),
    click.option(
        "--split", help="The split of the run, such as temporal. Default: the one in globals.yml."
    ),
    click.option("--seed", type=int, help="The seed of the run. Default: the one in globals.yml."),
)


@dataclass(frozen=True)
class RunOptions:
    """The run whose results a command reads.

    Attributes:
        metadata: the project.
        env: the environment; None for the default.
        split: the split; None for the one in globals.yml.
        seed: the seed; None for the one in globals.yml.
    """

    metadata: ProjectMetadata
    env: str | None
    split: str | None
    seed: int | None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that were given on the command line."""
        given = {"split": self.split, "seed": self.seed}
        return {name: value for name, value in given.items() if value is not None}

    def format_options(self) -> str:
        """Return the options for another of our commands, each after a space."""
        options = ({"env": self.env} if self.env is not None else {}) | self.parameters
        return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in options.items())

    def format_run_command(self, pipelines: str = "") -> str:
        """Return the ``kedro run`` command that computes the results."""
        command = "kedro run" + (f" --env {shlex.quote(self.env)}" if self.env is not None else "")
        if pipelines:
            command += f" --pipelines {pipelines}"
        if self.parameters:
            parameters = ",".join(f"{name}={value}" for name, value in self.parameters.items())
            command += f" --params {parameters}"
        return command


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select a run to a click command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def open_catalog(run: RunOptions) -> "Iterator[CatalogProtocol]":
    """Open the catalog of a run, without log lines below errors."""
    from kedro.framework.session import KedroSession

    check_environment(run.metadata, run.env)
    # The output is for people, or for a program that parses it.
    logging.disable(logging.WARNING)
    try:
        session = KedroSession.create(
            run.metadata.project_path, env=run.env, runtime_params=run.parameters
        )
        context = session.load_context()
        # Kedro would import all pipelines, with TensorFlow, to find the types of their parameters.
        # No pipeline runs here, and the project's hooks check the parameters.
        context._pipelines_to_validate = []
        yield context.catalog
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def open_recommender(run: RunOptions) -> "Iterator[tuple[Recommender, CatalogProtocol]]":
    """Open the bundle of a run, with the catalog that it is in."""
    with open_catalog(run) as catalog:
        check_exists(catalog, "bundle", run)
        from bazar.serving.recommender import Recommender

        yield Recommender.from_catalog(catalog), catalog


def check_exists(catalog: "CatalogProtocol", name: str, run: RunOptions) -> None:
    """Raise InputError if a data set was not written yet."""
    if not catalog.exists(name):
        path = getattr(catalog.get(name), "_filepath", name)
        raise InputError(f"There is no {path} yet.\nRun `{run.format_run_command()}` first.")

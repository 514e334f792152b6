"""Kedro hooks: check the parameters and lock the data set before a run, and print its results."""

import atexit
import logging
import os
import re
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol, MemoryDataset
from kedro.pipeline import Node, Pipeline
from pydantic import ValidationError

from bazar.config.base import format_validation_errors
from bazar.config.parameters import Parameters
from bazar.datasets.run_lock import lock_data_set
from bazar.errors import InputError

logger = logging.getLogger(__name__)


class ParameterCheck:
    """Checks parameters before any work starts."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check all parameters, whichever pipeline runs."""
        check_parameters(context.config_loader["parameters"])

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Check the runner, the encoder, the tuning ranges and the pipelines."""
        check_runner(run_params["runner"])
        check_comparison_runs_alone(pipeline)
        # Imported only if needed, because these imports take time.
        if "title_vectors" in pipeline.all_outputs():
            from bazar.data.title_embeddings import find_encoder

            options = catalog.load("params:embedding")
            find_encoder(options.encoder, options.sha256)
        if "params:tuning" in pipeline.all_inputs():
            from bazar.training.search_space import check_tuning

            models = {name: catalog.load(f"params:{name}") for name in ("classifier", "regressor")}
            check_tuning(catalog.load("params:tuning"), models)


class SparkEngine:
    """Starts Spark if it is the engine. Ibis then uses the active session."""

    @hook_impl(trylast=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Start Spark after the parameters were checked."""
        if context.config_loader["parameters"]["engine"] == "spark":
            start_spark(context.config_loader["spark"])


class RunLock:
    """Locks the results of a data set while a run changes them.

    Kedro-Viz and notebooks that only read the catalog do not lock.
    """

    def __init__(self) -> None:
        self._lock = ExitStack()
        # Kedro calls no hook after Ctrl+C.
        atexit.register(self._lock.close)
        self._project_path = Path()
        self._dataset = ""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Store the project and the name of the data set."""
        self._project_path = context.project_path
        self._dataset = context.config_loader["parameters"]["dataset"]

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Lock after the checks, which may end the run."""
        # A run that was interrupted in a notebook still has the lock.
        self._lock.close()
        self._lock.enter_context(lock_data_set(self._project_path, self._dataset))

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Release the lock."""
        self._lock.close()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Release the lock."""
        self._lock.close()


class RunProgress:
    """Logs each node of a run, and records the finished nodes for the message if the run stops.

    Attributes:
        finished: names of the finished nodes whose results are kept.
        remaining: names of the other nodes, in the order of the run.
        saved: names of the data sets that were saved to files.
    """

    finished: ClassVar[list[str]] = []
    remaining: ClassVar[list[str]] = []
    saved: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self._pipeline = Pipeline([])
        self._in_memory: set[str] = set()
        self._completed: set[str] = set()
        self._running: str | None = None

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Reset the record of nodes and data sets."""
        self._pipeline, self._completed, self._running = pipeline, set(), None
        self._in_memory = {
            name
            for name in pipeline.datasets()
            if isinstance(catalog.get(name, fallback_to_runtime_pattern=True), MemoryDataset)
        }
        self.saved.clear()
        self._update()

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Log which node starts, and record the node before it as finished."""
        # Kedro's hook after_node_run would be too early: the outputs are saved after it.
        if self._running is not None:
            self._completed.add(self._running)
            self._update()
        self._running = node.name
        total = len(self._pipeline.nodes)
        logger.info("node %d of %d: %s", len(self._completed) + 1, total, node.name)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Record a data set that outlives the process."""
        if dataset_name not in self.saved and dataset_name not in self._in_memory:
            self.saved.append(dataset_name)

    def _update(self) -> None:
        self.remaining[:] = find_remaining_nodes(self._pipeline, self._completed, self._in_memory)
        names = [node.name for node in self._pipeline.nodes]
        self.finished[:] = [name for name in names if name not in self.remaining]


class RunSummary:
    """Prints the results of a run, their files and the next steps."""

    def __init__(self) -> None:
        self._env: str | None = None
        self._given: dict[str, Any] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Store the environment and the parameters of the command line."""
        self._env = None if context.env in {"base", "local"} else context.env
        self._given = context.config_loader.runtime_params or {}

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Print the metrics and an example if the run made a report, otherwise the files."""
        # Imported here, because commands without a run do not need Rich and pandas.
        from bazar.reporting import console

        files = find_files(sorted(pipeline.all_outputs()), catalog)
        if "report" in files:
            console.print_summary(
                catalog.load("metrics"),
                catalog.load("examples"),
                files["report"],
                self._env,
                given=self._given,
            )
        elif "comparison_page" in files:
            console.print_comparison(catalog.load("comparison"), files["comparison_page"])
        elif "tuning_best" in files:
            console.print_tuning(catalog.load("tuning_best"), files)
        elif "reproduction_page" in files:
            from bazar.reproduction.table import format_cells

            console.print_reproduction(
                format_cells(catalog.load("reproduction_table")),
                files["reproduction_page"],
                catalog.load("splits").summary["protocol"],
            )
        elif "data_summary" in files and not any(name.endswith(".results") for name in files):
            from bazar.reporting.data_summary_console import print_data_summary

            print_data_summary(
                catalog.load("data_summary"), files["data_summary"], self._env, given=self._given
            )
        else:
            console.print_outputs(files, self._env)


def find_remaining_nodes(pipeline: Pipeline, completed: set[str], in_memory: set[str]) -> list[str]:
    """List the nodes that a resumed run has to run, in the order of the run.

    A completed node has to run again if a remaining node needs one of its outputs in memory.

    Args:
        pipeline: the pipeline of the run.
        completed: names of the completed nodes.
        in_memory: names of the data sets that are lost when the process ends.
    """
    remaining: set[str] = set()
    lost: set[str] = set()
    for node in reversed(pipeline.nodes):
        if node.name not in completed or lost.intersection(node.outputs):
            remaining.add(node.name)
            lost |= in_memory.intersection(node.inputs)
    return [node.name for node in pipeline.nodes if node.name in remaining]


def find_files(names: list[str], catalog: CatalogProtocol) -> dict[str, Path]:
    """Return the path of each data set that is stored in a file or folder, by name."""
    paths = {name: getattr(catalog.get(name), "_filepath", None) for name in names}
    return {name: Path(path) for name, path in paths.items() if path is not None}


def check_parameters(parameters: dict[str, Any]) -> Parameters:
    """Validate parameters.

    Args:
        parameters: the merged content of the parameters files and ``--params``.

    Raises:
        InputError: if a parameter is invalid. The message lists each invalid key with the expected
            and the found value.
    """
    try:
        return Parameters.model_validate(parameters)
    except ValidationError as error:
        raise InputError(
            "Invalid parameters in globals.yml or parameters_*.yml of conf/<env>, or in --params:\n"
            + format_validation_errors(error, Parameters)
        ) from error


def check_runner(runner: str, is_async: bool = False) -> None:
    """Raise InputError unless all nodes run in one thread of one process.

    Args:
        runner: name or description of the runner.
        is_async: whether data sets are loaded and saved in other threads.
    """
    if is_async or "SequentialRunner" not in runner:
        found = re.search(r"\w*Runner", runner)
        name = found.group() if found else runner
        option = "is_async (--async)" if is_async else f"--runner {name}"
        raise InputError(
            "Tables share one DuckDB connection, so that nodes must run one after the other. Found "
            f"{option}. Run without --async and --runner."
        )


def check_comparison_runs_alone(pipeline: Pipeline) -> None:
    """Raise InputError if models are evaluated and compared in one run.

    The comparison reads the results of earlier runs. If a run also evaluated models, the comparison
    would not wait for their results.
    """
    evaluates = any(name.endswith(".results") for name in pipeline.all_outputs())
    if evaluates and "previous_results" in pipeline.all_inputs():
        raise InputError(
            "The pipeline comparison reads the results of earlier runs, not those of this run. "
            "Run the modelling pipelines first, then `kedro run --pipelines comparison`."
        )


def start_spark(properties: dict[str, Any]) -> None:
    """Start a Spark session, or use the active one.

    Args:
        properties: Spark properties by name.

    Raises:
        InputError: if PySpark or Java is missing, or Spark does not start.
    """
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise InputError(
            f"engine: spark needs PySpark: {error}\n"
            "Install it:\n  .venv/bin/pip install -r requirements-spark.lock\n"
            "or run with engine: duckdb."
        ) from error
    master = str(properties["spark.master"])
    if master.startswith("local"):
        # By default, PySpark runs python3 of the PATH, which may belong to another environment.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if "JAVA_HOME" in os.environ else "java"
    if shutil.which(java) is None:
        raise InputError(
            f"engine: spark needs Java 17 or 21, but {java} was not found.\n"
            "Install Java, or set JAVA_HOME to its folder, or run with engine: duckdb."
        )
    builder = SparkSession.builder
    for name, value in properties.items():
        # Spark expects the strings true and false.
        builder = builder.config(name, str(value).lower() if isinstance(value, bool) else value)
    try:
        builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise InputError(
            f"Spark does not start on {master}\n  {str(error).splitlines()[0]}\n"
            "Read the log above. Java must be 17 or 21. See conf/<env>/spark.yml and "
            "docs/how-to/spark.md."
        ) from error

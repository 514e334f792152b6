"""What happens around every run: parameters are checked before it, results are told after it."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from pydantic import ValidationError

from bazar.config.base import format_validation_errors
from bazar.config.parameters import Parameters
from bazar.data.title_embeddings import find_encoder
from bazar.errors import InputError
from bazar.training.search_space import check_tuning


class ParameterCheck:
    """Refuses a wrong or unknown parameter before any work starts."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check the whole of the parameters, whichever pipeline is to run."""
        check_parameters(context.config_loader["parameters"])

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Find before any work what would stop a later node: encoder, wrong order, ranges."""
        check_order(pipeline)
        if any(node.name == "embed_titles" for node in pipeline.nodes):
            options = catalog.load("params:embedding")
            find_encoder(options.encoder, options.sha256)
        if any(node.name == "tune" for node in pipeline.nodes):
            models = {name: catalog.load(f"params:{name}") for name in ("classifier", "regressor")}
            check_tuning(catalog.load("params:tuning"), models)


class SparkEngine:
    """Starts Spark where the tables are on it; Ibis finds the session that is made here."""

    @hook_impl(trylast=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Start it before any work, and after the parameters were checked."""
        if context.config_loader["parameters"]["engine"] == "spark":
            start_spark(context.config_loader["spark"])


class RunSummary:
    """Says at the end where the results are, and what to look at next."""

    def __init__(self) -> None:
        self._env: str | None = None
        self._given: dict[str, Any] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember which run it is."""
        self._env = None if context.env in {"base", "local"} else context.env
        self._given = context.config_loader.runtime_params or {}

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Print the metrics and an example, if the run made them, or the files it wrote."""
        # Rich tables are for the end of a run: commands that do not run start without them.
        from bazar.reporting.console import (
            print_comparison,
            print_outputs,
            print_reproduction,
            print_summary,
            print_tuning,
        )
        from bazar.reporting.examples import examples_from_json

        files = {
            name: Path(path)
            for name in sorted(pipeline.all_outputs())
            if (path := getattr(catalog.get(name), "_filepath", None)) is not None
        }
        if "report" in files:
            examples = examples_from_json(catalog.load("example_customers"))
            # They are in order of their histories' length: the middle one is the usual customer.
            usual = examples[len(examples) // 2]
            print_summary(
                catalog.load("metrics"), usual, files["report"], self._env, given=self._given
            )
        elif "comparison_page" in files:
            print_comparison(catalog.load("comparison"), files["comparison_page"])
        elif "tuning_best" in files:
            print_tuning(catalog.load("tuning_best"), files)
        elif "reproduction_page" in files:
            print_reproduction(
                catalog.load("reproduction_table"),
                files["reproduction_page"],
                catalog.load("params:split"),
            )
        else:
            print_outputs(files, self._env)


def check_parameters(parameters: dict[str, Any]) -> Parameters:
    """Check parameters against their types.

    Args:
        parameters: the merged content of the parameters files and ``--params``.

    Raises:
        InputError: naming each wrong key, what was expected and what was found.
    """
    try:
        return Parameters.model_validate(parameters)
    except ValidationError as error:
        raise InputError(
            "wrong parameters (conf/<env>/globals.yml, conf/<env>/parameters_*.yml or --params):\n"
            + format_validation_errors(error)
        ) from error


def check_order(pipeline: Pipeline) -> None:
    """Refuse to compare models in the run that measures them.

    The comparison reads whatever results there are. It waits for none, and would take those of an
    earlier run.

    Raises:
        InputError: if the pipeline does both.
    """
    measures = any(name.endswith(".ranks") for name in pipeline.all_outputs())
    if measures and "all_ranks" in pipeline.all_inputs():
        raise InputError(
            "comparison reads what earlier runs left, not what this one makes\n"
            "Run the modelling pipelines first, then `kedro run --pipelines comparison`"
        )


def start_spark(properties: dict[str, Any]) -> None:
    """Start a Spark session, or take the one that this process has.

    Args:
        properties: Spark's, by their full names.

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
            "or run with engine: duckdb"
        ) from error
    master = str(properties["spark.master"])
    if master.startswith("local"):
        # PySpark would take the python3 of the path, which may be another environment's.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if "JAVA_HOME" in os.environ else "java"
    if shutil.which(java) is None:
        raise InputError(
            f"engine: spark needs Java 17 or 21, and there is no {java}\n"
            "Install it, or set JAVA_HOME to its folder; or run with engine: duckdb"
        )
    builder = SparkSession.builder
    for name, value in properties.items():
        # YAML has true and false, Spark the words.
        builder = builder.config(name, str(value).lower() if isinstance(value, bool) else value)
    try:
        builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise InputError(
            f"Spark does not start on {master}\n  {str(error).splitlines()[0]}\n"
            "It says more above. Is Java 17 or 21? See conf/<env>/spark.yml and docs/spark.md"
        ) from error

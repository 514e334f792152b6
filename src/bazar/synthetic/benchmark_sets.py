"""Write synthetic files with the size and format of real data sets, for benchmarks and tests.

``python -m bazar.synthetic.benchmark_sets set_a --output-dir DIR`` writes reviews with texts and
times, like All_Beauty of Amazon Reviews 2023. Most customers have a single review.
``python -m bazar.synthetic.benchmark_sets set_b --output-dir DIR`` writes purchases without titles,
and product files in three formats. About half of the products have a title in these files.
:mod:`bazar.synthetic.simulator` simulates the purchases. The same seed gives identical files.
"""

import argparse
from pathlib import Path

from pydantic import BaseModel

from bazar.synthetic.files import add_arguments
from bazar.synthetic.sample_store import StoreOptions, generate_store
from bazar.synthetic.set_b import SetBOptions, generate_set_b

SET_A = StoreOptions(
    products=112_600,
    customers=632_000,
    interactions=701_500,
    malformed_share=0,
    evenness=0.05,
    text_words=45,
    oracle=False,
)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m bazar.synthetic.benchmark_sets", description=__doc__
    )
    sets = parser.add_subparsers(dest="set", required=True)
    for name, defaults in (("set_a", SET_A), ("set_b", SetBOptions())):
        command = sets.add_parser(name)
        command.add_argument("--output-dir", type=Path, required=True)
        add_arguments(command, defaults)
    arguments = vars(parser.parse_args())
    output_dir, chosen = arguments.pop("output_dir"), arguments.pop("set")
    summary: BaseModel
    if chosen == "set_a":
        summary = generate_store(output_dir, StoreOptions(**arguments))
        print(summary.model_dump_json(indent=2, exclude={"unsold"}))  # noqa: T201
    else:
        summary = generate_set_b(output_dir, SetBOptions(**arguments))
        print(summary.model_dump_json(indent=2))  # noqa: T201
    print(f"Written to {output_dir}")  # noqa: T201


if __name__ == "__main__":
    main()

from typing import Annotated, Literal

import pytest
from pydantic import Field, RootModel, ValidationError

from bazar.config.base import Options, format_validation_errors


class Dense(Options):
    type: Literal["dense"]
    units: int = Field(ge=1)


class Dropout(Options):
    type: Literal["dropout"]
    rate: float


class Trial(Options):
    number: int = 1


class Trials(RootModel[tuple[Trial, ...]]):
    """A list of trials."""


class Block(Options):
    layers: tuple[Annotated[Dense | Dropout, Field(discriminator="type")], ...] = ()
    names: Annotated[list[Literal["a", "b"]], Field(min_length=1)] = Field(default=["a"])
    files: Annotated[str, Field(min_length=1)] | list[str] = "f"
    trials: Trials = Trials(())
    blocks: dict[Literal["x"], Trial] = Field(default={})


def format_errors(**content: object) -> list[str]:
    with pytest.raises(ValidationError) as error:
        Block.model_validate(content)
    return format_validation_errors(error.value, Block).splitlines()


def test_unknown_key_is_reported_with_similar_and_valid_keys() -> None:
    assert format_errors(name=["a"]) == [
        "  name: unknown key. Did you mean 'names'? "
        "Available: blocks, files, layers, names, trials."
    ]
    assert format_errors(trials=[{}, {"numbers": 1}]) == [
        "  trials.1.numbers: unknown key. Did you mean 'number'? Available: number."
    ]


def test_path_names_the_keys_of_the_parameters_alone() -> None:
    assert format_errors(layers=[{"type": "dense", "units": 1, "unit": 1}]) == [
        "  layers.0.unit: unknown key. Did you mean 'units'? Available: type, units."
    ]
    assert format_errors(layers=[{"type": "dense", "units": 0}]) == [
        "  layers.0.units: must be greater than or equal to 1, found 0"
    ]
    assert format_errors(blocks={"y": {}}) == ["  blocks.y: must be 'x', found 'y'"]


def test_expectation_and_value_are_reported() -> None:
    assert format_errors(layers=[{"type": "dens"}]) == [
        "  layers.0: type must be one of 'dense', 'dropout', found 'dens'"
    ]
    assert format_errors(layers=[{"type": "dense"}]) == ["  layers.0.units: is missing"]
    assert format_errors(files=3) == [
        "  files: must be a valid string or must be a valid list, found 3"
    ]


def test_list_with_an_invalid_item_is_not_reported_as_too_short() -> None:
    assert format_errors(names=["c"]) == ["  names.0: must be 'a' or 'b', found 'c'"]
    assert format_errors(names=[]) == [
        "  names: must have at least 1 item after validation, not 0, found []"
    ]


def test_without_the_model_the_path_is_that_of_pydantic() -> None:
    with pytest.raises(ValidationError) as error:
        Block.model_validate({"name": 1})
    assert format_validation_errors(error.value) == "  name: unknown key."

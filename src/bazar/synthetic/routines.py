"""Draw the next new products of customers, who follow care routines.

Families, steps, shades, days and products are arrays of equal length, with one value per customer.
"""

import numpy as np

from bazar.synthetic.catalogue import Catalogue

_NEXT_STEP, _OTHER_BRAND = 0.75, 0.10
"""Probabilities of the next step of the routine, and of the first step of a routine of any brand.
Otherwise the customer starts a random routine of the same brand."""
_NEXT_FAMILY = 0.7
"""Probability that a customer starts the next routine of the brand after a completed one."""


def continue_routine(
    catalogue: Catalogue,
    family: np.ndarray,
    step: np.ndarray,
    day: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the family and the step of each customer's next new product.

    Args:
        catalogue: the products.
        family: routine that the customer follows.
        step: last bought step of the routine, -1 before the first one.
        day: day of the order.
        rng: the random generator.
    """
    draw = rng.random(len(family))
    brand = catalogue.family_brand[family]
    number = family - catalogue.first_family[brand]
    count = catalogue.n_families_of_brand[brand]

    is_complete = step + 1 >= catalogue.family_steps[family]
    takes_next = rng.random(len(family)) < _NEXT_FAMILY
    following = catalogue.first_family[brand] + (number + 1) % count
    any_of_brand = catalogue.first_family[brand] + rng.integers(0, count)
    new_family = np.where(is_complete, np.where(takes_next, following, any_of_brand), family)
    new_step = np.where(is_complete, 0, step + 1)

    other_brand = draw >= 1 - _OTHER_BRAND
    same_brand = (draw >= _NEXT_STEP) & ~other_brand
    new_family = np.where(same_brand, any_of_brand, new_family)
    new_family = np.where(other_brand, draw_family(catalogue, day, rng), new_family)
    new_step = np.where(same_brand | other_brand, 0, new_step)

    is_unreleased = catalogue.release_day[new_family] > day
    return (
        np.where(is_unreleased, family, new_family),
        np.where(is_unreleased, np.maximum(step, 0), new_step),
    )


def draw_family(catalogue: Catalogue, day: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return random families, by popularity. An unreleased family is replaced by the first one."""
    edges = np.cumsum(catalogue.family_weight)
    drawn = np.minimum(np.searchsorted(edges, rng.random(len(day))), len(edges) - 1)
    return np.where(catalogue.release_day[drawn] > day, 0, drawn)


def draw_any_item(
    catalogue: Catalogue, shade: np.ndarray, day: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return random products at any step of any routine."""
    family = draw_family(catalogue, day, rng)
    step = rng.integers(0, catalogue.family_steps[family])
    return find_item(catalogue, family, step, shade)


def find_item(
    catalogue: Catalogue, family: np.ndarray, step: np.ndarray, shade: np.ndarray
) -> np.ndarray:
    """Return the products at the given steps of routines, in the shades of the customers."""
    steps = catalogue.family_steps[family]
    shade_in_family = shade % catalogue.family_shades[family]
    return catalogue.family_first[family] + shade_in_family * steps + step

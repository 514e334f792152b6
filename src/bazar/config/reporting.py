"""Parameters of the report page."""

from pydantic import Field

from bazar.config.base import Options


class ReportingOptions(Options):
    """Parameters of the report page."""

    example_customers: int = Field(ge=1, le=100)
    """Number of customers whose recommendations are shown as examples."""
    searchable_customers: int = Field(ge=0)
    """Number of customers that can be searched for on the report page."""
    seed: int = Field(ge=0)
    """Seed of the sample of customers."""

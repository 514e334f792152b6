"""Parameters of the report page."""

from pydantic import Field

from bazar.config.base import Options


class ReportingOptions(Options):
    """What the report page shows."""

    example_customers: int = Field(ge=1, le=100)
    """Customers whose recommendations are shown as examples."""
    searchable_customers: int = Field(ge=0)
    """Customers that can be searched for on the report page."""
    seed: int = Field(ge=0)
    """Seed of the draw of customers."""

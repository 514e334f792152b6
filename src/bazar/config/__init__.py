"""Types and bounds of every parameter in `conf/`, as Pydantic models."""

"""Parameters of the online service."""

from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from bazar.config.base import Options, format_validation_errors
from bazar.config.times import MAX_FUTURE_MS
from bazar.errors import InputError


class ServiceOptions(Options):
    """Parameters of the online service. All have defaults."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the service from a browser, such as https://shop.example."""
    require_keys: bool = False
    """Whether requests need a key although the service listens on loopback alone and no key
    exists."""
    rules: Path | None = None
    """YAML file of business rules; null for none."""
    watch_seconds: float = Field(default=5, gt=0, le=3600)
    """How often the service looks for a new bundle."""

    default_k: int = Field(default=10, ge=1)
    """Number of products of a page if a request names none."""
    max_k: int = Field(default=100, ge=1, le=1000)
    """Largest number of products of a page."""
    max_per_variant_group: int | None = Field(default=1, ge=1)
    """Number of variants of one product, such as sizes, that a list contains if a request does not
    say; null for no limit."""
    max_title_cosine: float | None = Field(default=None, ge=-1, le=1)
    """Highest cosine similarity of the titles of two products of a list if a request does not say;
    null for no limit."""
    max_ids: int = Field(default=1_000, ge=1)
    """Largest number of items of a list in a request: a history, excluded products, or a cart."""
    max_placements: int = Field(default=20, ge=1)
    """Largest number of placements of a page."""
    max_batch: int = Field(default=500, ge=1, le=10_000)
    """Largest number of events or of new products in one request."""
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    """Largest size of the body of a request."""
    max_live_events: int = Field(default=1_000, ge=1)
    """Number of the latest live events of a visitor that an answer takes into account."""
    max_clock_error_seconds: float = Field(default=300, ge=0, le=MAX_FUTURE_MS / 1000)
    """How far in the future the time of an event may be: at most a day, as in a training."""

    requests_per_second: float | None = Field(default=1_000, gt=0)
    """Requests per second and key that each worker process answers in the long run; null for no
    limit."""
    burst: int = Field(default=2_000, ge=1)
    """Requests of one key that a worker process answers at once after a pause."""
    threads: int = Field(default=1, ge=1, le=64)
    """Threads that compute lists, in each worker process. Further threads, as many each, look keys
    up, search, and write to the store. More are slower, because Python runs one at a time, unless
    they often wait for the database."""
    max_waiting: int = Field(default=64, ge=0)
    """Requests that wait for a thread. Further ones are answered with the status 503."""
    max_connections: int = Field(default=1_000, ge=1)
    """Requests in progress, in each worker process, including those that are still being sent.
    Further ones are answered with the status 503. Connections beyond twice this number are closed
    with the status 503."""
    timeout_seconds: float = Field(default=5, gt=0)
    """How long a request waits for its answer before the status 503."""
    body_timeout_seconds: float = Field(default=10, gt=0)
    """How long a client may take to send the headers of a request, then to send its body, and then
    to read the answer."""
    shutdown_seconds: int = Field(default=10, ge=1)
    """How long requests in progress may take after SIGTERM."""

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            scheme, separator, host = origin.partition("://")
            if scheme not in {"http", "https"} or not separator or not host or "/" in host:
                raise ValueError(
                    "must be origins such as https://shop.example, without a path or a wildcard"
                )
            if "*" in host:
                raise ValueError("must name each origin, without a wildcard")
        return origins

    @model_validator(mode="after")
    def _check_k(self) -> Self:
        if self.default_k > self.max_k:
            raise ValueError(
                f"default_k must not be above max_k ({self.max_k}), found {self.default_k}"
            )
        return self


def read_service_options(path: Path) -> ServiceOptions:
    """Read a YAML file of parameters. Keys that are missing have their defaults.

    Args:
        path: the file. A relative path of the rules starts at its folder.

    Raises:
        InputError: naming the file, the key, the value and what is expected.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if content is not None and not isinstance(content, dict):
        raise InputError(f"{path} must be a block of keys and values, found {content!r:.80}.")
    try:
        options = ServiceOptions.model_validate(content or {})
    except ValidationError as error:
        problems = format_validation_errors(error, ServiceOptions)
        raise InputError(f"{path}:\n{problems}") from error
    if options.rules is None:
        return options
    return options.model_copy(update={"rules": path.parent / options.rules})

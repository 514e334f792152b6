"""The HTTP API of the online service: routes, schemas, security, limits and metrics."""

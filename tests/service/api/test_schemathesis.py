"""Random requests that follow the description of the API."""

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.service.api.conftest import Connect


def test_random_requests_are_never_answered_with_a_server_error(connect: Connect) -> None:
    client = connect()
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", client.app, headers={"Host": "localhost"}
    )
    strategies = [result.ok().as_strategy() for result in schema.get_all_operations()]
    assert len(strategies) == 17

    @settings(
        max_examples=60, deadline=None, derandomize=True, database=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.one_of(strategies))
    def call(case: schemathesis.Case) -> None:
        response = case.call(headers={"Host": "localhost"})
        assert response.status_code < 500, case.as_curl_command()

    call()

"""The interface keeps to its own description, whatever Schemathesis sends, as each role."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from helpers.service import NAMES

EXAMPLES = int(os.environ.get("GAITNET_EXAMPLES", "8"))  # a route and role


def test_the_description_names_every_route_and_its_errors(app: FastAPI) -> None:
    described = app.openapi()
    assert {"/api/v1/sessions", "/api/v1/motions", "/api/v1/models/{name}", "/training/start"} <= set(
        described["paths"]
    )
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            told = operation["responses"]
            assert {"401", "404", "422"} <= set(told), f"{method} {path}"
            for status, answer in told.items():
                if status.startswith("4"):
                    assert list(answer["content"]) == ["application/problem+json"], f"{method} {path} {status}"
            assert operation.get("description") or operation.get("summary")


@pytest.mark.web
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("role", NAMES)
def test_nothing_breaks_and_every_answer_is_as_described(
    role: str, app: FastAPI, sign_in: Callable[[str], TestClient]
) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    client = sign_in(NAMES[role])
    headers = {"authorization": client.headers["authorization"], "host": "localhost"}
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith(("/events", "/logout", "/password")):
            continue  # a stream that lasts; what would end the log-in

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def attempt(case) -> None:
            case.call_and_validate(headers=headers, checks=checks)

        attempt()
        tried += 1
    assert tried > 40

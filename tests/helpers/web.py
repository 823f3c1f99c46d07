"""A client of the service within the test's own process, that has a browser's manners."""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would like another HTTP library than the one that is installed
    from starlette.testclient import TestClient

from fastapi import FastAPI

from helpers.html import Page

BASE = "http://127.0.0.1"


class Visitor:
    """Somebody with a cookie jar, logged in or not."""

    def __init__(self, app: FastAPI, name: str = "", password: str = "") -> None:
        self.client = TestClient(app, base_url=BASE)
        if name:
            answer = self.client.post("/login", data={"name": name, "password": password, "next": "/account"})
            assert answer.status_code == 200, answer.text
            self.csrf = Page(answer.text).forms[0]["csrf_token"]

    def get(self, address: str, **more: Any) -> Any:
        """A page, after any redirection."""
        return self.client.get(address, **more)

    def post(self, address: str, fields: dict[str, Any] | None = None, **more: Any) -> Any:
        """A form with its CSRF token; the answer itself, which a browser would follow."""
        data = {"csrf_token": self.csrf} | (fields or {})
        return self.client.post(address, data=data, follow_redirects=False, **more)

"""The page ``/docs``: Swagger UI, with files of this server alone."""

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse, Response

from bazar.service.api.problems import ProblemError

_FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")


def make_reference_router(title: str) -> APIRouter:
    """Return the routes of the reference.

    Args:
        title: title of the page.
    """
    router = APIRouter(include_in_schema=False)
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=title,
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon.png",
    ).body
    policy = _make_policy(bytes(page).decode())

    @router.get("/docs")
    async def show_reference() -> HTMLResponse:
        return HTMLResponse(bytes(page), headers={"content-security-policy": policy})

    @router.get("/docs/{name}")
    async def send_file(name: str) -> Response:
        if name not in _FILES:
            raise ProblemError(404, "There is nothing at this path. The reference is at /docs.")
        path = files("fastapi_offline") / "static" / name
        return FileResponse(str(path), headers={"cache-control": "public, max-age=86400"})

    return router


def _make_policy(page: str) -> str:
    """Return a policy that allows the scripts of a page, and no others."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src 'self' {allowed}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
    )

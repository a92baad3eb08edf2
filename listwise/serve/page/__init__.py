"""The page at ``/``: one document, a style sheet and scripts, which ask this service for JSON and nobody else for
anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI, Response

TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
FOLDER = "/page/"
KEYS_NEEDED = b'<html lang="en" data-keys>'
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


def _files() -> Mapping[str, Path]:
    here = Path(__file__).parent
    return {f"{FOLDER}{path.name}": path for path in sorted(here.iterdir()) if path.suffix in TYPES}


PATHS = frozenset({"/", *_files()})
"""Of the page and what it is made of. They hold nobody's data, and need no key."""


def add_page(app: FastAPI, *, keys: bool) -> None:
    """Serve the page; with ``keys`` it asks for one."""
    document = Path(__file__).with_name("page.html").read_bytes()
    if keys:
        document = document.replace(b'<html lang="en">', KEYS_NEEDED)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(document, media_type="text/html; charset=utf-8", headers=HEADERS)

    files = {name: path.read_bytes() for name, path in _files().items()}

    @app.get(FOLDER + "{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        content = files.get(FOLDER + name)
        if content is None:
            return Response(status_code=404, headers=HEADERS)
        return Response(content, media_type=TYPES[Path(name).suffix], headers=HEADERS)

"""/api/docs: the API in one page, made from its own OpenAPI document; nothing of it comes from another host.

Its examples are those of the README, with the address of this program in them.
"""

import json
from html import escape
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse

from core.web.api import api

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { padding: .8rem; border-radius: .5rem; overflow-x: auto; }
pre { background: color-mix(in srgb, currentColor 8%, transparent); }
section { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: 1rem 0; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }
"""


def curl_examples(base: str) -> str:
    """Requests by curl to the program at an address."""
    return "\n".join(
        f'curl -H "Authorization: Bearer $SHOPTALLY_KEY" {options}"{base}/api/v1{path}"' for options, path in _CURL
    )


def python_example(base: str) -> str:
    """A script without any package that asks the program at an address for a figure and every order."""
    return _PYTHON.replace("https://numbers.example", base)


_CURL = (
    ("", "/metrics/net_sales?period=90d&compare=previous"),
    ("", "/metrics/total_sales?from=2026-01-01&to=2026-03-31&breakdown=channel"),
    ('-H "Accept: text/csv" ', "/report?period=365d&grain=month"),
    ("-o orders.parquet ", "/export/orders?since=2026-01-01T00:00:00Z"),
    ("-X POST ", "/sync"),
)
_PYTHON = """import json
import os
from urllib.request import Request, urlopen

API = "https://numbers.example/api/v1"
KEY = os.environ["SHOPTALLY_KEY"]


def ask(path):
    request = Request(API + path, headers={"Authorization": f"Bearer {KEY}"})
    with urlopen(request) as answer:
        return json.load(answer)


found = ask("/metrics/net_sales?period=90d&compare=previous")
print(found["total"], found["currency"], found["change"])

path = "/orders?period=90d&limit=500"
page = ask(path)
while page["data"]:
    for order in page["data"]:
        print(order["name"], order["net_sales"])
    if page["next"] is None:
        break
    page = ask(f"{path}&cursor={page['next']}")
"""


def docs(request: Request) -> HTMLResponse:
    """Every address with its parameters and an example."""
    document, base = api.openapi(), str(request.url.replace(query="")).rstrip("/").removesuffix("/api/docs")
    parts = [
        _operation(path, method, about)
        for path, methods in document["paths"].items()
        for method, about in methods.items()
    ]
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shoptally API</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>Shoptally API</h1>
<p>{escape(document["info"]["description"])} Money is a decimal string in the store's currency, a percent a fraction
of 1, and what is unknown is null. Send <code>Accept: text/csv</code> for CSV. An <code>ETag</code> sent back as
<code>If-None-Match</code> is answered 304 while the figures are the same. Refusals are
<code>application/problem+json</code>.</p>
<pre>{escape(curl_examples(base))}</pre>
<pre>{escape(python_example(base))}</pre>
<p>The whole description: <a href="v1/openapi.json">openapi.json</a></p>
{"".join(parts)}</body></html>"""
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
    return HTMLResponse(page, headers=headers)


def _operation(path: str, method: str, about: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(_kind(each.get('schema', {})))}</td>"
        f"<td>{escape(each.get('description', ''))}</td></tr>"
        for each in about.get("parameters", [])
    )
    table = f"<table><tr><th>Parameter</th><th>Values</th><th></th></tr>{rows}</table>" if rows else ""
    title = f"{method.upper()} /api/v1{path}"
    example = json.dumps(_example(about), ensure_ascii=False, indent=2)
    shown = f"<details><summary>Answer</summary><pre>{escape(example)}</pre></details>" if _example(about) else ""
    said = escape(about.get("description", ""))
    return f"<section><h2><code>{escape(title)}</code></h2><p>{said}</p>{table}{shown}</section>"


def _example(about: dict[str, Any]) -> Any:
    answers = [answer.get("content", {}) for status, answer in about["responses"].items() if status.startswith("2")]
    return answers[0].get("application/json", {}).get("example")


def _kind(schema: dict[str, Any]) -> str:
    """What a parameter may be, in words."""
    if "anyOf" in schema:
        return " or ".join(kind for each in schema["anyOf"] if (kind := _kind(each)) != "null")
    if "enum" in schema:
        return ", ".join(str(value) or "(empty)" for value in schema["enum"])
    if "pattern" in schema:
        return str(schema["pattern"]).strip("^$()").replace("|", ", ")
    if schema.get("type") == "array":
        return f"any number of: {_kind(schema.get('items', {}))}"
    limits = [
        f"from {schema['minimum']}" if "minimum" in schema else "",
        f"to {schema['maximum']}" if "maximum" in schema else "",
    ]
    return " ".join([schema.get("format") or schema.get("type", ""), *filter(None, limits)])

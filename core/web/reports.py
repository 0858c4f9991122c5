"""The link at the foot of a report: it ends that report by POST, without a sign-in; a GET changes nothing.

Mail scanners follow links, so the page behind it only asks. Mail programs POST to the same address by themselves
where the reader wants no more (RFC 8058); what they send in the body says nothing new.
"""

from starlette.requests import Request
from starlette.responses import HTMLResponse

from core.reports import schedules


def ask_to_unsubscribe(request: Request) -> HTMLResponse:
    """GET ?token=...: a page with a button, 404 for a token of no report."""
    if not schedules.exists(_token(request)):
        return _page(_UNKNOWN, 404)
    return _page(
        '<p>You get no more e-mails of this report.</p><form method="post"><button>End this report</button></form>'
    )


def unsubscribe(request: Request) -> HTMLResponse:
    """POST ?token=...: the report ends; 404 for a token of no report."""
    address = request.client.host if request.client else None
    if not schedules.unsubscribe(_token(request), address=address):
        return _page(_UNKNOWN, 404)
    return _page("<p>This report is ended. To get it again, open Views and reports.</p>")


def _token(request: Request) -> str:
    return request.query_params.get("token", "")


def _page(body: str, status: int = 200) -> HTMLResponse:
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shoptally</title>'
        '<meta name="viewport" content="width=device-width"><style>:root{color-scheme:light dark}'
        "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}"
        "button{font:inherit;padding:.5rem 1rem}</style></head>"
        f"<body><h1>Reports by e-mail</h1>{body}</body></html>"
    )
    return HTMLResponse(html, status, headers=_HEADERS)


_UNKNOWN = "<p>There is no such report. It may have been deleted.</p>"
# The address holds the token: it goes to nobody.
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
}

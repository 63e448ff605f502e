"""Who may ask the server: the page that it served itself, in the browser whose address had the token."""

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Shot-Types"
"""Has to be 1 where something is changed: forms of other pages cannot send it, and their scripts not without leave."""
SAFE = ("GET", "HEAD")
POLICY = (
    "default-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline';"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
EVERY_ANSWER = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
CLOSED = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Shot scales</title>
<p>This page opens by the address that the terminal shows, with all that follows after <code>?token=</code>: open that.
"""


class Guard:
    """Lets requests through to `app`; the others are answered 403, or 421 where they were sent to another host.

    `Host` has to be this machine's, against names of other pages that lead here (DNS rebinding). All but the front page
    takes the `token`, in a cookie that `/?token=...` sets, and no request of another origin, which is told by `Origin`
    and `Sec-Fetch-Site`: a page of another server on this machine has the cookie too, since cookies know no ports.
    """

    def __init__(self, app: ASGIApp, port: int, token: str):
        self.app, self.token, self.cookie = app, token, f"shot_types_{port}"
        self.hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As of every ASGI application."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_all(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(EVERY_ANSWER)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (self._refusal(scope) or self.app)(scope, receive, send_all)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer where a request is not let through; also the one that gives the cookie."""
        headers, path = Headers(scope=scope), scope["path"]
        if headers.get("host") not in self.hosts:
            return _refused("not an address of this server; open the address that the terminal shows", 421)
        query = scope["query_string"].decode("latin-1")
        if path == "/" and query.startswith("token=") and self._is_token(query.removeprefix("token=")):
            answer = RedirectResponse("/", 303)  # so that the token stands in no history
            answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
            return answer
        if not self._is_token(cookie_parser(headers.get("cookie", "")).get(self.cookie, "")):
            if path == "/":
                return HTMLResponse(CLOSED, 403)
            return _refused("no token; open the address that the terminal shows")
        if path == "/" and scope["method"] in SAFE:
            return None
        others = headers.get("origin", f"http://{headers['host']}") != f"http://{headers['host']}"
        if others or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return _refused("another page asked for this; use the page of this server")
        if scope["method"] not in SAFE and headers.get(HEADER) != "1":
            return _refused(f"the header {HEADER} is missing; use the page of this server")
        return None

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(), self.token.encode())


def _refused(sentence: str, status: int = 403) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)

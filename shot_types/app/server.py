"""The server of the local page, for the browser on this machine alone: addresses, errors, start and end."""

import secrets
import socket
import sys
import threading
import webbrowser
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .answers import Answers
from .guard import Guard
from .jobs import Queue
from .pages import Pages
from .places import Places
from .results import ConflictError


def serve(
    folder: str | Path = ".",
    port: int = 8757,
    *,
    browser: bool = True,
    limit: float = 20,
    framework: str | None = None,
    weights: str | Path | None = None,
) -> None:
    """Serve the page on 127.0.0.1 until interrupted, print its address and open it in the `browser`.

    Films below `folder` can be analysed; results and uploads, of at most `limit` GB (10^9 bytes) each, are written to
    it. `port` 0 takes a free one. `framework`, `weights`: as of `load_classifier`. Raises FileNotFoundError where there
    is no such folder, ValueError where the port is taken, and what `load_classifier` raises.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; name the one with the films")
    listener = socket.socket()
    if sys.platform != "win32":  # where it would let others listen too
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise ValueError(f"port {port} is taken ({error.strerror}); name another with --port") from error
        port, token = listener.getsockname()[1], secrets.token_urlsafe(32)
        app = application(folder, port, token, limit=limit, framework=framework, weights=weights)
        listener.listen()
        address = f"http://127.0.0.1:{port}/?token={token}"
        print(f"shot-types is at {address}\nKeep the address to yourself; Ctrl-C ends the server.", flush=True)
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        config = uvicorn.Config(
            app, log_level="warning", proxy_headers=False, server_header=False, timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run(sockets=[listener])


def application(
    folder: str | Path,
    port: int,
    token: str,
    *,
    limit: float = 20,
    framework: str | None = None,
    weights: str | Path | None = None,
) -> Guard:
    """The ASGI application of `serve`, which works on the queue between its startup and its shutdown."""
    places = Places(Path(folder).resolve())
    queue, answers = Queue(places, framework, weights), Answers(framework, weights)
    pages = Pages(places, queue, answers, round(limit * 1e9))
    film = "/api/films/{id}"
    routes = [
        Route("/", pages.front),
        Route("/api/pictures", pages.picture, methods=["POST"]),
        Route("/api/heatmap", pages.heat_map, methods=["POST"]),
        Route("/api/state", pages.state),
        Route("/api/browse", pages.browse),
        Route("/api/films", pages.add, methods=["POST"]),
        Route(film, pages.remove, methods=["DELETE"]),
        Route(f"{film}/stop", pages.stop, methods=["POST"]),
        Route(f"{film}/resume", pages.resume, methods=["POST"]),
        Route(f"{film}/shots", pages.shots),
        Route(f"{film}/table", pages.save, methods=["PUT"]),
        Route(f"{film}/files", pages.files),
        Route("/api/comparison", pages.comparison),
        Route("/api/comparison.csv", pages.comparison_csv),
        Route("/api/comparison.png", pages.comparison_png),
        Route("/films/{id}/", pages.film),
        Route("/films/{id}/video", pages.video),
        Route("/films/{id}/{name:path}", pages.file),
    ]
    errors = {HTTPException: _error, ValueError: _error, OSError: _error}
    app = Starlette(routes=routes, lifespan=pages.lifespan, exception_handlers=errors)
    app.state.folder = places.folder
    return Guard(app, port, token)


def _error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ConflictError):
        return JSONResponse({"error": str(error), "changed": error.changed, "version": error.version}, 409)
    status, sentence = 422, str(error)
    if isinstance(error, HTTPException):
        status, sentence = error.status_code, error.detail
    elif isinstance(error, OSError):
        status = 404 if isinstance(error, FileNotFoundError) else 500
    folder = request.app.state.folder
    return JSONResponse({"error": sentence.replace(f"{folder}/", "").replace(f"{folder}\\", "")}, status)

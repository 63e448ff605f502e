"""What each address of the local page answers."""

import contextlib
import json
import os
import secrets
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pandas as pd
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from ..files import VIDEO_SUFFIXES
from ..film.report import comparison_files, side_by_side
from ..film.table import records
from ..labels import COLORS, DEFINITIONS, GREYS, NAMES, SCALE
from ..pictures import picture_suffixes
from .answers import Answers
from .jobs import Film, Queue
from .places import Places
from .results import DRAWING, Results

PICTURE, TABLE, ORDER = 100_000_000, 100_000_000, 100_000  # bytes of a body at most
KEPT = {"Cache-Control": "private, max-age=3600"}  # films and thumbnails, which nobody changes


async def _body(request: Request, most: int) -> bytes:
    """What was sent; 413 where it is more than `most` bytes."""
    data = bytearray()
    async for chunk in _chunks(request, most):
        data += chunk
    return bytes(data)


async def _chunks(request: Request, most: int) -> AsyncIterator[bytes]:
    size, said = 0, request.headers.get("content-length", "")
    too_large = HTTPException(413, f"larger than the {most / 1e6:,.0f} MB that are taken; give a smaller file")
    if said.isdecimal() and int(said) > most:
        raise too_large
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise too_large
        yield chunk


def _followed(results: Results) -> None:
    with contextlib.suppress(ValueError):  # `trouble` of the results, which the state of the film says
        results.follow()


class Pages:
    """What each address answers. Those that are not coroutines run in threads, and the others stay answered."""

    def __init__(self, places: Places, queue: Queue, answers: Answers, limit: int):
        """`limit`: bytes of an upload."""
        self.places, self.queue, self.answers, self.limit = places, queue, answers, limit
        self.results: dict[str, Results] = {}
        self.naming = threading.Lock()

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        for part in self.places.uploads.glob(".*.part"):  # of a server that was killed
            part.unlink()
        self.queue.start()
        yield
        await run_in_threadpool(self.queue.close)

    def front(self, request: Request) -> HTMLResponse:
        said = {"scale": SCALE, "names": NAMES, "definitions": DEFINITIONS, "colors": COLORS | GREYS}
        said |= {"pictures": sorted(picture_suffixes()), "films": sorted(VIDEO_SUFFIXES)}
        template = Path(__file__).with_name("app.html").read_text(encoding="utf-8")
        return HTMLResponse(template.replace("null /* the app */", json.dumps(said).replace("<", "\\u003c")))

    # Pictures.

    async def picture(self, request: Request) -> JSONResponse:
        name, data = request.query_params.get("name", "picture"), await _body(request, PICTURE)
        return JSONResponse(await run_in_threadpool(self.answers.classify, name, data))

    async def heat_map(self, request: Request) -> Response:
        name, label = request.query_params.get("name", "picture"), request.query_params.get("label")
        if label not in SCALE:
            raise HTTPException(422, f"label {label!r} is none; use {', '.join(SCALE)}")
        if not self.answers.has_heat_maps:
            raise HTTPException(501, "heat maps need PyTorch and Captum; pip install torch torchvision captum")
        picture = await run_in_threadpool(self.answers.heat_map, name, await _body(request, PICTURE), label)
        return Response(picture, media_type="image/jpeg")

    # The queue.

    def state(self, request: Request) -> JSONResponse:
        with self.queue.change:
            films = list(self.queue.films.values())
        said = {"heatmaps": self.answers.has_heat_maps, "folder": self.places.folder.name}
        return JSONResponse(said | {"unsure_below": self.answers.unsure_below, "films": list(map(self._said, films))})

    def _said(self, film: Film) -> dict:
        said = {"id": film.id, "name": Path(film.path).name, "state": film.state, "seconds": film.seconds}
        said |= {"message": film.message, "uploaded": film.uploaded, "seconds_done": 0.0, "shots": 0}
        results, done = film.results and self._results(film), film.state == "done"
        if results and (done or results.is_finished()):
            try:
                figures = results.figures()
            except (ValueError, OSError) as error:  # removed by hand, or damaged
                return said | ({"state": "failed", "message": self._short(error)} if done else {})
            said |= {"seconds_done": film.seconds, "shots": figures["shots"]}
            return said | {**figures, "message": self._short(results.trouble) or film.message} if done else said
        rows = results.work.so_far() if results else []
        found = rows[-1]["end_seconds"] if rows else 0.0
        reached = self.queue.reached if film.state == "working" else 0.0
        return said | {"seconds_done": max(found, reached), "shots": len(rows)}

    def _short(self, error: Exception | str) -> str:
        return str(error).replace(f"{self.places.results}{os.sep}", "")

    def _film(self, request: Request) -> Film:
        try:
            return self.queue.films[request.path_params["id"]]
        except KeyError as error:
            raise HTTPException(404, "no such film; it may have been removed, reload the page") from error

    def _done(self, request: Request) -> Film:
        """A film whose table nobody else writes."""
        film = self._film(request)
        if film.state != "done":
            raise HTTPException(409, f"{Path(film.path).name}: not done yet; wait, or resume it where it was stopped")
        return film

    def _results(self, film: Film) -> Results:
        if not film.results:
            raise HTTPException(404, f"{Path(film.path).name}: nothing is found yet; wait until its turn has come")
        with self.queue.change:
            kept, work = self.results.get(film.id), self.queue.work(film)
            if kept is None or kept.work.csv != work.csv:
                path = self.places.folder / film.path
                kept = self.results[film.id] = Results(work, path, f"/films/{film.id}/")
            return kept

    def browse(self, request: Request) -> JSONResponse:
        return JSONResponse(self.places.browse(request.query_params.get("path", "")))

    async def add(self, request: Request) -> JSONResponse:
        if request.headers.get("content-type", "").startswith("application/json"):
            order = None
            with contextlib.suppress(ValueError):
                order = json.loads(await _body(request, ORDER))
            if not (isinstance(order, dict) and isinstance(order.get("path"), str)):
                raise HTTPException(422, "no path of a film; choose one from the list")
            film = await run_in_threadpool(self.queue.add, order["path"])
        else:
            path = await self._upload(request, request.query_params.get("name", ""))
            film = await run_in_threadpool(self.queue.add, path.relative_to(self.places.folder).as_posix(), True)
        return JSONResponse(await run_in_threadpool(self._said, film), 202)

    async def _upload(self, request: Request, name: str) -> Path:
        self.places.new_upload(name)  # or ValueError, before anything is read
        self.places.uploads.mkdir(exist_ok=True)
        part = self.places.uploads / f".{secrets.token_hex(8)}.part"
        try:
            with part.open("xb") as file:
                async for chunk in _chunks(request, self.limit):
                    await run_in_threadpool(file.write, chunk)
            with self.naming:
                return part.rename(self.places.new_upload(name))
        except ClientDisconnect as error:
            raise HTTPException(400, f"{name}: broken off; drop it again") from error
        finally:
            part.unlink(missing_ok=True)

    def stop(self, request: Request) -> JSONResponse:
        return JSONResponse(self._said(self.queue.stop(self._film(request).id)))

    def resume(self, request: Request) -> JSONResponse:
        return JSONResponse(self._said(self.queue.resume(self._film(request).id)))

    def remove(self, request: Request) -> Response:
        film = self._film(request)
        self.queue.remove(film.id)
        self.results.pop(film.id, None)
        return JSONResponse({})

    # Results.

    def shots(self, request: Request) -> JSONResponse:
        since, film = request.query_params.get("since", "0"), self._film(request)
        rows = self._results(film).rows() if film.results else []
        return JSONResponse(rows[int(since) if since.isdecimal() else 0 :])

    def film(self, request: Request) -> HTMLResponse:
        film = self._done(request)
        return HTMLResponse(self._results(film).page(f"/api/films/{film.id}/table"))

    def video(self, request: Request) -> FileResponse:
        return FileResponse(self.places.film(self._film(request).path), headers=KEPT)

    def file(self, request: Request) -> FileResponse:
        path = self._results(self._film(request)).file(request.path_params["name"])
        if path.parent != self.places.results:
            return FileResponse(path, headers=KEPT)
        return FileResponse(path, filename=path.name)

    async def save(self, request: Request) -> JSONResponse:
        results, text = self._results(self._done(request)), await _body(request, TABLE)
        version = request.headers.get("if-match", "").strip('"')
        said = await run_in_threadpool(results.save, text, version)
        return JSONResponse(said, background=BackgroundTask(_followed, results))

    def files(self, request: Request) -> JSONResponse:
        return JSONResponse(self._results(self._film(request)).files())

    def _side_by_side(self) -> pd.DataFrame:
        done = {film.results: film for film in list(self.queue.films.values()) if film.state == "done"}
        if not done:
            raise HTTPException(404, "no film is done yet; come back when one is")
        return side_by_side([self._results(film).table() for film in done.values()])

    def comparison(self, request: Request) -> JSONResponse:
        films = self._side_by_side().reset_index()
        rows = [list(row.values()) for row in records(films)]
        return JSONResponse({"columns": list(films.columns), "rows": rows})

    def comparison_csv(self, request: Request) -> Response:
        text, _ = self._compared()
        return Response(text, media_type="text/csv")

    def comparison_png(self, request: Request) -> Response:
        _, picture = self._compared()
        return Response(picture, media_type="image/png")

    def _compared(self) -> tuple[str, bytes]:
        with DRAWING:
            return comparison_files(self._side_by_side())

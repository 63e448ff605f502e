"""The queue of films: one at a time is analysed, in a process of its own, which can be stopped without harm.

The queue is in a file, and found shots are too (`film.work`): a server that was killed goes on where it was.
"""

import json
import os
import secrets
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic

from tqdm import tqdm

from ..classifier import load_classifier
from ..files import write
from ..film import analyze
from ..film.report import export
from ..film.work import Work, identity, locked, own_name
from ..video import Video
from .places import Places

QUEUE, LOCK = "queue.json", ".queue.lock"
UNDONE = ("waiting", "working")
TELL = 1  # seconds: how far it is within a shot is said no more often


@dataclass
class Film:
    """A film of the queue; `path` leads to it from the folder of the server on."""

    path: str
    uploaded: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: str = "waiting"
    """waiting, working, done, failed or stopped."""
    message: str = ""
    results: str = ""
    """The name of its results, "" until the work has begun."""
    seconds: float | None = None


class Queue:
    """Films in the order in which they came; its methods may be called from any thread."""

    def __init__(self, places: Places, framework: str | None = None, weights: str | Path | None = None):
        """`framework`, `weights`: as of `load_classifier`.

        Raises ValueError where the file of the queue is damaged, and where another server has it, until its `close`.
        """
        self.places, self.call = places, (framework, weights and Path(weights).resolve())
        self.change = threading.Condition(threading.RLock())
        self.file = places.results / QUEUE
        places.results.mkdir(exist_ok=True)
        refusal = f"{places.folder}: another server is at work there; use its page, or name another --folder"
        self.mine, _ = locked(places.results / LOCK, refusal)
        self.films = {film.id: film for film in self._read()}
        self.reached = 0.0
        """Up to which second the film that is at work has been looked at; after a stop, found shots alone count."""
        self.worker: _Worker | None = None
        self.thread: threading.Thread | None = None
        self.closed = False

    def _read(self) -> list[Film]:
        try:
            films = [Film(**film) for film in json.loads(self.file.read_text(encoding="utf-8"))]
            for film in films:
                self.places.below(film.path)
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.file}: not a queue of films; move it away, the results beside it stay") from error
        for film in films:
            if film.state == "working":  # the server was stopped then
                film.state, film.message = "waiting", ""
        return films

    def _keep(self) -> None:
        write(self.file, json.dumps([asdict(film) for film in self.films.values()], indent=1) + "\n")

    def start(self) -> None:
        """Begin to work, until `close`."""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """End the work; the film that is at work goes on with the next queue of this folder."""
        with self.change:
            self.closed = True
            if self.worker:
                self.worker.end()
            self.change.notify_all()
        if self.thread:
            self.thread.join()
        self.mine.close()

    def add(self, path: str, uploaded: bool = False) -> Film:
        """Put a film at the end; one that waits or is at work already is given back. ValueError, FileNotFoundError."""
        path = self.places.film(path).relative_to(self.places.folder.resolve()).as_posix()
        with self.change:
            for film in self.films.values():
                if film.path == path:
                    return film if film.state in UNDONE else self.resume(film.id)
            film = Film(path, uploaded)
            self.films[film.id] = film
            self._changed()
            return film

    def stop(self, number: str) -> Film:
        """What is found so far stays. KeyError where there is no such film, as of those below."""
        with self.change:
            film = self.films[number]
            if film.state in UNDONE:
                was, film.state, film.message = film.state, "stopped", ""
                if was == "working":
                    self.worker.end()
                self._changed()
            return film

    def resume(self, number: str) -> Film:
        """Let a film that was stopped, failed or done wait once more."""
        with self.change:
            film = self.films[number]
            if film.state not in UNDONE:
                film.state, film.message = "waiting", ""
                self._changed()
            return film

    def remove(self, number: str) -> None:
        """Take a film out, with its results, and with its file where that was uploaded."""
        with self.change:
            film = self.stop(number)
            del self.films[number]
            if film.results and film.results not in [other.results for other in self.films.values()]:
                self.work(film).remove()
            if film.uploaded:
                self.places.below(film.path).unlink(missing_ok=True)
            self._changed()

    def work(self, film: Film) -> Work:
        """Where the results of a film lie."""
        return Work(self.places.results, film.results, {})

    def _changed(self) -> None:
        self._keep()
        self.change.notify_all()

    def _next(self) -> Film | None:
        return next((film for film in self.films.values() if film.state == "waiting"), None)

    def _run(self) -> None:
        while True:
            with self.change:
                self.change.wait_for(lambda: self.closed or self._next())
                if self.closed:
                    return
                film = self._next()
                self.reached, film.state, film.message = 0.0, "working", ""
                self._changed()
                if self.worker is None or not self.worker.process.is_alive():
                    self.worker = _Worker(self.places, self.call)
            self._follow(film, self.worker)

    def _follow(self, film: Film, worker: "_Worker") -> None:
        """Note what the worker says of a film, until it is done with it."""
        try:
            worker.pipe.send(film.path)
            while film.state == "working":
                said = worker.pipe.recv()
                with self.change:
                    if isinstance(said, float):
                        self.reached = said
                        continue
                    for name, value in said.items():
                        setattr(film, name, value)
                    self._changed()
        except (EOFError, OSError):  # the worker has ended
            with self.change:
                self.worker = None
                if film.state == "working" and not self.closed:
                    film.state = "failed"
                    film.message = f"{film.path}: its process died; is there memory enough? Resume it to go on there."
                self._changed()


class _Worker:
    """A process that keeps the classifier loaded and analyses the films whose paths it receives."""

    def __init__(self, places: Places, call: tuple):
        context = get_context("spawn")  # a copy of a process that runs threads can hang
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, places, *call), daemon=True)
        self.process.start()
        other.close()  # else its end would not be seen here

    def end(self) -> None:
        """At once; what is written then is written by nobody, and whole lines of it count."""
        self.process.kill()
        self.process.join()


def _work(pipe: Connection, places: Places, framework: str | None, weights: Path | None) -> None:
    """What the process does. Of a film it says `results` and `seconds`, and at the end `state` and `message`.

    A number alone says up to which second it is.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this
    tqdm.set_lock(threading.RLock())  # its own is one of the system's, which stays where a process is killed
    threading.Thread(target=_end_with, args=(parent_process().join,), daemon=True).start()
    classifier = None
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        try:
            classifier = classifier or load_classifier(framework, weights)
            found = places.film(path)
            with Video(found) as video:
                seconds = video.seconds
            name = own_name(places.results, found, identity(found))
            pipe.send({"results": name, "seconds": seconds})
            table = analyze(found, classifier, places.results, name=name, progress=_teller(pipe))
            end = float(table["end_seconds"].iloc[-1])
            pipe.send({"message": "writes the files for other programs", "seconds": end})
            export(table)
            last = {"state": "done", "message": table.attrs["note"]}
        except (ValueError, OSError) as error:
            last = {"state": "failed", "message": str(error)}
        except Exception as error:  # of one film; the queue goes on
            last = {"state": "failed", "message": f"{path}: {type(error).__name__}: {error}"}
        last["message"] = last["message"].replace(f"{places.folder}{os.sep}", "")
        pipe.send(last)


def _teller(pipe: Connection) -> Callable[[float], None]:
    """A function for `progress` of `analyze` that says it to the queue from time to time."""
    due = 0.0

    def tell(seconds: float) -> None:
        nonlocal due
        if seconds and monotonic() >= due:
            due = monotonic() + TELL
            pipe.send(seconds)

    return tell


def _end_with(wait: Callable[[], None]) -> None:
    """End this process when the server's has, also where that was killed: a lock on unfinished work ends with it."""
    wait()
    os._exit(1)

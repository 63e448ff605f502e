"""Command line: `python -m shot_types classify PICTURES --out table.csv`, `... film FILMS --out FOLDER`, `... app`."""

import argparse
import contextlib
import csv
import errno
import io
import math
import os
import sys
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from .classifier import FRAMEWORKS, load_classifier
from .files import VIDEO_SUFFIXES, replacing
from .labels import NAMES, SCALE
from .pictures import FrameError, find_pictures, picture_suffixes

STATUS = (
    "The exit status is 0 when everything went well, 1 when a file failed or nothing could be done (the other files"
    " are done all the same), 2 for a wrong call, and 130 when interrupted. Output that nobody reads (| head, >&-) is"
    " no failure: tables and films are finished all the same."
)

UNREAD = {errno.EPIPE, errno.EINVAL} if os.name == "nt" else {errno.EPIPE}
"""What the system says where nobody reads what is printed."""


class _Stream:
    """Where text goes as long as it is read: after `| head`, or closed from the start, the work goes on without it."""

    def __init__(self, stream):
        self.stream = stream or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        with contextlib.suppress(AttributeError):  # a notebook's, or a caller's own
            self.stream.reconfigure(errors="backslashreplace")  # for names of files that are not UTF-8
        self.error: OSError | None = None

    def __getattr__(self, name: str):
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """As of a file; what cannot be written is kept in `error`, and from then on nothing is."""
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError as error:
            self.error = error
            with Path(os.devnull).open("w") as nowhere, contextlib.suppress(io.UnsupportedOperation):
                os.dup2(nowhere.fileno(), self.stream.fileno())
        return len(text)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status, see STATUS."""
    args = _parser().parse_args(arguments)
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # else a file that is opened would get what streams receive
        pass
    os.close(number)
    printed = _Stream(sys.stdout)
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(_Stream(sys.stderr)):
        status = _run(args)
        if printed.error and printed.error.errno not in UNREAD:
            _complain(f"standard output: {printed.error}")
            return status or 1
    return status


def _run(args: argparse.Namespace) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *_: _complain(message)
            return args.run(args)
    except (ValueError, OSError) as error:
        _complain(error)
        return 1
    except ModuleNotFoundError as error:  # a plain install has what `classify` needs
        _complain(
            f"this needs the package {error.name}, which is not installed;"
            ' in a clone, pip install -e ".[light]" installs all but the frameworks'
        )
        return 1
    except KeyboardInterrupt:
        return 130


def _complain(message: object) -> None:
    tqdm.write(f"shot_types: {_line(message)}", file=sys.stderr)


def _line(text: object) -> str:
    """Names of files may have line breaks and what steers a terminal: spelled out, as Python does."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def _cell(text: str | None) -> str | None:
    """Spreadsheets compute what begins like a formula; with the folder in front it is the same path, and a text."""
    return f"./{text}" if text and text[0] in "=+-@\t\r" else text


def _gather(paths: list[str], list_folder: Callable[[str], list[Path]]) -> list[str | Path]:
    """The files among `paths` and those of the folders; folders without any are named, if there are files at all."""
    files, empty = [], []
    for path in paths:
        try:
            files += list_folder(path) if os.path.isdir(path) else [path]  # noqa: PTH112 (any length)
        except (FrameError, OSError) as error:
            empty.append(error)
    if not files:
        raise empty[0]
    for error in empty:
        _complain(error)
    return files


def classify(args: argparse.Namespace) -> int:
    """Print one line a picture; write the table to `--out`, when it is complete, and heat maps to `--heatmaps`."""
    files = _gather(args.paths, find_pictures)
    gradients = "pytorch" if args.heatmaps and not args.weights else None  # ONNX has none
    classifier = load_classifier(args.framework or gradients, args.weights)
    if args.heatmaps:
        from .heatmap import write_heat_map  # not above: it takes matplotlib, which a table does without

        args.heatmaps.mkdir(parents=True, exist_ok=True)
    answers = classifier.predict_iter(files, args.batch_size, on_error="skip")
    answers = tqdm(answers, total=len(files), unit="picture", disable=None, leave=False)
    width = min(60, max(len(_line(file)) for file in files))
    counts, failed = Counter(), 0
    with contextlib.ExitStack() as stack:
        part = args.out and stack.enter_context(replacing(args.out))
        writer = part and csv.writer(
            stack.enter_context(part.open("w", newline="", encoding="utf-8", errors="surrogateescape"))
        )
        if writer:
            writer.writerow(["path", "label", "confidence", *SCALE, "is_shot", "error"])
        print(f"{'picture':{width}}  label  confidence   " + "  ".join(f"{label:>4}" for label in SCALE))
        for number, answer in enumerate(answers, 1):
            if sys.stdout.error and not (args.out or args.heatmaps):
                break  # nobody reads the answers
            if answer.error:
                failed += 1
                tqdm.write(f"error: {_line(answer.error)}", file=sys.stderr)
                values = [None] * (len(SCALE) + 1)
            else:
                counts[answer.label] += 1
                if args.heatmaps:
                    stem = Path(answer.source).stem.encode(errors="surrogateescape")[:240]  # systems take 255
                    name = f"{number:04d}_{stem.decode(errors='surrogateescape')}_{answer.label}.jpg"
                    write_heat_map(classifier, answer.source, answer.label, args.heatmaps / name)
                values = [f"{answer.probabilities[label]:.4f}" for label in SCALE]
                values.append(None if answer.is_shot is None else f"{answer.is_shot:.4f}")
                mark = "   no shot?" if answer.is_shot is not None and answer.is_shot < 0.5 else ""
                shares = "  ".join(f"{answer.probabilities[label]:4.2f}" for label in SCALE) + mark
                tqdm.write(
                    f"{_line(answer.source)[-width:]:{width}}  {answer.label:5}  {answer.confidence:10.2f}   {shares}"
                )
            if writer:
                confidence = None if answer.error else f"{answer.confidence:.4f}"
                writer.writerow([_cell(answer.source), answer.label, confidence, *values, _cell(answer.error)])
    print(", ".join(f"{label} {counts[label]}" for label in SCALE) + (f"; {failed} failed" if failed else ""))
    return 1 if failed else 0


def film(args: argparse.Namespace) -> int:
    """Analyse each film, print its shots, and write table, pictures and exports to the folder `--out`."""
    from . import film
    from .film import many, report  # not above: they take a second, which `classify` does not need

    films = list(dict.fromkeys(map(Path, _gather(args.films, many.list_films))))
    classifier = load_classifier(args.framework, args.weights)
    tables, summaries, failed = [], [], []
    for path in films:
        try:
            table = film.analyze(path, classifier, args.out, detector=args.detector, min_shot=args.min_shot)
            files = report.export(table)
        except (ValueError, OSError) as error:
            failed.append(path.name)
            _complain(error)
            continue
        tables.append(table)
        columns = ["shot", "start", "end", "seconds", "kind", "label", "confidence", "agreement", "check"]
        print(table[columns].to_string(index=False, na_rep="", float_format="%.2f"))
        summaries.append(figures := report.summary(table))
        length = f", {figures['ASL']:.2f} seconds on average" if figures["shots"] else ""
        print(f"shots: {figures['shots']:.0f}{length}; in {args.out}:")
        print(", ".join(_line(file.name) for file in files))
    if len({table.attrs["name"] for table in tables}) > 1:
        rows, files = report.comparison(tables, args.out)
        print(rows.rename(index=_line).to_string(na_rep="", float_format="%.2f"))
        print(", ".join(_line(file.name) for file in files))
    if len(films) > 1:
        shots, minutes = (sum(figures[name] for figures in summaries) for name in ("shots", "minutes"))
        done = f"films: {len(tables)}, with {shots:.0f} shots in {minutes:.1f} minutes"
        print(done + (f"; {len(failed)} failed: {_line(', '.join(failed))}" if failed else ""))
    return 1 if failed else 0


def app(args: argparse.Namespace) -> int:
    """Serve the local page until interrupted."""
    from .app.server import serve  # not above: it takes Starlette, uvicorn and all that films take

    options = {"browser": args.browser, "limit": args.limit, "framework": args.framework, "weights": args.weights}
    serve(args.folder, args.port, **options)
    return 0


def _parser() -> argparse.ArgumentParser:
    scale = "\n".join(f"  {label:4} {NAMES[label]}" for label in SCALE)
    parser = argparse.ArgumentParser(
        prog="python -m shot_types",
        description="How close is the camera? Shot scale of pictures, from near to far:\n" + scale,
        epilog="\n".join(textwrap.wrap(STATUS, 79)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "classify",
        help="the shot scale of pictures",
        description="Print label, confidence and the five probabilities of each picture.",
        epilog=STATUS,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument(
        "paths", nargs="+", type=_path, metavar="FILES_OR_FOLDER", help="pictures, or folders of pictures"
    )
    _classifier_options(command)
    command.add_argument("--batch-size", type=_above_0(int), default=32, metavar="N", help="pictures in one go")
    command.add_argument("--out", type=_table, metavar="TABLE.CSV", help="write the table to this file too")
    command.add_argument(
        "--heatmaps",
        type=lambda text: Path(_path(text)),
        metavar="FOLDER",
        help="write pictures of what each label rests on to this folder; takes PyTorch (or --framework tensorflow)",
    )
    command.set_defaults(run=classify)
    command = commands.add_parser(
        "film",
        help="the shots of a film and their scale",
        description="Find the shots of each film and their scale; write table, figures, contact sheet, web page and"
        " files for editing programs, players and annotation tools (EDL, OTIO, XML, WebVTT, ELAN). Several films end"
        " with a comparison. Stopped work goes on at the next call. To correct the result, change labels, kinds or cuts"
        " in the CSV file or on the web page and call again: everything else follows.",
        epilog=STATUS,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument(
        "films", nargs="+", type=_path, metavar="FILM_OR_FOLDER", help="video files, or folders with some below them"
    )
    command.add_argument(
        "--out", type=lambda text: Path(_path(text)), default="analysis", metavar="FOLDER", help="where everything goes"
    )
    _classifier_options(command)
    detectors = ("adaptive", "content", "hash", "histogram", "threshold")
    command.add_argument("--detector", choices=detectors, default="adaptive", help="of cuts")
    command.add_argument("--min-shot", type=_above_0(float), default=0.25, metavar="SECONDS", help="no shot is shorter")
    command.set_defaults(run=film)
    _app_command(commands)
    return parser


def _app_command(commands) -> None:
    command = commands.add_parser(
        "app",
        help="a page in the browser on which pictures and films are dropped",
        description="Serve a page on this machine alone, and open it in the browser: pictures and films are dropped on"
        " it, labels and cuts corrected and saved. Results and uploads go into the folder. Ctrl-C ends it; films that"
        " are not done go on the next time.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument("--port", type=_port, default=8757, metavar="N", help="of the address; 0 takes a free one")
    command.add_argument(
        "--folder",
        type=lambda text: Path(_path(text)),
        default=".",
        help="films below it can be chosen by name; nothing else is read or written",
    )
    command.add_argument("--no-browser", dest="browser", action="store_false", help="only print the address")
    command.add_argument("--limit", type=_above_0(float), default=20, metavar="GB", help="of a film that is dropped")
    _classifier_options(command)
    command.set_defaults(run=app)


def _port(text: str) -> int:
    if not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port; give a number from 1024 to 65535, or 0")
    return int(text)


def _path(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("an empty path; name a file or a folder (is a variable of the shell unset?)")
    return text


def _table(text: str) -> Path:
    path = Path(_path(text))
    if path.suffix.lower() in {*picture_suffixes(), *VIDEO_SUFFIXES}:
        raise argparse.ArgumentTypeError(f"{_line(path)} is named like a picture or a film; name a table, as a.csv")
    return path


def _above_0(kind: type) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not 0 < kind(text) < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return kind(text)

    number.__name__ = kind.__name__
    return number


def _classifier_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--framework", choices=FRAMEWORKS, help="which one answers; without it ONNX where it is installed, else PyTorch"
    )
    command.add_argument(
        "--weights", type=lambda text: Path(_path(text)), help="your own weights file, with its card (.json) beside it"
    )


if __name__ == "__main__":
    sys.exit(main())

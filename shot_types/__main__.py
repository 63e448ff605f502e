"""Command line: `python -m shot_types classify FILES_OR_FOLDER --out table.csv`, `... film FILM --out FOLDER`."""

import argparse
import contextlib
import csv
import sys
import warnings
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from .classifier import FRAMEWORKS, load_classifier
from .files import replacing
from .labels import NAMES, SCALE
from .pictures import list_pictures


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 when a file failed, or 2 for a wrong call."""
    args = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # for names of files that are not UTF-8
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"shot_types: {message}", file=sys.stderr)
            return args.run(args)
    except (ValueError, OSError) as error:
        print(f"shot_types: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:  # a plain install has what `classify` needs
        print(
            f"shot_types: this needs the package {error.name}, which is not installed;"
            ' in a clone, pip install -e ".[light]" installs all but the frameworks',
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130


def classify(args: argparse.Namespace) -> int:
    """Print one line a picture; write the table to `--out`, when it is complete, and heat maps to `--heatmaps`."""
    files = [file for path in args.paths for file in (list_pictures(path) if Path(path).is_dir() else [path])]
    gradients = "pytorch" if args.heatmaps and not args.weights else None  # ONNX has none
    classifier = load_classifier(args.framework or gradients, args.weights)
    if args.heatmaps:
        from .heatmap import write_heat_map  # not above: it takes matplotlib, which a table does without
    answers = classifier.predict_iter(files, args.batch_size, on_error="skip")
    answers = tqdm(answers, total=len(files), unit="picture", disable=None, leave=False)
    width = min(60, max(len(str(file)) for file in files))
    counts, failed = Counter(), 0
    with contextlib.ExitStack() as stack:
        part = args.out and stack.enter_context(replacing(args.out))
        writer = part and csv.writer(
            stack.enter_context(part.open("w", newline="", encoding="utf-8", errors="surrogateescape"))
        )
        if writer:
            writer.writerow(["path", "label", "confidence", *SCALE, "error"])
        print(f"{'picture':{width}}  label  confidence   " + "  ".join(f"{label:>4}" for label in SCALE))
        for number, answer in enumerate(answers, 1):
            if answer.error:
                failed += 1
                tqdm.write(f"error: {answer.error}", file=sys.stderr)
                values = [None] * len(SCALE)
            else:
                counts[answer.label] += 1
                if args.heatmaps:
                    name = f"{number:04d}_{Path(answer.source).stem}_{answer.label}.jpg"
                    write_heat_map(classifier, answer.source, answer.label, args.heatmaps / name)
                values = [f"{answer.probabilities[label]:.4f}" for label in SCALE]
                shares = "  ".join(f"{answer.probabilities[label]:4.2f}" for label in SCALE)
                tqdm.write(f"{answer.source[-width:]:{width}}  {answer.label:5}  {answer.confidence:10.2f}   {shares}")
            if writer:
                confidence = None if answer.error else f"{answer.confidence:.4f}"
                writer.writerow([answer.source, answer.label, confidence, *values, answer.error])
    print(", ".join(f"{label} {counts[label]}" for label in SCALE) + (f"; {failed} failed" if failed else ""))
    return 1 if failed else 0


def film(args: argparse.Namespace) -> int:
    """Analyse each film, print its shots, and write table, pictures and exports to the folder `--out`."""
    from . import film
    from .film import many, report  # not above: they take a second, which `classify` does not need

    many.check_names(args.films)
    classifier = load_classifier(args.framework, args.weights)
    failed = 0
    for path in args.films:
        try:
            table = film.analyze(path, classifier, args.out, detector=args.detector, min_shot=args.min_shot)
            files = report.export(table)
        except (ValueError, OSError) as error:
            failed += 1
            print(f"shot_types: {error}", file=sys.stderr)
            continue
        columns = ["shot", "start", "end", "seconds", "label", "confidence", "agreement"]
        print(table[columns].to_string(index=False, na_rep="", float_format="%.2f"))
        print(f"shots: {len(table)}, {table['seconds'].mean():.2f} seconds on average; in {args.out}:")
        print(", ".join(file.name for file in files))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    scale = "\n".join(f"  {label:4} {NAMES[label]}" for label in SCALE)
    parser = argparse.ArgumentParser(
        prog="python -m shot_types",
        description="How close is the camera? Shot scale of pictures, from near to far:\n" + scale,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "classify",
        help="the shot scale of pictures",
        description="Print label, confidence and the five probabilities of each picture."
        " The exit status is 1 when a file could not be read; the others are still classified.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument("paths", nargs="+", metavar="FILES_OR_FOLDER", help="pictures, or folders of pictures")
    _classifier_options(command)
    command.add_argument("--batch-size", type=int, default=32, metavar="N", help="pictures in one go")
    command.add_argument("--out", type=Path, metavar="TABLE.CSV", help="write the table to this file too")
    command.add_argument(
        "--heatmaps",
        type=Path,
        metavar="FOLDER",
        help="write pictures of what each label rests on to this folder; takes PyTorch (or --framework tensorflow)",
    )
    command.set_defaults(run=classify)
    command = commands.add_parser(
        "film",
        help="the shots of a film and their scale",
        description="Find the shots of each film and their scale; write table, figures, contact sheet, web page and"
        " files for editing programs (EDL, OTIO, WebVTT). Stopped work goes on at the next call. To correct the"
        " result, change labels in the CSV file and call again: everything else follows it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument("films", nargs="+", metavar="FILM", help="video files")
    command.add_argument("--out", type=Path, default="analysis", metavar="FOLDER", help="where everything goes")
    _classifier_options(command)
    command.add_argument(
        "--detector", default="adaptive", help="PySceneDetect's: adaptive, content, hash, histogram or threshold"
    )
    command.add_argument("--min-shot", type=float, default=0.25, metavar="SECONDS", help="no shot is shorter")
    command.set_defaults(run=film)
    return parser


def _classifier_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--framework", choices=FRAMEWORKS, help="which one answers; without it ONNX where it is installed, else PyTorch"
    )
    command.add_argument("--weights", type=Path, help="your own weights file, with its card (.json) beside it")


if __name__ == "__main__":
    sys.exit(main())

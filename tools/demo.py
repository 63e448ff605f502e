"""Classify the example pictures and print one table: what `make demo` does, and with --light `make demo-light`.

Without --light both classifier notebooks run, one model each, and are left, executed, in build/demo. With it the
package answers through ONNX Runtime, and nothing that is not in requirements-light.txt is imported.
"""

import argparse
import csv
import sys
from pathlib import Path

from shot_types import load_classifier
from shot_types.files import write
from shot_types.pictures import list_pictures

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
NOTEBOOKS = {"PyTorch": "PyTorch_Model_Classifier.ipynb", "TensorFlow": "TF_Model_Classifier.ipynb"}
OUT = ROOT / "build" / "demo"


def run(notebook: Path, out: Path):
    """Execute a notebook in its own folder and write it, executed, to `out`; returns its `NotebookNode`."""
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(notebook, as_version=4)
    NotebookClient(
        book, timeout=1200, kernel_name="python3", resources={"metadata": {"path": notebook.parent}}
    ).execute()
    write(out, nbformat.writes(book))
    return book


def printed(book, tag: str) -> str:
    """What the cells tagged `tag` printed."""
    cells = [cell for cell in book.cells if tag in cell.metadata.get("tags", ())]
    return "".join(output.text for cell in cells for output in cell.outputs if output.output_type == "stream")


def side_by_side(tables: dict[str, str]) -> str:
    """One table out of those that the notebooks print: picture, label and confidence of each model, person."""
    lines = {name: [line.split() for line in table.splitlines()[1:] if line] for name, table in tables.items()}
    out = [f"{'picture':32}" + "".join(f"{name:>16}" for name in tables) + "   person"]
    for rows in zip(*lines.values(), strict=True):
        answers = "".join(f"{label:>11} {confidence}" for _, label, confidence, *_ in rows)
        person = rows[0][3:4]  # not every picture has one
        said = {label for _, label, *_ in rows}.union(person)
        out.append(f"{rows[0][0]:32}{answers}   {''.join(person):4}{' <--' if len(said) > 1 else ''}".rstrip())
    return "\n".join(out)


def both() -> None:
    """Print the answers of both models side by side, out of their notebooks."""
    tables = {framework: printed(run(ROOT / name, OUT / name), "table") for framework, name in NOTEBOOKS.items()}
    print(side_by_side(tables))
    print("An arrow: the models and the person do not all say the same.")
    print("Executed notebooks:", *((OUT / name).relative_to(ROOT) for name in NOTEBOOKS.values()))


def light() -> None:
    """Print the answers of the ONNX file; raises ValueError or OSError as `load_classifier` does."""
    with (EXAMPLES / "labels.csv").open(newline="") as file:
        person = {row["path"]: row["label"] for row in csv.DictReader(file)}
    classifier = load_classifier("onnx")
    print(f"{'picture':32} {'label':6} {'confidence':10}  person")
    for answer in classifier.predict_iter(list_pictures(EXAMPLES)):
        name = Path(answer.source).name
        said = person.get(name, "")
        mark = "<--" if said not in ("", answer.label) else ""
        print(f"{name:32} {answer.label:6} {answer.confidence:10.2f}  {said:4} {mark}".rstrip())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--light", action="store_true", help="by ONNX Runtime alone")
    try:
        light() if parser.parse_args().light else both()
    except (ValueError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

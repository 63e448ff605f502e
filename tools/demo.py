"""Run both classifier notebooks on the example pictures and print one table: what `make demo` does."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from shot_types.files import write

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = {"PyTorch": "PyTorch_Model_Classifier.ipynb", "TensorFlow": "TF_Model_Classifier.ipynb"}
OUT = ROOT / "build" / "demo"


def run(notebook: Path, out: Path) -> nbformat.NotebookNode:
    """Execute a notebook in its own folder and write it, executed, to `out`."""
    book = nbformat.read(notebook, as_version=4)
    NotebookClient(
        book, timeout=1200, kernel_name="python3", resources={"metadata": {"path": notebook.parent}}
    ).execute()
    write(out, nbformat.writes(book))
    return book


def printed(book: nbformat.NotebookNode, tag: str) -> str:
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


def main() -> int:
    tables = {}
    for framework, name in NOTEBOOKS.items():
        tables[framework] = printed(run(ROOT / name, OUT / name), "table")
    print(side_by_side(tables))
    print("An arrow: the models and the person do not all say the same.")
    print("Executed notebooks:", *((OUT / name).relative_to(ROOT) for name in NOTEBOOKS.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

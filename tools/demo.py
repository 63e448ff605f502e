"""Run the classifier notebook on the example pictures and print its table: what `make demo` does."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ("PyTorch_Model_Classifier.ipynb",)
OUT = ROOT / "build" / "demo"


def run(notebook: Path, out: Path) -> nbformat.NotebookNode:
    """Execute a notebook in its own folder and write it, executed, to `out`."""
    book = nbformat.read(notebook, as_version=4)
    NotebookClient(
        book, timeout=1200, kernel_name="python3", resources={"metadata": {"path": notebook.parent}}
    ).execute()
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    nbformat.write(book, part)
    part.replace(out)
    return book


def printed(book: nbformat.NotebookNode, tag: str) -> str:
    """What the cells tagged `tag` printed."""
    cells = [cell for cell in book.cells if tag in cell.metadata.get("tags", ())]
    return "".join(output.text for cell in cells for output in cell.outputs if output.output_type == "stream")


def main() -> int:
    for name in NOTEBOOKS:
        book = run(ROOT / name, OUT / name)
        print(printed(book, "table"))
        print(f"Executed notebook: {(OUT / name).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Classify the example pictures through ONNX Runtime and print their table: what `make demo-light` does."""

import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from shot_types import load_classifier
from shot_types.pictures import list_pictures

EXAMPLES = ROOT / "examples"


def main() -> int:
    try:
        classifier = load_classifier("onnx")
    except (ValueError, OSError) as error:
        print(f"demo-light: {error}", file=sys.stderr)
        return 1
    with (EXAMPLES / "labels.csv").open(newline="") as file:
        person = {row["path"]: row["label"] for row in csv.DictReader(file)}
    print(f"{'picture':32} {'label':6} {'confidence':10}  person")
    for answer in classifier.predict_iter(list_pictures(EXAMPLES)):
        name = Path(answer.source).name
        said = person.get(name, "")
        mark = "<--" if said not in ("", answer.label) else ""
        print(f"{name:32} {answer.label:6} {answer.confidence:10.2f}  {said:4} {mark}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())

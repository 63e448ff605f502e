"""A data set of the pictures and the clip in `examples/`, so that the training notebooks run where no data are."""

from pathlib import Path

import pandas as pd
from PIL import Image

from ..dataset import write_csv
from ..files import replacing
from ..pictures import read_image
from ..video import read_video_frame

SIDES = ("train", "train", "train", "val", "test")


def from_examples(examples: str | Path, out: str | Path) -> Path:
    """Write `out`/frames.csv and pictures: those of `examples` to train on, and five frames of each shot of its clip.

    Frames of a shot lie on all sides of the split, so figures on it mean nothing. Returns `out`; what is there stays.
    """
    examples, out = Path(examples), Path(out)
    if (out / "frames.csv").is_file():
        return out
    labels = pd.read_csv(examples / "labels.csv")
    rows = [(read_image(examples / row.path), row.label, Path(row.path).stem, "train") for row in labels.itertuples()]
    for shot in pd.read_csv(examples / "clip_shots.csv").itertuples():
        for place, side in enumerate(SIDES):
            seconds = shot.start_seconds + (0.5 + place) / len(SIDES) * (shot.end_seconds - shot.start_seconds)
            rgb = read_video_frame(examples / "clip.mp4", seconds=seconds)
            rows.append((rgb, shot.label, f"clip_{shot.shot}_{place}", side))
    for rgb, _, name, _ in rows:
        with replacing(out / f"{name}.jpg") as part:
            Image.fromarray(rgb).save(part, "JPEG", quality=90)
    table = pd.DataFrame([(f"{name}.jpg", label, name, side) for _, label, name, side in rows])
    write_csv(table.set_axis(["path", "label", "group", "split"], axis=1), out / "frames.csv")
    return out

"""Data made of the pictures and the clip in `examples/`, so that every notebook runs to its end where no data are."""

import itertools
import json
from pathlib import Path

import pandas as pd
from PIL import Image

from ..dataset import SPLITS, write_csv
from ..files import replacing, write
from ..labels import SCALE
from ..pictures import read_image
from ..video import Video, read_video_frame, write_video
from .movieshots import VIDEO

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


def movieshots_from_examples(examples: str | Path, out: str | Path) -> Path:
    """MovieShots' layout in small: `out`/v1_split_trailer.json and the videos `out`/trailer/<movie>/shot_<shot>.mp4.

    Each of five films has a fifth of every shot of the clip in `examples`, so figures on them mean nothing. As in the
    real one, the official split divides films. Two faults are there to be found: film1 has one more shot, without a
    scale, and the last shot of film5 has no video. Returns `out`; what is there stays.
    """
    examples, out = Path(examples), Path(out)
    if (out / "v1_split_trailer.json").is_file():
        return out
    tree = {side: {} for side in SPLITS}
    shots = pd.read_csv(examples / "clip_shots.csv")
    with Video(examples / "clip.mp4") as video:
        shown = map(video.picture, video.decode(0))
        for row in shots.itertuples():
            pictures = list(itertools.islice(shown, row.end_frame - row.start_frame))
            for film in range(len(SIDES)):
                movie, shot = f"film{film + 1}", f"{row.shot:04d}"
                side = SIDES[(row.Index + film) % len(SIDES)]
                scale = {"label": row.label, "value": SCALE.index(row.label)}
                tree[side].setdefault(movie, {})[shot] = {"scale": scale}
                file = out / "trailer" / VIDEO.format(movie, shot)
                file.parent.mkdir(parents=True, exist_ok=True)
                first, end = (len(pictures) * part // len(SIDES) for part in (film, film + 1))
                write_video(file, pictures[first:end])
    file.unlink()
    tree["train"]["film1"][f"{len(shots) + 1:04d}"] = {}
    write(out / "v1_split_trailer.json", json.dumps(tree))
    return out

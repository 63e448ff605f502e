"""From picture files to labels: images/s of each way, memory, and how long the first answer takes.

On the same JPEG files of the sizes of video (720p, 1080p and 2160p, as many of each): (a) the way of the reference
repository, (b) ours one at a time, (c) ours in batches, (d) reading alone, and the same network as an ONNX file (e) one
at a time, (f) in batches. Rounds take turns, so that a slow moment of the machine hits all of them; the median counts.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (1280, 1920, 3840)


def make_pictures(folder: Path, count: int, widths=(1280, 1920)) -> list[Path]:
    """JPEG files with about as much detail as film frames, quality 90."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        width = widths[number % len(widths)]
        size = width, width * 9 // 16
        coarse = Image.fromarray(rng.integers(0, 256, (18, 32, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
        fine = Image.fromarray(rng.integers(0, 256, (size[1] // 2, size[0] // 2, 3), np.uint8)).resize(size)
        picture = Image.blend(coarse, fine.filter(ImageFilter.GaussianBlur(1)), 0.25)
        files.append(folder / f"{number:04d}.jpg")
        picture.save(files[-1], quality=90)
    return files


def reference_way():
    """One picture at a time, resized as a whole tensor to 128 x 128, a head of two 4096-wide layers."""
    import torch
    from torch import nn
    from torchvision.models import mobilenet_v3_large
    from torchvision.transforms.functional import resize, to_tensor

    network = mobilenet_v3_large()
    network.classifier = nn.Sequential(
        nn.Linear(960, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 5),
    )
    network.eval()

    def classify(files):
        with torch.no_grad():
            for file in files:
                x = resize(to_tensor(Image.open(file).convert("RGB")), [128, 128], antialias=True)
                network(x[None]).softmax(1).argmax(1).item()

    return classify


def speed(framework: str, count: int, rounds: int) -> None:
    from shot_types import load_classifier
    from shot_types.classifier import FRAMEWORKS, MODELS
    from shot_types.cores import cores
    from shot_types.pictures import load_frame

    reference = reference_way()  # first: TensorFlow cannot be imported before torchvision
    classifier = load_classifier(framework)
    height, width = classifier.card["height"], classifier.card["width"]

    def read(files):
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(lambda file: load_frame(file, height, width), files))

    ways = {
        "a  reference's way, one at a time": reference,
        "b  ours, one at a time": lambda files: [classifier.predict(file) for file in files],
        "c  ours, in batches": lambda files: list(classifier.predict_iter(files)),
        "d  reading alone": read,
    }
    exported = (MODELS / FRAMEWORKS[framework]).with_suffix(".onnx")
    if exported.is_file():
        light = load_classifier("onnx", exported)
        ways["e  ONNX Runtime, one at a time"] = lambda files: [light.predict(file) for file in files]
        ways["f  ONNX Runtime, in batches"] = lambda files: list(light.predict_iter(files))
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for pixels in WIDTHS:
            place = Path(folder) / str(pixels)
            place.mkdir()
            files[pixels] = make_pictures(place, 8, (pixels,)) * max(1, round(count / 24))
        times = []
        for way in ways.values():
            way(files[WIDTHS[0]][:16])
        for number in range(rounds):
            for name, way in ways.items():
                for pixels in WIDTHS:
                    began = time.perf_counter()
                    way(files[pixels])
                    times.append((name, number, pixels, time.perf_counter() - began))
    table = pd.DataFrame(times, columns=["way", "round", "pixels", "seconds"])
    table = table.pivot_table(index=["way", "round"], columns="pixels", values="seconds")
    table["all"] = table.sum(axis=1)
    counts = pd.Series({pixels: len(files[pixels]) for pixels in WIDTHS} | {"all": sum(map(len, files.values()))})
    rates = counts / table.groupby("way").median()
    rates["x (a)"] = rates["all"] / rates["all"].iloc[0]
    print(f"{framework}, {height} x {width}: from JPEG files to labels, images/s by their width in pixels")
    print(rates.round(2).to_string(index_names=False))
    for way in rates.index[[row for row in (2, 5) if row < len(rates)]]:
        print(f"({way[0]}) as a share of (d):", (rates.loc[way] / rates.iloc[3]).drop("x (a)").round(2).to_dict())
    print()


def reading(height: int = 192, width: int = 336, runs: int = 10) -> None:
    """Milliseconds of one core from a JPEG file to a frame: Pillow, decoding the whole picture or, as we do, at reduced
    size; and libjpeg-turbo at reduced size by another package. Example pictures and made ones, by their width.
    """  # noqa: D205
    import simplejpeg

    from shot_types.pictures import load_frame, read_image, resize, trim_bars

    def ours(file):
        return load_frame(file, height, width)

    def whole(file):
        return resize(trim_bars(read_image(file)), height, width)

    def other(file):
        rgb = simplejpeg.decode_jpeg(file.read_bytes(), "RGB", min_height=height, min_width=width)
        return resize(trim_bars(rgb), height, width)

    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for pixels in WIDTHS:
            place = Path(folder, str(pixels))
            place.mkdir()
            files = make_pictures(place, 2, (pixels,))
            for example in sorted((ROOT / "examples").glob("*.jpg")):
                files.append(place / example.name)
                picture = (
                    Image.open(example).convert("RGB").resize((pixels, pixels * 9 // 16), Image.Resampling.LANCZOS)
                )
                picture.save(files[-1], quality=90)
            times = {way: [] for way in (whole, ours, other)}
            for _ in range(runs):
                for way, values in times.items():
                    began = time.thread_time()
                    frames = [way(file) for file in files]
                    values.append(1000 * (time.thread_time() - began) / len(files))
            row = {way.__name__: statistics.median(values) for way, values in times.items()}
            row["grey levels apart"] = np.mean(
                [np.abs(frame - ours(file).astype(int)).mean() for frame, file in zip(frames, files, strict=True)]
            )
            rows[pixels] = row
    print("ms of one core from JPEG files to frames: Pillow; ours, Pillow at reduced size; simplejpeg at reduced size")
    print(pd.DataFrame(rows).T.round(2).to_string(), end="\n\n")


def first_answer(framework: str) -> None:
    code = (
        "import time; t = time.perf_counter(); import sys; sys.path.insert(0, sys.argv[1]);"
        "from shot_types import load_classifier; import numpy as np;"
        "load_classifier(sys.argv[2]).predict(np.full((360, 640, 3), 90, np.uint8));"
        "print(round(1000 * (time.perf_counter() - t)))"
    )
    runs = [
        int(subprocess.run([sys.executable, "-c", code, ROOT, framework], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    print(f"{framework}: from import to the first answer {statistics.median(runs)} ms (median of 3 processes)")


def memory(framework: str, counts=(1000, 5000)) -> None:
    """Peak memory of a fresh process that classifies so many pictures from files."""
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder), 50)
        for count in counts:
            call = [sys.executable, "-m", "tools.benchmark.pictures", framework, str(count), folder]
            peak = subprocess.run(call, cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()
            print(f"{framework}: peak memory over {count} pictures {peak} MB")


def memory_of(framework: str, count: int, folder: Path) -> None:
    from shot_types import load_classifier

    files = sorted(folder.glob("*.jpg"))
    for _ in load_classifier(framework).predict_iter(files[number % len(files)] for number in range(count)):
        pass
    print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


if __name__ == "__main__":
    memory_of(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))

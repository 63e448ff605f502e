"""Speed and memory on this machine, all in one run: what `make benchmark` does.

Images/s from JPEG files to labels on the same pictures, of the sizes of video (720p, 1080p and 2160p, as many of each):
(a) the way of the reference repository, (b) ours one at a time, (c) ours in batches, (d) reading alone, and the same
network as an ONNX file (e) one at a time, (f) in batches. Rounds take turns, so that a slow moment of the machine hits
all of them; the median round counts. Then the network alone, in several engines and precisions (`tools/networks.py`);
memory; shots/s from 1080p videos to three frames each, beside two ffmpeg
processes that write the same frames; a film to its table of shots, beside PySceneDetect's detector alone; and the
memory that a short film and a long one take.
"""

import argparse
import contextlib
import io
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = (1280, 1920, 3840)
sys.path.insert(0, str(ROOT))


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
    from shot_types.onnx import OnnxRuntime, OpenVino
    from shot_types.pictures import load_frame

    reference = reference_way()  # first: TensorFlow cannot be imported before torchvision
    classifier = load_classifier(framework)
    height, width = classifier.card["height"], classifier.card["width"]

    def read(files):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
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
        engine = {OnnxRuntime: "ONNX Runtime", OpenVino: "OpenVINO"}[type(light.network.engine)]
        ways[f"e  {engine}, one at a time"] = lambda files: [light.predict(file) for file in files]
        ways[f"f  {engine}, in batches"] = lambda files: list(light.predict_iter(files))
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


def make_shots(folder: Path, count: int) -> pd.DataFrame:
    """Videos of three seconds at 1080p, a slow pan over a picture, laid out like MovieShots; one file, many names."""
    first = folder / "tt0000/shot_0000.mp4"
    first.parent.mkdir(parents=True)
    picture = np.asarray(Image.open(make_pictures(folder, 1, (2080,))[0]))
    with av.open(str(first), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for step in range(0, 144, 2):
            view = np.ascontiguousarray(picture[:1080, step : step + 1920])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode())
    for number in range(1, count):
        os.link(first, first.with_name(f"shot_{number:04d}.mp4"))
    return pd.DataFrame({"movie": "tt0000", "shot": [f"{number:04d}" for number in range(count)]})


def extraction(count: int, rounds: int = 3) -> None:
    """Three frames of each 1080p shot: ours with two processes, and two ffmpeg processes."""
    from shot_types.training.movieshots import extract_frames

    if not shutil.which("ffmpeg"):
        return print("three frames a shot: ffmpeg is not installed, so there is nothing to compare with\n")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        table = make_shots(folder / "trailer", count)

        def ours(out):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                extract_frames(table, folder / "trailer", out, height=256, workers=2)

        def ffmpeg(out):
            out.mkdir()
            middles = r"select=eq(n\,12)+eq(n\,36)+eq(n\,60),scale=-2:256"  # the same frames, of 72

            def one(shot):
                call = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", folder / f"trailer/tt0000/shot_{shot}.mp4"]
                call += ["-vf", middles, "-vsync", "0", "-frames:v", "3", out / f"{shot}_%d.jpg"]
                subprocess.run(call, check=True)

            with ThreadPoolExecutor(2) as pool:
                list(pool.map(one, table["shot"]))

        seconds = {ours: [], ffmpeg: []}
        for number in range(rounds):
            for way, values in seconds.items():
                began = time.perf_counter()
                way(folder / f"{way.__name__}{number}")
                values.append(time.perf_counter() - began)
        assert len(list(folder.glob("ours0/**/*.jpg"))) == len(list(folder.glob("ffmpeg0/*.jpg"))) == 3 * count
    a, b = (count / statistics.median(values) for values in seconds.values())
    print(f"three frames of each of {count} shots of 1080p and three seconds: ours, two processes {a:.1f} shots/s;")
    print(f"  two ffmpeg processes {b:.1f} shots/s; ours is {a / b:.2f} x as fast\n")


def memory(framework: str, counts=(1000, 5000)) -> None:
    """Peak memory of a fresh process that classifies so many pictures from files."""
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder), 50)
        for count in counts:
            call = [sys.executable, __file__, "--framework", framework, "--memory-of", str(count), folder]
            peak = subprocess.run(call, capture_output=True, check=True, text=True).stdout.strip()
            print(f"{framework}: peak memory over {count} pictures {peak} MB")


def memory_of(framework: str, count: int, folder: Path) -> None:
    from shot_types import load_classifier

    files = sorted(folder.glob("*.jpg"))
    for _ in load_classifier(framework).predict_iter(files[number % len(files)] for number in range(count)):
        pass
    print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def make_film(path: Path, seconds: int, shot: float = 4.0) -> None:
    """A film of 1280 x 720 at 24 frames/s, H.264, slow pans and grain; `shot` seconds each."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        pictures = [np.asarray(Image.open(file)) for file in make_pictures(Path(folder), 10, (1408,))]
    pictures += [
        np.asarray(Image.open(file).convert("RGB").resize((1408, 792)))
        for file in sorted((ROOT / "examples").glob("*.jpg"))
    ]
    grain = [rng.normal(0, 4, (720, 1280, 1)).astype(np.int16) for _ in range(5)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number in range(24 * seconds):
            part, pan = divmod(number, round(24 * shot))
            rgb = pictures[part % len(pictures)][36:756, pan : pan + 1280] + grain[number % 5]
            frame = av.VideoFrame.from_ndarray(np.clip(rgb, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def film_speed(framework: str, seconds: int, own: Path | None = None, rounds: int = 3) -> None:
    """A film to its table of shots, and the same film through PySceneDetect's adaptive detector alone, in turns."""
    import scenedetect

    from shot_types import film, load_classifier
    from shot_types.video import Video

    with tempfile.TemporaryDirectory() as folder:
        path = own or Path(folder) / "film.mp4"
        if not own:
            make_film(path, seconds)
        with Video(path) as video:
            seconds, (height, width), fps = video.seconds, video.shape, 1 / video.frame_seconds
        classifier = load_classifier(framework)
        for batch in range(2, 8):  # the first answers are slow, which a whole film does not notice
            classifier.predict_proba([np.zeros((360, 640, 3), np.uint8)] * batch)
        spent = []
        for number in range(rounds):
            _, *theirs = processor_time(lambda: scenedetect.detect(str(path), scenedetect.AdaptiveDetector()))
            table, *ours = processor_time(lambda: film.analyze(path, classifier, Path(folder) / str(number)))  # noqa: B023
            spent.append((*theirs, *ours))
        their_wall, theirs, wall, ours = (statistics.median(values) for values in zip(*spent, strict=True))
        rate = 8 * path.stat().st_size / seconds / 1e6
        about = f"{seconds:.0f} s, {width} x {height} at {fps:.2f} frames/s, {rate:.1f} Mbit/s, {len(table)} shots"
        print(f"\n{framework}: film of {about}; median of {rounds}")
        print(f"  {wall:.1f} s on the clock, {seconds / wall:.1f} x real time; {ours:.1f} s of processor time")
        print(f"  detect-adaptive alone: {their_wall:.1f} s, {seconds / their_wall:.1f} x, {theirs:.1f} s of processor")
        print(f"  processor time: {ours / theirs:.2f} times that of detect-adaptive")
        for name, value in table.attrs["work_seconds"].items():  # classifying goes on beside the others
            print(f"  {name:14} {value:6.2f} s  {value / wall:4.0%}")


def processor_time(work) -> tuple:
    """What it gives, seconds on the clock, and seconds of processor time."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    result = work()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return result, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def film_memory(lengths: tuple[int, ...] = (60, 240)) -> None:
    """Peak memory of a fresh process that analyses a film of so many seconds."""
    code = (
        "import resource, sys, tempfile; sys.path.insert(0, sys.argv[1]); from shot_types import film, load_classifier;"
        "film.analyze(sys.argv[2], load_classifier('onnx'), tempfile.mkdtemp(dir=sys.argv[3]));"
        "print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))"
    )
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths:
            make_film(path := Path(folder) / f"{seconds}.mp4", seconds)
            call = [sys.executable, "-c", code, ROOT, path, folder]
            peak = subprocess.run(call, capture_output=True, check=True, text=True).stdout.strip()
            print(f"onnx: peak memory over a film of {seconds} s {peak} MB")


def alone(framework: str, data: Path, rounds: int) -> None:
    """In a process of its own, since it imports all frameworks at once."""
    call = [sys.executable, ROOT / "tools/networks.py", framework, data, str(rounds)]
    subprocess.run(call, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=["pytorch", "tensorflow", "onnx"], help="one of them; without it, all")
    parser.add_argument("--count", type=int, default=200, help="pictures in each round, 0 for none")
    parser.add_argument(
        "--data", type=Path, default=ROOT / "data/shotmix", help="a data set, for the figures of the network alone"
    )
    parser.add_argument("--shots", type=int, default=60, help="videos to take frames from, 0 for none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--film", type=int, default=120, metavar="SECONDS", help="length of the film, 0 for none")
    parser.add_argument("--own-film", type=Path, metavar="FILE", help="this film, instead of a made one")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        return memory_of(args.framework, args.memory_of, args.folder)
    for framework in ([args.framework] if args.framework else ["pytorch", "tensorflow", "onnx"]) if args.count else ():
        if framework != "onnx":  # measured beside the framework that it was made from
            speed(framework, args.count, args.rounds)
            alone(framework, args.data, args.rounds)
        first_answer(framework)
        memory(framework)
    if args.shots:
        extraction(args.shots)
    if args.film:
        for framework in [args.framework] if args.framework else ["pytorch", "onnx"]:
            film_speed(framework, args.film, args.own_film)
        film_memory()


if __name__ == "__main__":
    main()

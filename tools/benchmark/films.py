"""Films: frames out of 1080p shots beside ffmpeg, a film to its table beside PySceneDetect, memory, many workers."""

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
from PIL import Image

from .pictures import ROOT, make_pictures


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


def many_workers(counts: list[int], seconds: int = 15) -> None:
    """Films a minute by how many films are analysed at a time, on one core and on all; each of so many `seconds`.

    Each line is a run of its own, bound to its cores, over as many films as workers, four at least; the second column
    is the memory of all its processes together.
    """
    code = (
        "import sys, tempfile, time\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from shot_types import film\n"
        "if __name__ == '__main__':\n"
        "    out, began = tempfile.mkdtemp(dir=sys.argv[2]), time.perf_counter()\n"
        "    film.analyze_many(sys.argv[2] + '/films', out, framework='onnx', workers=int(sys.argv[3]))\n"
        "    print(time.perf_counter() - began)\n"
    )
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "many.py")
        script.write_text(code)
        make_film(made := Path(folder, "made.mp4"), seconds)
        every = sorted(os.sched_getaffinity(0))
        for bound in ([every[0]], every):
            for workers in counts:
                shutil.rmtree(films := Path(folder, "films"), ignore_errors=True)
                films.mkdir()
                for number in range(max(4, workers)):
                    os.link(made, films / f"{number}.mp4")
                call = [sys.executable, script, ROOT, folder, str(workers)]
                bind = lambda bound=bound: os.sched_setaffinity(0, bound)  # noqa: E731
                run = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=bind)
                peak = 0
                while run.poll() is None:
                    peak = max(peak, _memory(run.pid))
                    time.sleep(0.2)
                took = float(run.stdout.read())
                lines.append((len(bound), workers, max(4, workers) / took * 60, took, peak))
    print(f"\nmany films of {seconds} s, 720p, a worker each")
    columns = ["cores", "workers", "films a minute", "seconds", "MB of all together"]
    print(pd.DataFrame(lines, columns=columns).round(1).to_string(index=False))


def _memory(parent: int) -> int:
    """Megabytes of a process and those below it, memory that they share counted once a process that has it."""
    pages, children = 0, {parent}
    for status in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        with contextlib.suppress(OSError, IndexError):
            fields = status.read_text().rpartition(")")[2].split()
            number = int(status.parent.name)
            if number in children or int(fields[1]) in children:
                children.add(number)
                pages += int(fields[21])
    return pages * resource.getpagesize() // 1_000_000

"""Damaged films and pictures: what `make fuzz` tries, on Linux.

Thirty small films and pictures of many formats are made, and each run damages one of them: bytes flipped, overwritten,
cut, left out or doubled, here or in the header. Child processes read them through the package. A finding is a child
that dies, hangs or takes too much memory, an error that is not the package's own, and a film without a note whose
table does not cover it. The number of a run fixes everything about it: `tools/fuzz.py --first NUMBER --count 1`.
"""

import argparse
import contextlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from shot_types import Classifier, FrameError, film
from shot_types.pictures import read_image

SECONDS, MEMORY = 30, 1 << 30  # of one run: time, and the bytes that a child has
KEPT = ROOT / "build" / "fuzz"
# The files, whose names are FFmpeg's encoder or Pillow's mode, and the format.
NEW = ["libx264.mp4", "libx264.ts", "mpeg4.mp4", "libx265.mkv", "libvpx.webm", "libvpx-vp9.webm", "libvpx.ogv"]
OLD = ["mpeg4.avi", "mjpeg.avi", "wmv2.wmv", "flv.flv", "mpeg2video.mpg", "mpeg2video.m2ts", "mpeg2video.mxf"]
FILMS = [*NEW, *OLD, "ffv1.mkv", "prores_ks.mov", "qtrle.mov", "wrapped_avframe.y4m"]
PICTURES = ["RGB.jpg", "CMYK.jpg", "RGB.webp", "RGB.jp2", "P.gif", "RGB.bmp", "RGB.ppm", "RGB.tga", "RGBA.ico"]
PICTURES += ["RGBA.png", "RGB.tif", "F.tif"]


def make(folder: Path) -> list[Path]:
    """The files of FILMS and PICTURES, whole, in `folder`."""
    rng = np.random.default_rng(0)
    shots = [np.kron(rng.integers(40, 220, (4, 6, 3), np.uint8), np.ones((16, 16, 1), np.uint8)) for _ in range(2)]
    files = [folder / name for name in (*FILMS, *PICTURES)]
    for path in files[: len(FILMS)]:
        scale, count = (12, 12) if path.name == "mpeg4.mp4" else (1, 72)  # reduced decoding begins at 720 lines
        options = {"x265-params": "log-level=0:pools=1"} if path.stem == "libx265" else {}
        with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as file:
            stream = file.add_stream(path.stem, 24, options=options)
            stream.height, stream.width, stream.thread_count = 64 * scale, 96 * scale, 1
            stream.pix_fmt = next((kind.name for kind in stream.codec.video_formats or ()), "yuv420p")
            for number in range(count):
                rgb = np.roll(shots[2 * number // count], number, axis=1).repeat(scale, 0).repeat(scale, 1)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
            file.mux(stream.encode())
    for path in files[len(FILMS) :]:
        more = {"save_all": True, "append_images": [Image.new("P", (96, 64))]} if path.suffix == ".gif" else {}
        Image.fromarray(shots[0]).convert(path.stem).save(path, **more)
    return files


def damaged(data: bytes, number: int) -> bytes:
    """The bytes of a file with the damage of run `number`."""
    rng = np.random.default_rng(number)
    for _ in range(rng.integers(1, 4)):
        reach = min(len(data), int(rng.choice([64, 1024, len(data)])))  # the header, or anywhere
        at = int(rng.integers(0, max(1, reach)))
        size = int(rng.choice([1, 4, 64, 1024, max(1, len(data) // 4)]))
        kind, new, some = rng.integers(0, 6), bytearray(data), data[at : at + size]
        if kind == 0:  # bits
            for place in rng.integers(0, max(1, reach), min(size, 64)):
                new[place : place + 1] = bytes([value ^ 1 << rng.integers(0, 8) for value in new[place : place + 1]])
        elif kind == 1:  # a number as large or small as it can be
            new[at : at + 4] = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x80"])
        else:
            put = [rng.bytes(len(some)), bytes(len(some)), 2 * some, b""][kind - 2]
            new[at : at + size] = put
            if kind == 5 and rng.random() < 0.5:
                del new[at:]
        data = bytes(new)
    return data


def plain_times(path: Path) -> tuple[list[float], int]:
    """By PyAV alone: when the frames are shown, in seconds, and how many packets or readings failed after the first."""
    times, failed = [], 0
    with contextlib.suppress(av.error.FFmpegError, IndexError), av.open(str(path), metadata_errors="replace") as file:
        stream = file.streams.video[0]
        stream.thread_type = "AUTO"  # some decoders refuse with threads of one kind what they take with another
        packets = file.demux(stream)
        while failed < 1000:
            try:
                times += [frame.time for frame in next(packets).decode()]
            except StopIteration:
                return times, failed
            except av.error.FFmpegError:
                failed += bool(times)
    return times, failed + 1


def fault(path: Path, out: Path) -> str:
    """What is wrong with how the package reads a file; "" where nothing is."""
    card = {"network": "even", "sha256": "0", "temperature": 1, "height": 36, "width": 64}
    classifier = Classifier(lambda batch: np.zeros((len(batch), 5), np.float32), card)
    try:
        if path.name not in FILMS:
            read_image(path)
            classifier.predict(path)
            return ""
        table = film.analyze(path, classifier, out, progress=False)
    except FrameError as error:
        return "" if str(path) in str(error) and "\n" not in str(error) else f"unclear error: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    starts, ends = table["start_seconds"].to_numpy(), table["end_seconds"].to_numpy()
    if starts[0] != 0 or (starts[1:] != ends[:-1]).any() or (ends <= starts).any():
        return "the shots do not follow each other"
    times, failed = plain_times(path)
    if table.attrs["note"] or not times:
        return ""
    if failed:
        return f"no note, but FFmpeg fails {failed} times"
    if None not in times and times == sorted(times) and ends[-1] < times[-1] - times[0] - 0.5:
        return f"no note, but the table ends at {ends[-1]:.2f}, the film at {times[-1] - times[0]:.2f} seconds"
    return ""


def over(process: int | str, name: str) -> str:
    """What to say where Linux counts too much memory for a process: `VmRSS`, or `VmHWM`, the most it ever had."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    taken = next((1024 * int(line.split()[1]) for line in lines if line.startswith(name)), 0)
    return f"over {MEMORY >> 20} MB" if taken > MEMORY else ""


def child(connection, folder: Path) -> None:
    """Answer each number with what was wrong in that run."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # notes on films that break off
    files = [folder / name for name in (*FILMS, *PICTURES)]
    for number in iter(connection.recv, None):
        file = files[number % len(files)]
        with tempfile.TemporaryDirectory(dir=folder) as work:
            path = Path(work, file.name)
            path.write_bytes(damaged(file.read_bytes(), number))
            found = fault(path, Path(work, "out"))
        connection.send(found or over("self", "VmHWM"))


def results(numbers: Iterator[int], folder: Path) -> Iterator[tuple[int, str]]:
    """(number, finding or "") of each run, in one child at a time; a new one follows one that ended."""
    process = None
    for number in numbers:
        if not process:
            here, there = multiprocessing.Pipe()
            process = multiprocessing.get_context("spawn").Process(target=child, args=(there, folder), daemon=True)
            process.start()
            there.close()
            start = 60
        here.send(number)
        # A limit of the address space would count what is mapped and never used: what is used is looked at instead.
        end, found = time.monotonic() + SECONDS + start, ""
        try:
            while not here.poll(0.05) and not found:
                found = f"hangs, over {SECONDS} s" if time.monotonic() > end else over(process.pid, "VmRSS")
            found, start = found or here.recv(), 0
            alive = not found.startswith(("hangs", "over"))
        except (EOFError, OSError):
            process.join(5)
            found, alive = f"the process died: {process.exitcode}", False
        yield number, found
        if not alive:
            process.kill()
            process = None
    if process:
        here.send(None)


def main() -> int:
    """Try the runs that the command line asks for; returns the exit status, 1 where something was found."""
    parser = argparse.ArgumentParser(description="Damaged films and pictures through the package.")
    for name, value in (("first", 0), ("count", 2000), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"without it {value}")
    args = parser.parse_args()
    began = time.monotonic()
    numbers = range(args.first, args.first + args.count)
    shutil.rmtree(KEPT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(args.workers) as pool:
        files = make(Path(name))

        def share(worker: int) -> int:
            found = 0
            for number, finding in results(iter(numbers[worker :: args.workers]), Path(name)):
                if finding:
                    found += 1
                    file = files[number % len(files)]
                    KEPT.mkdir(parents=True, exist_ok=True)
                    (KEPT / f"{number}_{file.name}").write_bytes(damaged(file.read_bytes(), number))
                    print(f"{number} {file.name}: {finding}", flush=True)
            return found

        findings = sum(pool.map(share, range(args.workers)))
    seconds = time.monotonic() - began
    print(
        f"fuzz: {args.count} runs on {len(files)} files in {seconds:.0f} s, {findings} findings"
        + f"; see {KEPT}" * bool(findings)
    )
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

"""Speed and memory on this machine, all in one run: what `make benchmark` does.

Each module beside this says what it measures: `pictures`, `networks` (the network alone), `films`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from .films import extraction, film_memory, film_speed, many_workers
from .pictures import ROOT, first_answer, memory, reading, speed


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
    parser.add_argument("--workers", type=int, nargs="*", default=[], help="films at a time, such as 1 2 4 8")
    args = parser.parse_args()
    for framework in ([args.framework] if args.framework else ["pytorch", "tensorflow", "onnx"]) if args.count else ():
        if framework != "onnx":  # measured beside the framework that it was made from
            speed(framework, args.count, args.rounds)
            sys.stdout.flush()  # what follows imports all frameworks, which takes a process of its own
            call = [sys.executable, "-m", "tools.benchmark.networks", framework, args.data, str(args.rounds)]
            subprocess.run(call, cwd=ROOT, check=True)
        first_answer(framework)
        memory(framework)
    if args.count:
        reading()
    if args.shots:
        extraction(args.shots)
    if args.film:
        for framework in [args.framework] if args.framework else ["pytorch", "onnx"]:
            film_speed(framework, args.film, args.own_film)
        film_memory()
    if args.workers:
        many_workers(args.workers)


if __name__ == "__main__":
    main()

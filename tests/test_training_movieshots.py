import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, textured, write_movieshots, write_video
from PIL import Image

from shot_types.dataset import DatasetError, divided_groups, official_split, split_by_group
from shot_types.training.examples import movieshots_from_examples
from shot_types.training.movieshots import annotation_problems, extract_frames, frame_table, read_annotations
from shot_types.video import read_video_frame

ANNOTATIONS = ROOT.parent / "shared" / "movieshots"
published = pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason=f"the published annotations are not at {ANNOTATIONS}")


def entry(scale="MS", movement="Static"):
    parts = {"movement": {"label": movement, "value": 4}}
    return parts if scale is None else {"scale": {"label": scale, "value": 2}, **parts}


def write(path, tree):
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


@published
@pytest.mark.parametrize("name", ["v1_full_trailer.json", "v1_split_trailer.json"])
def test_every_shot_of_the_first_version(name):
    table = read_annotations(ANNOTATIONS / name)
    assert len(table) == 33_653 and table["movie"].nunique() == 7_848
    assert table["label"].value_counts().to_dict() == {"CS": 7370, "ECS": 6509, "FS": 6803, "LS": 5562, "MS": 7409}
    assert table["movement"].notna().all() and annotation_problems(ANNOTATIONS / name).empty
    sides = table["official_split"].value_counts().to_dict()
    assert sides == ({"train": 23_557, "val": 6_764, "test": 3_332} if "split" in name else {})


@published
def test_the_second_version_has_movements_alone():
    table = read_annotations(ANNOTATIONS / "v2_full_trailer.json")
    assert len(table) == 606 and table["movie"].nunique() == 533
    assert table[["label", "official_split"]].isna().all(axis=None) and table["movement"].notna().all()
    assert annotation_problems(ANNOTATIONS / "v2_full_trailer.json")["problem"].value_counts().to_dict() == {
        "no scale": 606
    }


@published
def test_published_shots_are_split_by_film_with_every_class_at_its_share():
    table = read_annotations(ANNOTATIONS / "v1_split_trailer.json").assign(group=lambda table: table["movie"])
    assert divided_groups(official_split(table), "movie") == 4_851
    began = time.perf_counter()
    table = split_by_group(table)
    assert time.perf_counter() - began < 20
    assert divided_groups(table) == 0
    shares = pd.crosstab(table["label"], table["split"], normalize="index")
    assert (shares - pd.Series({"train": 0.6, "val": 0.2, "test": 0.2})).abs().to_numpy().max() < 0.01


def test_other_nestings_are_recognised(tmp_path):
    whole = {"tt1": {"0001": entry("CS"), "0002": entry("LS", "Push")}}
    for tree in (whole, {"full": {"movie": whole}}):
        table = read_annotations(write(tmp_path / "v3_full.json", tree))
        assert table.fillna("").to_numpy().tolist() == [
            ["tt1", "0001", "CS", "Static", ""],
            ["tt1", "0002", "LS", "Push", ""],
        ]
    table = read_annotations(write(tmp_path / "split.json", {"train": whole, "test": {"tt1": {"0003": entry()}}}))
    assert table["official_split"].tolist() == ["train", "train", "test"]


def test_problems_are_counted_and_named_and_lose_their_label(tmp_path):
    text = json.dumps(
        {"tt1": {"0001": entry("CS"), "0002": entry("XXL"), "0003": entry(None), "../x": entry(), "0005": "CS"}}
    )
    close, far, full = (json.dumps(entry(label)) for label in ("CS", "LS", "FS"))
    twice = f'{{"tt2": {{"0001": {close}, "0001": {far}, "0002": {full}, "0002": {full}}}, '
    path = write(tmp_path / "v1.json", twice + text[1:])
    found = annotation_problems(path).set_index(["movie", "shot"])["problem"].to_dict()
    assert found == {
        ("tt2", "0001"): "two labels",
        ("tt2", "0002"): "listed twice",
        ("tt1", "0002"): "unknown label",
        ("tt1", "0003"): "no scale",
        ("tt1", "../x"): "not a shot",
        ("tt1", "0005"): "no scale",
    }
    table = read_annotations(path)
    assert len(table) == 6 and table["label"].dropna().tolist() == ["FS", "CS"]
    assert "XXL" in annotation_problems(path)["detail"].tolist()


@pytest.mark.parametrize("text", ['{"tt1": {"0001": {"scale"', "[1, 2]", "{}", '{"tt1": 3}', "\udcff", ""])
def test_broken_files_are_named_and_not_a_traceback(tmp_path, text):
    path = tmp_path / "v1.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(DatasetError, match=r"v1\.json: no shots in this file .* get it again"):
        read_annotations(path)
    assert annotation_problems(path)["problem"].isin(["broken JSON", "not a shot"]).all()
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        annotation_problems(tmp_path / "none.json")


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("movieshots")
    table = write_movieshots(folder)
    out = folder / "out"
    return table, folder, out, extract_frames(table, folder / "trailer", out, count=3, height=64, workers=2)


def test_every_readable_shot_gives_its_frames(extracted):
    table, _, out, problems = extracted
    frames = frame_table(split_by_group(table.assign(group=table["movie"])), out)
    assert len(frames) == 3 * (len(table) - len(problems))
    assert frames.groupby("shot").size().eq(3).all() and divided_groups(frames) == 0
    labels = table.set_index(table["movie"] + "_" + table["shot"])["label"]
    assert (frames["label"].to_numpy() == labels[frames["shot"]].to_numpy()).all()
    for path in frames["path"]:
        with Image.open(out / path) as picture:
            picture.load()
            assert picture.height == 64 and 70 <= picture.width <= 160
    assert not list(out.rglob("*.part"))


def test_bars_are_gone(extracted):
    _, _, out, _ = extracted
    with Image.open(out / "frames/tt0001/0000_1.jpg") as picture:  # 2.4 : 1 in a 16 : 9 frame
        assert picture.width / picture.height == pytest.approx(2.4, abs=0.1)
        assert np.asarray(picture.convert("L"))[0].mean() > 40


def test_what_cannot_be_read_is_listed_with_its_reason(extracted):
    _, _, out, problems = extracted
    listed = pd.read_csv(out / "problems.csv", dtype=str)
    assert listed.to_numpy().tolist() == problems.to_numpy().tolist()
    reasons = {f"{row.movie}/{row.shot}": row.problem for row in problems.itertuples()}
    assert set(reasons) == {"tt0002/0001", "tt0003/0001", "tt0004/0001"}
    assert "no such file" in reasons["tt0002/0001"] and "cut short" in reasons["tt0003/0001"]
    assert "empty" in reasons["tt0004/0001"]


def test_frames_are_evenly_spread(tmp_path):
    (tmp_path / "tt1").mkdir()
    ramp = [np.full((96, 128, 3), 40 + 2 * number, np.uint8) for number in range(90)]
    write_video(tmp_path / "tt1/shot_0001.mp4", ramp, rate=30)
    table = pd.DataFrame({"movie": ["tt1"], "shot": ["0001"]})
    for name, wanted, settings in (("count", [15, 45, 75], {"count": 3}), ("every", [22, 67], {"every": 1.5})):
        extract_frames(table, tmp_path, tmp_path / name, height=32, workers=1, **settings)
        files = sorted((tmp_path / name / "frames/tt1").glob("*.jpg"))
        assert [np.asarray(Image.open(file)).mean() for file in files] == pytest.approx(
            [40 + 2 * number for number in wanted], abs=4
        )


def test_a_second_run_does_nothing_twice_and_other_settings_are_refused(extracted, capsys):
    table, folder, out, _ = extracted
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.jpg")}
    extract_frames(table, folder / "trailer", out, count=3, height=64, workers=1)
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*.jpg")} == before
    text = capsys.readouterr().out
    assert f"{len(table) - 3} of them done already" in text and "shots/s" in text and "MB on disk" in text
    with pytest.raises(DatasetError, match="frames made with"):
        extract_frames(table, folder / "trailer", out, count=4, height=64)


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process group as POSIX does")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_and_started_again(tmp_path, how):
    """Eighty shots, of which some are done when the process is killed."""
    videos = tmp_path / "trailer" / "tt1"
    videos.mkdir(parents=True)
    write_video(videos / "shot_0000.mp4", [textured(240, 320, seed) for seed in range(3) for _ in range(12)])
    for number in range(1, 80):
        os.link(videos / "shot_0000.mp4", videos / f"shot_{number:04d}.mp4")
    table = pd.DataFrame({"movie": "tt1", "shot": [f"{number:04d}" for number in range(80)]})
    table.to_csv(tmp_path / "shots.csv", index=False)
    script = tmp_path / "run.py"
    script.write_text(
        "import signal, sys, pandas as pd\nfrom shot_types.training.movieshots import extract_frames\n"
        "if __name__ == '__main__':\n    table = pd.read_csv('shots.csv', dtype=str)\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it\n"
        "    extract_frames(table, 'trailer', 'out', height=64, workers=2)\n"
    )
    out = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen([sys.executable, script], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    while len(list(out.glob("frames/tt1/*_1.jpg"))) < 5:
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(how)
    run.wait(30)
    time.sleep(1.0)  # its workers end with it
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.jpg")}
    complete = {file for file in before if file.with_name(f"{file.stem.partition('_')[0]}_1.jpg") in before}
    assert 15 <= len(complete) < 240
    for file in before:
        with Image.open(file) as picture:
            picture.load()
    extract_frames(table, tmp_path / "trailer", out, height=64, workers=2)
    after = {file: file.stat().st_mtime_ns for file in out.rglob("*.jpg")}
    assert len(after) == 240 and {file: after[file] for file in complete} == {file: before[file] for file in complete}
    assert not list(out.rglob("*.part"))


def test_the_stand_in_has_the_published_layout_and_two_faults(tmp_path):
    """Five films of pieces of the example clip's shots, each piece with the label of its shot."""
    folder = movieshots_from_examples(ROOT / "examples", tmp_path / "MovieShots")
    file = folder / "v1_split_trailer.json"
    assert annotation_problems(file).to_numpy().tolist() == [["film1", "0007", "no scale", ""]]
    table = read_annotations(file).dropna(subset="label").sort_values(["movie", "shot"])
    clip = pd.read_csv(ROOT / "examples/clip_shots.csv")
    assert table["label"].tolist() == 5 * clip["label"].tolist()
    assert divided_groups(official_split(table), "movie") == 5
    split = split_by_group(table.assign(group=table["movie"]))
    assert pd.crosstab(split["label"], split["split"]).to_numpy().min() >= 1
    for shot in (1, 5):  # film 3 has the third fifth of each
        start, end = clip.loc[shot, ["start_frame", "end_frame"]]
        first = read_video_frame(folder / f"trailer/film3/shot_{shot + 1:04d}.mp4", frame=0).astype(float)
        there = read_video_frame(ROOT / "examples/clip.mp4", frame=start + 2 * (end - start) // 5)
        assert abs(first - there).mean() < 6

    problems = extract_frames(table, folder / "trailer", tmp_path / "out", count=1, height=32, workers=1)
    assert problems[["movie", "shot"]].to_numpy().tolist() == [["film5", "0006"]]
    before = file.stat().st_mtime_ns
    assert movieshots_from_examples(tmp_path / "none", folder) == folder and file.stat().st_mtime_ns == before

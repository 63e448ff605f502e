import numpy as np
import pandas as pd
import pytest
from conftest import textured
from PIL import Image

from shot_types import dataset
from shot_types.dataset import DatasetError
from shot_types.labels import LABELS


def write(folder, text):
    (folder / "frames.csv").write_text(text)
    return folder


def test_read_dataset_gives_absolute_files(tmp_path):
    table = dataset.read_dataset(write(tmp_path, "path,label,group,split\na/b.jpg,MS,film,train\n"))
    assert table["file"].tolist() == [str(tmp_path / "a/b.jpg")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.jpg,MS\n", "columns missing: group, split"),
        ("path,label,group,split\na.jpg,MS,f,train\nb.jpg,XX,g,train\n", "unknown label, first in line 3: 'XX'"),
        ("path,label,group,split\na.jpg,MS,f,dev\n", "unknown split, first in line 2: 'dev'"),
        ("path,label,group,split\na.jpg,MS,f,train\nb.jpg,MS,f,test\n", "group 'f' is in more than one split"),
    ],
)
def test_broken_contract_is_named(tmp_path, text, message):
    with pytest.raises(DatasetError, match=message):
        dataset.read_dataset(write(tmp_path, text))


def test_missing_csv_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="from_folders"):
        dataset.read_dataset(tmp_path)


def test_soft_targets_are_the_mean_of_label_and_votes():
    table = pd.DataFrame(
        {
            "label": ["MS", "MS", "CS", "FS"],
            "seen_label": ["MS", "MS/CS", "MS/CS", "LS/X"],
            "second_label": ["", "CS", "", ""],
        }
    )
    soft = pd.DataFrame(dataset.soft_targets(table), columns=LABELS)
    assert soft["MS"].tolist() == pytest.approx([1, 0.5, 0.25, 0])
    assert soft["CS"].tolist() == pytest.approx([0, 0.5, 0.75, 0])
    assert soft["LS"].tolist() == pytest.approx([0, 0, 0, 0.5])
    plain = table[["label"]]
    assert (dataset.soft_targets(plain) == dataset.hard_targets(plain)).all()


def test_an_epoch_draws_one_frame_a_shot_and_honours_weights_and_balance():
    table = pd.DataFrame(
        {"label": ["CS"] * 30 + ["LS"] * 90, "shot": [f"s{n // 3}" for n in range(120)], "weight": 1.0}
    )
    rng = np.random.default_rng(0)
    rows = dataset.epoch_rows(table, rng)
    assert len(rows) == 40 and table["shot"].iloc[rows].nunique() == 40
    assert len(dataset.epoch_rows(table, rng, one_per_shot=False)) == 120
    drawn = {row for _ in range(20) for row in dataset.epoch_rows(table, rng)}
    assert drawn == set(range(120))
    balanced = table["label"].iloc[dataset.epoch_rows(table, rng, balance=1.0)].value_counts()
    assert balanced["CS"] == pytest.approx(balanced["LS"], abs=2)
    table.loc[0:29, "weight"] = 2.5
    heavy = table["label"].iloc[dataset.epoch_rows(table, rng)].value_counts()
    assert 20 <= heavy["CS"] <= 30 and heavy["LS"] == 30


def films(count=400, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for film in range(count):
        taste = rng.dirichlet(np.ones(5))
        rows += [(f"tt{film:04d}", rng.choice(LABELS, p=taste)) for _ in range(rng.integers(1, 30))]
    return pd.DataFrame(rows, columns=["group", "label"])


def test_split_by_group_keeps_films_whole_and_classes_at_their_share():
    table = dataset.split_by_group(films(), seed=3)
    assert (table.groupby("group")["split"].nunique() == 1).all()
    shares = pd.crosstab(table["label"], table["split"], normalize="index")
    assert (shares - pd.Series({"train": 0.6, "val": 0.2, "test": 0.2})).abs().to_numpy().max() < 0.02


def test_split_by_group_depends_on_the_seed_and_not_on_row_order():
    table = films()
    one = dataset.split_by_group(table, seed=1)
    shuffled = dataset.split_by_group(table.sample(frac=1, random_state=5), seed=1).sort_index()
    assert (one["split"] == shuffled["split"]).all()
    assert (one["split"] != dataset.split_by_group(table, seed=2)["split"]).any()
    with pytest.raises(DatasetError, match="sum to 1"):
        dataset.split_by_group(table, fractions=(0.5, 0.2, 0.2))


def test_from_folders_makes_a_data_set(tmp_path):
    for label in ("CS", "LS"):
        (tmp_path / label).mkdir()
        for film in range(5):
            for frame in range(2):
                Image.fromarray(textured(40, 60)).save(tmp_path / label / f"film{film}_{frame}.jpg")
    table = dataset.from_folders(tmp_path)
    assert len(table) == 20 and set(table["group"]) == {f"film{film}" for film in range(5)}
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(DatasetError, match="exists already"):
        dataset.from_folders(tmp_path)
    with pytest.raises(DatasetError, match="no subfolder is named like a class"):
        dataset.from_folders(tmp_path / "CS")

import hashlib
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import SHOTMIX, textured, write_dataset
from PIL import Image

from shot_types import dataset
from shot_types.dataset import DatasetError
from shot_types.labels import LABELS, SCALE


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
        ("path,label,group,split\na.jpg,MS,f,train\na.jpg,MS,f,train\n", "'a.jpg' is there twice"),
        ("", r"frames\.csv: not a CSV table"),
        ("path,label,group,split\na.jpg,MS,f,train\nb.jpg,MS,f,train,1,2\n", r"frames\.csv: not a CSV table"),
        ("path,label,group,split,weight\na.jpg,MS,f,train,1,5\n", r"frames\.csv: not a CSV table .*commas"),
        ("path,label,group,split\n\na.jpg,MS,f,train,1\n", r"frames\.csv: not a CSV table .line 3: "),
        ("path:label:group:split\na.jpg:MS:f:train\n", "columns missing: path.*; name them so in line 1"),
        ("path,label,group,split\n\na.jpg,MS,'x\n,XX,g,train\n", "label, first in line 4: 'XX'"),
        ("path,label,group,split\n,MS,g,train\n", "unknown path, first in line 2: ''"),
        ("path,label,group,split,label\na.jpg,MS,f,train,LS\n", "columns doubled in line 1: label"),
        ('path,label,group,split,is\na.jpg,MS,f,train,"x\ny"\nb.jpg,MS,f,val,\n', "group 'f' .* line 4 shows"),
        ("path,label,group,split,weights\na.jpg,MS,f,train,2\n", "column 'weights' is unknown; name it weight"),
    ],
)
def test_broken_contract_is_named(tmp_path, text, message):
    with pytest.raises(DatasetError, match=message):
        dataset.read_dataset(write(tmp_path, text))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_a_table_as_spreadsheets_save_it(tmp_path, between, encoding):
    lines = [("path", "label", "group", "split", "weight"), ("\xe9.jpg", "MS", "f", "train", "1.5"), ("",) * 5]
    text = "\r\n".join(map(between.join, lines)) + "\r\n"
    text = text if between == "," else f"sep={between}\r\n" + text.replace(".5", ",5")
    (tmp_path / "frames.csv").write_bytes(text.encode(encoding))
    table = dataset.read_dataset(tmp_path)
    assert table[["path", "weight"]].values.tolist() == [["\xe9.jpg", 1.5]]


def test_names_of_files_that_are_no_utf8_are_read_and_other_encodings_are_not(tmp_path):
    for label in LABELS:
        (tmp_path / label).mkdir()
        for number in range(5):
            Image.fromarray(textured(40, 60)).save(tmp_path / label / f"caf\udce9{number}_1.jpg")
    table = dataset.from_folders(tmp_path)
    assert len(table) == 25 and all(Path(file).is_file() for file in table["file"])
    (tmp_path / "frames.csv").write_bytes("path,label,group,split\ncaf\xe9.jpg,MS,f,train\n".encode("cp1252"))
    with pytest.raises(DatasetError, match=r"unknown path, first in line 2: .*save the table as UTF-8"):
        dataset.read_dataset(tmp_path)


def rows(column, *cells):
    """A table of the contract with one more `column`."""
    lines = [f'{number}.jpg,MS,f,train,"{cell}"' for number, cell in enumerate(cells)]
    return "\n".join([f"path,label,group,split,{column}", *lines]) + "\n"


@pytest.mark.parametrize("cell", ["1,5", "-1", "much", "nan", "inf"])
def test_a_weight_that_is_no_number_from_0_on_is_named_with_its_line(tmp_path, cell):
    message = rf"frames\.csv: 1 rows with an unknown weight, first in line 3: '{cell}'; use numbers .* as in 1\.5"
    with pytest.raises(DatasetError, match=message):
        dataset.read_dataset(write(tmp_path, rows("weight", "2", cell)))


@pytest.mark.parametrize("column", ["inherited", "ambiguous", "insert"])
def test_what_is_not_0_or_1_is_named_with_its_line_and_an_empty_cell_means_0(tmp_path, column):
    for cell in ("2", "yes", "0.5"):
        message = rf"unknown {column}, first in line 3: '{cell}'; use 0, 1 or an empty cell"
        with pytest.raises(DatasetError, match=message):
            dataset.read_dataset(write(tmp_path, rows(column, "", cell)))
    table = dataset.read_dataset(write(tmp_path, rows(column, "0", "", "1", "1.0")))  # pandas writes 1.0 beside gaps
    assert table[column].tolist() == [0, 0, 1, 1] and table[column].dtype == int


def test_empty_weights_are_1_and_inherited_frames_are_not_measured(tmp_path):
    table = dataset.read_dataset(write(tmp_path, rows("weight", "2", "", "0.5")))
    assert table["weight"].tolist() == [2, 1, 0.5]
    table = dataset.read_dataset(write(tmp_path, rows("inherited", "", "1", "0")))
    assert dataset.measured(table, "train")["path"].tolist() == ["0.jpg", "2.jpg"]


def test_missing_csv_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="from_folders"):
        dataset.read_dataset(tmp_path)


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


def test_a_side_that_wants_nothing_gets_nothing():
    table = pd.DataFrame({"label": ["MS", "LS"] * 30, "group": [f"film {number // 4}" for number in range(60)]})
    split = dataset.split_by_group(table, (0.8, 0.2, 0))["split"]
    assert split.value_counts().to_dict() == {"train": 48, "val": 12}
    with pytest.raises(DatasetError, match="three from 0 on"):
        dataset.split_by_group(table, (1.2, -0.2, 0))


def test_split_by_group_depends_on_the_seed_and_not_on_row_order():
    table = films()
    one = dataset.split_by_group(table, seed=1)
    shuffled = dataset.split_by_group(table.sample(frac=1, random_state=5), seed=1).sort_index()
    assert (one["split"] == shuffled["split"]).all()
    assert (one["split"] != dataset.split_by_group(table, seed=2)["split"]).any()
    with pytest.raises(DatasetError, match="sum to 1"):
        dataset.split_by_group(table, fractions=(0.5, 0.2, 0.2))


def test_the_same_seed_gives_this_split_on_any_machine():
    text = "".join(dataset.split_by_group(films(), seed=1)["split"])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "df665c8263fc45cf"


def shots():
    """Two shots of film a on two sides of the official split, and one of film b."""
    table = pd.DataFrame({"movie": list("aab"), "shot": ["1", "2", "1"], "label": ["CS", "MS", "LS"]})
    return table.assign(official_split=["train", "test", "val"], group=table["movie"])


def test_official_split_is_taken_as_it_is_and_its_divided_films_are_counted():
    table = dataset.official_split(shots())
    assert table["split"].tolist() == ["train", "test", "val"]
    assert dataset.divided_groups(table, "movie") == 1 and dataset.divided_groups(table) == 0
    with pytest.raises(DatasetError, match="v1_split_trailer"):
        dataset.official_split(shots().assign(official_split=[None, "test", "val"]))


def test_random_frames_leak_and_say_so():
    table = films().rename(columns={"group": "film"})
    table["path"] = [f"{number}.jpg" for number in range(len(table))]
    leaking = dataset.leaking_split_by_frame(table, seed=2)
    shares = leaking["split"].value_counts(normalize=True)
    assert shares[["train", "val", "test"]].to_numpy() == pytest.approx([0.6, 0.2, 0.2], abs=0.001)
    assert dataset.divided_groups(leaking, "film") > 0.8 * table["film"].nunique()
    assert dataset.divided_groups(dataset.split_by_group(table.assign(group=table["film"]))) == 0
    assert leaking.equals(dataset.leaking_split_by_frame(table, seed=2))
    assert "LEAKS" in dataset.leaking_split_by_frame.__doc__


def frames(folder, films_of):
    """Two frames of each film of each class, in a subfolder for each class."""
    for label, numbers in films_of.items():
        (folder / label).mkdir(parents=True)
        for film in numbers:
            for frame in range(2):
                Image.fromarray(textured(40, 60)).save(folder / label / f"film{film}_{frame}.jpg")
    return folder


def test_from_folders_makes_a_data_set(tmp_path):
    frames(tmp_path, dict.fromkeys(LABELS, range(5)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = dataset.from_folders(tmp_path)
    assert len(table) == 50 and set(table["group"]) == {f"film{film}" for film in range(5)}
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(DatasetError, match="exists already"):
        dataset.from_folders(tmp_path)
    for folder in (tmp_path / "CS", frames(tmp_path / "new", dict.fromkeys(LABELS, ()))):
        with pytest.raises(DatasetError, match="no subfolder is named like a class and holds pictures"):
            dataset.from_folders(folder)


def test_from_folders_names_classes_that_are_missing_or_of_too_few_films(tmp_path):
    frames(tmp_path, {"ECS": (), "CS": range(5), "MS": range(9), "FS": (1, 2), "LS": (7,)})
    shutil.rmtree(tmp_path / "CS")
    with pytest.warns(UserWarning, match="^" + re.escape(f"{tmp_path}: class ")) as caught:
        table = dataset.from_folders(tmp_path)
    said = [str(warning.message).removeprefix(f"{tmp_path}: ") for warning in caught]
    assert [sentence[:10].strip() for sentence in said] == ["class ECS", "class CS h", "class FS h", "class LS h"]
    assert "has no frames:" in said[0] and "has no frames:" in said[1] and "has no frames in " in said[2]
    assert "one film alone, 'film7', all in " in said[3]
    assert len(table) == 24 and (tmp_path / "frames.csv").is_file()


def test_counts_by_split_and_class_from_near_to_far_with_0_where_there_are_none():
    table = pd.DataFrame({"label": ["MS", "LS", "MS"], "split": ["train", "val", "train"], "group": list("abc")})
    counted = dataset.counts(table)
    assert counted.index.tolist() == ["train", "val", "test", "All"] and counted.columns.tolist() == [*SCALE, "All"]
    assert counted.to_numpy().tolist() == [[0, 0, 2, 0, 0, 2], [0, 0, 0, 0, 1, 1], [0] * 6, [0, 0, 2, 0, 1, 3]]
    assert dataset.gaps(table[table["split"] == "train"])[-1].startswith("class LS has no frames")


@pytest.mark.shotmix
def test_shotmix_keeps_the_contract():
    table = dataset.read_dataset(SHOTMIX)
    assert dataset.gaps(table) == [] and dataset.counts(table).loc["All", "All"] == len(table)
    assert all(sorted(table[column].unique()) == [0, 1] for column in dataset.FLAGS)


def test_frames_without_a_shot_are_shots_of_their_own_and_a_shot_is_of_one_film(tmp_path):
    table = write_dataset(tmp_path / "data", 20)
    csv = tmp_path / "data" / "frames.csv"
    table.assign(shot=["a_1", "", ""] + [f"b_{n}" for n in range(17)], group=table["group"]).to_csv(csv, index=False)
    assert dataset.read_dataset(tmp_path / "data")["shot"][:3].tolist() == ["a_1", "1.jpg", "2.jpg"]
    table.assign(shot="0001").to_csv(csv, index=False)
    with pytest.raises(DatasetError, match=r"frames\.csv: shot '0001' is in more than one group, line 3 .*film_shot"):
        dataset.read_dataset(tmp_path / "data")


def test_pictures_whose_names_say_no_film_are_warned_of(tmp_path):
    for label in LABELS:
        (tmp_path / label).mkdir()
        for number in range(5):
            Image.fromarray(textured(48, 80, number)).save(tmp_path / label / f"{label}{number}.jpg")
    with pytest.warns(UserWarning, match=r"no two pictures are of one film; name them film_number\.jpg"):
        dataset.from_folders(tmp_path)

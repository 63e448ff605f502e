import io
import itertools
from pathlib import Path

import pandas as pd
import pympi
import pytest
from films import film_table

from shot_types import SCALE
from shot_types.film.annotations import to_cinemetrics, to_elan
from shot_types.film.corrections import KINDS

SPANS = ("title", "LS", "MS", "empty", "CS", "transition")


def read_elan(text, folder):
    path = folder / "film.eaf"
    path.write_text(text, encoding="utf-8")
    return pympi.Elan.Eaf(str(path))


def test_elan_has_a_tier_of_scales_and_one_of_kinds(tmp_path):
    read = read_elan(to_elan(film_table(*SPANS, rate=30000 / 1001)), tmp_path)
    assert list(read.get_tier_names()) == ["scale", "kind"]
    scale, kind = (sorted(read.get_annotation_data_for_tier(tier)) for tier in ("scale", "kind"))
    assert scale == [(1500, 3000, "LS"), (3000, 4500, "MS"), (6000, 7500, "CS")]
    kinds = ["title", "shot", "shot", "empty", "shot", "transition"]
    assert kind == [(1500 * at, 1500 * at + 1500, name) for at, name in enumerate(kinds)]


def test_elan_offers_the_classes(tmp_path):
    read = read_elan(to_elan(film_table(*SPANS)), tmp_path)
    for tier, words in (("scale", SCALE), ("kind", KINDS)):
        entries = read.get_cv_entries(tier)
        assert [entry[0][0] for entry, _ in entries.values()] == list(words)
        assert read.get_parameters_for_linguistic_type(tier)["CONTROLLED_VOCABULARY_REF"] == tier


@pytest.mark.parametrize("name", ["my film.mp4", "d\u00e9j\u00e0 <vu> & 100%.mov"])
def test_elan_finds_the_film_where_folder_and_film_are_moved(tmp_path, name):
    out = tmp_path / "disk" / "work"
    table = film_table("LS", film=name, folder=out)
    table.attrs["media"] = str(tmp_path / "disk" / "films" / name)
    (media,) = read_elan(to_elan(table), tmp_path).media_descriptors
    assert media["MEDIA_URL"] == f"file://{(tmp_path / 'disk' / 'films' / name).as_posix()}"
    assert media["RELATIVE_MEDIA_URL"] == f"./../films/{name}" and media["MIME_TYPE"].startswith("video/")
    assert Path(out, media["RELATIVE_MEDIA_URL"]).resolve() == Path(table.attrs["media"])


def test_elan_with_many_shots_and_odd_times(tmp_path):
    table = film_table(*["LS", "MS"] * 600)
    table["start_seconds"] *= 1.001 / 3
    table["end_seconds"] *= 1.001 / 3
    read = read_elan(to_elan(table), tmp_path)
    spans = sorted(read.get_annotation_data_for_tier("scale"))
    assert len(spans) == 1200 and all(one[1] == two[0] for one, two in itertools.pairwise(spans))
    assert spans[-1] == (
        round(1000 * table["start_seconds"].iloc[-1]),
        round(1000 * table["end_seconds"].iloc[-1]),
        "MS",
    )


def test_cinemetrics_has_the_lengths_of_shots_alone():
    table = film_table(*SPANS)
    table["seconds"] = [9, 1, 2, 9, 6, 9.0]
    read = pd.read_csv(io.StringIO(to_cinemetrics(table)))
    assert read["shot"].tolist() == [2, 3, 5] and read["length"].tolist() == [1, 2, 6]
    assert read["scale"].tolist() == ["LS", "MS", "CS"] and read["start"].tolist() == [1.5, 3, 6]
    assert set(read["ASL"]) == {3} and set(read["MSL"]) == {2}


def test_cinemetrics_of_a_film_without_shots_has_names_alone():
    assert to_cinemetrics(film_table("title", "empty")).strip() == "shot,start,length,scale,ASL,MSL"

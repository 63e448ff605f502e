import av
import numpy as np
import pytest
from conftest import write_video
from films import Brightness, Level, Stopped, scene
from PIL import Image, ImageDraw

from shot_types import film
from shot_types.film.bars import Bars, Box, runs
from shot_types.video import key_frames

H, W = 180, 320
LETTERBOX = Box(H, W, 23, 23)


def picture(seed, label="LS", height=H, width=W):
    return scene(label, seed, height, width)


def boxed(inner, top, left=0, level=0):
    return np.pad(inner, ((top, top), (left, left), (0, 0)), constant_values=level)


def letterboxed(seed, label="LS"):
    return boxed(picture(seed, label, H - 44), 22)


def dark(height=H, width=W):
    """A lamp at night: all but a small part of the picture is black."""
    night = np.full((height, width, 3), 4, np.uint8)
    night[height // 2 - 20 : height // 2 + 20, width // 2 - 9 : width // 2 + 9] = 180
    return night


def with_text(rgb, text, place, fill=(255, 255, 255)):
    image = Image.fromarray(rgb)
    ImageDraw.Draw(image).text(place, text, fill, font_size=14)
    return np.array(image)


def banner(seed, top=36, bottom=28):
    """A social-media trailer: coloured bands with text above and below the picture."""
    full = np.empty((H, W, 3), np.uint8)
    full[:] = (200, 30, 90)
    full[top : H - bottom] = picture(seed, ("MS", "FS")[seed % 2], H - top - bottom)
    return with_text(with_text(full, "THE FILM OF THE YEAR", (70, 10)), "in cinemas on friday", (90, H - bottom + 7))


def film_of(folder, *pictures, frames=12, name="film.mp4"):
    return write_video(folder / name, [rgb for rgb in pictures for _ in range(frames)], gop_size=frames)


def analysed(folder, *pictures, **options):
    """The table of a film of a shot each picture, and the sizes of its thumbnails as height and width."""
    table = film.analyze(film_of(folder, *pictures), Brightness(), folder / "out", **options)
    sizes = [Image.open(folder / "out" / name).size[::-1] for name in table["thumbnail"]]
    return table, sizes


def near(one, other, pixels=2):
    return all(abs(a - b) <= pixels for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("level", [0, 16])
@pytest.mark.parametrize(("top", "left"), [(22, 0), (0, 40), (18, 30)])
def test_black_bars_are_found_in_the_film_and_trimmed(top, left, level):
    pictures = [boxed(picture(seed, "MS", H - 2 * top, W - 2 * left), top, left, level) for seed in range(6)]
    bars = Bars(pictures)
    (box,) = bars.boxes
    assert near(box, (H, W, top, top, left, left))
    assert all(bars.of([rgb]) == box for rgb in pictures)
    assert box.trim(pictures[0]).min() > 16


def test_a_film_has_one_run_of_its_bars(tmp_path):
    table, sizes = analysed(tmp_path, *map(letterboxed, range(6)))
    (run,) = table.attrs["bars"]
    assert (run["start_seconds"], run["end_seconds"]) == (0, pytest.approx(3, abs=0.05))
    assert [run[side] for side in ("top", "bottom")] == pytest.approx([22 / H] * 2, abs=0.015)
    assert run["left"] == run["right"] == 0
    assert len(set(sizes)) == 1 and sizes[0][1] / sizes[0][0] == pytest.approx(W / (H - 44), abs=0.05)
    assert film.load(tmp_path / "out/film.csv").attrs["bars"] == table.attrs["bars"]
    assert not {"bars", "taken"} & set(table.columns)


def test_a_banner_with_text_above_and_below_the_picture():
    pictures = [banner(seed) for seed in range(6)]
    bars = Bars(pictures)
    (box,) = bars.boxes
    assert near(box, (H, W, 36, 28, 0, 0)) and all(bars.of([rgb]) == box for rgb in pictures)
    assert bars.of([picture(7)]) == Box(H, W)


def test_what_the_picture_says_counts_and_not_its_banner(tmp_path):
    table, _ = analysed(tmp_path, *map(banner, range(5)))
    assert table["label"].tolist() == ["MS", "FS", "MS", "FS", "MS"]  # with the bands all are nearer
    (run,) = table.attrs["bars"]
    assert run["top"] == pytest.approx(36 / H, abs=0.015) and run["bottom"] == pytest.approx(28 / H, abs=0.015)


def test_a_banner_that_ends_in_mid_film(tmp_path):
    table, sizes = analysed(tmp_path, *map(banner, range(4)), *(picture(seed) for seed in range(4, 8)))
    (run,) = table.attrs["bars"]
    assert run["end_seconds"] == pytest.approx(2, abs=0.05) and sizes[-1] == (144, 256)


def test_a_black_picture_beside_a_banner_has_no_scale(tmp_path):
    black = banner(0)
    black[36:-28] = 0
    table, _ = analysed(tmp_path, *map(banner, range(5)), black)
    assert table["label"].iloc[-1] == "" and table["frames"].iloc[-1] == 0


def test_bars_that_change_in_mid_film(tmp_path):
    wide, full = [letterboxed(seed) for seed in range(4)], [picture(seed) for seed in range(4, 8)]
    table, sizes = analysed(tmp_path, *wide, *full, *map(letterboxed, range(8, 12)))
    first, second = table.attrs["bars"]
    assert first["end_seconds"] == pytest.approx(2, abs=0.05) and second["start_seconds"] == pytest.approx(4, abs=0.05)
    assert first["top"] == second["top"] and sizes[:4] == sizes[-4:] and sizes[4:8] == [(144, 256)] * 4


def test_a_dark_shot_has_the_bars_of_the_one_before():
    night = boxed(dark(H - 44), 22)
    bars = Bars([*map(letterboxed, range(4)), *(picture(seed) for seed in range(4, 8))])
    (box,) = bars.boxes
    assert bars.of([letterboxed(9)]) == box and bars.of([night]) == box
    assert bars.of([picture(9)]) == Box(H, W) and bars.of([night]) == Box(H, W)


def test_a_film_that_begins_in_the_dark_has_its_bars_at_once():
    bars = Bars(map(letterboxed, range(5)))
    assert bars.of([boxed(dark(H - 44), 22)]) == next(iter(bars.boxes))
    bars = Bars([*map(letterboxed, range(3)), *(picture(seed) for seed in range(3, 9))])
    assert bars.boxes and bars.of([boxed(dark(H - 44), 22)]) == Box(H, W)  # most of it has none


def test_a_dark_scene_of_a_full_frame_film_is_not_cropped_into(tmp_path):
    window = np.zeros((H, W, 3), np.uint8)
    window[30:-30, 110:210] = 160  # in straight lines, as far from both sides: alone, it would be taken for a picture
    corner = picture(3).copy()
    corner[2 * H // 3 :] = 3
    table, sizes = analysed(tmp_path, picture(0), picture(1), dark(), window, picture(2), corner)
    assert table.attrs["bars"] == [] and sizes == [(144, 256)] * len(table)


def test_a_film_whose_lower_third_is_dark_is_not_cropped():
    pictures = []
    for seed in range(8):
        ground = picture(seed).copy()
        edge = 2 * H // 3 + np.random.default_rng(seed).integers(-9, 9, W)  # heads before a stage
        ground[np.arange(H)[:, None] > edge] = 5
        pictures.append(ground)
    bars = Bars(pictures)
    assert not bars.boxes and all(bars.of([rgb]) == Box(H, W) for rgb in pictures)


def test_a_bright_shot_is_trimmed_and_a_white_frame_of_the_whole_height_is_not():
    bars = Bars(map(letterboxed, range(5)))
    (box,) = bars.boxes
    assert bars.of([boxed(np.full((H - 44, W, 3), 255, np.uint8), 22)]) == box
    assert bars.of([np.full((H, W, 3), 255, np.uint8)]) == Box(H, W)


def test_subtitles_and_a_logo_in_a_bar_do_not_undo_it():
    said = ["Good morning to you all", "What will you do now?", "I often wonder about it", "Revenge feels good"]

    def titled(seed):
        rgb = with_text(letterboxed(seed), said[seed % 7 % 4], (50 + 9 * (seed % 5), H - 19))
        return with_text(rgb, "TV", (9, 3))

    bars = Bars([letterboxed(seed) if seed % 2 else titled(seed) for seed in range(8)])
    assert [near(box, LETTERBOX) for box in bars.boxes] == [True]
    assert near(bars.of([titled(20)]), LETTERBOX)
    assert near(bars.of([with_text(boxed(dark(H - 44), 22), "Who is there?", (90, H - 19))]), LETTERBOX)


def test_a_logo_in_the_corner_of_a_full_frame_film_is_no_banner():
    def marked(seed):
        rgb = picture(seed).copy()
        rgb[6:26, 6:60] = 250
        return rgb

    assert not Bars(map(marked, range(6))).boxes


def test_one_shot_of_another_shape_is_trimmed_if_it_shows_its_bars():
    bars = Bars([*map(letterboxed, range(5)), *(picture(seed) for seed in range(5, 8))])
    archive = boxed(picture(9, "LS", H, 240), 0, 40)
    assert near(bars.of([archive]), (H, W, 0, 0, 40, 40)) and near(bars.of([letterboxed(10)]), LETTERBOX)


def test_without_key_frames_each_shot_is_judged_by_itself():
    bars = Bars([])
    assert bars.of([]) is None and near(bars.of([letterboxed(0)]), LETTERBOX) and bars.of([picture(1)]) == Box(H, W)


def test_all_frames_of_a_shot_count(tmp_path):
    """A light that goes on in what seemed to be a bar."""
    bars = Bars(map(letterboxed, range(5)))
    assert bars.of([boxed(dark(H - 44), 22), picture(0)]) == Box(H, W)


def test_frames_of_another_size_are_left_alone():
    bars = Bars(map(letterboxed, range(5)))
    small = picture(0, "LS", 90, 160)
    assert bars.of([letterboxed(0)]).trim(small) is small and bars.of([small]) == Box(90, 160)


def test_runs_are_shares_and_join_equal_shots():
    def row(start, bars):
        return {"start_seconds": start, "end_seconds": start + 1, "bars": bars}

    rows = [row(0, None), row(1, list(LETTERBOX)), row(2, list(LETTERBOX)), row(3, list(Box(H, W)))]
    assert runs(rows) == [
        {"start_seconds": 1, "end_seconds": 3, "top": 0.1278, "bottom": 0.1278, "left": 0.0, "right": 0.0}
    ]


def test_a_rotated_video_is_trimmed_as_it_is_seen(tmp_path):
    shown = [boxed(picture(seed, "LS", W - 80, H), 40) for seed in range(5)]  # upright: bars above and below
    path = film_of(tmp_path, *(np.rot90(rgb) for rgb in shown))
    data, one = path.read_bytes(), 1 << 16
    straight, turned = (one, 0, 0, 0, one, 0, 0, 0, one << 14), (0, one, 0, -one, 0, 0, 0, 0, one << 14)
    straight, turned = (b"".join(value.to_bytes(4, "big", signed=True) for value in m) for m in (straight, turned))
    at = data.index(straight, data.index(b"tkhd"))
    path.write_bytes(data[:at] + turned + data[at + 36 :])
    table = film.analyze(path, Brightness(), tmp_path / "out")
    (run,) = table.attrs["bars"]
    assert [run["top"], run["bottom"]] == pytest.approx([40 / W] * 2, abs=0.015) and run["left"] == run["right"] == 0


def test_pixels_that_are_not_square(tmp_path):
    pictures = [rgb for seed in range(5) for rgb in [letterboxed(seed)] * 12]
    path = write_video(tmp_path / "film.mp4", pictures, sample_aspect_ratio=2)
    table = film.analyze(path, Brightness(), tmp_path / "out")
    assert [run["top"] for run in table.attrs["bars"]] == [pytest.approx(22 / H, abs=0.015)]


@pytest.mark.parametrize("after", range(0, 7, 2))
def test_a_stopped_run_goes_on_with_the_bars_it_had(tmp_path, after):
    night = boxed(dark(H - 44), 22)
    pictures = [*map(letterboxed, range(3)), night, *(picture(seed) for seed in range(3, 6)), night, letterboxed(6)]
    path = film_of(tmp_path, *pictures)
    whole = film.analyze(path, Level(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        film.analyze(path, StoppedLevel(after), tmp_path / "out")
    table = film.analyze(path, Level(), tmp_path / "out")
    columns = table.columns.drop("thumbnail")
    assert table[columns].equals(whole[columns]) and table.attrs["bars"] == whole.attrs["bars"] != []


class StoppedLevel(Level, Stopped):
    """Tells every level of brightness from the next, until it is stopped."""


def test_a_table_written_before_bars_were_noted_is_read(tmp_path):
    film.analyze(film_of(tmp_path, picture(0)), Brightness(), tmp_path)
    record = tmp_path / "film.json"
    text = record.read_text().replace('"bars": [],', "")
    assert "bars" not in text
    record.write_text(text)
    assert film.load(tmp_path / "film.csv").attrs["bars"] == []


# Key frames


def test_key_frames_are_spread_over_the_film(tmp_path):
    levels = range(40, 240, 10)
    pictures = [np.full((90, 160, 3), level, np.uint8) for level in levels for _ in range(24)]
    path = write_video(tmp_path / "film.mp4", pictures, gop_size=24)
    means = [round(float(rgb.mean())) for rgb in key_frames(path, 48, most=8)]
    assert len(means) >= 5 and means == sorted(means) and means[0] < 80 and means[-1] > 180
    assert {rgb.shape for rgb in key_frames(path, 48)} == {(48, 85, 3)}


def test_key_frames_that_cannot_be_had_are_left_out(tmp_path):
    path = film_of(tmp_path, *(picture(seed) for seed in range(6)), frames=24)
    with av.open(str(path)) as file:
        packets = [(packet.pos, packet.size, packet.is_keyframe) for packet in file.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size, _ in [packet for packet in packets if packet[2]][1:3]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    assert 1 <= len(list(key_frames(path, 90))) < 6
    path.write_bytes(bytes(data[: len(data) // 2]))
    assert list(key_frames(path, 90)) == []

import struct
import subprocess
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import textured
from PIL import Image, PngImagePlugin

from shot_types import pictures
from shot_types.pictures import FrameError

RED = (200, 40, 60)


def same(rgb, color, by=3):
    return np.abs(rgb.astype(int) - color).max() <= by


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("rgb.png", Image.new("RGB", (64, 48), RED), RED),
        ("grey.png", Image.new("L", (64, 48), 90), (90, 90, 90)),
        ("grey_alpha.png", Image.new("LA", (64, 48), (90, 255)), (90, 90, 90)),
        ("clear.png", Image.new("RGBA", (64, 48), (*RED, 0)), (255, 255, 255)),
        ("half.png", Image.new("RGBA", (64, 48), (0, 0, 0, 128)), (127, 127, 127)),
        ("palette.png", Image.new("RGB", (64, 48), RED).quantize(4), RED),
        ("one_bit.png", Image.new("1", (64, 48), 1), (255, 255, 255)),
        ("cmyk.jpg", Image.new("CMYK", (64, 48), (0, 255, 255, 0)), (255, 0, 0)),
        ("grey16.png", Image.fromarray(np.full((48, 64), 90 * 257, np.uint16)), (90, 90, 90)),
        ("float.tif", Image.fromarray(np.full((48, 64), 0.5, np.float32)), (127, 127, 127)),
    ],
)
def test_modes_give_what_a_person_sees(tmp_path, name, image, expected):
    image.save(tmp_path / name)
    rgb = pictures.read_image(tmp_path / name)
    assert rgb.dtype == np.uint8 and rgb.shape == (48, 64, 3)
    assert same(rgb, expected)


def test_16_bit_rgb_keeps_its_brightness(tmp_path):
    row = b"\0" + struct.pack(">3H", *(257 * value for value in RED)) * 64
    chunks = [
        (b"IHDR", struct.pack(">2I5B", 64, 48, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * 48)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert same(pictures.read_image(tmp_path / "deep.png"), RED)


def test_first_frame_of_an_animation(tmp_path):
    first, second = Image.new("RGB", (64, 48), RED), Image.new("RGB", (64, 48), "blue")
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert same(pictures.read_image(tmp_path / "a.gif"), RED)


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path, orientation, suffix):
    rgb = np.zeros((600, 900, 3), np.uint8)
    rgb[:300, :450] = RED  # red stands top left for a person
    stored = {
        1: rgb,
        2: rgb[:, ::-1],
        3: rgb[::-1, ::-1],
        4: rgb[::-1],
        5: rgb.transpose(1, 0, 2),
        6: np.rot90(rgb, 1),
        7: np.rot90(rgb, 2).transpose(1, 0, 2),
        8: np.rot90(rgb, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    for min_size in (None, (90, 160)):
        seen = pictures.read_image(path, min_size)
        height, width = seen.shape[:2]
        assert height * 3 == width * 2
        assert same(seen[height // 4, width // 4], RED, 6) and same(seen[3 * height // 4, 3 * width // 4], 0, 6)


def test_jpeg_is_decoded_at_reduced_size_not_below_the_request_and_gives_nearly_the_pixels_of_the_whole(tmp_path):
    Image.fromarray(textured(1080, 1920)).save(tmp_path / "large.jpg", quality=95)
    rgb = pictures.read_image(tmp_path / "large.jpg", (144, 256))
    assert 144 <= rgb.shape[0] < 540 and rgb.shape[1] >= 256
    fast = pictures.load_frame(tmp_path / "large.jpg", 144, 256).astype(int)
    whole = pictures.load_frame(pictures.read_image(tmp_path / "large.jpg"), 144, 256)
    assert np.abs(fast - whole).mean() < 1.5


# Bars


def letterboxed(bar, height=180, width=320, noise=1.5, level=2, picture=None):
    rng = np.random.default_rng(0)
    rgb = np.full((height, width, 3), level, float) + rng.normal(0, noise, (height, width, 1))
    rgb[bar : height - bar] = textured(height - 2 * bar, width) if picture is None else picture
    return np.clip(rgb, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [0, 2, 16])
@pytest.mark.parametrize("bar", [6, 22, 45])
def test_letterbox_is_trimmed(bar, level):
    trimmed = pictures.trim_bars(letterboxed(bar, level=level))
    assert 0 <= (180 - 2 * bar) - trimmed.shape[0] <= 4 and trimmed.shape[1] == 320


def test_pillarbox_and_windowbox_are_trimmed():
    pillar = letterboxed(40).transpose(1, 0, 2)
    assert pictures.trim_bars(pillar).shape[:2] == (320, 98)
    window = letterboxed(20, picture=letterboxed(30, 320, 140).transpose(1, 0, 2))
    trimmed = pictures.trim_bars(window)
    assert abs(trimmed.shape[0] - 138) <= 3 and abs(trimmed.shape[1] - 258) <= 3


def test_bars_survive_jpeg(tmp_path):
    Image.fromarray(letterboxed(23)).save(tmp_path / "box.jpg", quality=60)
    trimmed = pictures.trim_bars(pictures.read_image(tmp_path / "box.jpg"))
    assert abs(trimmed.shape[0] - 132) <= 4


def test_a_night_frame_without_bars_keeps_its_full_size():
    y, x = np.mgrid[:180, :320]
    rng = np.random.default_rng(0)
    sky = np.clip((y - 60 - 12 * np.sin(x / 17) - 6 * np.sin(x / 5)) * 1.5, 0, 50)  # a ragged skyline in the dark
    sky[:, 140:180] = 0
    night = np.clip(sky[..., None] + rng.normal(2, 1, (180, 320, 1)), 0, 255).astype(np.uint8).repeat(3, axis=2)
    assert pictures.trim_bars(night).shape == night.shape
    lamps = np.clip(rng.normal(2, 1, (180, 320, 3)), 0, 255).astype(np.uint8)
    for _ in range(40):
        top, left = rng.integers(20, 150), rng.integers(5, 300)
        lamps[top : top + 8, left : left + 8] = 240
    assert pictures.trim_bars(lamps).shape == lamps.shape
    vignette = textured(180, 320) * np.clip(1.1 - ((y - 90) / 90.0) ** 2, 0, 1)[..., None]
    assert pictures.trim_bars(vignette.astype(np.uint8)).shape == night.shape


@pytest.mark.parametrize("brightness", [0, 3, 20])
def test_a_fade_keeps_its_size(brightness):
    fade = np.clip(np.random.default_rng(0).normal(brightness, 1, (180, 320, 3)), 0, 255).astype(np.uint8)
    assert pictures.trim_bars(fade).shape == fade.shape
    dimmed = (textured(180, 320) * (brightness / 255)).astype(np.uint8)
    assert pictures.trim_bars(dimmed).shape == fade.shape


def test_an_array_from_which_nothing_more_is_to_be_trimmed():
    rgb = np.pad(textured(140, 320), ((20, 20), (0, 0), (0, 0)))
    whole, trimmed = (pictures.load_frame(x, 45, 80) for x in (rgb.view(pictures.Trimmed), rgb))
    assert same(whole, pictures.resize(rgb, 45, 80), 0) and whole[0].max() == 0 and trimmed[0].max() > 50


def test_darkness_on_one_side_only_is_no_bar():
    rgb = textured(180, 320).copy()
    rgb[:40] = 0
    assert pictures.trim_bars(rgb).shape == rgb.shape


def test_every_picture_fills_what_the_network_sees():
    filled = pictures.load_frame(np.full((100, 100, 3), 255, np.uint8), 90, 160)
    assert filled.shape == (90, 160, 3) and filled.min() == 255


# Bad input


def test_hidden_pictures_are_left_out(tmp_path):
    for name in (".thumbs/a.jpg", "seen/a.jpg", ".b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert pictures.list_pictures(tmp_path) == [tmp_path / "seen" / "a.jpg"]


def test_missing_folder_and_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg: no such file"):
        pictures.read_image(tmp_path / "gone.jpg")
    with pytest.raises(FrameError, match="is a folder"):
        pictures.read_image(tmp_path)
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(FrameError, match=r"empty\.jpg: the file is empty"):
        pictures.read_image(tmp_path / "empty.jpg")
    with pytest.raises(FrameError, match="no pictures in this folder"):
        pictures.list_pictures(tmp_path / "nothing_here")


def test_truncated_and_text(tmp_path, picture):
    (tmp_path / "cut.jpg").write_bytes(picture.read_bytes()[:2000])
    with pytest.raises(FrameError, match=r"cut\.jpg: the picture is damaged"):
        pictures.read_image(tmp_path / "cut.jpg")
    (tmp_path / "text.jpg").write_text("This is not a picture")
    with pytest.raises(FrameError, match=r"text\.jpg: not a picture"):
        pictures.read_image(tmp_path / "text.jpg")


def test_a_format_that_needs_another_program_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "check_call", lambda *_, **__: pytest.fail("a program was started"))
    monkeypatch.setattr("PIL.EpsImagePlugin.has_ghostscript", lambda: True)
    Image.new("RGB", (64, 48), RED).save(tmp_path / "a.eps")
    with pytest.raises(FrameError, match=r"a\.eps: not a picture that Pillow can read"):
        pictures.read_image(tmp_path / "a.eps")


def test_values_that_are_no_numbers_are_black(tmp_path):
    values = np.full((48, 64), 0.5, np.float32)
    values[:24, :32], values[:24, 32:] = np.nan, np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    with warnings.catch_warnings(action="error"):
        rgb = pictures.read_image(tmp_path / "a.tif")
    assert same(rgb[:24], 0) and same(rgb[24:], 127)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, struct.error])
def test_whatever_a_reader_of_pillow_raises_names_the_file(tmp_path, picture, monkeypatch, error):
    def broken(*_):
        raise error("broken")

    monkeypatch.setattr(Image.Image, "load", broken)
    with pytest.raises(FrameError, match="the picture is damaged"):
        pictures.read_image(picture)


def test_one_pixel_and_a_declared_giant(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    with pytest.raises(FrameError, match=r"dot\.png: 1 x 1 pixels are too few"):
        pictures.load_frame(tmp_path / "dot.png", 96, 160)
    Image.new("RGB", (8, 8)).save(tmp_path / "bomb.png")
    data = bytearray((tmp_path / "bomb.png").read_bytes())
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(FrameError, match=r"bomb\.png: more than 178 million pixels"):
        pictures.read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        np.zeros((2, 64, 64, 3), np.uint8),
        np.zeros((4, 64, 3), np.uint8),
    ],
)
def test_wrong_arrays(array):
    with pytest.raises(FrameError, match="array: "):
        pictures.load_frame(array, 96, 160)


def test_other_types_are_refused():
    with pytest.raises(FrameError, match="int: give a path"):
        pictures.load_frame(7, 96, 160)


# What is damaged beside the picture


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
@pytest.mark.parametrize("lost", [1, 2, 12])
def test_a_jpeg_without_its_last_bytes_is_read(tmp_path, options, lost):
    path, rgb = tmp_path / "cut.jpg", textured(240, 320).copy()
    rgb[-40:] = 0  # a bar
    Image.fromarray(rgb).save(path, quality=90, **options)
    whole, data = pictures.read_image(path), path.read_bytes()
    path.write_bytes(data[:-lost])
    assert np.abs(pictures.read_image(path).astype(int) - whole).mean() < 1
    assert pictures.read_image(path, (60, 80)).shape[0] < 240
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(FrameError, match=r"cut\.jpg: the picture is damaged"):
        pictures.read_image(path)


def png(path, **options):
    Image.new("RGB", (64, 48), RED).save(path, **options)
    return path


def test_a_png_with_much_beside_its_picture_is_read(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * (3 << 20), zip=True)
    for name, options in (("text", {"pnginfo": text}), ("profile", {"icc_profile": bytes(3 << 20)})):
        assert same(pictures.read_image(png(tmp_path / f"{name}.png", **options)), RED)


@pytest.mark.parametrize("kind", [b"tEXt", b"iCCP", b"eXIf", b"IDAT", b"IEND"])
def test_a_wrong_checksum_outside_the_picture_does_not_matter(tmp_path, kind):
    text, exif = PngImagePlugin.PngInfo(), Image.Exif()
    text.add_text("comment", "x")
    exif[0x0112] = 6
    path = png(tmp_path / "a.png", pnginfo=text, icc_profile=bytes(99), exif=exif)
    data = bytearray(path.read_bytes())
    at = data.index(kind)
    data[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 255
    path.write_bytes(data)
    rgb = pictures.read_image(path)
    shape = (48, 64, 3) if kind == b"eXIf" else (64, 48, 3)  # damaged Exif data turn nothing, as in browsers
    assert rgb.shape == shape and same(rgb, RED)


def test_a_png_that_ends_within_its_picture_is_damaged(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(textured(48, 64)).save(path)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(FrameError, match=r"a\.png: the picture is damaged"):
        pictures.read_image(path)


def test_damaged_exif_data_give_the_picture_without_a_warning(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    paths = [tmp_path / f"{number}.jpg" for number in range(60)]
    Image.fromarray(textured(48, 64)).save(paths[0], exif=exif)
    data = bytearray(paths[0].read_bytes())
    at = data.index(b"Exif\0\0") + 10
    for number, path in enumerate(paths):
        data[at : at + 4] = (b"\xff\xff\xff\x7f", b"\x10\0\0\0", b"\0\0\0\x08")[number % 3]
        path.write_bytes(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(4) as pool:
            assert {tuple(sorted(rgb.shape)) for rgb in pool.map(pictures.read_image, paths)} == {(3, 48, 64)}
        warnings.warn("heard", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["heard"]


# Folders


def test_folders_give_every_format_that_is_read_and_say_what_is_left_out(tmp_path):
    folder = tmp_path / "all"
    folder.mkdir()
    for suffix in ("jfif", "jpe", "tga", "jp2", "ico", "pgm", "pnm", "dib", "pcx", "sgi", "mpo", "qoi"):
        Image.new("L" if suffix == "pgm" else "RGB", (64, 48), "red" if suffix != "pgm" else 90).save(
            folder / f"a.{suffix}"
        )
    for name in ("b.mp4", "c.pdf", "d.txt", "e.txt"):
        (folder / name).touch()
    assert len(pictures.list_pictures(folder)) == 12
    assert all(pictures.read_image(path).ndim == 3 for path in pictures.list_pictures(folder))
    with pytest.warns(UserWarning, match=r"all: files left out.*: 1 \.mp4, 1 \.pdf, 2 \.txt$"):
        assert len(pictures.find_pictures(folder)) == 12


def test_an_empty_path_is_none():
    with pytest.raises(FrameError, match="path is empty"):
        pictures.load_frame("", 96, 160)


def test_a_damaged_head_of_a_png_is_no_other_picture(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(textured(96, 160)).save(path)
    data = bytearray(path.read_bytes())
    data[23] ^= 32  # of the height
    path.write_bytes(data)
    with pytest.raises(FrameError, match="damaged"):
        pictures.read_image(path)


def test_large_files_that_are_no_pictures_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    Image.fromarray(textured(96, 160)).save(path)
    path.write_bytes(path.read_bytes()[:-2])
    assert pictures.read_image(path).shape == (96, 160, 3)
    monkeypatch.setattr(pictures, "MENDABLE", 100)
    with pytest.raises(FrameError, match="damaged"):
        pictures.read_image(path)

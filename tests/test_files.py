import os
import stat
import threading

import av
import pytest

from shot_types.files import VIDEO_SUFFIXES, file_sha256, list_files, replacing, write


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    write(path, "good")
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "good" and list(tmp_path.iterdir()) == [path]
    write(path, b"better")
    assert path.read_bytes() == b"better" and list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    real, link, dangling = tmp_path / "real" / "table.csv", tmp_path / "link.csv", tmp_path / "dangling.csv"
    write(real, "old")
    link.symlink_to("real/table.csv")
    dangling.symlink_to("other/table.csv")
    for name, target in ((link, real), (dangling, tmp_path / "other" / "table.csv")):
        write(name, "new")
        assert name.is_symlink() and target.read_text() == "new" and list(target.parent.iterdir()) == [target]
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="round"):
        write(tmp_path / "round", "nowhere")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_receives_everything_at_once_or_nothing(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    with pytest.raises(KeyboardInterrupt), replacing(pipe) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write(pipe, 300_000 * b"a")
    reader.join()
    assert got == [300_000 * b"a"] and pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_reader_who_has_enough_is_no_error(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    closing = threading.Timer(0.2, os.close, [reader])
    closing.start()
    write(pipe, 300_000 * b"a")
    closing.join()


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="open files have no names here")  # noqa: PTH110
def test_an_open_file_is_written_into(tmp_path):
    with (tmp_path / "log").open("a+") as file:
        print("first", file=file, flush=True)
        write(f"/proc/self/fd/{file.fileno()}", "second")
    assert (tmp_path / "log").read_text() == "first\nsecond"


@pytest.mark.skipif(os.name != "posix", reason="modes and owners of POSIX")
def test_mode_and_owner_stay(tmp_path):
    path, new = tmp_path / "table.csv", tmp_path / "new.csv"
    write(path, "old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12, 34)
    before = path.stat()
    write(path, "new")
    after = path.stat()
    assert path.read_text() == "new" and stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    write(new, "x")
    (tmp_path / "plain").touch()
    assert new.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", [250 * "n", 125 * "ä", "new\nline", "caf\udce9"])
def test_every_name_that_the_system_takes_is_written(tmp_path, name):
    write(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x" and len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_written_is_named_as_it_was_given(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "table.csv", tmp_path / (300 * "n")):
        with pytest.raises(OSError, match=path.name[:20]) as caught, replacing(path):
            raise AssertionError("the work has begun")
        assert ".part" not in str(caught.value)


def test_sha256_of_a_file(tmp_path):
    write(tmp_path / "abc", "abc")  # the first test vector of FIPS 180-2
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


FILMS = """3g2 3gp amv apv asf avi cavsvideo cdxl dhav dv evc f4v filmstrip film_cpk flv gxf h261 h263 h264 hevc hxvs
imx ipu ismv ivf ivr kux lvf m4v mjpeg mov mp4 mpeg mpeg1video mpeg2video mpegts mpjpeg mxf mxg nsv nut obu ogv psp rm
roq ser swf ty usm vc1 vivo vob vvc webm wtv xmv yuv4mpegpipe"""
NO_FILMS = {"alp", "avif", "avs", "heic", "heif", "isma", "m4a", "m4b", "mka", "mks", "mpo", "ra", "wma", "xl"}


def test_films_have_the_endings_that_ffmpeg_knows():
    endings = set()
    for name in FILMS.split():
        for mode in "rw":
            try:
                endings |= av.ContainerFormat(name, mode).extensions
            except ValueError:  # a format that is only read, or only written
                continue
    assert len(endings) > 60 and endings - NO_FILMS <= {suffix[1:] for suffix in VIDEO_SUFFIXES}


def test_what_a_folder_holds_besides_is_counted(tmp_path):
    for name in ("a.MKV", "b.txt", "deep/c.txt", "deep/README", ".hidden/d.mkv", "._a.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_files(tmp_path, {".mkv"}) == ([tmp_path / "a.MKV"], "2 .txt, 1 without")
    assert list_files(tmp_path / "deep", {".txt", ""})[1] == ""


@pytest.mark.skipif(os.name != "posix", reason="links and rights of POSIX")
def test_what_cannot_be_listed_is_said(tmp_path, monkeypatch):
    for name in ("a.mkv", "locked/b.mkv", "elsewhere.mkv"):
        (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / name).touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "films" / "link").symlink_to("../other")
    (tmp_path / "films" / "gone.mkv").symlink_to("nowhere.mkv")
    scandir = os.scandir

    def locked(path):
        if "locked" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.warns(UserWarning) as caught:
        found, _ = list_files(tmp_path / "films", {".mkv"})
    said = sorted(str(warning.message).removeprefix(f"{tmp_path}/films/") for warning in caught)
    assert said == [
        "link: left out, as a link to a folder; name it too",
        "locked: left out, as it cannot be read (Permission denied)",
    ]
    assert [path.name for path in found] == ["a.mkv", "elsewhere.mkv", "gone.mkv"]
    with pytest.raises(PermissionError):
        list_files(tmp_path / "films" / "locked", {".mkv"})

import pytest

from shot_types.files import file_sha256, replacing, write


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    write(path, "good")
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "good" and list(tmp_path.iterdir()) == [path]
    write(path, b"better")
    assert path.read_bytes() == b"better" and list(tmp_path.iterdir()) == [path]


def test_sha256_of_a_file(tmp_path):
    write(tmp_path / "abc", "abc")  # the first test vector of FIPS 180-2
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

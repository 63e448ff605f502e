from fractions import Fraction
from xml.etree import ElementTree

import opentimelineio as otio
import pytest
from films import Brightness, film_table, shots

from shot_types import film
from shot_types.film.timelines import exact_rate, to_fcpxml, to_xmeml
from shot_types.labels import COLORS
from shot_types.video import write_video

SPANS = ("title", "LS", "MS", "empty", "CS", "transition", "ECS", "FS")
NTSC = 30000 / 1001
FILMS = [
    {"rate": 24.0},
    {"rate": 25.0, "start_frame": 90000, "audio_channels": 0},
    {"rate": 24000 / 1001, "start_frame": 86400},
    {"rate": NTSC, "drop_frame": True, "start_frame": 107892, "audio_channels": 1},
    {"rate": NTSC, "start_frame": 108000},
    {"rate": 60000 / 1001, "drop_frame": True, "start_frame": 215784, "audio_channels": 6},
]


def fcpxml_timeline(text):
    return otio.adapters.read_from_string(text, "otio_fcpx_xml_lite_adapter")


@pytest.mark.parametrize("settings", FILMS)
def test_fcpxml_is_read_back(settings):
    table = film_table(*SPANS, film='d\u00e9j\u00e0 <vu> & "2".mp4', **settings)
    rate, start = table.attrs["rate"], table.attrs["start_frame"]
    text = to_fcpxml(table)
    timeline = fcpxml_timeline(text)
    clips = list(timeline.find_clips())
    assert [clip.name for clip in clips] == [
        f'd\u00e9j\u00e0 <vu> & "2" {number:04d} {span}' for number, span in enumerate(SPANS, 1)
    ]
    firsts = [start + round(1.5 * number * rate) for number in range(len(SPANS) + 1)]
    exact = [
        Fraction(clip.get("start")[:-1]) * exact_rate(rate) for clip in ElementTree.fromstring(text).iter("asset-clip")
    ]
    assert exact == firsts[:-1]
    # This reader counts seconds of 29 frames, not of 29.97.
    read = [round(Fraction(first) / exact_rate(rate) * int(rate)) for first in firsts]
    assert [clip.source_range.start_time.value for clip in clips] == read[:-1]
    assert timeline.global_start_time.value == read[0] and timeline.global_start_time.rate == pytest.approx(rate)
    media = clips[0].media_reference
    assert media.target_url == "d%C3%A9j%C3%A0%20%3Cvu%3E%20%26%20%222%22.mp4"
    assert media.available_range.start_time.value == read[0]
    assert abs(media.available_range.duration.value - (read[-1] - read[0])) <= 1
    assert [clip.markers[0].name for clip in clips] == list(SPANS)


def test_fcpxml_has_what_its_document_type_asks_for():
    """By Apple's DTD of 1.10: what elements hold, in this order, and the attributes that they must have."""
    text = to_fcpxml(film_table(*SPANS, rate=NTSC, drop_frame=True))
    assert text.splitlines()[1] == "<!DOCTYPE fcpxml>"
    root = ElementTree.fromstring(text)
    inside = {"fcpxml": ["resources", "library"], "resources": ["format", "asset"], "asset": ["media-rep"]}
    inside |= {"library": ["event"], "event": ["project"], "project": ["sequence"], "sequence": ["spine"]}
    inside["asset-clip"] = ["marker", "keyword"]
    must = {"fcpxml": {"version"}, "format": {"id"}, "asset": {"id"}, "media-rep": {"src"}, "sequence": {"format"}}
    must |= {"asset-clip": {"ref"}, "marker": {"start", "value"}, "keyword": {"start", "value"}}
    for element in root.iter():
        tags = [child.tag for child in element]
        assert tags == inside.get(element.tag, []) or (element.tag == "spine" and set(tags) == {"asset-clip"})
        assert must.get(element.tag, set()) <= set(element.attrib)
    assert root.attrib == {"version": "1.10"} and root.find(".//format").get("frameDuration") == "1001/30000s"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) and {clip.get("ref") for clip in root.iter("asset-clip")} <= set(ids)
    assert {clip.get("tcFormat") for clip in root.iter("asset-clip")} == {"DF"}


@pytest.mark.parametrize("settings", FILMS)
def test_final_cut_pro_7_xml_is_read_back(settings):
    table = film_table(*SPANS, film='d\u00e9j\u00e0 <vu> & "2".mp4', **settings)
    rate, start, channels = (table.attrs[name] for name in ("rate", "start_frame", "audio_channels"))
    timeline = otio.adapters.read_from_string(to_xmeml(table), "fcp_xml")
    assert [track.kind for track in timeline.tracks] == ["Video", *["Audio"] * channels]
    firsts = [round(1.5 * number * rate) for number in range(len(SPANS) + 1)]
    for track in timeline.tracks:
        clips = list(track)
        assert [clip.name[-len(span) - 5 :] for clip, span in zip(clips, SPANS, strict=True)] == [
            f"{number:04d} {span}" for number, span in enumerate(SPANS, 1)
        ]
        assert [clip.range_in_parent().start_time.value for clip in clips] == firsts[:-1]
        assert [clip.source_range.start_time.value - start for clip in clips] == firsts[:-1]
        assert {clip.media_reference.target_url for clip in clips} == {"d%C3%A9j%C3%A0%20%3Cvu%3E%20%26%20%222%22.mp4"}
        assert clips[0].media_reference.available_range.duration.value == firsts[-1]
        assert clips[0].media_reference.available_range.start_time.value == start
    assert [clip.markers[0].name for clip in timeline.tracks[0]] == list(SPANS)
    assert timeline.global_start_time.value == start
    assert timeline.global_start_time.rate == pytest.approx(rate, abs=0.01)


def test_final_cut_pro_7_xml_says_drop_frame_links_and_colours():
    root = ElementTree.fromstring(to_xmeml(film_table("LS", "title", rate=NTSC, drop_frame=True, start_frame=107892)))
    assert {place.findtext("string") for place in root.iter("timecode")} == {"01:00:00;00"}
    assert {place.findtext("displayformat") for place in root.iter("timecode")} == {"DF"}
    items = {item.get("id"): item for item in root.iter("clipitem")}
    assert len(items) == 6 and {link.findtext("linkclipref") for link in root.iter("link")} == set(items)
    assert all(len(item.findall("link")) == 3 for item in items.values())
    shot, title = root.iter("marker")
    assert (
        "#" + "".join(f"{int(shot.findtext(f'color/{part}')):02X}" for part in ("red", "green", "blue")) == COLORS["LS"]
    )
    assert len({title.findtext(f"color/{part}") for part in ("red", "green", "blue")}) == 1  # grey
    assert len(root.findall(".//file/pathurl")) == 1 and {file.get("id") for file in root.iter("file")} == {"file-1"}


def test_more_shots_than_three_digits():
    table = film_table(*["LS", "MS"] * 600, rate=24000 / 1001)
    clips = list(fcpxml_timeline(to_fcpxml(table)).find_clips())
    assert len(clips) == 1200 and clips[-1].name == "film 1200 MS"
    (picture, *_) = otio.adapters.read_from_string(to_xmeml(table), "fcp_xml").tracks
    assert len(picture) == 1200 and picture[-1].name == "film 1200 MS"


def test_a_film_that_is_there_gives_its_size_and_its_place(tmp_path):
    (tmp_path / "films").mkdir()
    write_video(tmp_path / "films" / "a b.mp4", shots("LS", "MS"))
    table = film.analyze(tmp_path / "films" / "a b.mp4", Brightness(), tmp_path / "out")
    clip = fcpxml_timeline(to_fcpxml(table)).find_clips()[0]
    assert clip.media_reference.target_url == "../films/a%20b.mp4"
    sizes = [ElementTree.fromstring(to_fcpxml(table)).find(".//format").attrib[side] for side in ("width", "height")]
    assert sizes == ["160", "90"]
    root = ElementTree.fromstring(to_xmeml(table))
    assert root.findtext(".//format/samplecharacteristics/width") == "160"
    assert root.findtext(".//pathurl") == "../films/a%20b.mp4"


@pytest.mark.parametrize(
    ("rate", "exact"), [(29.97, "30000/1001"), (NTSC, "30000/1001"), (23.976, "24000/1001"), (25, "25")]
)
def test_exact_rates(rate, exact):
    assert str(exact_rate(rate)) == exact

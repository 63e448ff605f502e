"""A table of a film -> files for those who study films: ELAN, and the shot lengths as Cinemetrics has them."""

import mimetypes
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import pandas as pd

from ..labels import NAMES, SCALE
from .corrections import KINDS
from .exports import media_path
from .figures import only_shots
from .table import printable

VERSION = "3.0"
SCHEMA = {
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:noNamespaceSchemaLocation": f"http://www.mpi.nl/tools/elan/EAFv{VERSION}.xsd",
}
LANGUAGE = "und"  # the one language that ELAN's vocabularies have where none is meant
COLUMNS = {"scale": "label", "kind": "kind"}  # of the table, by tier
TIERS = {"scale": {label: NAMES[label] for label in SCALE}, "kind": {kind: "" for kind in KINDS}}


def to_elan(table: pd.DataFrame) -> str:
    """ELAN annotation format 3.0: a tier `scale` of the shots, a tier `kind` of all spans, each with its vocabulary.

    Times are whole milliseconds from the first frame on. The film is linked by its place now, and from the table's
    folder on, which ELAN tries where the first leads nowhere.
    Source: Max Planck Institute for Psycholinguistics, "EAF - ELAN Annotation Format", schema version 3.0.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    root = Element("ANNOTATION_DOCUMENT", SCHEMA | {"AUTHOR": "", "DATE": now, "FORMAT": VERSION, "VERSION": VERSION})
    header = SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    SubElement(header, "MEDIA_DESCRIPTOR", _media(table))
    spans = [(round(1000 * row.start_seconds), round(1000 * row.end_seconds)) for row in table.itertuples()]
    count = sum(int((table[column] != "").sum()) for column in COLUMNS.values())
    SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(count)
    times, order = sorted({time for span in spans for time in span}), SubElement(root, "TIME_ORDER")
    slots = {time: f"ts{number}" for number, time in enumerate(times, 1)}
    for time, slot in slots.items():
        SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(time))
    number = 0
    for tier, column in COLUMNS.items():
        place = SubElement(root, "TIER", LINGUISTIC_TYPE_REF=tier, TIER_ID=tier)
        for value, (start, end) in zip(table[column], spans, strict=True):
            if value:
                number += 1
                slot = {"TIME_SLOT_REF1": slots[start], "TIME_SLOT_REF2": slots[end]}
                one = SubElement(
                    SubElement(place, "ANNOTATION"), "ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{number}", **slot
                )
                SubElement(one, "ANNOTATION_VALUE").text = value
    _vocabularies(root)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _media(table: pd.DataFrame) -> dict[str, str]:
    """ELAN takes a path as it stands, without %20 for a space."""
    path, kind = media_path(table), mimetypes.guess_type(table.attrs["made_from"]["film"])[0]
    whole = Path(table.attrs["media"] or path).as_posix()
    url = {"MEDIA_URL": f"file://{'' if whole.startswith('/') else '/'}{whole}", "MIME_TYPE": kind or "unknown"}
    if not path.is_absolute():
        url["RELATIVE_MEDIA_URL"] = f"./{path.as_posix()}"
    return {name: printable(value) for name, value in url.items()}


def _vocabularies(root: Element) -> None:
    """What may stand in a tier, which ELAN then offers; in the order of the schema."""
    for tier in TIERS:
        SubElement(
            root,
            "LINGUISTIC_TYPE",
            CONTROLLED_VOCABULARY_REF=tier,
            GRAPHIC_REFERENCES="false",
            LINGUISTIC_TYPE_ID=tier,
            TIME_ALIGNABLE="true",
        )
    SubElement(root, "LANGUAGE", LANG_ID=LANGUAGE, LANG_LABEL="undetermined (und)")
    for tier, entries in TIERS.items():
        vocabulary = SubElement(root, "CONTROLLED_VOCABULARY", CV_ID=tier)
        SubElement(vocabulary, "DESCRIPTION", LANG_REF=LANGUAGE)
        for value, description in entries.items():
            entry = SubElement(vocabulary, "CV_ENTRY_ML", CVE_ID=f"{tier}-{value}")
            SubElement(entry, "CVE_VALUE", DESCRIPTION=description, LANG_REF=LANGUAGE).text = value


def to_cinemetrics(table: pd.DataFrame) -> str:
    """CSV of the shots alone, without titles and the like: `shot`, `start`, `length`, `scale`, `ASL`, `MSL`.

    Times are seconds; `shot` is the number in the table. ASL and MSL, the average and the median shot length, are
    those of the film and the same in each row, so that films can be laid one below the other.
    Source of the measures: Cinemetrics, https://cinemetrics.uchicago.edu.
    """
    shots = only_shots(table)
    columns = {
        "shot": shots["shot"],
        "start": shots["start_seconds"],
        "length": shots["seconds"],
        "scale": shots["label"],
    }
    lines = pd.DataFrame(columns).assign(ASL=shots["seconds"].mean(), MSL=shots["seconds"].median())
    return lines.to_csv(index=False, float_format="%.3f")

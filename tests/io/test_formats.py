"""The table of formats: what it says agrees with the functions that write."""

from pathlib import Path

import pytest

from luxscaler.errors import ExportError
from luxscaler.io import formats, write, write_rows


def test_each_format_has_a_writer_and_each_that_streams_a_row_writer() -> None:
    assert set(formats.FORMATS) == set(write._WRITERS)
    assert set(formats.STREAM_FORMATS) == set(write_rows._STREAMED)


def test_the_groups_name_formats_that_exist() -> None:
    groups = (formats.ASSOCIATED_FORMATS, formats.HDR_FORMATS, write.CODED_TYPES, formats.SUFFIXES.values())
    for group in groups:
        assert set(group) <= set(formats.FORMATS)


@pytest.mark.parametrize("name", formats.FORMATS)
def test_a_formats_own_suffix_leads_back_to_it_or_to_its_plainer_kin(name: str) -> None:
    found = formats.format_named(Path(f"out{formats.suffix_of(name)}"), None)
    assert found == {"png-pq": "png", "tiff16": "tiff"}.get(name, name)


@pytest.mark.parametrize("name", formats.FORMATS)
def test_only_a_suffix_of_another_format_is_told(name: str) -> None:
    told = {
        suffix
        for suffix in (*formats.SUFFIXES, "", ".x")
        if formats.misnamed(Path(f"a{suffix.upper()}"), name)
    }
    own = formats.SUFFIXES[formats.suffix_of(name)]
    assert told == {suffix for suffix, named in formats.SUFFIXES.items() if named != own}


@pytest.mark.parametrize(("name", "most"), [("webp", 16383), ("avif", 65536), ("jpg", 65500)])
def test_a_side_at_the_limit_is_held_and_one_pixel_more_is_not(name: str, most: int) -> None:
    formats.check_picture(name, most, 1, transparent=False)
    with pytest.raises(ExportError, match=f"at most {most} pixels a side, got 1 × {most + 1}"):
        formats.check_picture(name, 1, most + 1, transparent=False)

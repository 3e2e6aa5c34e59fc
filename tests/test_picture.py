"""The picture that travels between the stages."""

import json

from hypothesis import given
from hypothesis import strategies as st

from luxscaler.picture import PictureSource

sources = st.builds(
    PictureSource,
    format=st.text(),
    bits=st.integers(1, 32),
    is_float=st.booleans(),
    color_space=st.text(),
    notices=st.lists(st.text()).map(tuple),
    exif=st.none() | st.binary(),
    resolution_dpi=st.none() | st.tuples(st.floats(1, 1e5), st.floats(1, 1e5)),
)


@given(sources)
def test_a_source_comes_back_from_json(source: PictureSource) -> None:
    assert PictureSource.from_json(json.loads(json.dumps(source.to_json()))) == source

"""ncnn models: every parameter comes out as stored, and malformed files are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luxscaler.errors import WeightsError
from luxscaler.weights.ncnn import NcnnLayer, convert, parse_param
from tests.support.examples import examples
from tests.support.ncnn_files import Conv, Slopes, write_ncnn

RNG = np.random.default_rng(5)
seeded = settings(max_examples=examples(40))


def conv(out: int, into: int, height: int, width: int, *, half: bool, bias: bool = True) -> Conv:
    weight = RNG.normal(size=(out, into, height, width)).astype(np.float32)
    return Conv(
        weight.astype(np.float16) if half else weight,
        RNG.normal(size=out).astype(np.float32) if bias else None,
    )


convolutions = st.builds(
    conv, *(st.integers(1, n) for n in (5, 4, 3, 3)), half=st.booleans(), bias=st.booleans()
)
slopes = st.integers(1, 6).map(lambda n: Slopes(RNG.normal(size=n).astype(np.float32)))


@seeded
@given(st.lists(convolutions | slopes, max_size=6))
def test_every_value_comes_out_as_stored(layers: list[Conv | Slopes]) -> None:
    names = [f"layer{n}" for n in range(len(layers))]
    state = convert(*write_ncnn(layers), names)
    expected = {}
    for name, layer in zip(names, layers, strict=True):
        expected[f"{name}.weight"] = layer.slopes if isinstance(layer, Slopes) else layer.weight
        if isinstance(layer, Conv) and layer.bias is not None:
            expected[f"{name}.bias"] = layer.bias
    assert list(state) == list(expected)
    for key, value in expected.items():
        assert state[key].dtype == value.dtype
        np.testing.assert_array_equal(state[key], value)


def test_an_odd_fp16_block_is_padded() -> None:
    # 1 × 1 × 3 × 3 halves are 18 bytes: the bias starts at 4 + 20.
    layer = conv(1, 1, 3, 3, half=True)
    _, data = write_ncnn([layer])
    assert len(data) == 4 + 20 + 4
    state = convert(*write_ncnn([layer, layer]), ["a", "b"])
    assert layer.bias is not None
    assert state["b.bias"] == layer.bias


@seeded
@given(st.lists(convolutions | slopes, min_size=1, max_size=3), st.data())
def test_a_short_or_long_bin_is_refused(layers: list[Conv | Slopes], data: st.DataObject) -> None:
    param, binary = write_ncnn(layers)
    names = [str(n) for n in range(len(layers))]
    end = data.draw(st.integers(0, len(binary) - 1))
    with pytest.raises(WeightsError, match="ends inside layer"):
        convert(param, binary[:end], names)
    with pytest.raises(WeightsError, match="2 bytes after the last layer"):
        convert(param, binary + b"\0\0", names)


def test_names_must_be_as_many_as_layers() -> None:
    with pytest.raises(WeightsError, match="has 1 layer with parameters, expected 2"):
        convert(*write_ncnn([conv(1, 1, 1, 1, half=True)]), ["a", "b"])


@pytest.mark.parametrize("flag", [0x000D4B38, 0x0002C056, 1])
def test_quantised_weights_are_refused(flag: int) -> None:
    param, binary = write_ncnn([conv(2, 2, 3, 3, half=True)])
    with pytest.raises(WeightsError, match=f"0x{flag:08X}"):
        convert(param, flag.to_bytes(4, "little") + binary[4:], ["a"])


def param(*lines: str) -> str:
    return "\n".join(["7767517", f"{len(lines)} 9", *lines])


def test_parse_param_finds_the_layers_with_parameters() -> None:
    text = param(
        "Input in 0 1 data",
        "Split s 1 2 data a b",
        "Convolution c 1 1 a d 0=64 1=3 4=1 5=1 6=1728 9=2 -23310=1,2.000000e-01",
        "PReLU p 1 1 d e 0=64",
        "Concat cat 2 1 b e f",
        "Convolution last 1 1 f out 0=2 1=3 11=1 6=12",
    )
    assert parse_param(text) == [
        NcnnLayer("Convolution", "c", 64, (3, 3), 1728, bias=True),
        NcnnLayer("PReLU", "p", 64),
        NcnnLayer("Convolution", "last", 2, (1, 3), 12),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not start with 7767517"),
        ("7767518\n0 0\n", "does not start with 7767517"),
        ("7767517\n2 2\nInput a 0 1 b\n", "has 1 layer, its header says 2"),
        ("7767517\nx 2\n", "layer count must be a count, got 'x'"),
        (param("InnerProduct fc 1 1 a b 0=10"), "'InnerProduct' is not supported"),
        (param("Convolution c 1"), "too short"),
        (param("Convolution c 1 1 a b 1=3 6=9"), "option 0 of c must be a count, got ''"),
        (param("Convolution c 1 1 a b 0=-4 1=3 6=9"), "got '-4'"),
        (param("Convolution c 1 1 a b 0=2 1=3 6=9"), "9 weights do not fit 2 × 3 × 3"),
        (param("Convolution c 1 1 a b 0=0 1=3 6=9"), "do not fit"),
    ],
)
def test_malformed_param_files_are_refused(text: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        parse_param(text)


@seeded
@given(st.text(st.characters(codec="ascii")), st.binary(max_size=64))
def test_rubbish_is_refused_with_our_own_error(text: str, binary: bytes) -> None:
    with pytest.raises(WeightsError):
        convert(param(text.replace("\n", " ") or "x", "PReLU p 1 1 a b 0=1"), binary, ["a", "b", "c"])

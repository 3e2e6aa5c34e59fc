"""`luxscaler doctor`: facts of this machine, what does not work, and no secrets."""

import json
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from luxscaler import __version__
from luxscaler.cli.doctor import Finding, examine
from luxscaler.cli.main import app
from luxscaler.errors import ExportError
from luxscaler.io.formats import FORMATS


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights: that they are absent is no fault."""
    monkeypatch.setenv("LUXSCALER_WEIGHTS", str(tmp_path))
    return tmp_path


def test_a_whole_installation_has_no_findings(no_weights: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["findings"] == []
    assert facts["versions"]["luxscaler"] == __version__
    assert facts["versions"]["torch"] == metadata.version("torch")
    assert {facts["codecs"][name] for name in FORMATS} == {"written and read"}
    assert facts["weights"]["photo"] == "absent"
    assert str(no_weights) in facts["folders"]["weights"]
    assert facts["device"]["auto"].split(",")[0] in ("cpu", "cuda", "mps")
    assert result.stdout.isascii()


@pytest.mark.slow
def test_what_does_not_work_is_a_finding_and_the_rest_answers(
    monkeypatch: pytest.MonkeyPatch, no_weights: Path
) -> None:
    import luxscaler.io.write as module

    work = module.export

    def broken(path: Path, *rest: object, file_format: str, **more: object) -> None:
        if file_format == "jxl":
            raise ExportError("no encoder")
        work(path, *rest, file_format=file_format, **more)  # type: ignore[arg-type]

    def failed() -> None:
        raise RuntimeError("no device")

    monkeypatch.setattr(module, "export", broken)
    monkeypatch.setattr("luxscaler.cli.doctor._device", failed)
    (no_weights / "RealESRGAN_x4plus.safetensors").write_bytes(b"damaged")
    facts, findings = examine({})
    assert findings[0] == "device: RuntimeError: no device"
    assert findings[1] == "codecs, jxl: ExportError: no encoder"
    assert findings[2].startswith("weights, photo: ")
    assert len(findings) == 3
    assert facts["codecs"]["jxl"] == "failed: ExportError: no encoder"
    assert facts["codecs"]["exr"] == "written and read"
    assert not any(isinstance(value, Finding) for section in facts.values() for value in section.values())
    result = CliRunner().invoke(app, ["doctor"])
    assert f"LUXSCALER_WEIGHTS {no_weights}" in result.stdout
    assert result.exit_code == 1
    assert "does not work: codecs, jxl: ExportError: no encoder" in result.stdout


def test_secrets_stay_secret() -> None:
    environ = {
        "REPLICATE_API_TOKEN": "r8_canary",
        "LUXSCALER_GATEWAY_TOKEN": "canary",
        "LUXSCALER_CONFIG": "",
    }
    facts, _ = examine(environ)
    assert facts["settings"] == {
        "configuration": "none",
        "LUXSCALER_CONFIG": "(empty)",
        "LUXSCALER_GATEWAY_TOKEN": "set",
        "REPLICATE_API_TOKEN": "set",
    }

"""What the package asks for are ranges; what the container and the tests run on are pins within them."""

import re
import sys

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PINS = sorted(ROOT.glob("requirements*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OWN = "luxscaler"


def _requirements() -> dict[str, Requirement]:
    """Name to range, of the package and all its extras."""
    lines = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(each.name): each for each in found if each.name != OWN}


def _pins(name: str) -> dict[str, str]:
    """Name to version, of one file of pins."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"==[^*,]+", str(pin.specifier)) for pin in pins), f"{name} holds more than pins"
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}


@pytest.mark.parametrize("name", [path.name for path in PINS])
def test_every_pin_lies_in_its_range(name: str) -> None:
    ranges = _requirements()
    for package, version in _pins(name).items():
        assert package not in ranges or version in ranges[package].specifier, f"{name}: {package}=={version}"


def test_every_requirement_is_pinned_for_the_tests() -> None:
    pinned = {**_pins("requirements.txt"), **_pins("requirements-dev.txt")}
    assert set(_requirements()) == set(pinned)


def test_no_package_is_pinned_twice_otherwise() -> None:
    seen: dict[str, str] = {}
    for path in PINS:
        for package, version in _pins(path.name).items():
            assert seen.setdefault(package, version) == version, f"{path.name}: {package}"


def test_the_package_asks_for_ranges() -> None:
    for name, requirement in _requirements().items():
        operators = {each.operator for each in requirement.specifier}
        assert ">=" in operators, f"{name} needs a lower bound"
        assert "==" not in operators, f"{name} is pinned: nothing else could be installed beside it"


def test_the_container_runs_a_part_of_the_package() -> None:
    package = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert set(_pins("requirements.txt")) < package


def test_this_python_is_one_that_the_package_takes() -> None:
    assert (
        f"{sys.version_info.major}.{sys.version_info.minor}"
        in Requirement(f"x{PROJECT['requires-python']}").specifier
    )

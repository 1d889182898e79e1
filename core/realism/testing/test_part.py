"""The suite of the part named by --part: `pytest --pyargs realism.testing --part sharpness`."""

from __future__ import annotations

import functools
from typing import Any

import yaml

from realism.errors import RealismError
from realism.manager import plugins
from realism.parts import Part
from realism.testing.making import cases, make_part, run_case


def pytest_generate_tests(metafunc: Any) -> None:
    found = cases(metafunc.config.getoption("part"), plugins().registry)
    metafunc.parametrize("name, contract", found, ids=["-".join(case) for case in found])


def test_part(name: str, contract: str, pytestconfig: Any) -> None:
    run_case(name, contract, lambda: _part(name, tuple(pytestconfig.getoption("option"))), plugins().registry)


@functools.cache
def _part(name: str, given: tuple[str, ...]) -> Part:
    options = {}
    for option in given:
        key, sign, value = option.partition("=")
        if not sign:
            raise RealismError(f"--option {option}: expected key=value")
        options[key] = yaml.safe_load(value)
    return make_part(name, options, plugins().registry)

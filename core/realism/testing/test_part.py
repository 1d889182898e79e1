"""The suite of the part named by --part: `pytest --pyargs realism.testing --part sharpness`."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import yaml

from realism.base.errors import RealismError, listed
from realism.parts import Part
from realism.plugins.manager import plugins
from realism.plugins.registry import PART_FAMILIES
from realism.testing.making import cases, make_part, run_case


def pytest_generate_tests(metafunc: Any) -> None:
    names = metafunc.config.getoption("part")
    if not names:
        known = listed(entry.name for entry in plugins().registry.entries(*PART_FAMILIES))
        raise pytest.UsageError(f"name a part with --part; available: {known}")
    found = cases(names, plugins().registry)
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

"""The suite of the part named by --part: `pytest --pyargs realism.testing --part sharpness`."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import yaml

from realism.base.errors import RealismError, listed
from realism.parts import Part
from realism.parts.base import part_families
from realism.plugins.manager import plugins
from realism.testing.making import UNMADE, Case, cases, make_part, run_case


def pytest_generate_tests(metafunc: Any) -> None:
    names = metafunc.config.getoption("part")
    if not names:
        known = listed(entry.name for entry in plugins().registry.entries(*part_families(), "step"))
        raise pytest.UsageError(f"name a part or a step with --part; available: {known}")
    found: list[Case] = []
    for name in names:
        try:
            _part(name, tuple(metafunc.config.getoption("option")))
        except RealismError:
            found.append((name, UNMADE))
        else:
            found.extend(cases([name], plugins().registry))
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

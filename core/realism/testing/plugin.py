"""The options --part and --option of pytest, for `pytest --pyargs realism.testing --part NAME`."""

from __future__ import annotations

from typing import Any


def pytest_addoption(parser: Any) -> None:
    group = parser.getgroup("realism")
    group.addoption("--part", action="append", default=[], help="a registered part to put through its family's suite")
    group.addoption(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="an option of that part, as in a recipe"
    )

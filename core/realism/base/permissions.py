"""Where a recipe may send something, and with which key: what is safe by itself, and what the user allows besides.

A recipe may come from a stranger. By itself it reaches addresses of https, and http on this machine. It may name the
variables REALISM_..._KEY, which hold nothing but keys for recipes, and those of vendors, each for the vendor alone.
All else is for the command line to say: `--allow ORIGIN` or `--allow VARIABLE@ORIGIN`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable

from realism.base.errors import RealismError, shown

VENDORS = {
    "ANTHROPIC_API_KEY": "https://api.anthropic.com",
    "DEEPSEEK_API_KEY": "https://api.deepseek.com",
    "GEMINI_API_KEY": "https://generativelanguage.googleapis.com",
    "GOOGLE_API_KEY": "https://generativelanguage.googleapis.com",
    "GROQ_API_KEY": "https://api.groq.com",
    "MISTRAL_API_KEY": "https://api.mistral.ai",
    "OPENAI_API_KEY": "https://api.openai.com",
    "OPENROUTER_API_KEY": "https://openrouter.ai",
    "TOGETHER_API_KEY": "https://api.together.xyz",
    "XAI_API_KEY": "https://api.x.ai",
}
"""Variables that hold the key of a vendor, and the only place where each may be sent."""
OURS = re.compile(r"REALISM_([A-Za-z0-9_]+_)?KEY")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(/[A-Za-z0-9_.~:+-]*)*)",
    re.ASCII,
)
"""The plain addresses: whatever has a name, a password, a query, an escape or another alphabet is none, as two readers
might take it to lead to two places."""
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
PORTS = {"http": 80, "https": 443}

_allowed: frozenset[tuple[str, str]] = frozenset()
"""Variables with the origins where they may be sent; the variable is "" where only the origin is allowed."""


def allow(permits: Iterable[str]) -> None:
    """Allow these and no others, for this process: "ORIGIN", which may be reached without encryption, or
    "VARIABLE@ORIGIN", where also that environment variable may be sent.

    Raises RealismError for what is neither.
    """
    global _allowed
    _allowed = frozenset(_read(permit) for permit in permits)


def _read(permit: str) -> tuple[str, str]:
    variable, at, address = permit.rpartition("@")
    place = origin(address)
    if not place or path(address) or bool(at) != bool(VARIABLE.fullmatch(variable)):
        raise RealismError(
            f"--allow {shown(permit)}: expected where something may be sent, such as http://10.0.0.5:8000, or an "
            "environment variable and where it may be sent, such as LAB_KEY@https://llm.example.org"
        )
    return variable, place


def origin(address: str) -> str | None:
    """Where an address leads: its scheme, host, and port if it is not the scheme's own, in one spelling. None if it is
    no plain address of http or https."""
    found = ADDRESS.fullmatch(address)
    if not found or any(part in ("", ".", "..") for part in found["path"].rstrip("/").split("/")[1:]):
        return None
    scheme, host, port = found["scheme"], _host(found["host"]), int(found["port"] or PORTS[found["scheme"]])
    if not host or not 0 < port < 2**16:
        return None
    return f"{scheme}://{host}" + (f":{port}" if port != PORTS[scheme] else "")


def path(address: str) -> str:
    """The path of a plain address, "" if it has none."""
    found = ADDRESS.fullmatch(address)
    return found["path"] if found else ""


def _host(written: str) -> str | None:
    """A name or an IP address in one spelling; None for what is neither, such as numbers that some readers take for an
    IP address (2130706433, 0x7f.1, 127.1, 010.0.0.1)."""
    bare = written.strip("[]").lower()
    if bare != written.lower() or re.search(r"(^|\.)(\d+|0x[0-9a-f]*)$", bare):
        try:
            number = ipaddress.ip_address(bare)
        except ValueError:
            return None
        spelt = f"[{number}]" if number.version == 6 else str(number)
        return spelt if spelt.startswith("[") == written.startswith("[") else None
    labels = bare.split(".")
    return bare if len(bare) <= 253 and all(LABEL.fullmatch(label) for label in labels) else None


def allowed_place(variable: str) -> str | None:
    """Where the command line has allowed an environment variable to be sent; None if it has not."""
    return next((place for name, place in sorted(_allowed) if name == variable), None)


def on_this_machine(place: str) -> bool:
    """Whether an origin is this machine: localhost, 127.0.0.0/8 or [::1]. Names are not looked up."""
    found = ADDRESS.fullmatch(place)
    host = found["host"].strip("[]") if found else ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refusal(option: str, address: str, key: str = "") -> str | None:
    """One sentence if nothing may be sent to an address, or not with a key; else None.

    option: what the recipe calls the address. key: the name of the environment variable that is sent, "" if none is.
    What is no name of a variable that is set is not repeated, as it may be a key itself.
    """
    place = origin(address)
    if not place:
        return (
            f"{option} is not one such as http://localhost:8000/v1 or https://api.openai.com/v1, without name, "
            "password, query and anything that has to be escaped"
        )
    if key and not VARIABLE.fullmatch(key):
        return "key is not the name of an environment variable, such as OPENAI_API_KEY; put the key into one"
    if key and not (VENDORS.get(key) == place or OURS.fullmatch(key) or (key, place) in _allowed):
        return _key_refusal(key, place)
    if place.startswith("http:") and not on_this_machine(place) and not any(place == p for _, p in _allowed):
        return (
            f"{option} '{address}' is neither encrypted (https) nor on this machine, so that others on the way can "
            f"read and change what is sent; if you do not mind, allow it on the command line: --allow {place}"
        )
    if key and not os.environ.get(key):
        return f"key: the environment variable '{key}' is not set; it should hold the key of {place}"
    if key and not re.fullmatch(r"[!-~]+", os.environ[key]):
        return f"key: the environment variable '{key}' holds no key: it has white space or characters beyond ASCII"
    return None


def _key_refusal(key: str, place: str) -> str:
    if home := VENDORS.get(key):
        return f"key: '{key}' is sent to {home} alone, unless the command line has --allow {key}@{place}"
    if os.environ.get(key):
        return (
            f"key: a recipe may send REALISM_..._KEY, and a vendor's key to the vendor, but not '{key}'; if you trust "
            f"{place} with it, allow it on the command line: --allow {key}@{place}"
        )
    return (
        "key is neither REALISM_..._KEY nor a vendor's, such as OPENAI_API_KEY; name such an environment variable and "
        "put the key into it"
    )

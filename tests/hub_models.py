"""Loads models from a hub that is a cache without a network, laid out by `test_security_loading`; says how it went.

Argument: the file of the adapter's weights.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from realism import RealismError
from realism_generators.chat import TransformersChat
from realism_generators.flux import Flux
from realism_generators.stable_diffusion import StableDiffusion
from realism_retrievers.openclip import OpenClip

ADAPTED = {"model": "o/sd", "adapter": "o/adapter", "adapter_weights": sys.argv[1], "image_encoder": "o/encoder"}


def tried(name: str, load: Callable[[], object]) -> None:
    try:
        print(f"{name}: loaded" if load() else f"{name}: nothing")
    except RealismError as error:
        print(f"{name}: {error}")


tried("chat", lambda: TransformersChat("o/chat", device="cpu").loaded)
tried("flux", lambda: Flux("o/flux", device="cpu").pipeline)
tried("openclip", lambda: OpenClip("hf-hub:o/clip", device="cpu")._loaded)
tried("sd", lambda: StableDiffusion(**ADAPTED, device="cpu").pipeline)

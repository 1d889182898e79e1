"""VILA-R: Google's aesthetic model, in TensorFlow: in this process, or behind a served endpoint."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le
from realism.base.errors import RealismError
from realism.base.network import Server
from realism.base.permissions import path, refusal
from realism.base.texts import plain_line
from realism.data.types import Picture
from realism.parts import Reward, Scores

if TYPE_CHECKING:
    from PIL import Image

KAGGLE = re.compile(r"[\w-]+/[\w.-]+/tensorFlow2/[\w.-]+(/\d+)?", re.IGNORECASE)
TRIES = 4
LONGEST_REPLY = 2**20
"""Bytes that an endpoint may answer with; one number needs a few."""
ROUNDING = 1e-3
"""So far a value may lie outside of [0, 1], as models may compute in half precision."""


@dataclass
class Vila(Reward):
    """VILA-R: how beautiful people would find the picture, whatever its prompt, as a mean opinion score in [0, 1];
    higher is more beautiful. Trained on AVA.

    Published: google/vila/tensorFlow2/image of Kaggle, once google/vila/image/1 of TensorFlow Hub. The model takes the
    bytes of one picture (PNG here, which loses nothing) and prepares it itself. DreamSync keeps pictures of at least
    0.6. It has no gradient here, as the model is TensorFlow's.
    Source: Ke et al. 2023, "VILA: Learning Image Aesthetics from User Comments".
    The published model could not be reached where this was written; how it is called follows its page.
    """

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    speed_options: ClassVar[tuple[str, ...]] = ("timeout", "workers")

    endpoint: str | None = None
    """Where TensorFlow Serving serves the model, such as http://localhost:8501/v1/models/vila; None loads it in this
    process, which needs `pip install realism[vila]`. Without encryption it must be on this machine, or allowed on the
    command line: --allow http://10.0.0.5:8501."""
    model: str = "google/vila/tensorFlow2/image"
    """Without an endpoint: the model's name on Kaggle, where TensorFlow Hub has moved, or a folder with its
    saved_model.pb."""
    timeout: Annotated[float, Gt(0), Le(86_400)] = 60.0
    """Seconds to wait for a whole answer before asking again."""
    workers: Annotated[int, Ge(1), Le(256)] = 8
    """Requests to the endpoint at a time, as each holds one picture."""

    def inputs(self) -> list[Path]:
        return [Path(self.model)] if not self.endpoint and Path(self.model).is_dir() else []

    def options_error(self) -> str | None:
        if self.endpoint is not None:
            if not path(self.endpoint).strip("/"):
                return "endpoint is no address of a model, such as http://localhost:8501/v1/models/vila"
            return refusal("endpoint", self.endpoint)
        if not KAGGLE.fullmatch(self.model) and not (Path(self.model) / "saved_model.pb").is_file():
            return (
                f"no saved_model.pb in '{self.model}'; expected a saved model's folder, or a name on Kaggle, such as "
                "google/vila/tensorFlow2/image"
            )
        return None

    def score(self, pictures: Sequence[Picture]) -> Scores:
        import torch

        files = [png(picture.image) for picture in pictures]
        if not self.endpoint:
            values = [self._predict(file) for file in files]
        else:
            with ThreadPoolExecutor(self.workers) as threads:
                values = list(threads.map(self._ask, files))
        return Scores(torch.tensor([in_range(value) for value in values], dtype=torch.float32))

    def release(self) -> None:
        self.__dict__.pop("_predict", None)

    @cached_property
    def _predict(self) -> Callable[[bytes], float]:
        """The model in this process: the bytes of a picture -> its value."""
        try:
            import kagglehub
            import tensorflow
        except ImportError as error:
            raise RealismError(
                "vila runs in TensorFlow, which is not installed: pip install realism[vila], or serve the model and "
                "give its address as endpoint"
            ) from error
        try:
            folder = self.model if Path(self.model).is_dir() else kagglehub.model_download(self.model)
            loaded = tensorflow.saved_model.load(folder)
            call = loaded.signatures["serving_default"]
        except Exception as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise RealismError(f"model '{self.model}' cannot be loaded: {type(error).__name__}: {first}") from error

        def predict(picture: bytes, kept: Any = loaded) -> float:  # a signature does not keep its model alive
            return float(call(tensorflow.constant(picture))["predictions"].numpy().reshape(()))

        return predict

    def _ask(self, picture: bytes) -> float:
        """The value that the endpoint gives of one picture. Raises RealismError if it gives none."""
        content = {"signature_name": "serving_default", "inputs": {"b64": base64.b64encode(picture).decode()}}
        address = f"{self.endpoint}".rstrip("/") + ":predict"
        reply = Server(address, "endpoint", self.timeout, TRIES, LONGEST_REPLY).post(content)
        return only_number(reply, address)


def png(image: Image.Image) -> bytes:
    """The bytes of a picture as PNG."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "PNG")
    return file.getvalue()


def only_number(reply: bytes, address: str) -> float:
    """The one number of TensorFlow Serving's answer: {"outputs": [[0.5]]} or {"outputs": {"predictions": [[0.5]]}}.

    Raises RealismError for anything else, a text or a truth value among it, and for a number that is not finite."""
    try:
        value: Any = json.loads(reply)["outputs"]
        while isinstance(value, (list, dict)) and len(value) == 1:
            value = value["predictions"] if isinstance(value, dict) else value[0]
        if type(value) in (int, float) and math.isfinite(value):
            return float(value)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        pass
    begins = plain_line(reply[:200].decode(errors="replace"), 200)
    raise RealismError(f"endpoint {address} answers with no single number in 'outputs': {begins}")


def in_range(value: float) -> float:
    """The value without what rounding put beyond [0, 1]; NaN stays, to be skipped.

    Raises RealismError if it is further beyond, as it is none of VILA's then."""
    if value < -ROUNDING or value > 1 + ROUNDING:
        raise RealismError(f"vila: the model gives {value:g}, but VILA-R's values lie in [0, 1]; it is another model")
    return max(0.0, min(1.0, value)) if value == value else value

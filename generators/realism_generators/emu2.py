"""Emu2: a language model that reads text and images, and a decoder that draws. Sun et al. 2023, arXiv 2312.13286."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Le
from realism.base.batching import Batches
from realism.base.devices import pick_device, pick_dtype
from realism.base.errors import RealismError
from realism.data.types import Request, Unmade
from realism.plugins.models import find_model

from realism_generators.diffusers_pipeline import SideLength
from realism_generators.model_generator import ModelGenerator
from realism_generators.tuning import modules

if TYPE_CHECKING:
    from PIL import Image

MODULE = "pipeline_emu2_gen"
"""The name of the Python file in the model's repository that holds its pipeline."""


@dataclass
class Emu2(ModelGenerator):
    """Emu2: pictures from text, or from text and up to three references read together with it.

    Neither diffusers nor transformers has this model: its repository brings Python code of its own, which is run only
    with `trust_remote_code: true`. Requests are drawn one at a time.
    """

    pipeline_class: ClassVar[str] = "EmuVisualGenerationPipeline"
    reference_mechanism: ClassVar[str] = "interleaved prompt"
    max_references = 3

    model: str = "BAAI/Emu2-Gen"
    """A folder or a hub id, with its own `pipeline_emu2_gen.py`."""
    trust_remote_code: bool = False
    """Run the Python code that comes with the model. It can do whatever you can: read it first, and pin `revision`."""
    variant: str = "bf16"
    """The kind of weights, as in `model.bf16.safetensors`; "" for files that name none."""
    steps: Annotated[int, Ge(1), Le(10_000)] = 50
    """Denoising steps."""
    size: SideLength = 1024
    """Pixels a side, cut down to a multiple of 8."""
    guidance: Annotated[float, Ge(0)] = 3.0
    """Classifier-free guidance."""

    def options_error(self) -> str | None:
        if not self.trust_remote_code:
            return (
                f"model '{self.model}' brings Python code of its own, which is not run by default: read it, then set "
                "'trust_remote_code: true'"
            )
        try:
            source = find_model(self.model)
        except RealismError as error:
            return str(error)
        if isinstance(source, Path) and not (source / f"{MODULE}.py").is_file():
            return f"{source} is no Emu2 model: it has no {MODULE}.py"
        return None

    def batches(self, references: int) -> Batches:
        return Batches(1)

    def load(self) -> Any:
        if problem := self.options_error():
            raise RealismError(problem)
        import diffusers
        import transformers
        from realism.base.loading import check_finite
        from realism.base.pretrained import loading_errors, quiet

        device = pick_device(self.device)
        source = find_model(self.model)
        weights = {"dtype": pick_dtype(self.dtype, device), "use_safetensors": True, "variant": self.variant or None}
        logging.getLogger("realism").warning(
            f"'{self.part_name or 'emu2'}' runs the Python code that came with '{self.model}', as 'trust_remote_code: "
            "true' says; it can do whatever you can"
        )
        with quiet(), loading_errors(source):
            folder = source if isinstance(source, Path) else self._download(source)
            encoder = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder / "multimodal_encoder"), trust_remote_code=True, **weights
            )
            pipeline = diffusers.DiffusionPipeline.from_pretrained(
                str(folder), custom_pipeline=MODULE, trust_remote_code=True, multimodal_encoder=encoder,
                tokenizer=transformers.AutoTokenizer.from_pretrained(str(folder / "tokenizer")), **weights,
            )  # fmt: skip
        for name, part in modules(pipeline).items():
            check_finite(part.state_dict(), f"component '{name}' of model '{source}'")
        pipeline.set_progress_bar_config(disable=True)
        return pipeline.to(device)

    def _download(self, name: str) -> Path:
        """The model's repository on this machine: transformers finds an encoder's code in a folder of its own only."""
        from huggingface_hub import snapshot_download

        wanted = ["*.json", "*.py", "*.txt", "*.model", f"*{self.variant}*.safetensors"]
        return Path(snapshot_download(name, revision=self.revision, allow_patterns=wanted))

    def draw(self, requests: Sequence[Request]) -> list[Image.Image | Unmade]:
        import numpy as np
        import torch

        from realism_generators.loading import seeded
        from realism_generators.withheld import WITHHELD

        (request,) = requests
        side = max(16, self.size // 8 * 8)
        inputs = [*(image.convert("RGB") for image in request.references), request.text]
        with torch.inference_mode(), seeded(request.seed):  # the pipeline takes no generator
            made = self.pipeline(
                inputs, height=side, width=side, num_inference_steps=self.steps, guidance_scale=self.guidance
            )
        flagged = getattr(made, "nsfw_content_detected", None)
        return [Unmade(WITHHELD) if np.any(flagged or False) else made.image]

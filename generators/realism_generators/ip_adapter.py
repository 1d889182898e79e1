"""IP-Adapter: the attention layers also see an embedding of the reference. Ye et al. 2023, arXiv 2308.06721."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Gt
from realism.base.errors import RealismError, listed, nearest
from realism.data.types import Request
from realism.plugins.models import find_model

from realism_generators.diffusers_pipeline import DiffusersGenerator

if TYPE_CHECKING:
    from PIL import Image


@dataclass
class IPAdapter(DiffusersGenerator):
    """A pipeline that takes an IP-Adapter. Without one, references are not used."""

    reference_mechanism: ClassVar[str] = "IP-Adapter"
    one_by_one: ClassVar[Literal["none", "references", "all"]] = "references"
    encoder_class: ClassVar[str] = "CLIPVisionModelWithProjection"
    """The class in transformers of the image encoder that this family's adapters were trained with."""

    adapter: str | None = None
    """The IP-Adapter for references: a folder or a hub id, of the same family as `model`. None takes no references."""
    adapter_weights: str = "ip-adapter.safetensors"
    """The file of the adapter, as a path in it. Only safetensors are read."""
    adapter_scale: Annotated[float, Gt(0)] = 0.6
    """How much a reference counts beside the text: near 0 little, 1 in full."""
    image_encoder: str = "openai/clip-vit-large-patch14"
    """The encoder that the adapter was trained with: a folder or a hub id."""

    @property
    def max_references(self) -> int:
        """One if there is an adapter, else none."""
        return 1 if self.adapter else 0

    def more_models(self) -> list[str]:
        return [self.adapter, self.image_encoder] if self.adapter else []

    def misfit(self) -> str | None:
        try:
            if self.adapter:
                self._file(find_model(self.adapter))
                self._check_encoder(find_model(self.image_encoder))
        except RealismError as error:
            return str(error)
        return None

    def adapter_arguments(self, requests: Sequence[Request]) -> dict[str, Any]:
        """The arguments that switch the adapter on with the reference of the first request, or off without one."""
        from PIL import Image

        if not self.adapter or not self._is_attached():  # it rests while the generator learns
            return {}
        references = requests[0].references
        self.pipeline.set_ip_adapter_scale(self.adapter_scale if references else 0.0)
        # a pipeline with an adapter insists on an image, even where its scale is 0
        return {"ip_adapter_image": references[0].convert("RGB") if references else Image.new("RGB", (64, 64))}

    def setup(self, pipeline: Any) -> None:
        from realism.base.loading import read_tensors, safe_loading
        from realism.base.pretrained import first_line

        if not self.adapter:
            return
        source = find_model(self.adapter)
        self._add_encoder(pipeline)
        path = self._file(source)
        with safe_loading(source):
            file = source / path if isinstance(source, Path) else _fetched(source, path)
            read_tensors(file, f"{self.adapter}/{path}")
            try:
                pipeline.load_ip_adapter(str(file.parent), weight_name=file.name, subfolder="")
                empty = [n for n, p in self._drawing_model(pipeline).named_parameters() if p.is_meta]
                if empty:  # diffusers makes room for weights and does not miss them
                    raise ValueError(f"it has no weights for {empty[0]}")
            except (ValueError, KeyError, RuntimeError, AttributeError) as error:
                raise RealismError(
                    f"adapter '{self.adapter}' ({self.adapter_weights}) does not fit the {self.pipeline_class} of "
                    f"model '{self.model}', so take one made for it: {first_line(error)}"
                ) from error

    def remove_setup(self, pipeline: Any) -> None:
        super().remove_setup(pipeline)
        if self.adapter:
            pipeline.unload_ip_adapter()

    def check_no_reference(self, references: Sequence[Image.Image]) -> None:
        """Raises RealismError for references, and for a network that expects some: an adapter only works in drawing."""
        if references or self._is_attached():
            raise RealismError(
                f"adapter: '{self.adapter or ''}' gives references to '{self.part_name}' in drawing alone; nothing can "
                "be trained or steered by them: leave 'adapter' out"
            )

    def _is_attached(self) -> bool:
        """Whether the network expects references."""
        network = self._drawing_model(self.pipeline)
        return bool(getattr(network, "encoder_hid_proj", None) or getattr(network, "image_proj", None))

    def _check_encoder(self, source: str | Path) -> None:
        """Raises RealismError if the encoder is on this machine and of another kind than the adapters want."""
        if not isinstance(source, Path):
            return
        try:
            found = json.loads((source / "config.json").read_text(encoding="utf-8"))["model_type"]
        except (OSError, ValueError, KeyError, TypeError):
            raise RealismError(
                f"image_encoder: {source} is no model of transformers: it has no config.json that says its model_type"
            ) from None
        wanted = "siglip" if self.encoder_class == "SiglipVisionModel" else "clip"
        if not str(found).startswith(wanted):
            raise RealismError(
                f"image_encoder: {source} is of type '{found}'; adapters of {self.pipeline_class} were trained with "
                f"{wanted}"
            )

    def _drawing_model(self, pipeline: Any) -> Any:
        return pipeline.components.get("unet") or pipeline.components["transformer"]

    def _add_encoder(self, pipeline: Any) -> None:
        """Give the pipeline the adapter's image encoder, which diffusers would otherwise load from the adapter's
        folder."""
        import transformers
        from realism.base.loading import load_model

        kind = getattr(transformers, self.encoder_class)
        encoder: Any = load_model(kind, find_model(self.image_encoder), dtype=pipeline.dtype)
        pipeline.register_modules(image_encoder=encoder)
        if pipeline.feature_extractor is None:  # Stable Diffusion 1.x has one already, for its safety checker
            side = encoder.config.image_size
            pipeline.register_modules(feature_extractor=self.preprocessor(side))

    def preprocessor(self, side: int) -> Any:
        """The image processor for an encoder of that many pixels a side."""
        from transformers import CLIPImageProcessor, SiglipImageProcessor

        if self.encoder_class == "SiglipVisionModel":
            return SiglipImageProcessor(size={"height": side, "width": side})
        return CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})

    def _file(self, source: str | Path) -> PurePosixPath:
        """The adapter's file within its source. Raises RealismError unless it is one of safetensors, and there if the
        source is on this machine."""
        path = PurePosixPath(self.adapter_weights)
        if path.suffix != ".safetensors" or path.is_absolute() or ".." in path.parts:
            raise RealismError(
                f"adapter_weights: '{self.adapter_weights}' is no .safetensors file inside the adapter; only those are "
                "read: name one, or convert it first"
            )
        if isinstance(source, Path) and not (source / path).is_file():
            available = sorted(found.relative_to(source).as_posix() for found in source.rglob("*.safetensors"))
            raise RealismError(
                f"adapter_weights: adapter {source} has no '{path}'{nearest(str(path), available)}; it has: "
                f"{listed(available)}"
            )
        return path


def _fetched(source: str, path: PurePosixPath) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(source, str(path)))

"""What this family registers."""

from __future__ import annotations

from realism import hook
from realism.plugins.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.generator("sd", "realism_generators.stable_diffusion:StableDiffusion")
    registry.generator("sdxl", "realism_generators.stable_diffusion:StableDiffusionXL")
    registry.generator("sd3", "realism_generators.stable_diffusion:StableDiffusion3")
    registry.generator("sd-img2img", "realism_generators.image_to_image:StableDiffusionImg2Img")
    registry.generator("sdxl-img2img", "realism_generators.image_to_image:StableDiffusionXLImg2Img")
    registry.generator("sd-unclip", "realism_generators.image_to_image:UnCLIP")
    registry.generator("flux", "realism_generators.flux:Flux")
    registry.generator("flux-kontext", "realism_generators.flux:FluxKontext")
    registry.generator("flux-redux", "realism_generators.flux:FluxRedux")
    registry.generator("flux2", "realism_generators.flux2:Flux2")
    registry.generator("flux2-klein", "realism_generators.flux2:Flux2Klein")
    registry.generator("qwen-image-edit", "realism_generators.qwen:QwenImageEdit")
    registry.generator("qwen-image-edit-plus", "realism_generators.qwen:QwenImageEditPlus")
    registry.generator("amused", "realism_generators.amused:Amused")
    registry.generator("omnigen", "realism_generators.omnigen:OmniGen")
    registry.generator("emu2", "realism_generators.emu2:Emu2")
    registry.generator("emu3", "realism_generators.emu3:Emu3")
    registry.trainer("lora", "realism_generators.lora:LoRATrainer")
    registry.language("chat", "realism_generators.chat:TransformersChat")
    registry.language("endpoint", "realism_generators.endpoint:Endpoint")

"""Tiny random pipelines of the real classes, in the formats of the real ones, made offline in a second each."""

from __future__ import annotations

from pathlib import Path

from tiny import WORDS, flux_folder, tokenizer


def saved(pipeline, folder: Path) -> Path:
    from realism.base.pretrained import quiet

    with quiet():
        pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _loud(model, by: float):
    """The model with larger weights, so that what it attends to shows after two steps."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and any(part in name for part in ("attn", "proj_out", "embedder", "redux")):
                weight.mul_(by)
    return model


def started(seed: int) -> None:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)


def _clip_text(projected: bool = False, width: int = 32):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(WORDS) + 4, hidden_size=width, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=16, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        projection_dim=width,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _t5():
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(T5Config(vocab_size=len(WORDS) + 4, d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2))


def clip_vision(width: int = 32):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=width, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        patch_size=16, projection_dim=width,
    )  # fmt: skip
    return CLIPVisionModelWithProjection(config)


def siglip_vision(patch: int = 16):
    from transformers import SiglipVisionConfig, SiglipVisionModel

    config = SiglipVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        patch_size=patch,
    )  # fmt: skip
    return SiglipVisionModel(config)


def vae(latents: int = 4, levels: int = 4, **more):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        sample_size=32, in_channels=3, out_channels=3, block_out_channels=(8,) * levels, layers_per_block=1,
        latent_channels=latents, norm_num_groups=2, down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels, **more,
    )  # fmt: skip


def unet(**more):
    from diffusers import UNet2DConditionModel

    options = {
        "sample_size": 4, "in_channels": 4, "out_channels": 4, "block_out_channels": (8, 16), "layers_per_block": 1,
        "norm_num_groups": 2, "cross_attention_dim": 32, "attention_head_dim": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }  # fmt: skip
    return UNet2DConditionModel(**(options | more))


def _ddim():
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip


def stable_diffusion(folder: Path, seed: int = 0) -> Path:
    from diffusers import StableDiffusionPipeline

    started(seed)
    pipeline = StableDiffusionPipeline(
        vae=vae(), text_encoder=_clip_text(), tokenizer=tokenizer(), unet=unet(), scheduler=_ddim(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    return saved(pipeline, folder)


def stable_diffusion_xl(folder: Path, seed: int = 0) -> Path:
    from diffusers import StableDiffusionXLPipeline

    started(seed)
    projected = unet(
        addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=6 * 4 + 32,
        cross_attention_dim=64, use_linear_projection=True,
    )  # fmt: skip
    pipeline = StableDiffusionXLPipeline(
        vae=vae(), text_encoder=_clip_text(), text_encoder_2=_clip_text(projected=True), tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), unet=projected, scheduler=_ddim(),
    )  # fmt: skip
    return saved(pipeline, folder)


def stable_diffusion_3(folder: Path, seed: int = 0) -> Path:
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    started(seed)
    transformer = SD3Transformer2DModel(
        sample_size=16, patch_size=1, in_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        caption_projection_dim=32, joint_attention_dim=32, pooled_projection_dim=32, out_channels=4,
    )  # fmt: skip
    autoencoder = vae(levels=2, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5)
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(), vae=autoencoder,
        text_encoder=_clip_text(projected=True, width=16), tokenizer=tokenizer(),
        text_encoder_2=_clip_text(projected=True, width=16), tokenizer_2=tokenizer(), text_encoder_3=_t5(),
        tokenizer_3=tokenizer(),
    )  # fmt: skip
    return saved(pipeline, folder)


def unclip(folder: Path, seed: int = 0) -> Path:
    from diffusers import DDPMScheduler, StableUnCLIPImg2ImgPipeline
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
    from transformers import CLIPImageProcessor

    started(seed)
    projected = unet(class_embed_type="projection", projection_class_embeddings_input_dim=64)
    pipeline = StableUnCLIPImg2ImgPipeline(
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        image_encoder=clip_vision(), image_normalizer=StableUnCLIPImageNormalizer(embedding_dim=32),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"), tokenizer=tokenizer(),
        text_encoder=_clip_text(), unet=projected, scheduler=_ddim(), vae=vae(),
    )  # fmt: skip
    return saved(pipeline, folder)


def flux(folder: Path, seed: int = 0) -> Path:
    """A FluxPipeline that heeds its text tokens more than tiny.flux_folder does."""
    from diffusers import FluxTransformer2DModel

    flux_folder(folder, seed=seed)
    transformer = FluxTransformer2DModel.from_pretrained(folder, subfolder="transformer")
    saved(_loud(transformer, 4), folder / "transformer")
    return folder


def redux(folder: Path, seed: int = 0) -> Path:
    from diffusers import FluxPriorReduxPipeline
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
    from transformers import SiglipImageProcessor

    started(seed)
    pipeline = FluxPriorReduxPipeline(
        image_encoder=siglip_vision(patch=2), feature_extractor=SiglipImageProcessor(size={"height": 32, "width": 32}),
        image_embedder=_loud(ReduxImageEncoder(redux_dim=32, txt_in_features=32), 16),
    )  # fmt: skip
    return saved(pipeline, folder)


def _flux2_vae():
    from diffusers import AutoencoderKLFlux2

    return AutoencoderKLFlux2(
        sample_size=32, in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(8,) * 3, layers_per_block=1, latent_channels=4,
        norm_num_groups=2,
    )  # fmt: skip


def _flux2_transformer(layers: int, **more):
    from diffusers import Flux2Transformer2DModel

    transformer = Flux2Transformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=layers * 16, timestep_guidance_channels=32, axes_dims_rope=(4, 4, 4, 4), **more,
    )  # fmt: skip
    return _loud(transformer, 4)


TEMPLATE = (
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }} {% endfor %}{% endif %}{% endfor %}"
)


def klein(folder: Path, seed: int = 0) -> Path:
    from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline
    from transformers import Qwen3Config, Qwen3ForCausalLM

    started(seed)
    words = tokenizer()
    words.chat_template = TEMPLATE
    config = Qwen3Config(  # the pipeline reads layers 9, 18 and 27
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=27, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    pipeline = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=_flux2_vae(), text_encoder=Qwen3ForCausalLM(config),
        tokenizer=words, transformer=_flux2_transformer(3, guidance_embeds=False), is_distilled=True,
    )  # fmt: skip
    return saved(pipeline, folder)


def flux2(folder: Path, seed: int = 0) -> Path:
    from diffusers import FlowMatchEulerDiscreteScheduler, Flux2Pipeline
    from transformers import (
        Mistral3Config,
        Mistral3ForConditionalGeneration,
        MistralConfig,
        PixtralImageProcessor,
        PixtralProcessor,
        PixtralVisionConfig,
    )

    started(seed)
    words = tokenizer()
    words.add_special_tokens({"additional_special_tokens": ["[IMG]", "[IMG_BREAK]", "[IMG_END]"]})
    text = MistralConfig(  # the pipeline reads layers 10, 20 and 30
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=30, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    vision = PixtralVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16,
        head_dim=8,
    )  # fmt: skip
    config = Mistral3Config(
        text_config=text, vision_config=vision, image_token_index=words.convert_tokens_to_ids("[IMG]")
    )
    processor = PixtralProcessor(
        image_processor=PixtralImageProcessor(patch_size=16, size={"longest_edge": 32}), tokenizer=words,
        patch_size=16, chat_template=TEMPLATE,
    )  # fmt: skip
    pipeline = Flux2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=_flux2_vae(),
        text_encoder=Mistral3ForConditionalGeneration(config), tokenizer=processor, transformer=_flux2_transformer(3),
    )  # fmt: skip
    return saved(pipeline, folder)


def qwen_edit(folder: Path, plus: bool = False, seed: int = 0) -> Path:
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageEditPipeline,
        QwenImageEditPlusPipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    started(seed)
    words = tokenizer()
    signs = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    words.add_special_tokens({"additional_special_tokens": signs})
    words.model_max_length = 4096
    ids = dict(zip(signs, words.convert_tokens_to_ids(signs), strict=True))
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(words), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "bos_token_id": 1, "eos_token_id": 2,
            "pad_token_id": 0, "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]},
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
            "fullatt_block_indexes": [0],
        },
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip
    few = {"min_pixels": 28 * 28, "max_pixels": 56 * 56}
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**few), video_processor=Qwen2VLVideoProcessor(**few), tokenizer=words,
        chat_template=TEMPLATE,
    )  # fmt: skip
    levels = 5  # diffusers scales each reference to a million pixels: halved four times, they are 1,024 tokens
    vae = AutoencoderKLQwenImage(
        base_dim=2, z_dim=4, dim_mult=[1] * levels, num_res_blocks=0, temperal_downsample=[False] * (levels - 1),
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    transformer = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    pipeline = (QwenImageEditPlusPipeline if plus else QwenImageEditPipeline)(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=words, processor=processor, transformer=transformer,
    )  # fmt: skip
    return saved(pipeline, folder)


def qwen_edit_plus(folder: Path, seed: int = 0) -> Path:
    return qwen_edit(folder, plus=True, seed=seed)


def omnigen(folder: Path, seed: int = 0) -> Path:
    from diffusers import FlowMatchEulerDiscreteScheduler, OmniGenPipeline, OmniGenTransformer2DModel

    started(seed)
    words = tokenizer()
    words.model_max_length = 4096
    transformer = OmniGenTransformer2DModel(
        in_channels=4, patch_size=2, hidden_size=32, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=32, num_layers=1, pad_token_id=0, vocab_size=len(WORDS) + 4,
        rope_scaling={"short_factor": [1.0] * 8, "long_factor": [1.0] * 8}, rope_base=10000, pos_embed_max_size=64,
        time_step_dim=16,
    )  # fmt: skip
    pipeline = OmniGenPipeline(
        transformer=_loud(transformer, 2), vae=vae(), tokenizer=words,
        scheduler=FlowMatchEulerDiscreteScheduler(invert_sigmas=True, num_train_timesteps=1),
    )  # fmt: skip
    return saved(pipeline, folder)


def clip_encoder(folder: Path, seed: int = 0) -> Path:
    started(seed)
    return saved(clip_vision(), folder)


def siglip_encoder(folder: Path, seed: int = 0) -> Path:
    started(seed)
    return saved(siglip_vision(), folder)


def written(folder: Path, name: str, weights) -> Path:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in weights.items()}, folder / name)
    return folder


def with_safety_checker(folder: Path, seed: int = 0) -> Path:
    """Stable Diffusion's folder with a safety checker of the real class, to which every picture is safe."""
    import json

    import torch
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    started(seed)
    vision = clip_vision().config
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision.to_dict(), projection_dim=32))
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(2.0)  # no cosine is as large
        checker.special_care_embeds_weights.fill_(2.0)
    saved(checker, folder / "safety_checker")
    saved(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        folder / "feature_extractor",
    )
    index = json.loads((folder / "model_index.json").read_text())
    index |= {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder

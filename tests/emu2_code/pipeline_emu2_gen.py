"""The pipeline of a tiny model that brings its own code: it is called as Emu2's own pipeline is."""

import os
from types import SimpleNamespace

import numpy
import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor

os.environ["REALISM_TEST_CODE_RAN"] = "yes"


class EmuVisualGenerationPipeline(DiffusionPipeline):
    def __init__(self, tokenizer, multimodal_encoder, scheduler, unet, vae):
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer, multimodal_encoder=multimodal_encoder, scheduler=scheduler, unet=unet, vae=vae
        )

    def __call__(self, inputs, height=1024, width=1024, num_inference_steps=50, guidance_scale=3.0):
        text = " ".join(part for part in inputs if isinstance(part, str))
        images = [part for part in inputs if not isinstance(part, str)]
        colours = torch.tensor(numpy.array([[numpy.asarray(image).mean((0, 1)) / 255 for image in images]]))
        ids = self.tokenizer(text, return_tensors="pt").input_ids
        dtype = self.unet.dtype
        seen = self.multimodal_encoder(ids.to(self.device), colours.reshape(1, -1, 3).to(self.device, dtype))
        latents = torch.randn(1, 4, height // 8, width // 8).to(self.device, dtype)
        self.scheduler.set_timesteps(num_inference_steps, device=self.device)
        latents = latents * self.scheduler.init_noise_sigma
        for t in self.scheduler.timesteps:
            given = self.scheduler.scale_model_input(torch.cat([latents] * 2), t)
            both = torch.cat([torch.zeros_like(seen), seen])
            without, with_it = self.unet(given, t, encoder_hidden_states=both).sample.chunk(2)
            latents = self.scheduler.step(without + guidance_scale * (with_it - without), t, latents).prev_sample
        image = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        return SimpleNamespace(image=VaeImageProcessor().postprocess(image)[0])

"""What this family registers."""

from __future__ import annotations

from realism import hook
from realism.plugins.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.reward("clip_t", "realism_rewards.clip:ClipT")
    registry.reward("clip_i", "realism_rewards.clip:ClipI")
    registry.reward("clip_i_real", "realism_rewards.clip:ClipIReal")
    registry.reward("zero_shot", "realism_rewards.zero_shot:ZeroShot")
    registry.reward("aesthetic", "realism_rewards.aesthetic:Aesthetic")
    registry.reward("vila", "realism_rewards.vila:Vila")
    registry.reward("pickscore", "realism_rewards.pickscore:PickScore")
    registry.reward("hpsv2", "realism_rewards.hps:HpsV2")
    registry.reward("hpsv3", "realism_rewards.hpsv3:HpsV3")
    registry.reward("imagereward", "realism_rewards.imagereward:ImageReward")
    registry.reward("vqa", "realism_rewards.vqa:Vqa")
    registry.reward("vqa_absolute", "realism_rewards.vqa:VqaAbsolute")
    registry.reward("vqa_dsg", "realism_rewards.vqa:VqaDsg")
    registry.reward("vqascore", "realism_rewards.vqascore:VqaScore")
    registry.encoder("inception", "realism_rewards.inception:Inception")
    registry.metric("kid", "realism_rewards.kid:Kid")
    registry.metric("fid", "realism_rewards.fid:Fid")

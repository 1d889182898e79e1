"""What core registers, in the way any plugin does."""

from __future__ import annotations

from realism.plugins.hooks import hook
from realism.plugins.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.prompts("prompt_file", "realism.sources.prompt_file:PromptFile")
    registry.prompts("classes", "realism.sources.class_prompts:ClassPrompts")
    registry.images("image_folder", "realism.sources.image_folder:ImageFolder")
    registry.images("image_table", "realism.sources.image_table:ImageTable")
    registry.images("webdataset", "realism.sources.webdataset:WebDataset")
    registry.images("torchvision", "realism.sources.torchvision_dataset:TorchvisionDataset")
    registry.images("stanford_dogs", "realism.sources.stanford_dogs:StanfordDogs")
    registry.images("embedding_folder", "realism.sources.embedding_folder:EmbeddingFolder")
    registry.images("union", "realism.sources.union:Union")
    registry.step("prompts", "realism.steps.prompts:ReadPrompts")
    registry.step("index", "realism.steps.index:BuildIndex")
    registry.step("retrieve", "realism.steps.retrieve:Retrieve")
    registry.step("generate", "realism.steps.generate:Generate")
    registry.step("score", "realism.steps.score:ScoreSamples")
    registry.step("select", "realism.steps.select:Select")
    registry.step("train", "realism.steps.train:Train")
    registry.step("benchmark", "realism.steps.benchmark:Benchmark")
    registry.step("evaluate", "realism.steps.evaluate:Evaluate")
    registry.step("photographs", "realism.steps.photographs:Photographs")
    registry.step("project", "realism.steps.project:Project")
    registry.step("report", "realism.steps.report:WriteReport")

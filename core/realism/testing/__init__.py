"""What every part of a family must do, as suites that any part, ours or a stranger's, is put through.

In a plugin's tests, an empty body apart from the part:

    class TestSharpness(RewardSuite):
        @pytest.fixture
        def part(self):
            return Sharpness()

or without any test: `pytest --pyargs realism.testing --part sharpness --option size=128`.
"""

from realism.testing.examples import ExampleRetriever, write_example_images
from realism.testing.generator import GeneratorSuite
from realism.testing.language import LanguageModelSuite
from realism.testing.making import make_part, suites_of
from realism.testing.metric import SetMetricSuite
from realism.testing.part import PartSuite
from realism.testing.retriever import ImageEncoderSuite, IndexSuite, RetrieverSuite
from realism.testing.reward import RewardSuite
from realism.testing.sources import ImagesSuite, PromptsSuite
from realism.testing.step import run_step, work_with
from realism.testing.step_suite import StepSuite
from realism.testing.trainer import TrainerSuite
from realism.testing.tunable import TrainedSuite, TunableSuite

__all__ = [
    "ExampleRetriever",
    "GeneratorSuite",
    "ImageEncoderSuite",
    "ImagesSuite",
    "IndexSuite",
    "LanguageModelSuite",
    "PartSuite",
    "PromptsSuite",
    "RetrieverSuite",
    "RewardSuite",
    "SetMetricSuite",
    "StepSuite",
    "TrainedSuite",
    "TrainerSuite",
    "TunableSuite",
    "make_part",
    "run_step",
    "suites_of",
    "work_with",
    "write_example_images",
]

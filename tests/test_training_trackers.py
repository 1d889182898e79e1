"""Trackers are given what the curves tell, below the run's folder, and nothing leaves the machine."""

from __future__ import annotations

import importlib.util
import socket

import pytest
from realism.base import permissions
from realism.base.errors import RecipeError

RECIPE = """\
parts:
  learner: {use: toy_learner}
  teacher: {use: toy_trainer, generator: learner, steps: 5}
prompts: {use: toy_prompts, count: 3}
steps:
  - generate: {generator: learner}
  - train: {trainer: teacher, trackers: [TRACKER]}
"""


@pytest.fixture
def no_network(monkeypatch):
    """Connections of this process beyond this machine fail the test; what trackers set for it is unset afterwards."""
    for name in ("WANDB_MODE", "WANDB_ERROR_REPORTING", "WANDB_SILENT", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    connect = socket.socket.connect

    def local(self, address):
        assert self.family == socket.AF_UNIX or str(address[0]) in ("127.0.0.1", "::1", "localhost"), address
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)


def test_tensorboard_shows_the_curves(run, write_recipe):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = run(write_recipe(RECIPE.replace("TRACKER", "tensorboard"))).folder
    (events,) = folder.glob("trackers/tensorboard/train-learner-*")
    seen = EventAccumulator(str(events))
    seen.Reload()
    assert {"loss", "learning_rate", "gradient_norm", "distance"} <= set(seen.Tags()["scalars"])
    assert [event.value for event in seen.Scalars("distance")] == [200, 100, 50, 25, 12.5]


def test_wandb_is_offline_unless_it_is_allowed(run, write_recipe, no_network):
    pytest.importorskip("wandb")
    folder = run(write_recipe(RECIPE.replace("TRACKER", "wandb"))).folder
    assert list(folder.glob("trackers/wandb/wandb/offline-run-*/*.wandb"))
    assert not [path for path in (folder / "trackers").rglob("*") if path.is_symlink()]
    assert run(write_recipe(RECIPE.replace("TRACKER", "wandb"))).steps[1].kept, "the run is whole with it"


def test_wandb_is_sent_to_where_the_command_line_allows_and_nowhere_else(monkeypatch):
    permissions.allow(["WANDB_API_KEY@https://wandb.example.org", "OTHER_KEY@https://b.example.org"])
    assert permissions.allowed_place("WANDB_API_KEY") == "https://wandb.example.org"
    permissions.allow([])
    assert permissions.allowed_place("WANDB_API_KEY") is None


def test_mlflow_is_given_the_curves(run, write_recipe, no_network):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    folder = run(write_recipe(RECIPE.replace("TRACKER", "mlflow"))).folder
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'trackers' / 'mlflow' / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "recipe"]
    (tracked,) = client.search_runs([experiment.experiment_id])
    values = [point.value for point in client.get_metric_history(tracked.info.run_id, "distance")]
    assert values == [200, 100, 50, 25, 12.5]


def test_a_tracker_changes_no_result_and_keeps_the_step(run, write_recipe):
    pytest.importorskip("tensorboard")
    plain = RECIPE.replace("TRACKER", "")
    assert run(write_recipe(plain)).folder
    assert run(write_recipe(RECIPE.replace("TRACKER", "tensorboard"))).steps[1].kept


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_refused_before_anything_runs(read, write_recipe, monkeypatch, name):
    from realism.steps import train_trackers

    find = importlib.util.find_spec
    monkeypatch.setattr(train_trackers, "find_spec", lambda wanted: None if wanted == name else find(wanted))
    with pytest.raises(RecipeError, match=rf"'{name}' is not installed; pip install 'realism\[{name}\]'"):
        read(write_recipe(RECIPE.replace("TRACKER", name)))


def test_another_tracker_is_named(read, write_recipe):
    with pytest.raises(RecipeError, match=r"trackers\[0\].*tensorboard"):
        read(write_recipe(RECIPE.replace("TRACKER", "tensorbord")))

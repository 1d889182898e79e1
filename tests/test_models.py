"""Where a model's weights are looked for."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from realism import RealismError
from realism.plugins.models import find_model, local_folder
from realism.plugins.registry import Registry


@pytest.fixture(autouse=True)
def shipped(monkeypatch):
    """A plugin that ships `garden/flux`, and `garden/lost`, whose folder is not there."""
    registry = Registry()
    registry.model("garden/flux", "realism:testing")
    registry.model("garden/lost", "realism:nowhere")
    monkeypatch.setattr("realism.plugins.manager.plugins", lambda: SimpleNamespace(registry=registry))


def test_a_shipped_model_is_its_folder():
    import realism

    assert find_model("garden/flux") == Path(realism.__file__).parent / "testing"


def test_a_folder_is_found_from_the_working_folder_and_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find_model("models/mine") == Path("models/mine")
    assert find_model(str(tmp_path / "models")) == tmp_path / "models"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("~/models") == tmp_path / "models"


@pytest.mark.parametrize("name", ["black-forest-labs/FLUX.1-dev", "gpt2", "a_b/c-d.e"])
def test_anything_else_that_can_be_a_hub_id_is_one(name):
    assert find_model(name) == name and local_folder(name) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("garden/flx", "no model 'garden/flx'; did you mean 'garden/flux'"),
        ("garden/lost", "model 'garden/lost' .* which is not there; install the plugin again or build the model"),
        ("./mine", "no model folder './mine'"),
        ("/nowhere/mine", "no model folder '/nowhere/mine'"),
        ("~nobody-here/mine", "no model folder '~nobody-here/mine'"),
        ("~/nowhere/mine", "no model folder '~/nowhere/mine'"),
        (
            "models/mine/v2",
            "no model 'models/mine/v2'; expected a folder, a hub id .*, or one of those shipped: garden/f",
        ),
        ("", "no model ''"),
    ],
)
def test_what_can_be_no_model_is_said(name, sentence):
    with pytest.raises(RealismError, match=sentence):
        find_model(name)
    assert local_folder(name) is None

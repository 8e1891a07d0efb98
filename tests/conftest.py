import shutil

import pytest

from tests.clone import Clone


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Clone:
    """A clone whose pipeline has run to its end, once. Not to be changed."""
    clone = Clone(tmp_path_factory.mktemp("clones") / "undisturbed")
    assert clone.repro() == ["download", "corrupt", "train", "evaluate"]
    return clone


@pytest.fixture(scope="module")
def clone(undisturbed, tmp_path_factory) -> Clone:
    """A copy of the undisturbed clone, with the outs and the lock of its run, for the tests of a module."""
    folder = tmp_path_factory.mktemp("clones") / "clone"
    shutil.copytree(undisturbed.folder, folder, symlinks=True)
    return Clone(folder)

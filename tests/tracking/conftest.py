import shutil

import pytest

from pipeline.tracking.client import Store, connect
from tests.clone import ROOT


@pytest.fixture
def store(tmp_path, monkeypatch, mlflow_db) -> Store:
    """The embedded store of a folder that is no repository, where the test runs."""
    shutil.copy(mlflow_db, tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return connect()

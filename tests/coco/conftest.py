from collections.abc import Iterator

import pytest

from tests.coco.host import Host


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as server:
        yield server
        server.shutdown()

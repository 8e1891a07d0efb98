import numpy as np
import pytest
from skimage import data

from pipeline.inference.insert_object import insert
from pipeline.inference.restorer import Restorer
from pipeline.runtime.errors import UserError

RESTORER = Restorer.load()
BACKGROUND, CAT = data.coffee()[:200, :300], data.chelsea()
SILHOUETTE = np.zeros(CAT.shape[:2], bool)
SILHOUETTE[60:260, 90:330] = True


def test_an_object_is_put_where_it_shall_be():
    result = insert(RESTORER, BACKGROUND, CAT, SILHOUETTE, at=(150, 100), scale=0.5)
    assert result.shape == BACKGROUND.shape
    outside = np.ones(BACKGROUND.shape[:2], bool)
    outside[45:155, 85:215] = False
    assert np.array_equal(result[outside], BACKGROUND[outside])
    inner = result[80:120, 120:180].astype(int)
    middle = CAT[120:200, 150:270].reshape(40, 2, 60, 2, 3).mean(axis=(1, 3))
    assert np.abs(inner - middle).mean() < 2


def test_it_may_stick_out():
    result = insert(RESTORER, BACKGROUND, CAT, SILHOUETTE, at=(0, 0))
    assert not np.array_equal(result[:50, :50], BACKGROUND[:50, :50])
    assert np.array_equal(result[150:], BACKGROUND[150:])


def test_what_cannot_be_seen_is_refused():
    with pytest.raises(UserError, match="outside the picture"):
        insert(RESTORER, BACKGROUND, CAT, SILHOUETTE, at=(900, 900))
    with pytest.raises(UserError, match="black all over"):
        insert(RESTORER, BACKGROUND, CAT, np.zeros_like(SILHOUETTE), at=(10, 10))

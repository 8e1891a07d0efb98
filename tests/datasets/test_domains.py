import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.datasets import domains, photos
from pipeline.datasets.splits import assign_splits
from pipeline.params import Domains
from pipeline.runtime.errors import UserError

COUNT = 80
RENDERED = Domains(by="rendering", rendering="pencil", folders=["a", "b"], categories=[["horse"], ["zebra"]], room=0.3)
FOLDERS = RENDERED.model_copy(update={"by": "folders", "folders": ["summer", "winter"]})
CATEGORIES = RENDERED.model_copy(update={"by": "categories"})


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (number, 255 - number, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def store(folder: Path, name_of=lambda number: f"{number:03}.png", content_of=png, annotations=()) -> dict:
    """A store of photos; the photos of each split."""
    images = [
        {"id": number, "file_name": name_of(number), "license": 1, "width": 8, "height": 6, "coco_url": ""}
        for number in range(COUNT)
    ]
    categories = [{"id": 1, "name": "horse"}, {"id": 2, "name": "zebra"}, {"id": 3, "name": "dog"}]
    licenses = [{"id": 1, "name": "some", "url": ""}]
    dataset = {"images": images, "licenses": licenses, "categories": categories, "annotations": list(annotations)}
    contents = (content_of(number) for number in range(COUNT))
    photos.write(folder, "some", dataset, contents).to_csv(folder / "manifest.csv", index=False)
    return assign_splits(photos.index(folder), 0.2, 0.2)


def ids(views: list[domains.View]) -> set[int]:
    return {view.photo.image_id for view in views}


def instance(number: int, category: int, side: float = 40.0) -> dict:
    return {"id": number, "image_id": number % COUNT, "category_id": category, "bbox": [1.0, 2.0, side, side + 9]}


def test_the_halves_of_train_share_no_photo_and_the_truth_of_the_others_is_known(tmp_path):
    splits = store(tmp_path)
    found = domains.assign(tmp_path, splits, RENDERED)
    first, second = found["train"]
    assert not ids(first) & ids(second)
    assert ids(first) | ids(second) == {photo.image_id for photo in splits["train"]}
    assert min(len(first), len(second)) > len(splits["train"]) / 4
    for split in ("val", "test"):
        assert found[split][0] == found[split][1]
        assert ids(found[split][0]) == {photo.image_id for photo in splits[split]}


def test_no_photo_changes_its_half_when_others_go(tmp_path):
    splits = store(tmp_path)
    fewer = splits | {"train": splits["train"][::2]}
    whole, some = (domains.assign(tmp_path, each, RENDERED)["train"] for each in (splits, fewer))
    assert all(ids(few) <= ids(many) for few, many in zip(some, whole, strict=True))


def test_folders_are_domains_at_any_depth_and_no_test_photo_is_trained_on(tmp_path):
    splits = store(
        tmp_path, lambda number: f"{'old/' * (number % 3 == 0)}{('summer', 'winter')[number % 2]}/{number}.png"
    )
    found = domains.assign(tmp_path, splits, FOLDERS)
    for split, pair in found.items():
        members = {photo.image_id for photo in splits[split]}
        assert [ids(views) for views in pair] == [{id_ for id_ in members if id_ % 2 == side} for side in (0, 1)]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    splits = store(tmp_path, lambda number: f"summer/{number}.png")
    with pytest.raises(UserError, match="no photo lies in a folder 'winter'; change corrupt.domains.folders"):
        domains.assign(tmp_path, splits, FOLDERS)


def test_a_part_of_a_name_is_no_folder(tmp_path):
    splits = store(tmp_path, lambda number: f"{('summer', 'midwinter')[number % 2]}/{number}.png")
    with pytest.raises(UserError, match="no photo lies in a folder 'winter'"):
        domains.assign(tmp_path, splits, FOLDERS)


def test_copies_of_a_photo_in_both_folders_are_refused(tmp_path):
    splits = store(
        tmp_path,
        lambda number: f"{('summer', 'winter')[number % 2]}/{number}.png",
        lambda number: png(5) if number in (5, 6) else png(number),
    )
    with pytest.raises(UserError, match="1 photos are in both of summer and winter; name two folders of different"):
        domains.assign(tmp_path, splits, FOLDERS)


def test_a_folder_inside_the_other_is_refused(tmp_path):
    splits = store(tmp_path, lambda number: f"summer/{'winter/' * (number % 2)}{number}.png")
    with pytest.raises(UserError, match="40 photos are in both"):
        domains.assign(tmp_path, splits, FOLDERS)


def test_too_few_pictures_are_said_with_their_domain_and_split(tmp_path):
    splits = store(tmp_path, lambda number: f"{'winter' if number < 3 else 'summer'}/{number}.png")
    with pytest.raises(UserError, match=r"the second domain of corrupt.domains has \d pictures in train; expected 8"):
        domains.assign(tmp_path, splits, FOLDERS)


def test_instances_are_the_pictures_of_a_category(tmp_path, capsys):
    annotations = [instance(number, 1 + number % 2) for number in range(COUNT)]
    annotations.append(instance(COUNT + 4, 2))  # a zebra beside the horse of photo 4
    annotations.append(instance(COUNT + 6, 1))  # a second horse
    annotations.append(instance(COUNT + 8, 2, side=20.0))  # too small to be seen
    splits = store(tmp_path, annotations=annotations)
    found = domains.assign(tmp_path, splits, CATEGORIES)
    first, second = ([view for pair in found.values() for view in pair[side]] for side in (0, 1))
    assert ids(first) == set(range(0, COUNT, 2)) - {4} and ids(second) == set(range(1, COUNT, 2))
    assert len(first) == COUNT / 2 - 1 + 1
    assert first[0].box == (1.0, 2.0, 40.0, 49.0)
    assert "1 photos have both of corrupt.domains.categories, and are left out" in capsys.readouterr().err


def test_a_category_that_no_photo_has_is_named(tmp_path):
    splits = store(tmp_path, annotations=[instance(number, 1) for number in range(COUNT)])
    with pytest.raises(UserError, match="no photo has the category 'zebra'; change corrupt.domains.categories"):
        domains.assign(tmp_path, splits, CATEGORIES)


def test_the_digests_are_those_of_the_manifest(tmp_path):
    store(tmp_path)
    manifest = pd.read_csv(tmp_path / "manifest.csv")
    assert photos.digests(tmp_path) == dict(zip(manifest.image_id, manifest.sha256, strict=True))
    assert len(set(photos.digests(tmp_path).values())) == COUNT
    assert np.issubdtype(manifest.image_id.dtype, np.integer)

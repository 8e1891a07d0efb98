"""Typed parameters: one class a section of `params.yaml`, refused as one line where they are wrong."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticKnownError

from pipeline.runtime.errors import UserError, excerpt, one_line, shorten
from pipeline.runtime.yaml_file import read

HoleCorruption = Literal[
    "occlusion", "scratch", "stain", "freeform", "object", "dust", "hair", "crease", "text", "dirt"
]

SHRINKING = ("lowres", "degraded")  # the corruptions that leave too few pixels, and no hole


def _ascending(bounds: list[float]) -> list[float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the lower bound first")
    return bounds


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("each value once")
    return values


def _apart(choices: list[list[str]]) -> list[list[str]]:
    _distinct([name for choice in choices for name in choice])
    return choices


def _whole(value: Any) -> Any:
    if type(value) is not int:  # in Python true is 1, and 4.0 is 4
        raise PydanticKnownError("int_type")
    return value


def _plain(text: str) -> str:
    if text != one_line(text):
        raise ValueError("text without line ends, control characters and lone surrogates")
    return text


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("text that is not empty")
    return text


def _relative(path: str) -> str:
    if Path(path).is_absolute():
        raise ValueError("a path relative to download.folder.path, such as ../annotations/instances.json")
    return path


Seed = Annotated[int, Field(ge=0, le=4294967295)]
Weight = Annotated[float, Field(ge=0, le=1000)]


Item = TypeVar("Item")
# [least, most] of a quantity that is drawn uniformly between them
Bounds = Annotated[list[Item], Field(min_length=2, max_length=2), AfterValidator(_ascending)]
Some = Annotated[list[Item], Field(min_length=1), AfterValidator(_distinct)]
Text = Annotated[str, AfterValidator(_plain)]
Name = Annotated[Text, AfterValidator(_filled)]
Patch = Annotated[Literal[1, 2, 4, 8], BeforeValidator(_whole)]
Factor = Annotated[Literal[2, 3, 4, 8], BeforeValidator(_whole)]


class Section(BaseModel):
    """Immutable; refuses unknown keys, and values of another type (an int passes for a float)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Sample(Section):
    leaves: int = Field(ge=0, le=100_000)
    crops: int = Field(ge=1, le=1000)
    size: int = Field(ge=32, le=1024)
    seed: Seed


class Coco(Section):
    base_url: Text | Annotated[list[Text], Field(min_length=1)]
    split: Literal["train2017", "val2017", "both"]
    limit: int = Field(ge=0, le=200_000)
    categories: list[Text]
    licenses: list[Annotated[int, Field(ge=1, le=8)]]
    min_size: int = Field(ge=0, le=10_000)


class Folder(Section):
    path: Name
    annotations: Annotated[Text, AfterValidator(_relative)]


class Shards(Section):
    urls: Annotated[list[Name], Field(min_length=1)]
    limit: int = Field(ge=0, le=1_000_000_000)


class Download(Section):
    source: Literal["sample", "coco", "folder", "shards"]
    sample: Sample
    coco: Coco
    folder: Folder
    shards: Shards


class Weights(Section):
    occlusion: Weight
    scratch: Weight
    stain: Weight
    freeform: Weight
    object: Weight
    lowres: Weight
    mixed: Weight
    dust: Weight
    hair: Weight
    crease: Weight
    text: Weight
    speck: Weight
    dirt: Weight
    degraded: Weight

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not any(weight for _, weight in self):
            raise ValueError("one of them above 0")
        return self


class Occlusion(Section):
    count: Bounds[Annotated[int, Field(ge=1, le=50)]]
    side: Bounds[Annotated[float, Field(ge=0.01, le=1)]]
    fills: Some[Literal["constant", "noise", "texture"]]


class Scratch(Section):
    count: Bounds[Annotated[int, Field(ge=1, le=200)]]
    length: Bounds[Annotated[float, Field(ge=0.05, le=3)]]
    width: Bounds[Annotated[float, Field(ge=0.001, le=0.1)]]
    opacity: Bounds[Annotated[float, Field(ge=0.1, le=1)]]


class Stain(Section):
    count: Bounds[Annotated[int, Field(ge=1, le=50)]]
    radius: Bounds[Annotated[float, Field(ge=0.01, le=0.5)]]
    opacity: Bounds[Annotated[float, Field(ge=0.1, le=1)]]


class Freeform(Section):
    count: Bounds[Annotated[int, Field(ge=1, le=50)]]
    vertices: Bounds[Annotated[int, Field(ge=2, le=50)]]
    width: Bounds[Annotated[float, Field(ge=0.005, le=0.5)]]


class Object(Section):
    scale: Bounds[Annotated[float, Field(ge=0.1, le=10)]]
    area: Bounds[Annotated[float, Field(ge=0.001, le=0.9)]]


class Lowres(Section):
    factors: Some[Factor]


class Mixed(Section):
    kinds: Annotated[list[HoleCorruption], Field(min_length=2), AfterValidator(_distinct)]


class Dust(Section):
    count: Bounds[Annotated[int, Field(ge=1, le=1000)]]
    radius: Bounds[Annotated[float, Field(ge=0.001, le=0.1)]]


class Hair(Section):
    count: Bounds[Annotated[int, Field(ge=1, le=200)]]
    length: Bounds[Annotated[float, Field(ge=0.05, le=3)]]
    width: Bounds[Annotated[float, Field(ge=0.001, le=0.1)]]


class Crease(Section):
    count: Bounds[Annotated[int, Field(ge=1, le=50)]]
    width: Bounds[Annotated[float, Field(ge=0.001, le=0.2)]]


class Lettering(Section):
    count: Bounds[Annotated[int, Field(ge=1, le=50)]]
    height: Bounds[Annotated[float, Field(ge=0.01, le=0.5)]]


class Speck(Section):
    share: Bounds[Annotated[float, Field(ge=0.001, le=0.9)]]


class Domains(Section):
    by: Literal["none", "rendering", "damage", "folders", "categories"]
    rendering: Literal["pencil", "sketch", "painting"]
    folders: Annotated[list[Name], Field(min_length=2, max_length=2), AfterValidator(_distinct)]
    categories: Annotated[list[Some[Name]], Field(min_length=2, max_length=2), AfterValidator(_apart)]
    room: float = Field(ge=0, le=2)


class Dirt(Section):
    count: Bounds[Annotated[int, Field(ge=1, le=50)]]
    grain: Bounds[Annotated[float, Field(ge=0.001, le=0.1)]]
    reach: Bounds[Annotated[float, Field(ge=0.01, le=1)]]
    opacity: Bounds[Annotated[float, Field(ge=0.1, le=1)]]


class Degraded(Section):
    factors: Some[Factor]


class Corrupt(Section):
    seed: Seed
    image_size: int = Field(ge=16, le=1024)
    variants: int = Field(ge=0, le=100)
    val: float = Field(ge=0.01, le=0.5)
    test: float = Field(ge=0.01, le=0.5)
    max_hole: float = Field(ge=0.05, le=0.95)
    margin: Bounds[Annotated[float, Field(ge=0, le=0.2)]]
    exact: float = Field(ge=0, le=1)
    aged: float = Field(ge=0, le=1)
    domains: Domains
    weights: Weights
    occlusion: Occlusion
    scratch: Scratch
    stain: Stain
    freeform: Freeform
    object: Object
    lowres: Lowres
    mixed: Mixed
    dust: Dust
    hair: Hair
    crease: Crease
    text: Lettering
    speck: Speck
    dirt: Dirt
    degraded: Degraded


class Losses(Section):
    l1: Weight
    identity: Weight
    adversarial: Weight
    feature_matching: Weight
    penalty: Weight


class Generator(Section):
    design: Literal["residual", "textbook", "enlarger", "detector", "translator"]
    channels: int = Field(ge=4, le=1024)
    blocks: int = Field(ge=1, le=64)
    scales: int = Field(ge=1, le=6)
    patch: Patch
    block: Literal["plain", "gated", "dilated", "large"]
    attention: bool
    prior: Literal["plate", "harmonic", "pushpull", "exemplar", "none"]
    see_through: bool
    decoder: Literal["bilinear", "shuffle"]
    copy_pixels: bool
    least_seen: Annotated[Literal[1, 3, 5, 7], BeforeValidator(_whole)]
    fine: int = Field(ge=0, le=256)

    @property
    def takes_exemplar(self) -> bool:
        """Whether it starts from a prior of patches, which is made with the batches."""
        return self.design == "residual" and self.prior == "exemplar"

    @property
    def stride(self) -> int:
        """Pixels, each way, that one position of the coarsest scale stands for."""
        match self.design:
            case "enlarger":
                return 12  # a multiple of the factors that it has
            case "textbook":
                return 2**self.scales
        return self.patch * 2 ** (self.scales - 1)


class Discriminator(Section):
    design: Literal["patchgan", "patches", "projected"]
    channels: int = Field(ge=4, le=1024)
    norm: Literal["none", "batch"]
    lr: float = Field(gt=0, le=0.1)


class Train(Section):
    seed: Seed
    init: Name
    steps: int = Field(ge=1, le=10_000_000)
    batch: int = Field(ge=1, le=4096)
    crop: int = Field(ge=0, le=1024)
    lr: float = Field(gt=0, le=0.1)
    muon_lr: float = Field(ge=0, le=1)
    schedule: Literal["cosine", "constant"]
    clip: float = Field(ge=0, le=1_000_000)
    warmup: int = Field(ge=0, le=1_000_000)
    ema: float = Field(ge=0, le=0.99999)
    precision: Literal["float32", "bfloat16"]
    objective: Literal["minimax", "nonsaturating", "hinge", "lsgan", "relativistic"]
    losses: Losses
    generator: Generator
    discriminator: Discriminator
    log_every: int = Field(ge=1, le=100_000)
    validate_every: int = Field(ge=1, le=1_000_000)
    samples: int = Field(ge=1, le=256)
    checkpoint_every: int = Field(ge=1, le=1_000_000)
    deterministic: bool


class Evaluate(Section):
    radius: int = Field(ge=1, le=50)
    rows: int = Field(ge=1, le=64)
    slow_baselines: Annotated[list[Literal["fsr", "shift_map"]], AfterValidator(_distinct)]
    perceptual: Annotated[list[Literal["lp_sq", "lp_vgg", "kid", "lattice", "lpips", "fid"]], AfterValidator(_distinct)]


class Champion(Section):
    metric: Literal["psnr", "ssim", "psnr_hole", "ssim_hole", "precision", "recall", "f1", "ap", "edges"]
    margin: float = Field(ge=0, le=100)


class Tracking(Section):
    required: bool
    champion: Champion


class Params(Section):
    """All of `params.yaml`."""

    download: Download
    corrupt: Corrupt
    train: Train
    evaluate: Evaluate
    tracking: Tracking

    @model_validator(mode="after")
    def _image_fits_stride(self) -> Self:
        size, stride = self.corrupt.image_size, self.train.generator.stride
        if size % stride:
            raise ValueError(
                f"corrupt.image_size is {size}; expected a multiple of {stride}, the generator's stride "
                "(of an enlarger for its factors, else train.generator.scales and patch decide it)"
            )
        crop = self.train.crop
        if crop % stride or 0 < crop < 16:
            raise ValueError(
                f"train.crop is {crop}; expected 0, or from 16 on a multiple of {stride}, the generator's stride"
            )
        return self

    @model_validator(mode="after")
    def _discriminator_joins(self) -> Self:
        warmup, steps = self.train.warmup, self.train.steps
        if warmup >= steps:
            raise ValueError(
                f"train.warmup is {warmup}; expected less than train.steps ({steps}), or the discriminator never joins"
            )
        return self

    @model_validator(mode="after")
    def _features_to_match(self) -> Self:
        weight, design = self.train.losses.feature_matching, self.train.discriminator.design
        if weight and design != "projected":
            raise ValueError(
                f"train.losses.feature_matching is {weight}; expected 0, or projected as train.discriminator.design"
            )
        if weight and not self.train.losses.adversarial:
            raise ValueError(
                f"train.losses.feature_matching is {weight}; expected 0, or train.losses.adversarial above 0"
            )
        return self

    @model_validator(mode="after")
    def _pixels_to_add(self) -> Self:
        if self.train.generator.design != "enlarger":
            return self
        for kind, weight in self.corrupt.weights:
            if weight and kind not in SHRINKING:
                raise ValueError(
                    f"corrupt.weights.{kind} is {weight}; expected 0, or another train.generator.design than enlarger: "
                    "it takes pictures of low resolution, without a hole"
                )
        for kind in SHRINKING:
            factors = getattr(self.corrupt, kind).factors
            if getattr(self.corrupt.weights, kind) and max(factors) > 4:
                raise ValueError(
                    f"corrupt.{kind}.factors are {factors}; expected none above 4, or another train.generator.design "
                    "than enlarger"
                )
        return self

    @model_validator(mode="after")
    def _damage_to_find(self) -> Self:
        if self.train.generator.design != "detector":
            return self
        judge, margin = self.train.discriminator.design, self.corrupt.margin
        for kind in SHRINKING:
            weight = getattr(self.corrupt.weights, kind)
            if weight:
                raise ValueError(
                    f"corrupt.weights.{kind} is {weight}; expected 0, or another train.generator.design than detector: "
                    "a picture of low resolution has no damage to be found"
                )
        if max(margin) and self.corrupt.exact < 1:
            raise ValueError(
                f"corrupt.margin is {margin}; expected [0.0, 0.0], or 1 as corrupt.exact: a detector learns where the "
                "damage is by masks that fit it"
            )
        if self.train.losses.adversarial and judge != "patchgan":
            raise ValueError(
                f"train.discriminator.design is {judge}; expected patchgan, or 0 as train.losses.adversarial: "
                "a detector changes no picture whose features could be looked at"
            )
        return self

    @model_validator(mode="after")
    def _pairs_to_keep(self) -> Self:
        design = self.train.generator.design
        if not self.corrupt.variants and design in {"detector", "translator"}:
            raise ValueError(
                f"corrupt.variants is 0; expected 1 or more, or another train.generator.design than {design}: it "
                "learns from pairs that are kept"
            )
        return self

    @model_validator(mode="after")
    def _domains_to_translate(self) -> Self:
        by, train, design = self.corrupt.domains.by, self.train, self.train.generator.design
        if (by == "none") != (design != "translator"):
            one = "rendering, damage, folders or categories" if by == "none" else "none"
            other = "another than translator" if by == "none" else "translator"
            raise ValueError(
                f"corrupt.domains.by is {by}; expected {one}, or {other} as train.generator.design: a translator alone "
                "learns without pairs"
            )
        if by == "none":
            return self
        if not train.losses.adversarial:
            raise ValueError(
                "train.losses.adversarial is 0; expected above 0: without a discriminator a translator learns no look"
            )
        for kind in SHRINKING:
            weight = getattr(self.corrupt.weights, kind)
            if by == "damage" and weight:
                raise ValueError(f"corrupt.weights.{kind} is {weight}; expected 0: a translator keeps the size")
        return self

    @model_validator(mode="after")
    def _pixels_to_copy(self) -> Self:
        generator = self.train.generator
        if generator.copy_pixels and not generator.see_through:
            raise ValueError("train.generator.copy_pixels is true; expected false, or true as see_through beside it")
        return self

    @model_validator(mode="after")
    def _batches_to_normalize(self) -> Self:
        design, norm = self.train.discriminator.design, self.train.discriminator.norm
        if design == "projected" and norm == "batch":
            raise ValueError(
                "train.discriminator.norm is batch; expected none, or patchgan as train.discriminator.design"
            )
        return self

    @model_validator(mode="after")
    def _some_photos_train(self) -> Self:
        if self.corrupt.val + self.corrupt.test > 0.9:
            raise ValueError("corrupt.val + corrupt.test is above 0.9; expected some photos to train on")
        return self


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check every section.

    Raises:
        UserError: the first wrong value, by key, with the value and the range, or a file that is not YAML.
    """
    return check(read(path), path)


def check(content: Any, path: Path) -> Params:
    """The parameters that a file holds.

    Raises:
        UserError: as `load` does.
    """
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_line(error)}") from None


def _first_line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    known, _ = _place(first["loc"])
    key = ".".join(map(str, known))
    value = excerpt(first["input"])
    match first["type"]:
        case "missing":
            return f"{key} is missing; expected {expected(known)}"
        case "extra_forbidden" | "invalid_key":
            name = ".".join(map(str, [*known, *first["loc"][len(known) :]]))
            return f"{shorten(name)} is not a parameter; remove it, or check its spelling"
        case "value_error":
            text = str(first["ctx"]["error"])
            return f"{key} is {value}; expected {text}" if key else text
        case _ if not key:
            return f"holds {value}; expected the sections {', '.join(Params.model_fields)}"
        case "string_type" if isinstance(first["input"], int | float | date):
            return f"{key} is {value}; expected {expected(known)}, so put it in quotes"
        case _:
            return f"{key} is {value}; expected {expected(known)}"


def expected(location: tuple[int | str, ...]) -> str:
    """The range of the parameter at `location`, in words, as the comments of `params.yaml` have it."""
    return _in_words(_place(location)[1])


def _place(location: tuple[int | str, ...]) -> tuple[tuple[int | str, ...], dict[str, Any]]:
    """As much of the location as names a parameter, and the schema of that; the rest is pydantic's."""
    schema = Params.model_json_schema()
    node = schema
    for depth, key in enumerate(location):
        below = node.get("items") if isinstance(key, int) else node.get("properties", {}).get(key)
        if below is None:
            return location[:depth], node
        node = schema["$defs"][below["$ref"].rsplit("/", 1)[-1]] if "$ref" in below else below
    return location, node


def _in_words(node: dict[str, Any]) -> str:
    if "anyOf" in node:
        return " or ".join(map(_in_words, node["anyOf"]))
    if "items" in node:
        pair = node.get("maxItems") == 2
        return _in_words(node["items"]) if pair else f"list: of {_in_words(node['items'])}"
    if "enum" in node or "const" in node:
        *most, last = map(str, node.get("enum", [node.get("const")]))
        return f"{', '.join(most)} or {last}" if most else last
    if "exclusiveMinimum" in node:
        return f"above {node['exclusiveMinimum']}, at most {node['maximum']}"
    if "minimum" in node:
        return f"{node['minimum']} to {node['maximum']}"
    return {"object": "a section", "boolean": "true or false", "string": "text"}[node["type"]]

"""What a trained network may be for: the method to beat, and the words about it."""

from dataclasses import dataclass

BLURRED = "It was trained on squares of {size} px; other sizes work, holes much larger than its own are blurred."
PLAUSIBLE = "What it paints is plausible, not what was there: it is no evidence of anything."
SEEN = (
    "It knows the pictures of its training data. Faces, text and drawings are restored as badly as they are rare there."
)


@dataclass(frozen=True)
class Task:
    """What can be done for a damaged picture.

    Attributes:
        baseline: the classical method that figures show beside the trained network.
        use: what the model card says it is for.
        limits: and what to mind; `{size}` stands for the side of its training pictures, in px.
    """

    baseline: str
    use: str
    limits: tuple[str, ...]


DAMAGES = ("scratch", "crease", "fleck", "stain", "cover")
"""The kinds of damage that a detector tells apart."""

TASKS = {
    "restore": Task(
        baseline="telea",
        use="To restore what is missing or covered in a photograph: parts, scratches, stains and objects to take out, "
        "each marked by a mask.",
        limits=(
            "It looks at what lies in the hole, for stains let some of the picture through. An object to be taken "
            "out must be painted over first, in one colour.",
            PLAUSIBLE,
            BLURRED,
            SEEN,
        ),
    ),
    "superres": Task(
        baseline="bicubic",
        use="To enlarge a photograph of low resolution, all of which is restored.",
        limits=(
            "A picture should have been sharp before it was made smaller: noise and traces of JPEG are enlarged too.",
            PLAUSIBLE,
            SEEN,
        ),
    ),
    "detect": Task(
        baseline="heuristic",
        use="To find the damage of a photograph: scratches, creases, flecks, stains, and what covers it. What it finds "
        "is the mask of a restoration, or the start of one.",
        limits=(
            "Wires, whiskers, frames and lettering of the scene itself look like damage to it too: look at what it "
            "marks before that is restored.",
            "It was trained on squares of {size} px; other sizes work, damage much larger than its own is missed.",
            "It knows the pictures of its training data, and damage that was painted on them.",
        ),
    ),
    "translate": Task(
        baseline="reinhard",
        use="To change the look of a photograph into another that it has learned without pairs, all over or under a "
        "mask.",
        limits=(
            "What it draws is of the style, not of the scene: it is no evidence of anything.",
            "It was trained on squares of {size} px, in which one look filled the picture; a photo of many megapixels "
            "gets lines that are thin for it. Make it smaller first.",
            SEEN,
        ),
    ),
}

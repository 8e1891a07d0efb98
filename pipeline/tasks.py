"""What a generator may be for: the method to beat, and the words about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """A kind of restoration.

    Attributes:
        baseline: the classical method that figures show beside the GAN.
        use: what the model card says it is for.
        limit: and what to mind.
    """

    baseline: str
    use: str
    limit: str


TASKS = {
    "restore": Task(
        baseline="telea",
        use="To restore what is missing or covered in a photograph: parts, scratches, stains and objects to take out, "
        "each marked by a mask.",
        limit="It looks at what lies in the hole, for stains let some of the picture through. An object to be taken "
        "out must be painted over first, in one colour.",
    ),
    "superres": Task(
        baseline="bicubic",
        use="To enlarge a photograph of low resolution, all of which is restored.",
        limit="It takes a picture that has been brought to its new size by the bicubic filter, and was sharp before.",
    ),
}

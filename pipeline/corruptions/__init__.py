"""One file a corruption, each with `corrupt(image, rng, params) -> (corrupted, mask)`; `registry` has them by name.

`image` and `corrupted` are uint8 RGB HWC; `mask` is bool HW, true where the picture is to be restored, and never
empty. Where it is false, `corrupted` equals `image`. `rng` is the only source of chance.
"""

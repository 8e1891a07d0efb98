"""The page on which pictures are restored."""

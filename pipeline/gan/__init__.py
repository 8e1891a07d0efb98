"""The two networks, what they minimize and how they are trained."""

"""MS-COCO: what to choose, and how to fetch it and resume."""

"""The two stores, photos and pairs, their splits, and the instances that COCO annotates."""

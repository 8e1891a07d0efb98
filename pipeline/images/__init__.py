"""Pictures as files and as arrays: decoding, metadata, crops, grids, tensors."""

"""The embedded sample: dead leaves and crops of photographs, made here, nothing downloaded."""

"""The PDE's own solution on pixel media: trace spaces with corner functions."""

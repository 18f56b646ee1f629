"""The registry of encoders."""

from ...registry import Registry

encoders: Registry = Registry("encoder")

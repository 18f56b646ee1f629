"""The registry of decoders."""

from ...registry import Registry

decoders: Registry = Registry("decoder")

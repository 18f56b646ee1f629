"""Compiled kernels (numba) and the threads that run them; every kernel has a twin in torch, and a test holds both."""

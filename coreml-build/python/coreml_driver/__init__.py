"""The Python side of a Core ML build: turns PyTorch models into canonical model packages.

Owns: everything between a request file and the folders that it names; see `__main__.py` for the
protocol.
Must not: depend on anything but torch, coremltools, numpy and safetensors; write into the source
tree.
Flow: `__main__` -> `workers` (one child per model) -> `conversion` (one model, step by step) -> the
modules named after each step.
"""

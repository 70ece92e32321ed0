"""The module that each row of PyTorch's operator database becomes: its first tensor is the input,
its other arguments are constants.

Owns: calling an operation by the name that the database gives it.
Must not: know which rows there are; this file is also the source that the driver reads.
Flow: `rows` writes the arguments of a row to a file -> `op` reads it.
"""

import torch


class Op(torch.nn.Module):
    """One operation with the arguments of one row."""

    def __init__(self, file):
        super().__init__()
        row = torch.load(file, weights_only=False)
        self.op, self.args, self.kwargs = find(row["name"]), row["args"], row["kwargs"]

    def forward(self, x):
        """Return the first result, in an element type that Core ML has, with at least one axis."""
        y = self.op(x, *self.args, **self.kwargs)
        y = y[0] if isinstance(y, (tuple, list)) else y
        y = y.reshape(1) if y.ndim == 0 else y
        if y.dtype in (torch.bool, torch.float64):
            return y.float()
        wide = (torch.int64, torch.int16, torch.int8, torch.uint8)
        return y.to(torch.int32) if y.dtype in wide else y


def find(name):
    """Return the function of that name, or `None`."""
    for root in (torch, torch.Tensor):
        found = root
        try:
            for part in name.split("."):
                found = getattr(found, part)
            return found
        except AttributeError:
            continue
    return None


def op(file):
    """Return the module of the row whose arguments are in `file`."""
    return Op(file)

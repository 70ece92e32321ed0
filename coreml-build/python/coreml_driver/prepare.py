"""Making a module ready for capture: inference mode, no dropout, flat inputs and outputs.

Owns: the rewrites of the module and the wrapper that gives every output a name.
Must not: change results: `samples` compares the rewritten module with the original.
Flow: `conversion` -> `settle` -> samples of the original -> `remove_dropout` and `Flat` ->
`capture`.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from coreml_driver import attributes
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.features import Input, Output

#: Parameter types that become float32: coremltools takes float32 and decides about float16 itself.
OTHER_FLOATS = (torch.float16, torch.bfloat16, torch.float64)
#: Layouts of tensors that list their elements.
SPARSE = (
    torch.sparse_coo,
    torch.sparse_csr,
    torch.sparse_csc,
    torch.sparse_bsr,
    torch.sparse_bsc,
)
#: Elements of the largest sparse tensor that is made dense.
MOST_DENSE = 2**26
#: One step of the way from a module's result to a tensor in it: a key, a field's name or a
#: position.
Path_ = tuple[str | int, ...]


def settle(module: torch.nn.Module, line: PythonLine | None) -> list[str]:
    """Put the module into inference mode, in float32, without gradients.

    Returns: warnings.
    Errors: `Failure` of kind `training-mode` when a module refuses to leave training mode.
    """
    module.eval()
    training = [
        name or "the module itself" for name, child in module.named_modules() if child.training
    ]
    if training:
        message = (
            f"`eval()` leaves {', '.join(training)} in training mode, so batch statistics or "
            "dropout would be "
            "converted."
        )
        cure = "Remove the override of `train`, or make it pass `mode` on to `super().train(mode)`."
        raise Failure("training-mode", message, line, "source.entry", (cure,))
    tensors = [*module.named_parameters(), *module.named_buffers()]
    others = sorted(
        {
            str(tensor.dtype).removeprefix("torch.")
            for _, tensor in tensors
            if tensor.dtype in OTHER_FLOATS
        }
    )
    if others:
        module.float()
    for parameter in module.parameters():  # one by one: a TorchScript module knows no other way
        parameter.requires_grad_(False)
    return (
        [f"parameters of type {', '.join(others)} were converted to float32 first"]
        if others
        else []
    )


def remove_dropout(module: torch.nn.Module) -> int:
    """Replace torch's dropout modules, which do nothing in inference mode, by identities.

    Returns: how many places were replaced. A dropout that is used in several places stays one
    shared module, and a class of the user's own that overrides `forward` is left alone.
    """
    dropout = torch.nn.modules.dropout._DropoutNd
    torch_forwards = {
        kind.forward
        for kind in vars(torch.nn.modules.dropout).values()
        if inspect.isclass(kind) and issubclass(kind, dropout)
    }
    replacements: dict[int, torch.nn.Identity] = {}
    places = 0
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, dropout) and type(child).forward in torch_forwards:
                identity = replacements.setdefault(id(child), torch.nn.Identity().eval())
                # type: ignore[assignment]  # attention code reads the rate from the module
                identity.p = 0.0
                parent._modules[name] = identity
                places += 1
    return places


def make_dense(module: torch.nn.Module) -> list[str]:
    """Put dense tensors in the place of the sparse ones that a module keeps: Core ML has none.

    Returns: the names. One that would be too large stays, and is an error if it is used.
    """
    names = []
    for place, (table, name) in attributes.places(module).items():
        tensor = table[name]
        if tensor.layout in SPARSE and tensor.numel() <= MOST_DENSE:
            dense = tensor.detach().to_dense()
            is_parameter = isinstance(tensor, torch.nn.Parameter)
            table[name] = torch.nn.Parameter(dense, False) if is_parameter else dense
            names.append(place)
    return names


@dataclass(frozen=True)
class Feed:
    """How the manifest's inputs become arguments of `forward`."""

    #: Names of the parameters, in the order of the inputs; `None`: by position.
    keywords: tuple[str, ...] | None
    #: Where each positional argument stands among the inputs; `None`: in their order.
    order: tuple[int, ...] | None = None

    def call(self, module: torch.nn.Module, tensors: Sequence[torch.Tensor]) -> Any:
        """Call `module` with `tensors`, which stand in the order of the manifest's inputs."""
        if self.order is not None:
            return module(*(tensors[position] for position in self.order))
        if self.keywords is None:
            return module(*tensors)
        return module(**dict(zip(self.keywords, tensors, strict=True)))


def feed(module: torch.nn.Module, inputs: Sequence[Input], line: PythonLine | None) -> Feed:
    """Match the manifest's inputs with the parameters of `forward`.

    By name, when every input is called like a parameter; by position, when none is (there the
    manifest's order is `forward`'s order). A mixture is refused: it is a slip that could feed the
    wrong tensor without any error.

    Errors: `Failure` of kind `wrong-inputs` that spells both sides.
    """
    signature = _signature(module)
    names = [declared.name for declared in inputs]
    kinds = inspect.Parameter
    named = {
        name
        for name, p in signature.parameters.items()
        if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    }
    known = [name for name in names if name in named]
    shown = f"`forward{signature}`"
    if known and len(known) < len(names):
        strange = ", ".join(f"`{name}`" for name in names if name not in named)
        message = f"Some inputs are called like parameters of {shown}, but {strange} not."
        cure = "Name every input after its parameter, or none of them (then they go by position)."
        raise Failure(
            "wrong-inputs",
            message,
            line,
            f"inputs.{next(n for n in names if n not in named)}",
            (cure,),
        )
    try:
        if known:
            signature.bind(**dict.fromkeys(names))
        else:
            signature.bind(*names)
    except TypeError as error:
        count = f"{len(names)} input{'s' if len(names) != 1 else ''} ({', '.join(names)})"
        message = f"The manifest declares {count}, which {shown} does not accept: {error}."
        raise Failure(
            "wrong-inputs",
            message,
            line,
            "inputs",
            ("Declare one input for every parameter without a default.",),
        ) from error
    if known and isinstance(module, torch.fx.GraphModule):
        # The graph of an exported program has names, but takes its arguments by position.
        return Feed(
            None, tuple(names.index(name) for name in signature.parameters if name in names)
        )
    return Feed(tuple(names) if known else None)


def _signature(module: torch.nn.Module) -> inspect.Signature:
    """Return the parameters of `forward`; a TorchScript module tells them in words of its own."""
    if not isinstance(module, torch.jit.ScriptModule):
        return inspect.signature(module.forward)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    empty = inspect.Parameter.empty
    arguments = module.forward.schema.arguments[1:]  # the first is the module itself
    return inspect.Signature(
        [
            inspect.Parameter(
                one.name, kind, default=one.default_value if one.has_default_value() else empty
            )
            for one in arguments
        ]
    )


@dataclass(frozen=True)
class Leaf:
    """One tensor of a module's result."""

    path: Path_
    #: The output feature that it becomes.
    name: str


def leaves(result: Any, outputs: Sequence[Output] | None, line: PythonLine | None) -> list[Leaf]:
    """Name the tensors of a module's result: by the manifest where it speaks, else by keys, fields
    and positions.

    Returns: the outputs in the order of the package.
    Errors: `Failure` of kind `wrong-outputs`.
    """
    found = [path for path, _ in flatten(result, line)]
    if not found:
        message = f"`forward` returns {_shape_of(result)}: there is no tensor in it."
        raise Failure(
            "wrong-outputs",
            message,
            line,
            "outputs",
            ("Return a tensor, or a tuple or dict of tensors.",),
        )
    keyed = any(isinstance(step, str) for path in found for step in path)
    names = _names(found, keyed)
    if outputs is None:
        return [Leaf(path, name) for path, name in zip(found, names, strict=True)]
    wanted = [output.name for output in outputs]
    listed = ", ".join(f"`{name}`" for name in names)
    if keyed and all(name in names for name in wanted):
        return [Leaf(found[names.index(name)], name) for name in wanted]
    if keyed and len(found) > 1:
        strange = next(name for name in wanted if name not in names)
        message = f"`forward` returns {listed}, but the manifest names an output `{strange}`."
        free = [name for name in names if name not in wanted]
        meant = difflib.get_close_matches(strange, free, 1, 0.4) or (free if len(free) == 1 else [])
        cures = [f"Call it `{name}`, as `forward` does." for name in meant]
        cures.append("Several results of a dict keep the names that `forward` gives them.")
        raise Failure("wrong-outputs", message, line, f"outputs.{strange}", tuple(cures))
    if len(wanted) != len(found):
        message = (
            f"`forward` returns {len(found)} tensors ({listed}), but the manifest names "
            f"{len(wanted)} outputs "
            f"({', '.join(wanted)})."
        )
        raise Failure(
            "wrong-outputs",
            message,
            line,
            "outputs",
            ("Name every output, in the order in which `forward` returns them.",),
        )
    return [Leaf(path, name) for path, name in zip(found, wanted, strict=True)]


def left_out(result: Any, leaves: Sequence[Leaf], line: PythonLine | None) -> list[str]:
    """Return a warning when the manifest names only some of a module's results."""
    chosen = {leaf.path for leaf in leaves}
    others = [path for path, _ in flatten(result, line) if path not in chosen]
    if not others:
        return []
    names = ", ".join(f"`{'_'.join(map(str, path))}`" for path in others)
    return [f"forward also returns {names}, which the manifest does not name: left out"]


def _names(paths: list[Path_], keyed: bool) -> list[str]:
    """Return unique default names: `output`, `output_1`, … for positions alone, else the keys
    joined by underscores.
    """
    if not keyed:
        return [
            "output" if position == 0 else f"output_{position}" for position in range(len(paths))
        ]
    names: list[str] = []
    for path in paths:
        name = "_".join(str(step) for step in path)
        while name in names:
            name += "_"
        names.append(name)
    return names


def flatten(result: Any, line: PythonLine | None) -> list[tuple[Path_, torch.Tensor]]:
    """Return every tensor of a module's result with its path; `None`s are left out, whatever else
    is refused.
    """
    found: list[tuple[Path_, torch.Tensor]] = []

    def visit(path: Path_, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found.append((path, value))
        elif value is not None:
            for step, child in _children(path, value, line):
                visit((*path, step), child)

    visit((), result)
    return found


def _children(path: Path_, value: Any, line: PythonLine | None) -> list[tuple[str | int, Any]]:
    """Return the parts of a container."""
    if isinstance(value, Mapping):
        return [(str(key), value[key]) for key in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (tuple, list)):
        return list(enumerate(value))
    where = f"its result at `{'.'.join(map(str, path))}`" if path else "its result"
    message = f"`forward` returns {_shape_of(value)} as {where}: Core ML outputs are tensors."
    cures = (
        "Return tensors only: `torch.as_tensor(…)` of what is computed, and leave constants out.",
    )
    if "Cache" in type(value).__name__:
        cures = (
            "Call the network with `use_cache=False` in a small wrapper module, and return that.",
        )
    raise Failure("wrong-outputs", message, line, "outputs", cures)


def _shape_of(value: Any) -> str:
    """Return what a result is, in words."""
    return "None" if value is None else f"a `{type(value).__name__}`"


def pick(result: Any, path: Path_) -> Any:
    """Follow `path` into a module's result."""
    for step in path:
        by_key = isinstance(step, int) or isinstance(result, Mapping)
        result = result[step] if by_key else getattr(result, str(step))
    return result


class Flat(torch.nn.Module):
    """The module with tensors in a row as its inputs and a tuple of tensors as its output, which is
    all that a captured graph knows.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        feed: Feed,
        leaves: Sequence[Leaf],
        layers: Mapping[int, torch.nn.Module] | None = None,
        written: Sequence[str] = (),
    ) -> None:
        """Parameters: `leaves` — which tensors of the result to return, in this order; `layers` —
        what to put in front of the module, by the position of the input; `written` — names of
        tensors that the module writes to before it reads them.
        """
        super().__init__()
        self.module = module
        self.layers = torch.nn.ModuleDict(
            {str(position): layer for position, layer in (layers or {}).items()}
        )
        self._feed = feed
        self._paths = [leaf.path for leaf in leaves]
        self._written = tuple(written)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the chosen tensors of the module's result, and leave its attributes as they were.

        Parameters: `tensors` — in the order of the manifest's inputs.
        """
        fed = list(tensors)
        for position, layer in self.layers.items():
            fed[int(position)] = layer(fed[int(position)])
        with attributes.unchanged(self.module, self._written):
            result = self._feed.call(self.module, fed)
        return tuple(pick(result, path) for path in self._paths)

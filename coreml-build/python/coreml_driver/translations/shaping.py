"""Changes of shape that coremltools refuses: to and from a single number.

Owns: `reshape` and its kin.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

from coremltools.converters.mil import Builder as mb

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.refusals import CannotExpress
from coreml_driver.translations.registry import ORIGINAL, translation


@translation(
    "reshape",
    "view",
    "_unsafe_view",
    "view_copy",
    "_reshape_copy",
    why="the shape of a single number is refused",
    replaces=True,
)
def _reshape(context: Any, node: Any) -> None:
    """The same elements in another shape."""
    arguments = Arguments(context, node)
    name = "size" if "size" in arguments else "shape"
    if name not in arguments:
        raise CannotExpress(
            "`view` with an element type reads the bits of numbers", "Convert them: `x.to(…)`."
        )
    x = arguments["self"]
    if not arguments.known(name) or (arguments.integers(name) and x.rank):
        ORIGINAL["reshape"](context, node)
        return
    size = arguments.integers(name)
    if not size:
        found = mb.squeeze(x=x, name=node.name) if x.rank else mb.identity(x=x, name=node.name)
    else:
        found = mb.expand_dims(x=x, axes=list(range(len(size))), name=node.name)
    context.add(found, node.name)

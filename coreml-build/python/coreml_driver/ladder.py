"""The ladder of fixes: exceptions of Python, torch and coremltools that are understood, and what
cures them.

Owns: the table. A new row needs a test with a real model in `tests/test_failures.py`.
Must not: look at a model: a rule sees the stage and the exception's text.
Flow: read by `diagnosis`, the first rule that fits wins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One understood exception."""

    #: Where it can come from: stages of `Progress`, `capture` for both ways of capturing.
    stages: frozenset[str]
    #: What the text `TypeName: message` contains.
    pattern: re.Pattern[str]
    kind: str
    #: `{0}` is the pattern's first group that matched, `{message}` the exception's own words.
    message: str
    advice: tuple[str, ...]
    #: The manifest key at which the error stands.
    key: str


def _rule(
    stages: str,
    pattern: str | tuple[str, ...],
    kind: str,
    message: str,
    *advice: str,
    key: str = "source.entry",
) -> Rule:
    """Return a rule. Parameters: `stages` — separated by blanks; `pattern` — alternatives."""
    alternatives = pattern if isinstance(pattern, str) else "|".join(pattern)
    return Rule(
        frozenset(stages.split()), re.compile(alternatives, re.DOTALL), kind, message, advice, key
    )


WHERE_CURE = (
    "Choose with tensor operations: `torch.where(condition, a, b)` for `if`, a mask "
    "instead of `.item()`."
)

RULES = (
    _rule(
        "load samples",
        r"ModuleNotFoundError: No module named '([^']+)'",
        "missing-module",
        "Python finds no module `{0}`.",
        "If it is a package: add it to `python.dependencies` in the manifest.",
        "If it is your own file: put it beside the entry file, or import it relative to the "
        "package.",
    ),
    _rule(
        "load",
        r"ImportError: attempted relative import",
        "missing-module",
        "The entry file is not part of a Python package, so it cannot import relatively.",
        "Import the neighbour by its own name: `import blocks` instead of `from . import blocks`.",
    ),
    _rule(
        "load samples capture convert",
        ("MemoryError", "can't allocate memory", "std::bad_alloc"),
        "out-of-memory",
        "There was not enough memory: {message}",
        "Convert fewer models at a time: set COREML_JOBS=1.",
    ),
    _rule(
        "load samples",
        (
            "Torch not compiled with CUDA",
            "Found no NVIDIA driver",
            "No CUDA GPUs",
            "CUDA error",
            "Attempting to deserialize object on a CUDA",
        ),
        "device",
        "The code asks for a CUDA device; a conversion runs on the CPU: {message}",
        'Leave modules and tensors on the CPU, and load weights with `map_location="cpu"`.',
    ),
    _rule(
        "samples",
        "IndexError: index out of range in self",
        "sample-range",
        "A sample's integer is not a valid index here: {message}.",
        "Say where samples are drawn from: `sample = { range = [0, LAST] }`, with the last row of "
        "the embedding.",
        key="inputs",
    ),
    _rule(
        "samples",
        (r"Expected tensor for argument #\d+ 'indices'", "tensors used as indices must be long"),
        "wrong-dtype",
        "An index has to be an integer: {message}",
        'Declare the input with `dtype = "int32"`.',
        key="inputs",
    ),
    _rule(
        "samples",
        (
            "expected scalar type",
            "must have the same dtype",
            "expected m1 and m2 to have the same dtype",
            "should be the same",
        ),
        "wrong-dtype",
        "Two tensors have different element types: {message}",
        "Check `dtype` of the inputs: forward gets floating-point inputs as float32 and integers "
        "as int64.",
        key="inputs",
    ),
    _rule(
        "samples",
        (
            "shapes cannot be multiplied",
            "size mismatch",
            "[Ee]xpected .*(?:channels|dimension|input)",
            "must match the size",
            "is invalid for input of size",
            "normalized_shape",
            "Dimension out of range",
            "(?:not enough|too many) values to unpack",
            "Kernel size can't be greater",
            "Calculated padded input size",
        ),
        "wrong-shape",
        "The network does not accept the inputs' shapes: {message}",
        "Correct `shape` of the inputs in the manifest to what forward takes, batch dimension "
        "included.",
        key="inputs",
    ),
    _rule(
        "capture convert",
        ("Data-dependent branching", "data-dependent expression", "GuardOnDataDependentSymNode"),
        "data-dependent",
        "Python branches on a value that depends on the input; an exported graph cannot.",
        WHERE_CURE,
    ),
    _rule(
        "capture",
        r"Constraints violated \(([^)]*)\)",
        "baked-shape",
        "The exported graph is only right for one size of `{0}` (input and axis), which the "
        "manifest lets vary: a size is baked in.",
        "Leave sizes to the tensors: `x.flatten(1)` or `x.reshape(x.shape[0], -1)` instead of "
        "numbers.",
        "Let no `if` or loop depend on a size.",
        "Declare a fixed `shape` for each size that is needed.",
        key="inputs",
    ),
    _rule(
        "convert",
        "No matching select or slice",
        "dropped-write",
        "coremltools cannot translate `copy_` into a whole tensor when it is traced.",
        "Assign instead: `self.k[:] = …`.",
        'Or use `capture = "export"`.',
    ),
    _rule(
        "convert",
        # The last one is bfloat16 by its number: what the translation of `.to(…)` knows it by.
        (r"Got unsupported ScalarType \w+", r"KeyError: torch\.\w+", r"KeyError: np\.int32\(15\)"),
        "unsupported-dtype",
        "coremltools has no tensors of this element type ({message}).",
        "Compute in float32 in forward: remove `.to(…)`, `.half()`, autocast.",
        "`compute-precision` decides about float16 afterwards.",
    ),
    _rule(
        "capture convert",
        (
            "from the 'Sparse\\w*' backend",
            "convert Sparse\\w* layout tensor",
            "expected sparse .*tensor layout",
        ),
        "unsupported-dtype",
        "Core ML has no sparse tensors ({message}).",
        "Keep a dense table: `.to_dense()` in `__init__`.",
        "Gather the rows that are needed: `table.index_select(0, rows)`.",
        "Compute that part in the program, before or after the prediction.",
    ),
    _rule(
        "convert",
        "TypeError: only (?:0-dimensional|length-1|size-1) arrays can be converted to Python "
        "scalars",
        "wrong-versions",
        "This numpy is too new for coremltools, which turns arrays of one element into numbers "
        "({message}).",
        'Add "numpy<2.4" to `python.dependencies` in the manifest.',
        key="python.dependencies",
    ),
    _rule(
        "convert",
        "Core ML only supports tensors with rank <= 5",
        "rank",
        "{message}",
        "Let this operation work on at most five dimensions: merge neighbouring axes before it.",
    ),
    _rule(
        "capture convert",
        (
            "complex data",
            "complex64",
            "ComplexFloat",
            "view_as_complex",
            "view_as_real",
            r"\b(?:fft_\w+|istft|stft)\b",
        ),
        "complex",
        "Core ML has no complex numbers: {message}",
        "Compute with real and imaginary parts: `.abs()` or `.real` and `.imag` before slicing or "
        "returning.",
        "Move a spectrogram out of the model, or write it as a matrix product with sine and "
        "cosine tables.",
    ),
    _rule(
        "convert",
        ("only supported for deployment target", "float16 dtype for (?:in|out)puts is only"),
        "wrong-target",
        "{message}",
        "Raise `minimum-deployment-target` to iOS16 or later, or declare these features as "
        "float32.",
        key="minimum-deployment-target",
    ),
    _rule(
        "convert",
        r"RuntimeError: module\.(\S+) should not be in the graph outputs",
        "state-is-output",
        "An output is the buffer `{0}` itself, a state; coremltools has no such outputs.",
        "Return a value computed from it: `self.{0} + 0`.",
        "Or remove the output and read the state from the program.",
        key="outputs",
    ),
    _rule(
        "convert",
        "scikit-learn is required",
        "missing-module",
        "k-means needs scikit-learn, which this Python lacks.",
        "Add `scikit-learn` to `python.dependencies` in the manifest.",
        'Or write `mode = "uniform"`.',
        key="palettize",
    ),
    _rule(
        "convert",
        "Main block's input name, '([^']+)', is different from its corresponding var's name, "
        "'([^']+)'",
        "output-is-input",
        "Output `{1}` is input `{0}` unchanged; Core ML has no such outputs.",
        "Remove the output: the caller has that tensor already.",
        "If it must be there, return `{0} + 0`.",
        key="outputs",
    ),
)

#: How coremltools names an operation that it cannot translate, traced or exported.
UNSUPPORTED = re.compile(
    r"PyTorch convert function for op '([^']+)' not implemented|Unsupported fx node .*, kind (\S+)"
)
UNSUPPORTED_LADDER = (
    "Rewrite the operation in PyTorch with ones that convert.",
    'Try the other way of capturing: `capture = "{other}"`.',
    "Translate it yourself with MIL's builder: a file with `@register_torch_op`, in the manifest "
    '`ops = "my_ops.py"`.',
    "Compute that part outside the model, before or after the prediction.",
)
#: How many rungs the ladder of each kind of failure has, where so many are known.
RUNGS = 3
#: The rungs that follow the advice of a single failure, by its kind: what helps against any of
#: them.
FURTHER = {
    "data-dependent": (
        "If the value is the same for every input, compute it once: `self.flag = bool(…)` in "
        "`__init__`.",
        "Decide in the program: the value as one more input (`x * flag`), or each branch as one "
        "of `functions`.",
    ),
    "tracer-warning": (
        "Keep tensors: `torch.sin(x)` instead of `numpy.sin(x.numpy())`, `x.sum()` instead of "
        "`sum(x.tolist())`.",
        "Compute that part in the program, before or after the prediction, and pass it in as an "
        "input.",
    ),
    "wrong-dtype": (
        "Convert at the border: `mask != 0` or `x.float()` first in forward, `y.to(torch.int32)` "
        "where it is returned.",
        "Leave out what the program can compute from the other outputs: `argmax`, a comparison.",
    ),
    "unsupported-dtype": (
        "Make the module in single precision: `net.float()`, for a model of transformers "
        "`torch_dtype=torch.float32`.",
    ),
    "complex": (
        "Move a spectrogram out of the model, or write it as a matrix product with sine and "
        "cosine tables.",
        "Compute with pairs: `re, im = a * c - b * d, a * d + b * c` for a product, `re * re + im "
        "* im` for a power.",
    ),
    "wrong-outputs": (
        "Wrap the module, and name the wrapper as `entry`: `def forward(self, x): return "
        'self.base(x)["logits"]`.',
        "Ask for tensors alone: `self.base(x, use_cache=False, output_attentions=False)`.",
        "Leave constants to the program: they are the same for every input.",
    ),
    "wrong-inputs": (
        "Give what is always the same a default: `def forward(self, x, scale=1.0)`.",
        "Wrap the module, and name the wrapper as `entry`: `def forward(self, x): return "
        "self.base(x, None)`.",
    ),
    "wrong-shape": (
        "Leave sizes to the tensors: `x.flatten(1)` or `x.reshape(x.shape[0], -1)` instead of "
        "`x.reshape(2, 4)`.",
        "See what a layer gets: `print(x.shape)` in forward; the log of the build has it.",
    ),
    "rank": (
        "Merge neighbouring axes: `x.reshape(b * n, c, h, w)`, and take them apart after the step.",
        "Go along a short axis: `torch.stack([f(part) for part in x.unbind(1)], 1)`.",
    ),
    "random": (
        "Draw in the program: `inputs.noise = { shape = […] }` in the manifest, `def "
        "forward(self, x, noise)`.",
        "For the expected value leave the noise out: `return mean` instead of `mean + std * "
        "torch.randn_like(mean)`.",
    ),
    "training-mode": (
        "Return the module in inference mode: `return net.eval()`, and leave the mode alone in "
        "forward.",
        "Use what was learned: `F.batch_norm(x, self.mean, self.var, self.weight, self.bias)`.",
    ),
    "wide-integer": (
        "Subtract or divide before it grows: `(t - self.start) // 1000`.",
        "Compute that part in the program, and pass in what is left: `inputs.index = { dtype = "
        '"int32", … }`.',
    ),
    "wrong-name": (
        'Rename the key of the result: `return {"logits": y}`.',
        "Rename a parameter in a wrapper, and name that as `entry`: `def forward(self, ids): "
        "return self.base(ids)`.",
    ),
    "wrong-state": (
        "See what there is: `print([name for name, _ in net.named_buffers()])`.",
        'Make it a buffer of its own: `self.register_buffer("cache", torch.zeros(1, 4, 448, 64))`.',
    ),
}
#: Options of libraries that keep a layer from what cannot be converted: what the message or the
#: library's line contains, and the option.
OPTIONS = tuple(
    (re.compile(pattern), option)
    for pattern, option in (
        (
            r"grouped_mm|transformers/integrations/moe\.py",
            'Load the model with `experts_implementation="batched_mm"`, which multiplies all '
            "experts at once.",
        ),
        (
            r"transformers/(masking_utils|integrations/\w*(attention|sdpa|flash|flex)\w*)\.py",
            'Load the model with `attn_implementation="eager"`, which is attention in plain '
            "operations.",
        ),
        (
            r"\bwhisper/model\.py",
            "Write `whisper.model.MultiHeadAttention.use_sdpa = False` before the model is made.",
        ),
        (
            r"\btimm/.*scaled_dot_product|scaled_dot_product.*\btimm/",
            "Write `timm.layers.set_fused_attn(False)` before the model is made.",
        ),
    )
)
#: What helps when nothing is known: lower the features, and tell.
LAST_RUNGS = (
    "Lower the features and add them back one at a time: {features}.",
    "If you cannot see why, please report it with the log, the manifest and the versions in it.",
)
#: A rung that names a way of capturing as a cure.
CAPTURE_RUNG = re.compile(r'`capture = "(trace|export)"`')
#: The oldest deployment target of ML Programs.
OLDEST_TARGET = "iOS15"


#: What differs between two messages about the same: lines, and where in a library.
IN_PASSING = re.compile(r" \(line \d+\)| It is (?:in the layer|at) .*")


def same(one: str, other: str) -> bool:
    """Return whether two messages say the same of an operation."""
    return IN_PASSING.sub("", one) == IN_PASSING.sub("", other)


def names(advice: tuple[str, ...], options: Sequence[str]) -> bool:
    """Return whether advice names one of the options."""
    return any(option in step for step in advice for option in options)


def without(advice: tuple[str, ...], options: Sequence[str]) -> tuple[str, ...]:
    """Return advice that names none of the options, because they were tried."""
    return tuple(step for step in advice if not any(option in step for option in options))


def untried(
    rungs: Sequence[str], captures: Sequence[str], target: str | None, float16: bool
) -> tuple[str, ...]:
    """Return the rungs that the user has not just seen fail.

    Parameters: `captures` — the ways of capturing that were tried; `target` — the model's
    deployment target, and `float16` — whether it computes in half precision, so far as they are
    known.
    """
    features = [f'`capture = "{one}"`' for one in ("trace", "export") if one not in captures]
    features += [] if target in (None, OLDEST_TARGET) else ["an older `minimum-deployment-target`"]
    features += ['`compute-precision = "float32"`'] if float16 else []
    kept = []
    for rung in rungs:
        if "{features}" in rung:
            kept += [rung.replace("{features}", ", ".join(features))] if features else []
        elif not any(tried in captures for tried in CAPTURE_RUNG.findall(rung)):
            kept.append(rung)
    return tuple(kept)

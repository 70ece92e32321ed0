"""From a foreign exception to a `Failure`: kind, the user's line, the rung of the ladder that cures
it.

Owns: what is known when an exception comes, and how a rule is filled in.
Must not: hide anything: the whole traceback goes with every explanation.
Flow: a step of `conversion` raises -> `explain`, by the table of `ladder` -> the `failed` event.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from typing import Any

import torch

from coreml_driver import layers, operators
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.features import INTEGERS
from coreml_driver.ladder import (
    FURTHER,
    LAST_RUNGS,
    OPTIONS,
    RULES,
    RUNGS,
    UNSUPPORTED,
    UNSUPPORTED_LADDER,
    Rule,
)
from coreml_driver.lines import UserCode
from coreml_driver.progress import Progress
from coreml_driver.request import Model
from coreml_driver.translations.refusals import CannotExpress
from coreml_driver.witness import Sightings

#: Characters of a foreign message that are repeated: torch prints whole graphs.
MESSAGE_LENGTH = 600


@dataclass
class Context:
    """What was known when the exception came."""

    #: Where in the user's code to look.
    user_code: UserCode
    model: Model | None = None
    module: torch.nn.Module | None = None
    #: The line of the module's `forward`.
    forward: PythonLine | None = None
    sightings: Sightings | None = None
    #: The captured program, when coremltools had it in hands.
    program: Any = None


def explain(error: BaseException, context: Context, progress: Progress) -> Failure:
    """Return the failure that `error` means.

    Returns: `error` itself when it is a `Failure`, with further rungs of its kind where it has but
    few; kind `unknown` for what no rule understands.
    """
    text = "".join(traceback.format_exception(error))
    failure = (
        error if isinstance(error, Failure) else _Explanation(error, context, progress).failure()
    )
    if not failure.traceback:
        failure.traceback = text
    if failure.python is None and progress.stage == "convert":
        # A translation knows its node, and not where that comes from.
        failure.python = operators.line(context.program, progress.node, context.user_code)
    place = _whereabouts(error, context, progress)
    seen = context.sightings.high_rank if context.sightings is not None else None
    if failure.kind == "rank" and seen is not None:
        place = seen.place
    if place.words() and place.words() not in failure.message:
        failure.message = f"{failure.message.rstrip()} It is {place.words()}."
    options = [
        option
        for pattern, option in OPTIONS
        if pattern.search(f"{failure.message} {place.library}") and option not in failure.advice
    ]
    failure.advice = (*options, *failure.advice)
    further = [step for step in FURTHER.get(failure.kind, ()) if step not in failure.advice]
    failure.advice += tuple(further[: max(0, RUNGS - len(failure.advice))])
    return failure


def _whereabouts(error: BaseException, context: Context, progress: Progress) -> layers.Whereabouts:
    """Return the layer and the library's line at which a step failed, so far as they are known."""
    if context.module is None:
        return layers.Whereabouts()
    user_code = context.user_code
    if progress.stage == "convert":
        layer, text = operators.place(context.program, progress.node)
        return layers.Whereabouts(layer, layers.of_text(text, user_code))
    if isinstance(error, Failure):
        return error.place
    names = layers.names(context.module)
    return layers.of_traceback(error.__traceback__, names, user_code)


class _Explanation:
    """One foreign exception in its surroundings."""

    def __init__(self, error: BaseException, context: Context, progress: Progress) -> None:
        """Parameters: `progress` — tells the stage, and the node that coremltools was
        translating.
        """
        self._error = error
        self._context = context
        self._node = progress.node
        self._stage = "capture" if progress.stage in ("trace", "export") else progress.stage
        self._message = _words(error)
        user_code = context.user_code
        self._line = user_code.of_traceback(error.__traceback__) or user_code.of_text(str(error))
        if self._stage == "convert":
            self._line = operators.line(context.program, self._node, user_code)

    def failure(self) -> Failure:
        """Return the failure."""
        error = self._error
        if isinstance(error, SyntaxError) and error.filename:
            place = PythonLine(error.filename, error.lineno or 1)
            return Failure(
                "syntax-error",
                f"Python cannot read this line: {error.msg}.",
                place,
                "source.file",
                ("Correct the syntax.",),
            )
        if isinstance(error, CannotExpress):
            return self._cannot_express(error)
        unsupported = UNSUPPORTED.search(str(error))
        for rule in RULES:
            match = rule.pattern.search(f"{type(error).__name__}: {error}")
            if self._stage in rule.stages and match:
                return self._apply(rule, match)
        if unsupported and self._stage == "convert":
            return self._unsupported(unsupported.group(1) or unsupported.group(2))
        if self._stage in ("load", "samples"):
            what = (
                "While the module was made"
                if self._stage == "load"
                else "While forward ran on a sample"
            )
            raised = f"{what}, Python raised {type(error).__name__}: {self._message}"
            cures = ("Correct the Python code; the log has the whole traceback.",)
            return Failure(
                "python-error", raised, self._line or self._context.forward, "source.entry", cures
            )
        return self._unknown()

    def _apply(self, rule: Rule, match: re.Match[str]) -> Failure:
        """Fill in a rule."""
        context, line = self._context, self._line
        groups = [group for group in match.groups() if group is not None]
        if (
            rule.kind == "rank"
            and context.sightings is not None
            and context.sightings.high_rank is not None
        ):
            line = context.sightings.high_rank.line or line
        key = rule.key
        if rule.kind == "sample-range" and context.model is not None:
            integers = [
                declared.name for declared in context.model.inputs if declared.dtype in INTEGERS
            ]
            key = f"inputs.{integers[0]}" if len(integers) == 1 else "inputs"
        if rule.kind == "complex" and line is None:
            line = next(
                iter(operators.unsupported(context.program, context.user_code).values()), None
            )
        advice = tuple(_fill(step, groups, self._message) for step in rule.advice)
        return Failure(
            rule.kind,
            _fill(rule.message, groups, self._message),
            line or context.forward,
            key,
            advice,
        )

    def _unsupported(self, kind: str) -> Failure:
        """Return the failure about operations that coremltools cannot translate: all of them at
        once.
        """
        program = self._context.program
        found = operators.unsupported(program, self._context.user_code)
        if kind not in found:
            found = {kind: self._line} | found
        line = self._line or next((place for place in found.values() if place), None)
        words = [
            f"`{name}`" + (f" (line {place.line})" if place else "")
            for name, place in found.items()
        ]
        plural = "s" if len(found) > 1 else ""
        message = f"coremltools cannot translate the PyTorch operation{plural} {', '.join(words)}."
        other = "trace" if operators.is_export(program) else "export"
        advice = tuple(step.replace("{other}", other) for step in UNSUPPORTED_LADDER)
        return Failure(
            "unsupported-op", message, line or self._context.forward, "source.entry", advice
        )

    def _cannot_express(self, error: CannotExpress) -> Failure:
        """Return the failure about a call that Core ML cannot express."""
        kind = self._node.kind if self._node is not None else "operation"
        message = f"Core ML cannot express this `{kind}`: {error.why}."
        further = UNSUPPORTED_LADDER[2:]
        return Failure(
            "unsupported-op",
            message,
            self._line or self._context.forward,
            "source.entry",
            (error.instead, *further),
        )

    def _unknown(self) -> Failure:
        """Return the failure for what nothing explains."""
        places = {
            "capture": "while the graph was captured",
            "convert": "while coremltools converted the graph",
        }
        where = places.get(self._stage, f"in the stage `{self._stage}`")
        node = f" (operation `{self._node.kind}`)" if self._node is not None else ""
        text = f"{type(self._error).__name__} {where}{node}: {self._message}"
        return Failure("unknown", text, self._line or self._context.forward, None, LAST_RUNGS)


def _fill(text: str, groups: list[str], message: str) -> str:
    """Put the groups of a match and the foreign message into a text that may have braces of its
    own.
    """
    for number, group in enumerate(groups):
        text = text.replace("{" + str(number) + "}", group)
    return text.replace("{message}", message)


def _words(error: BaseException) -> str:
    """Return an exception's own words, without the graphs and hints that torch appends."""
    text = str(error).strip() or type(error).__name__
    text = text.split("\n\n")[0].strip()
    return text if len(text) <= MESSAGE_LENGTH else text[:MESSAGE_LENGTH] + " …"

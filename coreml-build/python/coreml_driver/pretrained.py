"""Models of the library transformers: from a repository's files and a task to a module.

Owns: which class a task means, and what a classifier is beside its network: labels and
probabilities.
Must not: fetch anything, or run code of a repository.
Flow: `source.load` -> `load`; `conversion` -> `with_labels`, for a classifier.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from typing import Any

import torch

from coreml_driver import hub
from coreml_driver.failures import Failure
from coreml_driver.hub import Repository
from coreml_driver.request import Classifier, Source

#: The hub's names of tasks, with the class of transformers that each means.
TASKS = {
    "audio-classification": "AutoModelForAudioClassification",
    "automatic-speech-recognition": "AutoModelForSpeechSeq2Seq",
    "depth-estimation": "AutoModelForDepthEstimation",
    "feature-extraction": "AutoModel",
    "fill-mask": "AutoModelForMaskedLM",
    "image-classification": "AutoModelForImageClassification",
    "image-feature-extraction": "AutoModel",
    "image-segmentation": "AutoModelForSemanticSegmentation",
    "object-detection": "AutoModelForObjectDetection",
    "question-answering": "AutoModelForQuestionAnswering",
    "text-classification": "AutoModelForSequenceClassification",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "token-classification": "AutoModelForTokenClassification",
}
#: What a speech model without a decoder is.
CTC = "AutoModelForCTC"
#: The manifest key of the task.
KEY = "source.task"
#: How many tasks or weights a message lists.
LISTED = 6


def load(source: Source, repository: Repository) -> torch.nn.Module:
    """Make the module of a repository.

    Errors: `Failure` of kind `missing-module`, `custom-code`, `wrong-task` or `missing-weights`.
    """
    try:
        import transformers
    except ImportError as error:
        message = f"Python cannot import transformers, which makes the model: {error}."
        cure = "Add `transformers` to `python.dependencies` in the manifest."
        raise Failure("missing-module", message, key=hub.KEY, advice=(cure,)) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = _config(repository)
    # Without a cache of keys and values among the outputs, which is no tensor.
    config.use_cache = False
    kind = _class(source.task, config)
    module = _weighted(kind, config, repository)
    module.config.return_dict = True
    return module


def _config(repository: Repository) -> Any:
    """Return the configuration; a model that transformers itself does not have would need code of
    the repository.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    values = json.loads((repository.folder / hub.CONFIG).read_text(encoding="utf-8"))
    model_type = values.get("model_type")
    if model_type not in CONFIG_MAPPING:
        own = (
            "brings code of its own for it, which is never run here"
            if values.get("auto_map")
            else "does not have it"
        )
        message = (
            f"`{repository.name}` is a model of type `{model_type}`; this transformers does "
            "not know it"
        )
        message += f", and the repository {own}." if values.get("auto_map") else "."
        cures = (
            "A newer transformers may have the model: `dependencies` in `[python]`.",
            "Or copy the code into your package, read it, and name a function: `source = { file = "
            "…, entry = … }`.",
        )
        raise Failure("custom-code", message, key=hub.KEY, advice=cures)
    return AutoConfig.from_pretrained(
        repository.folder, local_files_only=True, trust_remote_code=False
    )


def _class(task: str, config: Any) -> Any:
    """Return the class of a task for a model of this configuration."""
    import transformers

    name = (
        CTC
        if task == "automatic-speech-recognition" and not config.is_encoder_decoder
        else TASKS[task]
    )
    kind = getattr(transformers, name)
    if type(config) not in kind._model_mapping:
        fitting = [
            other
            for other, name in TASKS.items()
            if type(config) in getattr(transformers, name)._model_mapping
        ]
        message = (
            f"transformers has no `{name}` of a `{config.model_type}`: the model cannot do "
            f"`{task}`."
        )
        cure = f"It can do {', '.join(f'`{other}`' for other in fitting)}."
        raise Failure("wrong-task", message, key=KEY, advice=(cure,))
    return kind


def _weighted(kind: Any, config: Any, repository: Repository) -> torch.nn.Module:
    """Make the module and load its weights; a weight that the repository lacks would be random."""
    module, missing = _loaded(kind, config, repository)
    if (
        missing
        and all(name.startswith("pooler.") for name in missing)
        and _has_pooling(type(module))
    ):
        module, missing = _loaded(kind, config, repository, add_pooling_layer=False)
    if missing:
        names = ", ".join(f"`{name}`" for name in missing[:LISTED]) + (
            ", …" if len(missing) > LISTED else ""
        )
        message = f"`{repository.name}` has no weights for {names}: they would be random numbers."
        cures = (
            "Choose a `task` that the repository was trained for (its architecture is "
            f"{_architecture(repository)}).",
            "Or name a repository that was fine-tuned for this task.",
        )
        raise Failure("missing-weights", message, key=KEY, advice=cures)
    return module


def _loaded(
    kind: Any, config: Any, repository: Repository, **changes: Any
) -> tuple[torch.nn.Module, list[str]]:
    """Return the module and the names of the weights that the repository lacks."""
    module, info = kind.from_pretrained(
        repository.folder,
        config=config,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        # Written out: the fused kernels come with Python around them that a trace cannot follow.
        attn_implementation="eager",
        output_loading_info=True,
        **changes,
    )
    return module, sorted(info["missing_keys"])


def _has_pooling(kind: type) -> bool:
    """Return whether a model can be made without its pooling layer, which many repositories were
    trained without.
    """
    return "add_pooling_layer" in inspect.signature(kind.__init__).parameters


def _architecture(repository: Repository) -> str:
    """Return the class that the repository was saved from, for messages."""
    values = json.loads((repository.folder / hub.CONFIG).read_text(encoding="utf-8"))
    return ", ".join(values.get("architectures") or ()) or "not told"


def with_labels(classifier: Classifier, module: torch.nn.Module) -> Classifier:
    """Make the module return probabilities, and take the labels from its configuration where the
    manifest has none.

    Errors: `Failure` of kind `wrong-labels`.
    """
    config: Any = module.config
    if getattr(config, "problem_type", None) == "multi_label_classification":
        message = "The model gives any number of labels at once, which a Core ML classifier cannot."
        cure = "Leave `classifier` out, and take the sigmoid of `logits` in the program."
        raise Failure("wrong-labels", message, key="classifier", advice=(cure,))
    module.register_forward_hook(_probabilities)
    if classifier.labels:
        return classifier
    names = config.id2label
    return replace(classifier, labels=tuple(str(names[number]) for number in range(len(names))))


def _probabilities(module: torch.nn.Module, arguments: Any, result: Any) -> torch.Tensor:
    """Return the probabilities of a classifier's result, whose scores are logarithms."""
    if "logits" not in result or result["logits"].dim() != 2:
        message = (
            "This task gives no scores of one label for the whole input, which a classifier needs."
        )
        raise Failure(
            "wrong-outputs", message, key="classifier", advice=("Leave `classifier` out.",)
        )
    return result["logits"].softmax(-1)

"""Repositories in the form of the Hugging Face hub: which of their files a model is made of, and
that these are right.

A repository is a folder of the package, or lies on the hub (`HF_ENDPOINT`), of which
huggingface_hub keeps a cache. One of the hub is pinned by a whole commit, and each of its files by
a digest, which goes into the fingerprint: no build depends on where the cache lies, or on what the
hub says tomorrow.

Owns: finding and checking the files; every way in which the hub refuses one.
Must not: make a module of them (that is `pretrained`), or run code that lies among them.
Flow: `source.load` -> `find` -> `pretrained.load`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from coreml_driver import inputs
from coreml_driver.failures import Failure
from coreml_driver.request import Source

#: The manifest keys that failures stand at.
KEY, REVISION_KEY = "source.transformers", "source.revision"
#: A whole commit of git: what a branch or a tag points at may move.
COMMIT = re.compile("[0-9a-f]{40}")
#: Digits of a commit in messages.
SHOWN_DIGITS = 12
#: What every model needs, and what some have besides the weights.
CONFIG = "config.json"
OPTIONAL = ("generation_config.json",)
#: Weights in one file, or the list of several.
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
#: Endings of weights that only Python can read, by running what stands in them.
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
#: How the hub's cache names a file: by the SHA-256 of its content, or as git does.
SHA256, GIT_BLOB = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")
#: Bytes to hash at once.
CHUNK = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True)
class Repository:
    """The files of a model."""

    #: As the manifest names it, with the commit of one of the hub.
    name: str
    #: Holds the files by their own names.
    folder: Path


def find(source: Source, package_root: Path) -> Repository:
    """Find the files that `source` names, and note them as inputs of the conversion.

    Errors: `Failure` of a kind that begins with `hub-`, or `missing-file`, `damaged-source`,
    `pickled-weights`.
    """
    if source.revision is None:
        return _folder(source, package_root)
    if not COMMIT.fullmatch(source.revision):
        raise _unpinned(source.file, source.revision)
    return _Remote(source.file, source.revision).fetch()


def _folder(source: Source, package_root: Path) -> Repository:
    """Return a repository that is a folder."""
    folder = package_root / source.file
    if not folder.is_dir():
        message = f"The folder `{source.file}` does not exist below {package_root}."
        cures = (
            f"Correct `{KEY}`: without `revision` it is a folder, relative to the package.",
            'A repository of the hub needs the commit: `revision = "…"` (a branch such as "main" '
            "tells which).",
        )
        raise Failure("missing-file", message, key=KEY, advice=cures)

    def read(file: str) -> Path | None:
        path = folder / file
        if not path.is_file():
            return None
        inputs.RECORDER.note(path)
        return path

    listing = lambda: sorted(path.name for path in folder.iterdir())  # noqa: E731
    _files(source.file, read, listing)
    return Repository(source.file, folder)


def _files(
    name: str, read: Callable[[str], Path | None], listing: Callable[[], list[str]]
) -> list[tuple[str, Path]]:
    """Return all files that the model is made of.

    Parameters: `read` — returns the path of a file, or `None` if there is none; `listing` — of the
    repository.
    """
    found = []
    config = read(CONFIG)
    if config is None:
        message = f"`{name}` has no {CONFIG}: it is no model that transformers can load."
        raise Failure("hub-no-model", message, key=KEY, advice=("Name a repository that has one.",))
    found += [
        (CONFIG, config),
        *((file, path) for file in OPTIONAL if (path := read(file)) is not None),
    ]
    weights = read(WEIGHTS)
    if weights is not None:
        return [*found, (WEIGHTS, weights)]
    index = read(WEIGHTS_INDEX)
    if index is None:
        raise _no_weights(name, listing())
    found.append((WEIGHTS_INDEX, index))
    for file in sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())):
        part = read(file)
        if part is None:
            message = f"`{name}` lacks {file}, which {WEIGHTS_INDEX} names."
            raise Failure("damaged-source", message, key=KEY, advice=("Complete the repository.",))
        found.append((file, part))
    return found


def _no_weights(name: str, listing: list[str]) -> Failure:
    """Return the failure about a repository without safetensors."""
    pickled = [file for file in listing if file.endswith(PICKLED)]
    if not pickled:
        message = f"`{name}` has no {WEIGHTS}."
        return Failure(
            "hub-no-model", message, key=KEY, advice=("Name a repository of PyTorch weights.",)
        )
    message = (
        f"`{name}` has its weights as a pickle ({', '.join(pickled)}), which can run any code "
        "when it is read; here "
        f"they are read from {WEIGHTS} alone."
    )
    cures = (
        "Take a revision that has safetensors; many repositories have one as a pull request "
        "(`refs/pr/…`).",
        "Or convert it once where you trust it: "
        "`AutoModel.from_pretrained(…).save_pretrained(FOLDER)`; name FOLDER.",
    )
    return Failure("pickled-weights", message, key=KEY, advice=cures)


def _hub() -> Any:
    """Import huggingface_hub, which comes with transformers; here, so that other manifests need
    neither.
    """
    import huggingface_hub

    return huggingface_hub


def _unpinned(name: str, revision: str) -> Failure:
    """Return the failure about a revision that may move, with the commit that it is today."""
    commit = _asked(name, revision, lambda: _hub().HfApi().model_info(name, revision=revision).sha)
    message = (
        f"`{revision}` of `{name}` may point at another commit tomorrow; today it is {commit}."
    )
    return Failure(
        "hub-unpinned", message, key=REVISION_KEY, advice=(f'Pin it: `revision = "{commit}"`.',)
    )


class _Remote:
    """A repository of the hub at one commit."""

    def __init__(self, name: str, commit: str) -> None:
        """Parameters: `name` — as the hub has it, `owner/name`."""
        self._name, self._commit = name, commit

    def fetch(self) -> Repository:
        """Bring the files into the hub's cache where they are not there, check them, and note their
        digests.
        """
        name = f"{self._name}@{self._commit[:SHOWN_DIGITS]}"
        found = _files(name, self._read, self._listing)
        for file, path in found:
            inputs.RECORDER.pin(
                f"hub:{self._name}@{self._commit}/{file}#sha256={_checked(path, file)}"
            )
        return Repository(name, found[0][1].parent)

    def _read(self, file: str) -> Path | None:
        """Return a file in the hub's cache: without the network if it is there."""
        hub = _hub()

        def path() -> Path | None:
            known = hub.try_to_load_from_cache(self._name, file, revision=self._commit)
            if known is not None and not isinstance(known, str):
                return None  # known not to exist
            return Path(known or hub.hf_hub_download(self._name, file, revision=self._commit))

        return _asked(self._name, self._commit, path, missing=None)

    def _listing(self) -> list[str]:
        """Return the names of all files."""
        info = _asked(
            self._name,
            self._commit,
            lambda: _hub().HfApi().model_info(self._name, revision=self._commit),
        )
        return sorted(file.rfilename for file in info.siblings)


def _asked(name: str, revision: str, question: Callable[[], T], **missing: T) -> T:
    """Ask the hub. Parameters: `missing` — what to return for a file that does not exist."""
    from huggingface_hub import errors

    endpoint = _hub().constants.ENDPOINT
    try:
        return question()
    except errors.LocalEntryNotFoundError as error:
        raise _unreachable(name, endpoint, error.__cause__ or error) from error
    except errors.EntryNotFoundError:
        if "missing" in missing:
            return missing["missing"]
        raise
    except errors.GatedRepoError as error:
        message = f"`{name}` is gated: {endpoint} gives it only to who has accepted its terms."
        cures = (
            f"Accept the terms at {endpoint}/{name}, then log in (`hf auth login`, or HF_TOKEN).",
            "On a machine without credentials: a cache that has it (HF_HOME), or the team's cache "
            "(COREML_REMOTE).",
        )
        raise Failure("hub-gated", message, key=KEY, advice=cures) from error
    except errors.RevisionNotFoundError as error:
        message = f"`{name}` has no revision `{revision}`."
        cure = (
            f'Take a commit of {endpoint}/{name}/commits/main; `revision = "main"` tells the '
            "newest."
        )
        raise Failure("hub-no-revision", message, key=REVISION_KEY, advice=(cure,)) from error
    except errors.RepositoryNotFoundError as error:
        message = f"{endpoint} has no repository `{name}`, or hides it from who is not logged in."
        cures = (
            "Check the spelling: `owner/name`. A folder of the package needs no `revision`.",
            "For a private one log in (`hf auth login`, or HF_TOKEN).",
        )
        raise Failure("hub-not-found", message, key=KEY, advice=cures) from error
    except errors.HFValidationError as error:
        message = f"`{name}` cannot be a repository of the hub: {error}"
        raise Failure("hub-not-found", message, key=KEY, advice=("Write `owner/name`.",)) from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            message = f"{endpoint} refuses `{name}` to these credentials (HTTP {status})."
            cure = "Log in again (`hf auth login`, or HF_TOKEN) with a token that may read it."
            raise Failure("hub-gated", message, key=KEY, advice=(cure,)) from error
        raise _unreachable(name, endpoint, error) from error
    except Exception as error:  # the client's own: its library differs between versions
        raise _unreachable(name, endpoint, error) from error


def _unreachable(name: str, endpoint: str, error: BaseException) -> Failure:
    """Return the failure about a hub that does not answer, or must not be asked."""
    if _hub().constants.HF_HUB_OFFLINE:
        message = f"`{name}` is not in the hub's cache, and the network is forbidden (offline)."
        cures = (
            "Build once with network, or bring the cache here: HF_HOME names its folder.",
            "Offline comes from COREML_OFFLINE, CARGO_NET_OFFLINE or HF_HUB_OFFLINE.",
        )
        return Failure("hub-offline", message, key=KEY, advice=cures)
    words = (str(error).strip().splitlines() or [type(error).__name__])[0]
    message = f"`{name}` is not in the hub's cache, and {endpoint} does not give it out: {words}"
    cures = (
        "Check the network and HF_ENDPOINT; behind a proxy set HTTPS_PROXY.",
        "Or name a folder of the package that holds the repository's files.",
    )
    return Failure("hub-unreachable", message, key=KEY, advice=cures)


def _checked(path: Path, file: str) -> str:
    """Return the SHA-256 of a file in the hub's cache, whose name there is a digest of what it must
    hold.
    """
    blob = path.resolve()
    sha256 = hashlib.sha256()
    git = hashlib.sha1(f"blob {blob.stat().st_size}\0".encode(), usedforsecurity=False)
    with blob.open("rb") as content:
        while chunk := content.read(CHUNK):
            sha256.update(chunk)
            git.update(chunk)
    for form, digest in ((SHA256, sha256), (GIT_BLOB, git)):
        if form.fullmatch(blob.name) and blob.name != digest.hexdigest():
            message = (
                f"{file} in the hub's cache is not what it was when it was downloaded ({blob})."
            )
            cure = "Delete that file; the next build downloads it again."
            raise Failure("damaged-source", message, key=KEY, advice=(cure,))
    return sha256.hexdigest()

"""Which files a conversion reports as read: the build converts again when one of them changes."""

from __future__ import annotations

import py_compile
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.test_failures import module

LINEAR = "def make():\n    return nn.Linear(3, 4)\n"

#: name -> what the source does with `data.bin` in the package's folder `data`.
READERS = {
    "open": "open(path, 'rb').read()",
    "pathlib": "import pathlib; pathlib.Path(path).read_bytes()",
    "numpy.load": "import numpy; numpy.load(path)",
    "numpy.fromfile": "import numpy; numpy.fromfile(path)",
    "torch.load": "torch.load(path, weights_only=True)",
    "torch.jit.load": "torch.jit.load(path)",
    "safetensors.safe_open": "import safetensors; safetensors.safe_open(path, 'pt').keys()",
    "safe_open by "
    "name": "from safetensors import safe_open; safe_open(filename=path, framework='pt').keys()",
    "safetensors.torch.load_file": "import safetensors.torch; safetensors.torch.load_file(path)",
    "safetensors.numpy.load_file": "import safetensors.numpy; safetensors.numpy.load_file(path)",
}


def write_data(path, name):
    path.parent.mkdir(exist_ok=True)
    if "jit" in name:
        torch.jit.script(torch.nn.ReLU()).save(str(path))
    elif "torch.load" in name and "safetensors" not in name:
        torch.save({"a": torch.zeros(1)}, path)
    elif "safe" in name:
        safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    else:
        with path.open("wb") as file:
            np.save(file, np.zeros(8))


@pytest.mark.parametrize("name", READERS)
def test_files_read_by_any_reader(package, name):
    path = package.root / "data/data.bin"
    write_data(path, name)
    outcome = package.convert(f"path = {str(path)!r}\n{READERS[name]}\n" + LINEAR)
    assert outcome.converted["inputs"] == ["data/data.bin", "python/model.py"]


def test_local_imports(package):
    package.write("python/blocks.py", "from parts import inner\n")
    package.write("python/parts/__init__.py", "")
    package.write("python/parts/inner.py", "SIZE = 4\n")
    package.write("python/unused.py", "")
    package.write("shared/deep.py", "")
    outcome = package.convert("import blocks\nimport shared.deep\n" + LINEAR)
    assert outcome.converted["inputs"] == [
        "python/blocks.py",
        "python/model.py",
        "python/parts/__init__.py",
        "python/parts/inner.py",
        "shared/deep.py",
    ]


def test_compiled_files_stand_for_their_sources(package):
    py_compile.compile(str(package.write("python/blocks.py", "SIZE = 4\n")))
    assert list((package.root / "python/__pycache__").iterdir())
    assert package.convert("import blocks\n" + LINEAR).converted["inputs"] == [
        "python/blocks.py",
        "python/model.py",
    ]


def test_environments_caches_and_written_files_are_left_out(package):
    package.write("target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55")
    package.write(".venv/pyvenv.cfg", "")
    package.write("node/site-packages/x.py", "")
    lines = ["import pathlib", f"root = pathlib.Path({str(package.root)!r})"]
    for name in ("target/debug/a", ".venv/lib/b", "node/site-packages/x.py"):
        package.write(name, "x")
        lines.append(f"(root / {name!r}).read_text()")
    lines += ["(root / 'made.txt').write_text('x')", "(root / 'grown.txt').open('a').close()"]
    lines += ["try:", "    open(root / 'absent')", "except OSError:", "    pass"]
    assert package.convert("\n".join(lines) + "\n" + LINEAR).converted["inputs"] == [
        "python/model.py"
    ]


def test_files_outside_are_absolute_if_declared_or_beside_the_source(package):
    outside = package.root.parent / "elsewhere"
    package.write("../elsewhere/model.py", "import torch.nn as nn\nimport near\n" + LINEAR)
    package.write("../elsewhere/near.py", "")
    package.write("../other.txt", "")
    source = {"file": "../elsewhere/model.py", "entry": "make", "args": {}}
    read = package.convert(source=source).converted["inputs"]
    assert [path for path in read if "near" in path] == [str(outside / "near.py")]
    assert len(read) == 2 and any(path.endswith("elsewhere/model.py") for path in read)


def test_a_failure_reports_what_was_read_before(package):
    package.write("python/blocks.py", "")
    safetensors.torch.save_file({"a": torch.zeros(1)}, package.root / "w.safetensors")
    outcome = package.convert("import blocks\nraise ValueError\n", weights="w.safetensors")
    assert outcome.failed["inputs"] == ["python/blocks.py", "python/model.py", "w.safetensors"]


def test_a_file_read_while_forward_runs(package):
    package.write("python/scale.txt", "3.0")
    body = (
        "import pathlib\nreturn x * "
        "float(pathlib.Path(__file__).with_name('scale.txt').read_text())"
    )
    assert "python/scale.txt" in package.convert(module(body)).converted["inputs"]


def test_the_package_stays_as_it_was(package):
    package.write("python/blocks.py", "")
    before = sorted(package.root.rglob("*"))
    package.write("python/model.py", "")
    flag, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        package.convert("import blocks\n" + LINEAR)
    finally:
        sys.dont_write_bytecode = flag
    assert sorted(package.root.rglob("*")) == sorted([*before, package.root / "python/model.py"])

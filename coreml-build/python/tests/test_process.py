"""The driver as a process: the line protocol, several models at once, and every way to die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import safetensors.numpy

from coreml_driver import workers
from coreml_driver.request import Job, Request
from tests.conftest import PRELUDE, Package, digest

DRIVER = Path(__file__).parents[1]
BOOTSTRAP = (
    "import sys; sys.path[:0] = {paths!r}; from coreml_driver.__main__ import main; "
    "sys.exit(main())"
)
#: Seconds that a model sleeps which nobody waits for.
SLEEP = 3600
#: Seconds after which a test gives up on what should have ended: far fewer than `SLEEP`, and no
#: measure of speed.
PATIENCE = 300.0

GOOD = """
import sys
print("noise on standard output")
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.names = {}
        self.body = nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 4), nn.Softmax(-1))
    def forward(self, x):
        sys.stdin.read()
        return {"p": self.body(x), "q": self.body(x + 1)}
def make():
    return Net()
"""
SLEEPY = f"""
import os, pathlib, time
def make(file):
    pathlib.Path(file).write_text(str(os.getpid()))
    time.sleep({SLEEP})
"""


class Driver:
    """A running driver."""

    def __init__(
        self,
        package: Package,
        models: dict,
        *,
        jobs=2,
        requirements=(),
        demanded=None,
        roots=None,
        extra=(),
        seed="0",
    ):
        request = {
            "version": 1,
            "jobs": jobs,
            "models": [
                {
                    "id": name,
                    "package_root": str((roots or {}).get(name, package.root)),
                    "requirements": list((demanded or {}).get(name, requirements)),
                    "table": table,
                    "output": str(package.root.parent / "out" / name),
                }
                for name, table in models.items()
            ],
        }
        path = package.root.parent / f"request{time.monotonic_ns()}.json"
        path.write_text(json.dumps(request))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": seed}
        environment["PYTHONPYCACHEPREFIX"] = str(path.parent / "pycache")
        code = BOOTSTRAP.format(paths=[*map(str, extra), str(DRIVER)])
        self.log = path.with_suffix(".log")
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", code, str(path)],
            cwd=package.root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
        )

    def events(self) -> list[dict]:
        """Return all events until the process ends."""
        lines = self.process.stdout.read().splitlines()
        assert self.process.wait(PATIENCE) == 0, self.log.read_text()
        return [json.loads(line) for line in lines]

    def wait_for(self, path: Path) -> int:
        """Wait until a child has written its process number into `path`, and return it."""
        deadline = time.monotonic() + PATIENCE
        while not (path.exists() and path.read_text()):
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        return int(path.read_text())


def gone(process: int) -> bool:
    """Return whether a process ends, though nothing in it does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def table(package: Package, name: str, source: str, **changes) -> dict:
    """Write a source and return the table that names it."""
    package.write(f"python/{name}.py", PRELUDE + textwrap.dedent(source))
    entry = {"file": f"python/{name}.py", "entry": "make", "args": changes.pop("args", {})}
    return package.table(source=entry, **changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One driver with models of every fate, and a second one for the good models alone: imports are
    slow."""
    root = tmp_path_factory.mktemp("process") / "package"
    root.mkdir()
    package = Package(root)
    good = {
        "first": table(package, "good", GOOD),
        "second": table(package, "good", GOOD, capture="export"),
    }
    fates = {
        "segfault": table(
            package, "segfault", "import ctypes\ndef make():\n    ctypes.string_at(0)\n"
        ),
        "exit": table(package, "exit", "import os\ndef make():\n    os._exit(0)\n"),
        "bad": table(package, "bad", "def make():\n    return None\n"),
    }
    other = Package(tmp_path_factory.mktemp("again") / "package")
    other.root.mkdir()
    again = {
        "second": table(other, "good", GOOD, capture="export"),
        "first": table(other, "good", GOOD),
    }
    drivers = Driver(package, {**fates, **good}), Driver(other, again, jobs=1, seed="77")
    events = [driver.events() for driver in drivers]
    return package, other, events, drivers[0].log.read_text()


def test_protocol(world):
    _package, _, (events, _), log = world
    assert events[0]["event"] == "started" and events[0]["versions"]["torch"].startswith("2.")
    assert events[-1] == {"event": "finished"}
    answers = {
        event["model"]: event for event in events if event["event"] in ("converted", "failed")
    }
    kinds = {name: event.get("kind") for name, event in answers.items()}
    assert kinds == {
        "first": None,
        "second": None,
        "segfault": "crashed",
        "exit": "crashed",
        "bad": "not-a-module",
    }
    assert answers["first"]["inputs"] == ["python/good.py"]
    assert "SIGSEGV" in answers["segfault"]["message"]
    assert answers["segfault"]["inputs"] == ["python/segfault.py"]
    assert "exit code 0" in answers["exit"]["message"]
    stages = [
        event["stage"]
        for event in events
        if event["event"] == "progress" and event["model"] == "first"
    ]
    expected = ["import", "load", "samples", "trace", "convert", "proof", "write"]
    assert list(dict.fromkeys(stages)) == expected
    assert any("pipeline" in event.get("detail", "") for event in events)
    assert "noise on standard output" in log


def test_packages_do_not_depend_on_the_process(world):
    first, second, _, _ = world
    for name in ("first", "second"):
        outputs = [package.root.parent / "out" / name for package in (first, second)]
        assert digest(outputs[0] / "model.mlpackage") == digest(outputs[1] / "model.mlpackage")
        assert digest(outputs[0] / "samples") == digest(outputs[1] / "samples")
    sample = safetensors.numpy.load_file(outputs[0] / "samples/0.safetensors")
    assert sorted(sample) == ["in/x", "out/p", "out/q"]


def test_the_driver_ends_with_its_parent(package, tmp_path):
    """Closing the pipe is the death of the build script; a kill is the death of the driver: the
    child dies of both."""
    files = [tmp_path / "closed", tmp_path / "killed"]
    drivers = [
        Driver(package, {"m": table(package, f"sleepy{number}", SLEEPY, args={"file": str(file)})})
        for number, file in enumerate(files)
    ]
    children = [driver.wait_for(file) for driver, file in zip(drivers, files, strict=True)]
    closed, killed = (driver.process for driver in drivers)
    closed.stdin.close()
    assert closed.wait(PATIENCE) == 3
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(PATIENCE) == -signal.SIGKILL
    assert all(map(gone, children))
    for process in (closed, killed):
        assert b"finished" not in process.stdout.read()


def test_wrong_versions(package):
    models = {"a": package.table(), "b": package.table()}
    started, *failed, finished = Driver(
        package, models, requirements=["torch==1.2.3", "surely-absent"]
    ).events()
    assert (started["event"], finished["event"]) == ("started", "finished")
    assert [event["model"] for event in failed] == ["a", "b"]
    for event in failed:
        assert (event["kind"], event["key"]) == ("wrong-versions", "python.dependencies")
        assert (
            f"torch {started['versions']['torch']} is installed (wanted: torch==1.2.3)"
            in event["message"]
        )
        assert "surely-absent is not installed" in event["message"]
        assert any("pip install" in step for step in event["advice"])


def test_broken_environment(package, tmp_path):
    (tmp_path / "torch.py").write_text(
        "raise ImportError('libcudart.so.12: cannot open shared object file')"
    )
    events = Driver(package, {"a": package.table()}, extra=[tmp_path]).events()
    failed = next(event for event in events if event["event"] == "failed")
    assert failed["kind"] == "broken-environment"
    assert "libcudart" in failed["message"] and "ImportError" in failed["traceback"]


def test_without_fork_models_run_one_after_the_other(package, monkeypatch):
    monkeypatch.setattr(workers.sys, "platform", "darwin")
    good = "import near\ndef make():\n    return nn.Linear(3, near.SIZE)\n"
    package.write("python/near.py", "SIZE = 5\n")
    models = {
        "one": table(package, "one", good),
        "two": table(package, "two", ("def make(:\n")),
        "three": table(package, "one", good),
    }
    jobs = tuple(
        Job(name, package.root.parent / name, value, package.root) for name, value in models.items()
    )
    events = []

    class Channel:
        def send(self, event, **fields):
            events.append((event, fields.get("model"), fields.get("inputs")))

    monkeypatch.chdir(package.root)  # and back at the end: each model changes the folder
    workers.Workers().run(Request(2, jobs), {}, [], Channel())
    answers = [event for event in events if event[0] != "progress"]
    read = ["python/near.py", "python/one.py"]
    assert answers == [
        ("converted", "one", read),
        ("failed", "two", ["python/two.py"]),
        ("converted", "three", read),
    ]


def test_models_of_several_packages_and_requirements_share_a_process(package, tmp_path):
    """Each model sees the modules and the working folder of its own package, and only a model whose
    own requirements are not met fails."""
    other = Package(tmp_path / "other")
    source = (
        "import near\n"
        "def make():\n"
        "    assert open('name.txt').read() == near.NAME\n"
        "    return nn.Linear(3, near.SIZE)\n"
    )
    models = {}
    for size, (name, one) in enumerate({"first": package, "second": other}.items(), start=4):
        one.write("python/near.py", f"SIZE = {size}\nNAME = '{name}'\n")
        one.write("name.txt", name)
        models[name] = table(one, "same", source)
    models["third"] = models["first"]
    before = time.time()
    events = Driver(
        package,
        models,
        jobs=1,
        roots={"second": other.root},
        demanded={"third": ["surely-absent"]},
    ).events()
    answers = {
        event["model"]: event for event in events if event["event"] in ("converted", "failed")
    }
    assert {name: answer["event"] for name, answer in answers.items()} == {
        "first": "converted",
        "second": "converted",
        "third": "failed",
    }, answers
    assert answers["third"]["kind"] == "wrong-versions"
    read = ["name.txt", "python/near.py", "python/same.py"]
    assert answers["first"]["inputs"] == answers["second"]["inputs"] == read
    assert before < answers["first"]["began"] < answers["second"]["began"] < time.time()

"""Converts again what other tests have converted: `python again.py LIST.json`, in a process of its
own.

Each conversion is a fork, as in `coreml_driver.workers`: two models of one process must not see
each other. The list has a root, a table and an output folder for each; the digests come as JSON on
standard output.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> None:
    """Convert everything on the list."""
    sys.dont_write_bytecode = True
    import torch

    from coreml_driver import conversion, inputs, versions
    from coreml_driver.request import Job
    from tests.conftest import products

    torch.set_num_threads(1)
    inputs.watch()
    found = {}
    sys.stdout.flush()
    for name, (root, table, output) in json.loads(Path(sys.argv[1]).read_text()).items():
        events: list = []
        child = os.fork()
        if not child:
            os.dup2(2, 1)
            send = lambda event, **fields: events.append((event, fields))  # noqa: B023, E731
            conversion.convert(
                Job("model", Path(output), table, Path(root)),
                Path(root),
                versions.installed(),
                [],
                send,
            )
            os._exit(0 if events[-1][0] == "converted" else 1)
        _, status = os.waitpid(child, 0)
        found[name] = products(Path(output)) if status == 0 else f"failed with status {status}"
    print(json.dumps(found))


if __name__ == "__main__":
    main()

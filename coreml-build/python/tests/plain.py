"""What coremltools by itself makes of the cases: run as a program, since the driver's repairs of
passes last as long as a process.

usage: python -m tests.plain FILE.json
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from tests.translated import differences, translate
from tests.translation_cases import CASES


def main(file: Path) -> None:
    """Write what is wrong about each case; empty where coremltools is right."""
    logging.disable(logging.CRITICAL)
    found = {}
    for name, case in CASES.items():
        if case.plain is None:
            continue
        capture, precision = case.plain
        try:
            translated = translate([case], capture, precision, plain=True)
            found[name] = differences([case], translated, precision).get(0, "")
        except Exception as error:
            found[name] = f"refused: {error!r:.200}"
    file.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

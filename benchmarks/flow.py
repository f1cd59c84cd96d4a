"""How long the flights project takes: first run, again, and after a change of one derived column.

The named alternative is what a chain of scripts does: run every step again. Writes one JSON line
per situation to standard output; figures and machine belong into ``benchmarks/RESULTS.md``.

    .venv/bin/python benchmarks/flow.py [FOLDER]
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CRISP = Path(sys.executable).parent / "crisp"


def crisp(*arguments: str) -> dict:
    """Run a command with --json and return its answer with the wall time in seconds."""
    begun = time.monotonic()
    done = subprocess.run([str(CRISP), *arguments], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begun
    if done.returncode:
        sys.exit(
            f"crisp {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}"
        )
    return {"seconds": round(seconds, 1), "output": done.stdout}


def situation(name: str, project: Path, *options: str) -> float:
    """Run the flow and print what happened."""
    found = crisp("run", "--project", str(project), "--json", *options)
    summary = json.loads(found["output"])
    steps = {
        event["step"]: [event["state"], round(event["seconds"], 1)] for event in summary["steps"]
    }
    print(json.dumps({"situation": name, "seconds": found["seconds"], "steps": steps}), flush=True)
    return found["seconds"]


def main() -> None:
    """Measure, in one folder, from nothing."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="crisp-bench-"))
    project = folder / "flights" / "crisp.yml"
    if not project.exists():
        crisp("example", "flights", str(project.parent))
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load": os.getloadavg()[0],
    }
    print(json.dumps({"machine": machine}), flush=True)
    first = situation("first run", project)
    again = situation("again, nothing changed", project)
    text = project.read_text(encoding="utf-8")
    project.write_text(
        text.replace('"2013 - plane_year"', '"2013.0 - plane_year"'), encoding="utf-8"
    )
    changed = situation("one derived column changed", project)
    everything = situation("everything again (--force)", project, "--force")
    print(
        json.dumps(
            {
                "first_s": first,
                "again_s": again,
                "changed_s": changed,
                "force_s": everything,
                "force_over_again": round(everything / again, 1),
                "force_over_changed": round(everything / changed, 2),
            }
        )
    )


if __name__ == "__main__":
    main()

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CODE = "\n".join(re.findall(r"```(?:bash|sh|console|text)?\n(.*?)```", README, re.DOTALL))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_command_of_the_readme_is_a_target():
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", CODE))
    assert {"demo", "test"} <= named
    assert named <= make_targets()


def test_makefile_has_the_promised_targets():
    promised = (
        "help setup demo test test-fast test-spark35 lint types arch cov wheel bench check clean"
    )
    assert set(promised.split()) <= make_targets()


def test_make_help_lists_every_public_target():
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for target in ("demo", "test", "check"):
        assert f"\n  {target} " in f"\n{shown}"


def crisp_commands() -> list[str]:
    return sorted(set(re.findall(r"\bcrisp ((?:config |suggest )?[a-z]+)\b", CODE)))


@pytest.mark.parametrize("command", crisp_commands())
def test_every_crisp_command_of_the_readme_exists(command):
    crisp = Path(sys.executable).parent / "crisp"
    asked = subprocess.run(
        [str(crisp), *command.split(), "--help"], capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr


def test_every_file_of_the_readme_exists():
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_missing_java_and_wrong_python_are_said_in_plain_words(tmp_path):
    # A PATH with the bare tools that make needs, and neither java nor python3.11.
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "bash", "dirname", "grep", "head", "env", "rm"):
        source = next(p for d in ("/bin", "/usr/bin") if (p := Path(d) / name).exists())
        (tools / name).symlink_to(source)
    make = next(
        p for d in ("/usr/bin", "/bin", "/usr/local/bin") if (p := Path(d) / "make").exists()
    )
    done = subprocess.run(
        [str(make), "java"],
        cwd=ROOT,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Java is missing" in done.stderr
    wrong = subprocess.run(
        [
            "bash",
            "bootstrap/setup_env.sh",
            "python3.11",
            str(tmp_path / "v"),
            "bootstrap/constraints-spark41.txt",
        ],
        cwd=ROOT,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 1
    assert "Python 3.11 is missing" in wrong.stderr
    assert not (tmp_path / "v").exists()

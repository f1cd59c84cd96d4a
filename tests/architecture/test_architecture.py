from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crisp_spark.flow import FLOW
from crisp_spark.results.registry import result_type
from crisp_spark.run.wiring import WIRING, wiring_file

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "crisp_spark"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("pyspark", "pandas", "numpy", "mlflow", "boto3", "great_expectations", "pyarrow")
LONGEST_MODULE = 330
LONGEST_DECLARATION = 420  # spec and results are tables of documented fields
LONGEST_FUNCTION = 60
MOST_POSITIONAL = 6
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "tools"}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_layers_hold():
    checked = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    "module",
    [
        "crisp_spark",
        "crisp_spark.errors",
        "crisp_spark.flow",
        "crisp_spark.spec.load",
        "crisp_spark.results.registry",
        "crisp_spark.business",
        "crisp_spark.reporting",
        "crisp_spark.evaluation.decide",
        "crisp_spark.cli.main",
        "crisp_spark.run.runner",
    ],
)
def test_import_is_light(module):
    code = f"import sys, {module}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_step_has_a_job_and_each_job_a_step():
    assert sorted(path.name for path in (ROOT / "jobs").glob("*.py")) == sorted(
        [*(step.job for step in FLOW), "63_score.py", "run.py"]
    )
    for step in FLOW:
        assert f'run_job("{step.name}")' in (ROOT / "jobs" / step.job).read_text()


def test_each_step_is_wired_and_has_a_result():
    assert list(WIRING) == [step.name for step in FLOW]
    for step in FLOW:
        module = ast.parse((PACKAGE / wiring_file(step)).read_text())
        assert WIRING[step.name].split(":")[1] in {function.name for function in functions(module)}
        assert result_type(step.name).step == step.name


def test_the_readme_names_every_step_in_order():
    picture = (ROOT / "README.md").read_text()
    flow = picture[picture.index("<!-- flow -->") : picture.index("<!-- /flow -->")]
    found = [word for word in re.findall(r"[a-z]+", flow) if word in WIRING]
    assert list(dict.fromkeys(found)) == [step.name for step in FLOW]


def test_numbers_of_jobs_follow_phase_and_order():
    numbers = [step.number for step in FLOW]
    assert numbers == sorted(numbers)
    phases = list(dict.fromkeys(step.phase for step in FLOW))
    assert [step.number // 10 for step in FLOW] == [phases.index(step.phase) + 1 for step in FLOW]


def test_no_module_outgrows_its_room():
    long = {
        name_of(path): lines
        for path in MODULES
        if (lines := len(path.read_text().splitlines()))
        > (LONGEST_DECLARATION if path.parent.name in {"spec", "results"} else LONGEST_MODULE)
    }
    assert not long


def test_no_function_outgrows_its_room():
    long = {
        f"{name_of(path)}:{node.name}": node.end_lineno - node.lineno
        for path in MODULES
        for node in functions(ast.parse(path.read_text()))
        if node.end_lineno - node.lineno > LONGEST_FUNCTION
    }
    assert not long


def test_no_pile_of_positional_parameters():
    piles = {
        f"{name_of(path)}:{node.name}"
        for path in MODULES
        for node in functions(ast.parse(path.read_text()))
        if len(node.args.args) > MOST_POSITIONAL
    }
    assert not piles


def test_modules_are_named_for_what_they_hold():
    assert not [name_of(path) for path in MODULES if path.stem in VAGUE_NAMES]


def test_preparation_runs_nothing():
    banned = {
        "cache",
        "persist",
        "checkpoint",
        "localCheckpoint",
        "count",
        "collect",
        "toPandas",
        "first",
        "head",
        "take",
        "write",
        "show",
        "isEmpty",
        "toLocalIterator",
        "foreach",
    }
    found = [
        f"{name_of(path)}:{node.lineno} .{node.func.attr}()"
        for path in (PACKAGE / "preparation").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in banned
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "F")
    ]
    assert not found


def test_nothing_is_printed_and_no_exception_is_swallowed():
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                found.append(f"{name_of(path)}:{node.lineno} print")
            if isinstance(node, ast.ExceptHandler) and all(
                isinstance(line, ast.Pass) for line in node.body
            ):
                found.append(f"{name_of(path)}:{node.lineno} except: pass")
    assert not found


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_machine_path_and_no_registry_address_is_tracked():
    bad = re.compile(
        r"(^|[\s\"'=(])/(home|root|work|farm)/[a-z]|pypi\.org/simple|pythonhosted" + r"\.org"
    )
    found = []
    for path in tracked_files():
        if path.suffix in {".png", ".gz", ".parquet"} or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if bad.search(line):
                found.append(f"{name_of(path)}:{number}")
    assert not found


def test_constraints_are_hashed_and_carry_no_address():
    for line in ("spark41", "spark35"):
        text = (ROOT / "bootstrap" / f"constraints-{line}.txt").read_text()
        packages = re.findall(r"^[a-z0-9-]+(?:\[[a-z,]+\])?==", text, re.MULTILINE)
        assert len(packages) > 50
        assert text.count("--hash=sha256:") >= len(packages)
        assert "://" not in text
        assert "--index" not in text


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(folder),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_wheel_holds_the_package_and_nothing_else(wheel):
    names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert all(name.startswith("crisp_spark/") for name in names)
    expected = {name_of(path) for path in tracked_files() if PACKAGE in path.parents}
    assert expected <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_wheel_needs_no_pyspark(wheel):
    metadata = wheel.read(next(n for n in wheel.namelist() if n.endswith("METADATA"))).decode()
    needed = re.findall(r"^Requires-Dist: (.+)$", metadata, re.MULTILINE)
    assert [line for line in needed if line.startswith("pyspark")] == [
        line for line in needed if line.startswith("pyspark") and "extra == 'local'" in line
    ]
    assert any(line.startswith("mlflow") for line in needed)

"""crisp init and crisp example: projects that a user starts from."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import orc, parquet

from crisp_spark.cli import main as cli
from crisp_spark.cli import starting
from crisp_spark.cli.examples import flights, nycflights, registry, small
from crisp_spark.cli.look import find_sources
from crisp_spark.cli.scaffold import problem_of, scalar, target_candidates
from crisp_spark.errors import EnvironmentFaultError, UsageError
from crisp_spark.spec.load import load_project
from crisp_spark.spec.schema import packaged_schema

ORDERS = "order_id,customer,day,amount,paid\n" + "".join(
    f"{n},C{n % 7},2026-01-{n % 28 + 1:02d},{n * 1.5},{'yes' if n % 3 else 'no'}\n"
    for n in range(1, 51)
)
CUSTOMERS = "customer,city,amount\n" + "".join(f"C{n},Zürich,{n}\n" for n in range(7))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/orders.csv").write_text(ORDERS, encoding="utf-8")
    Path("data/customers.csv").write_text(CUSTOMERS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def crisp(folder, capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


class TestInit:
    def test_writes_a_project_file_that_validates(self, crisp):
        code, out, _ = crisp("init", "--name", "shop", "--target", "paid")
        assert code == 0
        assert out.splitlines()[0] == (
            "crisp.yml: written (binary, target paid; sources customers, orders)"
        )
        assert crisp("validate")[0] == 0
        spec = load_project("crisp.yml", environ={}).spec
        goal = spec.business.mining_goal
        assert (spec.project.name, goal.problem, goal.target, goal.target_source) == (
            "shop",
            "binary",
            "paid",
            "orders",
        )
        assert (goal.positive, goal.key) == ("yes", ("order_id",))
        orders = spec.data.sources["orders"]
        assert {name: column.type for name, column in orders.columns.items()} == {
            "order_id": "bigint",
            "customer": "string",
            "day": "date",
            "amount": "double",
            "paid": "string",
        }
        assert orders.columns["paid"].known_at == "outcome"

    def test_joins_sources_by_their_keys_and_keeps_names_apart(self, crisp):
        crisp("init", "--target", "paid")
        (step,) = load_project("crisp.yml", environ={}).spec.preparation.merge.steps
        assert (step.left, step.right, step.keys, step.prefix) == (
            "orders",
            "customers",
            {"customer": "customer"},
            "customers_",
        )

    def test_is_commented_with_what_was_seen(self, crisp):
        crisp("init", "--target", "paid")
        text = Path("crisp.yml").read_text()
        assert text.startswith("# yaml-language-server: $schema=.crisp/schema.json\n")
        assert "# no, yes\n" in text
        assert "# seen: 50 rows\n" in text
        assert "key: [order_id]  # unique\n" in text
        assert "TODO" in text
        assert Path(".crisp/schema.json").read_text() == packaged_schema()

    def test_never_overwrites_without_force(self, crisp):
        Path("crisp.yml").write_text("mine")
        code, _, err = crisp("init", "--target", "paid")
        assert (code, Path("crisp.yml").read_text()) == (64, "mine")
        assert err == "crisp: crisp.yml: exists already\n  hint: --force overwrites it\n"
        assert crisp("init", "--target", "paid", "--force")[0] == 0
        assert crisp("validate")[0] == 0

    def test_without_a_target_the_likeliest_is_taken(self, crisp):
        found = json.loads(crisp("init", "--json")[1])
        assert (found["target"], found["problem"], found["sources"]) == (
            "paid",
            "binary",
            ["customers", "orders"],
        )

    def test_clustering_has_no_target(self, crisp):
        assert crisp("init", "--problem", "clustering", "--data", "data/customers.csv")[0] == 0
        assert load_project("crisp.yml", environ={}).spec.business.mining_goal.target is None
        assert crisp("init", "--problem", "clustering", "--target", "paid", "--force")[0] == 64

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--target", "payd"], "--target: no column 'payd'\n  hint: did you mean 'paid'?"),
            (["--problem", "binry"], "--problem: no such problem, got 'binry'"),
            (["--data", "nothing/*.csv"], "init: no data files at 'nothing/*.csv'"),
        ],
    )
    def test_wrong_answers(self, crisp, options, message):
        code, _, err = crisp("init", *options)
        assert code == 64
        assert message in err
        assert not Path("crisp.yml").exists()

    def test_asks_where_somebody_can_answer(self, crisp, monkeypatch):
        asked = []

        def prompt(question, default=None):
            asked.append((question, default))
            return {"Column to predict": "amount"}.get(question, default)

        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(starting.typer, "prompt", prompt)
        assert crisp("init", "--name", "shop", "--data", "data/orders.csv")[0] == 0
        assert asked == [
            ("Column to predict", "paid"),
            ("Problem (binary, multiclass, regression)", "regression"),
        ]
        asked.clear()
        assert crisp("init", "--non-interactive", "--force")[0] == 0
        assert asked == []

    def test_a_folder_of_its_own_and_a_name_from_it(self, crisp):
        assert crisp("init", "2nd shop", "--data", "../data/orders.csv", "--target", "paid")[0] == 0
        spec = load_project("2nd shop/crisp.yml", environ={}).spec
        assert spec.project.name == "project-2nd-shop"
        assert spec.data.sources["orders"].path == ("../data/orders.csv",)

    def test_rows_without_outcome_are_left_out(self, crisp):
        Path("data/orders.csv").write_text(ORDERS.replace(",yes\n", ",\n", 3))
        crisp("init", "--target", "paid", "--data", "data/orders.csv")
        population = load_project("crisp.yml", environ={}).spec.preparation.population
        assert population.expression == "`paid` IS NOT NULL"

    def test_a_failed_write_leaves_nothing_behind(self, crisp, monkeypatch):
        monkeypatch.setattr("crisp_spark.cli.scaffold.project_file", lambda *_: "version: 3\n")
        assert crisp("init", "--target", "paid")[0] == 78
        assert not Path("crisp.yml").exists()
        assert not Path(".crisp.yml.draft").exists()


class TestLook:
    def look(self, folder, name, content, **options):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return find_sources([name], folder, **options)[0]

    def types(self, source):
        return {column.name: column.type for column in source.columns}

    def test_types_of_text(self, folder):
        text = "i,d,b,day,at,s,z\n" + "1,1.5,true,2026-01-01,2026-01-01 10:00:00,x,007\n" * 3
        assert self.types(self.look(folder, "a.csv", text)) == {
            "i": "bigint",
            "d": "double",
            "b": "boolean",
            "day": "date",
            "at": "timestamp",
            "s": "string",
            "z": "string",
        }

    def test_a_value_in_a_hundred_may_not_fit(self, folder):
        rows = "".join(f"{n}\n" for n in range(200))
        column = self.look(folder, "a.csv", f"n\n{rows}oops\n").columns[0]
        assert (column.type, column.misfits) == ("bigint", 1)
        assert self.look(folder, "b.csv", "n\n1\n2\noops\n").columns[0].type == "string"

    def test_texts_for_missing_values(self, folder):
        column = self.look(folder, "a.csv", "n,m\n1,a\nNA,NA\n,b\n3,c\n").columns[0]
        assert (column.type, column.nulls, column.null_texts) == ("bigint", 2, ("NA",))

    @pytest.mark.parametrize(
        ("name", "separator"), [("a.csv", ";"), ("a.tsv", "\t"), ("a.psv", "|")]
    )
    def test_separators(self, folder, name, separator):
        source = self.look(folder, name, f"a{separator}b\n1{separator}2\n")
        assert (source.separator, list(self.types(source))) == (separator, ["a", "b"])

    def test_encodings_and_byte_order_marks(self, folder):
        latin = self.look(folder, "a.csv", "größe\n1\nä\n".encode("latin-1"))
        assert (latin.encoding, latin.columns[0].name) == ("latin-1", "größe")
        marked = self.look(folder, "b.csv", "a,b\n1,2\n".encode("utf-8-sig"))
        assert (marked.encoding, marked.columns[0].name) == ("utf-8", "a")

    def test_packed_files(self, folder):
        source = self.look(folder, "a.csv.gz", gzip.compress(b"a,b\n1,2\n"))
        assert (source.kind, source.path, source.rows) == ("csv", "a.csv.gz", 1)

    def test_json_lines(self, folder):
        source = self.look(folder, "a.jsonl", '{"a": 1, "b": "x"}\n{"a": 2.5, "c": null}\n')
        assert self.types(source) == {"a": "double", "b": "string", "c": "string"}
        assert source.column("b").nulls == 1

    def test_typed_files(self, folder):
        table = pa.table(
            {
                "i": pa.array([1, 2], pa.int32()),
                "l": pa.array([1, 2], pa.int64()),
                "f": [1.5, None],
                "b": [True, False],
                "m": pa.array([1, 2], pa.timestamp("us")),
                "d": pa.array([1, 2], pa.date32()),
                "e": pa.array([1, 2]).cast(pa.decimal128(21, 2)),
                "s": ["x", "y"],
            }
        )
        parquet.write_table(table, folder / "a.parquet")
        orc.write_table(table, folder / "a.orc")
        for name in ("a.parquet", "a.orc"):
            (source,) = find_sources([name], folder)
            assert list(self.types(source).values()) == [
                "int",
                "bigint",
                "double",
                "boolean",
                "timestamp",
                "date",
                "decimal(21,2)",
                "string",
            ]
            assert source.column("f").nulls == 1

    def test_keys_may_be_pairs_but_never_measures(self, folder):
        rows = "".join(f"{a},{b},{a * 9 + b + 0.5}\n" for a in range(4) for b in range(5))
        assert self.look(folder, "a.csv", "a,b,x\n" + rows).keys == [("a", "b")]

    def test_a_folder_gives_a_source_per_file_and_per_subfolder(self, folder):
        for month in ("01", "02"):
            path = folder / "data" / "clicks" / f"{month}.csv"
            path.parent.mkdir(exist_ok=True)
            path.write_text("a\n1\n")
        (folder / "data" / "_tmp.csv").write_text("a\n1\n")
        found = {source.name: source.path for source in find_sources(["data"], folder)}
        assert found == {
            "clicks": "data/clicks/*.csv",
            "customers": "data/customers.csv",
            "orders": "data/orders.csv",
        }

    def test_names_are_made_safe_and_different(self, folder):
        for name in ("1 a.csv", "x/t.csv", "y/t.csv"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("a\n1\n")
        names = [one.name for one in find_sources(["1 a.csv", "x/t.csv", "y/t.csv"], folder)]
        assert names == ["t_1_a", "t", "t_2"]

    def test_problems_by_what_a_column_holds(self, folder):
        rows = "".join(f"{n},{n % 2},{n % 5},k{n % 5},{n / 7},c\n" for n in range(60))
        source = self.look(folder, "a.csv", "n,two,five,text,real,one\n" + rows)
        problems = {column.name: problem_of(column) for column in source.columns}
        assert problems == {
            "n": "regression",
            "two": "binary",
            "five": "multiclass",
            "text": "multiclass",
            "real": "regression",
            "one": None,
        }
        ranked = [column.name for _, column in target_candidates([source])]
        assert ranked[0] == "two"
        assert "n" not in ranked  # the key

    def test_columns_without_a_name_of_their_own_are_left_out(self, folder, crisp):
        Path("data/orders.csv").write_text("a,A,,y\n1,2,3,0\n2,2,3,1\n")
        assert crisp("init", "--data", "data/orders.csv", "--target", "y")[0] == 0
        columns = load_project("crisp.yml", environ={}).spec.data.sources["orders"].columns
        assert list(columns) == ["a", "y"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain_1", "plain_1"),
        ("two words", "two words"),
        ("größe (m²)", '"größe (m²)"'),
        ("no", '"no"'),
        ("1", '"1"'),
        ("a: b", '"a: b"'),
        ("", '""'),
    ],
)
def test_scalars_are_quoted_where_yaml_needs_it(value, text):
    assert scalar(value) == text


class TestExample:
    def test_list(self, crisp):
        out = crisp("example", "--list")[1]
        assert all(name in out for name in registry.EXAMPLES)
        assert {one["problem"] for one in json.loads(crisp("example", "--json")[1])} == {
            "binary",
            "multiclass",
            "regression",
            "clustering",
            "recommendation",
        }

    @pytest.mark.parametrize("name", ["wine", "wine-groups", "diabetes"])
    def test_small_ones_validate_as_written(self, crisp, name):
        assert crisp("example", name, "here")[0] == 0
        assert crisp("validate", "-p", "here/crisp.yml")[0] == 0
        assert Path("here/.crisp/schema.json").exists()

    def test_an_unknown_one(self, crisp):
        code, _, err = crisp("example", "flihgts", "here")
        assert code == 64
        assert "example: there is none called 'flihgts'\n  hint: did you mean 'flights'?" in err

    def test_a_project_is_not_overwritten(self, crisp):
        assert crisp("example", "wine", "here")[0] == 0
        assert crisp("example", "wine", "here")[0] == 64
        assert crisp("example", "wine", "here", "--force")[0] == 0

    def test_every_example_has_its_project_file_and_writer(self):
        for example in registry.EXAMPLES.values():
            module, function = example.writer.split(":")
            found = __import__(f"crisp_spark.cli.examples.{module}", fromlist=[function])
            assert callable(getattr(found, function))
        with pytest.raises(UsageError):
            registry.example("x")

    def test_flights_are_written_month_by_month(self, folder, monkeypatch):
        rows = {
            "flights": [["month", "dep_time"], ["1", "517"], ["10", ""], ["1", "5"]],
            **{name: [["a"], ['Zürich, "ZH"']] for name in nycflights.TABLES[1:]},
        }
        monkeypatch.setattr(flights, "read_table", lambda name: iter(rows[name]))
        flights.write_tables(folder)
        assert (folder / "flights/2013-01.csv").read_text() == "month,dep_time\n1,517\n1,5\n"
        assert (folder / "flights/2013-10.csv").read_text() == "month,dep_time\n10,\n"
        assert (folder / "weather.csv").read_bytes() == 'a\n"Zürich, ""ZH"""\n'.encode()

    def test_tables_of_the_package_are_read_as_plain_texts(self):
        rows = nycflights.read_table("planes")
        header = next(rows)
        year = header.index("year")
        values = {row[year] for row in rows}
        assert "" in values
        assert "2004" in values
        assert not [value for value in values if "." in value or value == "NA"]

    def test_a_missing_package_is_named(self, monkeypatch, folder):
        monkeypatch.setattr(nycflights, "find_spec", lambda _name: None)
        with pytest.raises(EnvironmentFaultError, match=r"crisp-spark\[examples\]"):
            next(nycflights.read_table("planes"))
        monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
        with pytest.raises(EnvironmentFaultError, match=r"crisp-spark\[examples\]"):
            small.write_wines(folder)

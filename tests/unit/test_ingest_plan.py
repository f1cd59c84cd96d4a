from __future__ import annotations

import pytest

from crisp_spark.errors import DataError
from crisp_spark.results.ingest import ColumnReceipt
from crisp_spark.spec.data import CsvSource
from crisp_spark.understanding.ingest_csv import group_by_header, header_of
from crisp_spark.understanding.ingest_layout import Fields
from crisp_spark.understanding.ingest_plan import plan_ingest
from crisp_spark.understanding.ingest_types import wider_type
from crisp_spark.understanding.sourcefiles import SourceFile


def file(name):
    return SourceFile(f"file:/d/{name}", name, 10, 0)


def fields(names, *files, ordered=True):
    return Fields(tuple(names.split()), tuple(map(file, files)), ordered=ordered)


def csv(**given):
    return CsvSource.model_validate({"path": "x", **given})


def kinds(plan):
    return [(problem.kind, problem.column, problem.file) for problem in plan.problems]


def test_declared_columns_come_first_then_those_found():
    source = csv(columns={"c": "int", "a": None})
    plan = plan_ingest("s", source, [fields("a b c", "1")])
    assert [(t.name, t.type, t.origin) for t in plan.targets] == [
        ("c", "int", "declared"),
        ("a", None, "declared"),
        ("b", None, "inferred"),
    ]
    assert plan.problems == ()


def test_header_in_another_order_is_matched_by_name():
    plan = plan_ingest("s", csv(), [fields("a b", "1", "2"), fields("b a", "3")])
    assert plan.layouts[1].places == {"a": "a", "b": "b"}
    assert kinds(plan) == [("reordered_columns", "", "3")]


def test_renamed_column_is_named_with_a_suggestion():
    source = csv(columns={"tailnum": "string", "dest": "string"})
    plan = plan_ingest(
        "s", source, [fields("tailnum dest", "1", "2"), fields("tail_num dest", "3")]
    )
    problem = plan.problems[0]
    assert (problem.kind, problem.column, problem.file) == ("renamed_column", "tailnum", "3")
    assert "aliases: [tail_num]" in problem.suggestion


def test_renamed_column_is_known_by_its_place_when_the_name_is_unlike():
    plan = plan_ingest("s", csv(), [fields("a when b", "1", "2"), fields("a moment b", "3")])
    assert ("renamed_column", "when", "3") in kinds(plan)
    assert not [kind for kind in kinds(plan) if kind[2] == "1"]


def test_alias_takes_a_renamed_column():
    source = csv(columns={"tailnum": {"aliases": ["tail"]}})
    plan = plan_ingest("s", source, [fields("tailnum", "1"), fields("tail", "2")])
    assert plan.layouts[1].places == {"tailnum": "tail"}
    assert plan.problems == ()


def test_case_and_space_in_a_header_are_forgiven_and_noted():
    source = csv(columns={"carrier": "string"})
    plan = plan_ingest("s", source, [Fields((" Carrier",), (file("1"),))])
    assert plan.layouts[0].places == {"carrier": " Carrier"}
    assert kinds(plan) == [("header_spelling", "carrier", "1")]


def test_missing_column_rejects_the_file_only_where_asked():
    groups = [fields("a b", "1"), fields("a", "2")]
    columns = {"a": "int", "b": "int"}
    assert not plan_ingest("s", csv(columns=columns), groups).layouts[1].reject
    strict = plan_ingest("s", csv(columns=columns, on_missing_column="reject"), groups)
    assert strict.layouts[1].reject == "the file has no column 'b'"
    assert not strict.layouts[1].unusable


def test_file_without_a_key_column_is_always_rejected():
    source = csv(columns={"a": "int", "b": "int"}, key="b")
    plan = plan_ingest("s", source, [fields("a b", "1"), fields("a", "2")])
    assert "belongs to the key" in plan.layouts[1].reject


def test_extra_column_is_noted_and_left_out_where_only_declared_ones_are_read():
    source = csv(columns={"a": "int"}, infer=False)
    plan = plan_ingest("s", source, [fields("a x", "1")])
    assert [target.name for target in plan.targets] == ["a"]
    assert kinds(plan) == [("extra_column", "x", "1")]


def test_header_with_a_name_twice_is_unusable():
    plan = plan_ingest("s", csv(), [fields("a b", "1"), fields("a A", "2")])
    assert plan.layouts[1].unusable
    assert ("duplicate_header", "A", "2") in kinds(plan)


def test_header_without_any_known_name_is_unusable():
    source = csv(columns={"a": "int"}, infer=False)
    assert plan_ingest("s", source, [fields("17 x", "1")]).layouts[0].unusable


def test_reserved_names_are_refused():
    with pytest.raises(DataError, match="_crisp_file"):
        plan_ingest("s", csv(), [fields("a _crisp_file", "1")])


def test_frozen_columns_stay_as_they_were():
    frozen = [
        ColumnReceipt(name="a", type="bigint", origin="inferred"),
        ColumnReceipt(name="gone", type="date", origin="inferred"),
    ]
    plan = plan_ingest("s", csv(), [fields("a new", "1")], frozen=frozen)
    assert [(target.name, target.type) for target in plan.targets] == [
        ("a", "bigint"),
        ("gone", "date"),
    ]
    assert ("extra_column", "new", "1") in kinds(plan)
    assert [kind for kind, column, _ in kinds(plan) if column == "gone"] != []


def test_declared_type_wins_over_a_frozen_one():
    frozen = [ColumnReceipt(name="a", type="bigint", origin="inferred")]
    plan = plan_ingest("s", csv(columns={"a": "string"}), [fields("a", "1")], frozen=frozen)
    assert plan.targets[0].type == "string"


def test_many_files_are_named_in_part():
    source = csv(columns={"a": "int", "b": "int"})
    plan = plan_ingest("s", source, [fields("a", "1", "2", "3", "4", "5")])
    assert plan.problems[0].message.startswith("1, 2, 3 and 2 more files: has no column 'b'")


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (b"a,b\n1,2\n", ("a", "b")),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", ("a", "b")),
        (b"\n  \na,b\n", ("a", "b")),
        (b'"x, y","say ""hi"""\n', ("x, y", 'say "hi"')),
        (b"a,,b\n", ("a", "column_2", "b")),
        ("größe,名前\n".encode(), ("größe", "名前")),
        (b"\n \n", ()),
    ],
)
def test_header_is_the_first_line_with_anything_on_it(head, names):
    assert header_of(head, csv())[0] == names


def test_header_lines_are_known_with_and_without_byte_order_mark():
    _, lines = header_of(b"\xef\xbb\xbfa,b\n", csv())
    assert lines == {b"a,b", b"\xef\xbb\xbfa,b"}


def test_header_is_decoded_as_declared():
    assert header_of(b"gr\xf6\xdfe;b\n", csv(encoding="latin-1", separator=";"))[0] == (
        "größe",
        "b",
    )


def test_files_are_grouped_by_the_names_in_their_header():
    heads = [
        (file("1"), b"a,b\n1,2\n"),
        (file("2"), b'"a","b"\n'),
        (file("3"), b"b,a\n"),
        (file("4"), b"\n"),
    ]
    groups, blank = group_by_header(heads, csv())
    assert [[member.name for member in group.files] for group in groups] == [["1", "2"], ["3"]]
    assert groups[0].headers >= {b"a,b", b'"a","b"'}
    assert [member.name for member in blank] == ["4"]


def test_without_header_columns_are_taken_by_position():
    source = csv(header=False, columns={"a": "int"})
    groups, _ = group_by_header([(file("1"), b"1,2,3\n"), (file("2"), b"4,5\n")], source)
    assert [group.names for group in groups] == [("a", "column_2", "column_3")]
    assert groups[0].headers == frozenset()


@pytest.mark.parametrize(
    ("types", "wide"),
    [
        (["int", "int"], "int"),
        (["int", "bigint"], "bigint"),
        (["bigint", "float"], "double"),
        (["decimal(5,2)", "decimal(6,4)"], "decimal(7,4)"),
        (["date", "timestamp"], "timestamp"),
        (["int", "string"], "string"),
        (["decimal(38,0)", "decimal(38,38)"], "string"),
    ],
)
def test_mixed_types_widen_without_loss(types, wide):
    assert wider_type(types) == wide

from __future__ import annotations

import gzip

import pytest

from crisp_spark.errors import DataError
from crisp_spark.spec.data import CsvSource
from crisp_spark.understanding.ingest import IngestContext, ingest_source
from crisp_spark.understanding.ingest_receipts import measure_receipt


def test_every_line_is_a_header_a_blank_kept_or_rejected(take):
    lines = [
        b"a,b,c",
        b"1,x,0.5",
        b"",
        b"2",
        b"3,y,1,surplus",
        b"nine",
        b"four,z,nil",
        b" 5 ,,-.5e1",
        b"5,,-.5e1",
        b"5,,-.5e1",
        b"a,b,c",
        b",,",
        b'6,"q ""w"", e",1.',
        b" \t ",
        b"7,caf\xe9,2",
    ]
    got = take({"f.csv": b"\r\n".join(lines)}, columns={"a": "int", "b": "string", "c": "double"})
    assert got.values("a", "b", "c") == [
        (1, "x", 0.5),
        (5, None, -5.0),
        (5, None, -5.0),
        (5, None, -5.0),
        (6, 'q "w", e', 1.0),
    ]
    assert got.reasons == {
        "2": ["wrong number of fields, not 3"],
        "3,y,1,surplus": ["wrong number of fields, not 3"],
        "nine": ["wrong number of fields, not 3"],
        "four,z,nil": ["column 'a': not of type int", "column 'c': not of type double"],
        ",,": ["no value in any field"],
        "7,caf\ufffd,2": ["bytes that are not valid utf-8"],
    }
    spoilt = next(row for row in got.rejected if row["text"].startswith("7"))
    assert bytes(spoilt["text_bytes"]) == b"7,caf\xe9,2"
    assert [row["text_bytes"] for row in got.rejected if row is not spoilt] == [None] * 5
    receipt = got.receipt
    assert (receipt.lines, receipt.headers, receipt.blanks) == (15, 2, 2)
    assert (receipt.rows_in, receipt.kept, receipt.rejected) == (11, 5, 6)
    assert got.problems == [("repeated_header", "f.csv", "")]
    assert len({row["_crisp_row"] for row in got.kept}) == 4  # equal lines have equal hashes


BENT = {
    "int": ["99999999999", "517.0", "1e3", "0x10", "1_000", "٣"],
    "double": ["1e400", "5d", "NaN", "Infinity", "1,5", "0x1p3"],
    "decimal(5,2)": ["1.239", "1234.5", "1e9"],
    "date": ["2013", "2013-02-30", "2013-01-01x", "01.02.2013"],
    "timestamp": ["12:30", "2013-01-01T99", "2013-01-01x", "2013"],
    "boolean": ["maybe", "2"],
}
PLAIN = {
    "int": ["517", " -5 ", "+5"],
    "double": ["1e3", ".5", "-0.0"],
    "decimal(5,2)": ["1.2", "-999.99", "1.230"],
    "date": ["2013-02-28", "2013-1-1"],
    "timestamp": ["2013-01-01T10:00:00Z", "2013-01-01 10:00", "2013-01-01"],
    "boolean": ["true", "F", "1"],
}


def _one_cell_each(texts):
    kinds = list(texts)
    rows = [
        [f'"{kind}/{text}"', *(f'"{text}"' if other == kind else "" for other in kinds)]
        for kind in kinds
        for text in texts[kind]
    ]
    head = ["k", *(f"c{number}" for number in range(len(kinds)))]
    content = "\n".join(",".join(row) for row in [head, *rows]).encode()
    return content, {"k": "string", **dict(zip(head[1:], kinds, strict=True))}


def test_texts_that_spark_would_bend_into_a_value_are_rejected(take):
    content, columns = _one_cell_each(BENT)
    got = take({"f.csv": content}, columns=columns)
    assert got.kept == []
    assert got.receipt.rejected == sum(map(len, BENT.values()))
    for row in got.rejected:
        kind = row["text"].split("/")[0].removeprefix('"')
        assert any(kind in reason or "decimals" in reason for reason in row["reasons"]), row


def test_ordinary_spellings_of_values_are_kept(take):
    content, columns = _one_cell_each(PLAIN)
    got = take({"f.csv": content}, columns=columns)
    assert got.rejected == []
    assert all(sum(value is not None for value in row) == 4 for row in got.kept)


def test_headers_are_matched_by_name_in_every_file(take):
    files = {
        "1.csv": b"\xef\xbb\xbfa,b\n1,x\n",
        "2.csv": b"b,a\ny,2\n",
        "3.csv": b" A ,b\n3,z\n",
        "4.csv": b'"a","b"\r\n4,w\r\n',
        "5.csv": b"b\nno key\n",
        "6.csv": b"a,b\n6,q",
    }
    got = take(files, key="a", columns={"a": "int", "b": "string"})
    assert got.values("a", "b") == [(1, "x"), (2, "y"), (3, "z"), (4, "w"), (6, "q")]
    assert got.reasons == {
        "no key": ["the file has no column 'a', which belongs to the key"],
    }
    assert set(got.problems) == {
        ("reordered_columns", "2.csv", ""),
        ("header_spelling", "3.csv", "a"),
        ("missing_column", "5.csv", "a"),
    }
    assert [file.rows for file in map(_Rows, got.receipt.file_receipts)] == [1] * 6


class _Rows:
    def __init__(self, receipt):
        self.rows = receipt.kept + receipt.rejected


def test_renamed_column_is_null_until_it_is_named_or_refused(take):
    files = {
        "1.csv": b"tailnum,dest\nN1,IAH\n",
        "2.csv": b"tailnum,dest\nN2,IAH\n",
        "3.csv": b"tail_number,dest\nN3,MIA\n",
    }
    plain = {"tailnum": "string", "dest": "string"}
    noted = take(files, columns=plain)
    assert noted.values("tailnum", "dest") == [(None, "MIA"), ("N1", "IAH"), ("N2", "IAH")]
    assert ("renamed_column", "3.csv", "tailnum") in noted.problems
    aliased = {**plain, "tailnum": {"type": "string", "aliases": ["tail_number"]}}
    named = take(columns=aliased)
    assert named.values("tailnum") == [("N1",), ("N2",), ("N3",)]
    assert named.problems == []
    refused = take(columns=plain, infer=False, on_missing_column="reject")
    assert refused.values("tailnum") == [("N1",), ("N2",)]
    assert refused.reasons == {"N3,MIA": ["the file has no column 'tailnum'"]}


def test_other_dialects_encodings_and_marks_of_nothing(take):
    content = "n§t§x\n1§'a\\'§b'§-\nNA§caf\xe9 \u20ac§-\n3§\x81?§-\n".encode("cp1252", "replace")
    content = content.replace(b"3\xa7?", b"3\xa7\x81")  # a byte without a meaning in this encoding
    got = take(
        {"f.csv": content},
        encoding="windows-1252",
        separator="§",
        quote="'",
        escape="\\",
        null_values=["-", "NA"],
        columns={"n": "int", "t": {"type": "string", "null_values": []}, "x": "double"},
    )
    assert got.values("n", "t", "x") == [(None, "café €", None), (1, "a'§b", None)]
    assert [row["reasons"] for row in got.rejected] == [["bytes that are not valid cp1252"]]


def test_separator_of_several_characters_and_no_header(take):
    got = take(
        {"1.txt": b"1||x||2.5\n2||y\n", "2.txt.gz": gzip.compress(b"3||z||1\n") * 2},
        separator="||",
        header=False,
        columns={"a": "int", "b": "string"},
    )
    assert got.types == {"a": "int", "b": "string", "column_3": "double"}
    assert got.values("a", "b", "column_3") == [(1, "x", 2.5), (3, "z", 1.0), (3, "z", 1.0)]
    assert got.reasons == {"2||y": ["wrong number of fields, not 3"]}
    assert got.receipt.headers == 0


def test_fields_with_line_breaks_need_multiline(take):
    content = 'a,b\n1,"x\ny ""é"""\n2\n"3",z\nq,w\n'.encode("latin-1")
    columns = {"a": "int", "b": "string"}
    got = take({"f.csv": content}, multiline=True, encoding="latin-1", columns=columns)
    assert got.values("a", "b") == [(1, 'x\ny "é"'), (3, "z")]
    assert [row["reasons"] for row in got.rejected] == [
        ["wrong number of fields, not 2"],
        ["column 'a': not of type int"],
    ]
    assert (got.receipt.rows_in, got.receipt.lines) == (4, None)
    cut = take(columns=columns, encoding="latin-1")
    assert (cut.receipt.rows_in, cut.receipt.rejected) == (5, 3)


def test_types_are_inferred_from_all_rows_and_frozen(take):
    first = take(
        {
            "f.csv": b"n,zip,d,t,big,m,none\n"
            b"1,01,2013-01-01,true,1,2013-01-01 10:00,\n"
            b"2.5,02,,FALSE,5000000000,2013-01-01,\n"
        }
    )
    assert first.types == {
        "n": "double",
        "zip": "string",
        "d": "date",
        "t": "boolean",
        "big": "bigint",
        "m": "timestamp",
        "none": "string",
    }
    assert first.rejected == []
    later = {"f.csv": b"n,zip,d,t,big,none,new\nx,01,,true,1,,1\n3,02,,true,1,,1\n"}
    second = take(later, earlier=first.receipt)
    assert second.types == first.types
    assert second.reasons == {"x,01,,true,1,,1": ["column 'n': not of type double"]}
    assert ("extra_column", "f.csv", "new") in second.problems
    assert ("missing_column", "f.csv", "m") in second.problems
    assert take(earlier=first.receipt, freeze=False).types["n"] == "string"


def test_column_that_is_nearly_a_number_is_text_and_said_so(take):
    rows = b"".join(b"%d\n" % number for number in range(30))
    got = take({"f.csv": b"n\n" + rows + b"unknown\n"})
    assert got.types == {"n": "string"}
    assert got.problems == [("inferred_string", "", "n")]


def test_folders_become_columns_and_odd_names_survive(take):
    files = {
        "month=01/a b%20é+x.csv": b"a.b,x y\n1,2\n",
        "month=0%2F2/[1]{2}*.csv": b"a.b,x y\n3,4\n",
        "month=02/_hidden.csv": b"a.b,x y\n9,9\n",
    }
    got = take(files)
    assert got.values("a.b", "x y", "month", "_crisp_file") == [
        (1, 2, "01", "month=01/a b%20é+x.csv"),
        (3, 4, "0/2", "month=0%2F2/[1]{2}*.csv"),
    ]


def test_nothing_is_read_twice_where_all_was_kept(take, spark, no_jobs):
    clean = take({"1.csv": b"a\n1\n", "2.csv": b"a\n2\n"}, columns={"a": "int"})
    assert clean.found.rejects_beside({"1.csv": 1, "2.csv": 1}) is clean.found.left_out
    for kept in ({"1.csv": 1}, {"1.csv": 2, "2.csv": 0}, {}):
        assert clean.found.rejects_beside(kept) is clean.found.rejected
    with no_jobs():
        measure_receipt(clean.found.draft, {"1.csv": 1, "2.csv": 1}, None, seconds=0.0)


def test_rows_lost_on_the_way_are_an_error(take):
    clean = take({"1.csv": b"a\n1\n", "2.csv": b"a\n2\n"}, columns={"a": "int"})
    with pytest.raises(DataError, match=r"2\.csv has 1 rows but 0 were written"):
        measure_receipt(clean.found.draft, {"1.csv": 1}, None, seconds=0.0)


def test_too_many_rejects_stop_with_reasons_and_examples(take):
    content = {"f.csv": b"a,b\n1,s\nx,s\n"}
    with pytest.raises(DataError, match=r"(?s)1 of 2 rows.*50\.0%.*not of type int.*'x,s'"):
        take(content, columns={"a": "int"}, max_reject_fraction=0.4)
    got = take(columns={"a": "int", "b": {"type": "string", "pii": True}})
    assert [example.text for example in got.receipt.examples] == [""]


def test_nothing_found_is_an_error(spark, tmp_path):
    with pytest.raises(DataError, match="no file matches 'in/\\*"):
        ingest_source(spark, "s", CsvSource(path="in/*.csv"), IngestContext(tmp_path))

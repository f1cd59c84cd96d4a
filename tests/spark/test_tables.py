from __future__ import annotations

import json

import pytest
from chispa import assert_df_equality
from pyspark.ml import Pipeline
from pyspark.ml.feature import SQLTransformer

from crisp_spark.engine.objects import LocalObjects
from crisp_spark.engine.tables import read_model, read_table, write_model, write_table
from crisp_spark.errors import StorageError

SCHEMA = "`a.b` int, `naïve ключ` string, `t` timestamp, `d` decimal(20,6), `l` array<double>"


@pytest.fixture
def objects(tmp_path):
    return LocalObjects(tmp_path / "wörk space")


def test_table_comes_back_as_written(spark, objects):
    frame = spark.sql(
        "SELECT 1 AS `a.b`, 'ü\\n,' AS `naïve ключ`, TIMESTAMP '2013-01-01 05:00:00' AS t, "
        "CAST(1.5 AS DECIMAL(20,6)) AS d, array(1D, NULL) AS l "
        "UNION ALL SELECT NULL, NULL, NULL, NULL, NULL"
    ).repartition(2)
    written = write_table(objects, "data/t/key/one", "t", frame)
    assert written.rows == 2
    assert sum(file.rows for file in written.files) == 2
    assert json.loads(written.spark_schema)["fields"][0]["name"] == "a.b"
    back = read_table(objects, spark, written)
    assert_df_equality(back.orderBy("t"), frame.orderBy("t"), ignore_nullable=True)


def test_empty_table_keeps_its_schema(spark, objects):
    empty = spark.createDataFrame([], SCHEMA)
    written = write_table(objects, "data/e/key/one", "e", empty)
    assert written.rows == 0
    assert read_table(objects, spark, written).schema == empty.schema


def test_stray_files_in_the_folder_are_not_read(spark, objects):
    written = write_table(objects, "data/s/key/one", "s", spark.range(3))
    spark.range(100).write.mode("append").parquet(objects.uri("data/s/key/one"))
    assert read_table(objects, spark, written).count() == 3


def test_an_attempt_is_never_overwritten(spark, objects):
    write_table(objects, "data/o/key/one", "o", spark.range(3))
    with pytest.raises(Exception, match="PATH_ALREADY_EXISTS"):
        write_table(objects, "data/o/key/one", "o", spark.range(4))


def test_missing_and_short_files_are_named(spark, objects):
    written = write_table(objects, "data/m/key/one", "m", spark.range(3).coalesce(1))
    path = objects.path(written.files[0].key)
    content = path.read_bytes()
    path.write_bytes(content[:10])
    with pytest.raises(StorageError, match=r"is damaged, expected \d+ bytes, got 10 bytes"):
        read_table(objects, spark, written)
    path.unlink()
    with pytest.raises(StorageError, match="got missing"):
        read_table(objects, spark, written)


def test_fitted_pipeline_comes_back(spark, objects):
    stage = SQLTransformer(statement="SELECT *, id * 2 AS double_id FROM __THIS__")
    model = Pipeline(stages=[stage]).fit(spark.range(1))
    files = write_model(objects, "data/model.m/key/one", model)
    again = read_model(objects, "data/model.m/key/one", files)
    assert again.transform(spark.range(3)).select("double_id").collect() == [(0,), (2,), (4,)]
    objects.path(files[0].key).unlink()
    with pytest.raises(StorageError, match="missing"):
        read_model(objects, "data/model.m/key/one", files)

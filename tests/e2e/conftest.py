from tests.spark_fixtures import no_jobs, spark, spark_session

__all__ = ["no_jobs", "spark", "spark_session"]

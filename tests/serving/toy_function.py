"""The toy as a Lambda function."""

from crisp_spark.serving.endpoint.on_lambda import start
from tests.serving.toy_model import load_toy

handler = start(load_toy, model="nowhere")

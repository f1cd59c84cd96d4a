"""An EMR-compatible endpoint on this machine whose steps are really executed.

    with LoopbackEmr() as loopback:
        emr = boto3.client("emr", endpoint_url=loopback.endpoint, region_name="eu-central-1")

What it does: state machines of clusters and steps, bootstrap actions and steps as real processes,
step concurrency, every ActionOnFailure, cancellation, idle timeouts, termination protection,
fleets and instances listed back, gz logs in the cluster's LogUri while a step runs and after it,
failure reasons, lost spot machines, and the checks of a request that EMR makes.

What it does not do: machines, YARN, HDFS, spot markets, managed scaling (the policy is kept and
answered, nothing scales), IAM, encryption, EMR's own S3 committer. ``docs/aws-checklist.md`` says
what remains to be tried on a real account.
"""

from emr.loopback.options import Options, SparkHere
from emr.loopback.server import LoopbackEmr

__all__ = ["LoopbackEmr", "Options", "SparkHere"]

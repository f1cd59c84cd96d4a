from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from crisp_spark.errors import AccessError, ModelError, StorageError, UnavailableError, UsageError
from crisp_spark.serving.endpoint.aliases import FolderStore, S3Store
from crisp_spark.serving.endpoint.holding import (
    FollowedAlias,
    Settings,
    open_holder,
    settings_of,
)
from crisp_spark.serving.endpoint.s3 import S3
from crisp_spark.serving.endpoint.sigv4 import Credentials, key_path, query_text, signed_headers
from tests.serving.published import bundle_objects, published
from tests.serving.toy_model import load_toy


def put(aws, bucket, objects):
    for key, content in objects.items():
        aws.s3.put_object(Bucket=bucket, Key=f"models/toy/{key}", Body=content)


def write(folder, objects):
    for key, content in objects.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def following(store, tmp_path, clock, **more):
    return FollowedAlias(
        store,
        more.pop("alias", "champion"),
        load_toy,
        refresh_seconds=60,
        cache=tmp_path / "cache",
        clock=clock,
    )


@pytest.mark.parametrize("token", ["", "session-token=="])
@pytest.mark.parametrize(
    ("method", "key", "query", "body"),
    [
        ("GET", "models/a b/ü+~*'().json", {}, b""),
        ("GET", "", {"list-type": "2", "prefix": "a b/ü", "start-after": "a/1=&"}, b""),
        ("PUT", "scored/x.jsonl", {}, b"content"),
    ],
)
def test_signatures_are_those_of_botocore(method, key, query, body, token):
    host, moment = "bucket.s3.eu-central-1.amazonaws.com", datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
    ours = signed_headers(
        method,
        host,
        f"/{key_path(key)}",
        query,
        headers={},
        body=body,
        credentials=Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCY", token),
        region="eu-central-1",
        at=moment,
    )
    address = f"https://{host}/{key_path(key)}" + (f"?{query_text(query)}" if query else "")
    request = AWSRequest(method, address, data=body)
    request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
    request.context["payload_signing_enabled"] = True
    signer = S3SigV4Auth(
        BotoCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCY", token or None),
        "s3",
        "eu-central-1",
    )
    request.headers["X-Amz-Content-SHA256"] = signer.payload(request)
    request.headers["Host"] = host
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert ours["authorization"].endswith(f"Signature={signer.signature(text, request)}")


def test_a_secret_is_not_shown():
    assert "secret" not in repr(Credentials("AKIDEXAMPLE", "secret", "secret"))


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_moved_alias_is_followed_and_a_rollback_too(kind, request, tmp_path):
    if kind == "s3":
        aws, bucket = request.getfixturevalue("aws"), request.getfixturevalue("bucket")
        store = S3Store(f"s3://{bucket}/models/toy", S3())
        publish = lambda objects: put(aws, bucket, objects)  # noqa: E731
    else:
        store = FolderStore(tmp_path / "toy")
        publish = lambda objects: write(tmp_path / "toy", objects)  # noqa: E731
    clock = Clock()
    publish(published("1", 1))
    holder = following(store, tmp_path, clock)
    publish(published("2", 2))
    assert holder.current().identity.version == "1"  # not yet time for a look
    clock.now = 61
    assert holder.current().identity.version == "2"
    publish(published("1", 3))
    clock.now = 122
    assert holder.current().identity.version == "1"
    assert holder.trouble == ""


def test_a_broken_move_leaves_the_old_model_answering(tmp_path):
    folder, clock = tmp_path / "toy", Clock()
    write(folder, published("1", 1))
    holder = following(FolderStore(folder), tmp_path, clock)
    broken = published("2", 2)
    bundle = next(key for key in broken if key.startswith("bundles/"))
    write(folder, broken | {bundle: b"torn"})
    clock.now = 61
    assert holder.current().identity.version == "1"
    assert "checksum differs" in holder.trouble
    write(folder, broken)  # mended: the next look takes it
    clock.now = 122
    assert holder.current().identity.version == "2"
    assert holder.trouble == ""


def test_a_damaged_cache_is_fetched_anew(tmp_path):
    folder = tmp_path / "toy"
    write(folder, published("1", 1))
    store = FolderStore(folder)
    following(store, tmp_path, Clock())
    (cached,) = (tmp_path / "cache").rglob("toy.json")
    cached.write_bytes(b"torn")
    assert following(store, tmp_path, Clock()).current().identity.version == "1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "{", "no JSON"),
        (lambda text: "[]", "format"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format 2"),
        (lambda text: text.replace('"reason"', '"because"'), "damaged"),
        (lambda text: text.replace("toy.json", "../toy.json"), "damaged"),
        (lambda text: text.replace('"files": {', '"files": {"x": "' + "0" * 64 + '",'), "damaged"),
    ],
)
def test_a_damaged_record_is_refused(tmp_path, change, words):
    objects = published("1", 1)
    record = next(key for key in objects if key.startswith("aliases/"))
    write(tmp_path, objects | {record: change(objects[record].decode()).encode()})
    with pytest.raises(ModelError, match=words):
        following(FolderStore(tmp_path), tmp_path, Clock())


def test_an_alias_to_nothing_is_told_apart_from_a_lost_bundle(tmp_path, aws, bucket):
    with pytest.raises(ModelError, match="points at nothing"):
        following(S3Store(f"s3://{bucket}/models/toy", S3()), tmp_path, Clock())
    objects = published("1", 1)
    record = next(key for key in objects if key.startswith("aliases/"))
    put(aws, bucket, {record: objects[record]})
    with pytest.raises(StorageError, match="no object"):
        following(S3Store(f"s3://{bucket}/models/toy", S3()), tmp_path, Clock())
    with pytest.raises(StorageError, match="no bucket"):
        following(S3Store("s3://not-there/models/toy", S3()), tmp_path, Clock())


def test_s3_down_is_an_error_at_first_and_trouble_later(tmp_path, aws, bucket, monkeypatch):
    down = S3(endpoint="http://127.0.0.1:9", pause=lambda seconds: None)
    with pytest.raises(UnavailableError, match="3 tries"):
        following(S3Store(f"s3://{bucket}/models/toy", down), tmp_path, Clock())
    put(aws, bucket, published("1", 1))
    store, clock = S3Store(f"s3://{bucket}/models/toy", S3()), Clock()
    holder = following(store, tmp_path, clock)
    monkeypatch.setattr(store, "_s3", down)
    clock.now = 61
    assert holder.current().identity.version == "1"
    assert "3 tries" in holder.trouble


def test_without_credentials_it_says_so(monkeypatch):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(AccessError, match="no credentials"):
        S3(endpoint="http://127.0.0.1:9").read("s3://bucket/key")


def test_settings_come_from_the_environment():
    found = settings_of(
        {"CRISP_MODEL": "s3://b/m", "CRISP_ALIAS": "a", "CRISP_MOST_ROWS": "7"}, stage="lambda"
    )
    assert (found.model, found.alias, found.limits.rows, found.stage) == (
        "s3://b/m",
        "a",
        7,
        "lambda",
    )
    with pytest.raises(UsageError, match="CRISP_MODEL"):
        settings_of({}, stage="lambda")
    with pytest.raises(UsageError, match="CRISP_MOST_SECONDS"):
        settings_of({"CRISP_MOST_SECONDS": "soon"}, stage="lambda", model="m")
    with pytest.raises(UsageError, match="CRISP_ALIAS"):
        open_holder(Settings("s3://b/m"), load_toy)


def test_the_endpoint_imports_nothing_heavy():
    code = (
        "import sys, crisp_spark.serving.endpoint.on_lambda\n"
        "heavy = ('boto3', 'botocore', 'fastapi', 'pydantic', 'pyspark', 'pandas', 'mlflow')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []


def test_the_digest_covers_names_and_contents():
    digests = {bundle_objects(version)[1] for version in ("1", "2")}
    assert len(digests) == 2

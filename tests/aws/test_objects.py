from __future__ import annotations

import hashlib
import io
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from pyarrow import parquet

from crisp_spark.aws import clients as module
from crisp_spark.aws.clients import clients
from crisp_spark.aws.objects import S3Objects, split_uri
from crisp_spark.errors import AccessError, StorageError, UnavailableError, UsageError
from tests.aws_fixtures import point_at


@pytest.fixture
def objects(aws, bucket) -> S3Objects:
    return S3Objects(f"s3://{bucket}/wörk space", aws)


def test_second_put_changes_nothing(objects):
    assert objects.put_if_absent("a/b.json", b"first")
    assert not objects.put_if_absent("a/b.json", b"second")
    assert objects.read("a/b.json") == b"first"
    assert objects.exists("a/b.json")
    assert not objects.exists("a/b")


def test_of_racing_writers_one_wins_and_its_content_is_whole(objects):
    barrier = threading.Barrier(8)

    def put(number: int) -> bool:
        barrier.wait()
        return objects.put_if_absent("race", f"writer {number} ".encode() * 10_000)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(8)))
    assert sum(won) == 1
    assert objects.read("race") == f"writer {won.index(True)} ".encode() * 10_000


def test_keys_of_any_letters_come_back_as_they_were_put(objects):
    keys = ["größe (m²)/a=1 %20+&?#.json", "größe (m²)/Ω/日本.json", "größe (m²)2/other.json"]
    for key in keys:
        objects.put_if_absent(key, key.encode())
    assert [item.key for item in objects.stat("größe (m²)")] == sorted(keys[:2])
    assert all(objects.read(key) == key.encode() for key in keys)
    assert objects.uri(keys[1]) == f"{objects.root}/größe (m²)/Ω/日本.json"


def test_listings_longer_than_a_page_are_whole_and_deleted_whole(objects, aws, bucket):
    server = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for n in range(1030):  # past the network: a thousand requests take eight seconds
        server.put_object(bucket, f"wörk space/many/{n:05d}", b"x")
    objects.put_if_absent("many-others/1", b"x")
    aws.s3.put_object(Bucket=bucket, Key="wörk space/many/empty folder/")
    found = objects.stat("many")
    assert [item.key for item in found] == [f"many/{n:05d}" for n in range(1030)]
    assert {item.bytes for item in found} == {1}
    assert all(item.modified_s > 1.5e9 and item.etag for item in found)
    objects.delete_tree("many")
    assert [item.key for item in objects.stat("")] == ["many-others/1"]


def test_a_footer_is_read_by_pieces(objects):
    sink = io.BytesIO()
    table = pa.table({"n": range(50_000), "größe": [str(n * 7919) for n in range(50_000)]})
    parquet.write_table(table, sink, compression="none")
    objects.put_if_absent("t.parquet", sink.getvalue())
    fetched: list[int] = []
    read_range = objects.read_range
    objects.read_range = lambda key, start, size: (
        fetched.append(size) or read_range(key, start, size)
    )
    with objects.open("t.parquet") as file:
        assert parquet.read_metadata(file).num_rows == 50_000
    assert sum(fetched) < len(sink.getvalue()) / 4
    with objects.open("t.parquet") as file:
        file.seek(-3, io.SEEK_END)
        assert file.read() == b"AR1"
        assert file.read() == b""


def test_the_checksum_is_the_contents_whoever_made_it(objects, aws, bucket):
    content = b"abc" * 1000
    expected = hashlib.sha256(content).hexdigest()
    objects.put_if_absent("plain", content)
    assert objects.sha256("plain") == expected
    aws.s3.put_object(
        Bucket=bucket, Key="wörk space/summed", Body=content, ChecksumAlgorithm="SHA256"
    )
    assert objects.sha256("summed") == expected
    parts = aws.s3.create_multipart_upload(
        Bucket=bucket, Key="wörk space/parts", ChecksumAlgorithm="SHA256"
    )
    place = {"Bucket": bucket, "Key": "wörk space/parts", "UploadId": parts["UploadId"]}
    sent = aws.s3.upload_part(**place, PartNumber=1, Body=content, ChecksumAlgorithm="SHA256")
    aws.s3.complete_multipart_upload(
        **place, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": sent["ETag"]}]}
    )
    assert objects.sha256("parts") == expected


def test_what_is_not_there_is_named(objects, aws):
    with pytest.raises(StorageError, match=r"cannot read nope below s3://.*no such object"):
        objects.read("nope")
    with pytest.raises(StorageError, match="cannot read nope"):
        objects.open("nope")
    missing = S3Objects("s3://test-no-such-bucket/x", aws)
    with pytest.raises(StorageError, match="no such bucket"):
        missing.put_if_absent("a", b"")
    with pytest.raises(StorageError, match="no such bucket"):
        missing.stat("")


@pytest.mark.parametrize(
    "wrong", ["/local/folder", "s3:///key", "s3:bucket/key", "https://x/y", "S3://b/k"]
)
def test_only_places_in_s3_are_places(wrong):
    with pytest.raises(UsageError, match="not a place in S3"):
        split_uri(wrong)


def test_a_place_is_taken_literally():
    assert split_uri("s3://b/a b/%20/größe?x#y") == ("b", "a b/%20/größe?x#y")
    assert split_uri("s3a://b") == ("b", "")
    assert S3Objects("s3://b//x/").root == "s3://b/x"


def _iam(address: str, calls: int) -> None:
    """From the given number of calls on, the server checks permissions (moto's own switch)."""
    request = urllib.request.Request(
        f"{address}/moto-api/reset-auth",
        data=str(calls).encode(),
        headers={"Content-Type": "text/plain"},
        method="POST",
    )
    urllib.request.urlopen(request).read()


def test_no_permission_is_an_error_of_access(objects, aws, aws_server, monkeypatch):
    iam = aws.get("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    stranger = S3Objects(objects.root, clients("us-east-1"))
    assert stranger.exists("nothing") is False  # the key is taken up with the first request
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    unknown = S3Objects(objects.root, clients("us-east-1"))
    assert unknown.exists("nothing") is False
    _iam(aws_server, 0)
    try:
        with pytest.raises(AccessError, match="no permission for PutObject") as caught:
            stranger.put_if_absent("a", b"")
        assert caught.value.exit_code == 64
        with pytest.raises(AccessError, match="no permission for ListObjectsV2"):
            stranger.stat("")
        with pytest.raises(AccessError, match="refused the credentials"):
            unknown.put_if_absent("a", b"")
    finally:
        _iam(aws_server, 1 << 30)


def test_no_credentials_are_an_error_of_access(monkeypatch, aws_server):
    point_at(monkeypatch, aws_server)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AccessError, match="no usable AWS credentials") as caught:
        S3Objects("s3://test-bucket/x").read("a")
    assert "AWS_PROFILE" in caught.value.hint
    monkeypatch.setenv("AWS_PROFILE", "nobody-has-this")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(AccessError, match="nobody-has-this"):
        clients()


class _Faulty(BaseHTTPRequestHandler):
    """Answers with the queued faults, then as if a conditional PUT found the object there."""

    protocol_version = "HTTP/1.1"
    answers: list[tuple[int, str]] = []
    stored = b""
    calls = 0

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        type(self).calls += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        status, code = self.answers.pop(0) if self.answers else (200, "")
        self._answer(status, f"<Error><Code>{code}</Code></Error>".encode() if code else b"")

    def do_GET(self) -> None:
        self._answer(200, self.stored)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def faulty(monkeypatch) -> Iterator[type[_Faulty]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Faulty)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    point_at(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(module, "_ATTEMPTS", 2)
    monkeypatch.setattr(_Faulty, "answers", [])
    monkeypatch.setattr(_Faulty, "calls", 0)
    yield _Faulty
    server.shutdown()
    server.server_close()
    thread.join()


def test_throttling_is_tried_again_and_then_told(faulty):
    faulty.answers += [(503, "SlowDown")]
    assert S3Objects("s3://test-bucket").put_if_absent("a", b"x")
    assert faulty.calls == 2
    faulty.answers += [(503, "SlowDown")] * 2
    with pytest.raises(UnavailableError, match=r"try again later .*SlowDown") as caught:
        S3Objects("s3://test-bucket").put_if_absent("a", b"x")
    assert (caught.value.exit_code, caught.value.retryable) == (75, True)


def test_a_conflict_of_two_writers_is_tried_again(faulty, monkeypatch):
    monkeypatch.setattr("crisp_spark.aws.objects._CONFLICT_SECONDS", 0.001)
    faulty.answers += [(409, "ConditionalRequestConflict"), (412, "PreconditionFailed")]
    assert not S3Objects("s3://test-bucket").put_if_absent("a", b"x")
    assert faulty.calls == 2
    faulty.answers += [(409, "ConditionalRequestConflict")] * 9
    with pytest.raises(UnavailableError, match="by others all the time"):
        S3Objects("s3://test-bucket").put_if_absent("a", b"x")


@pytest.mark.parametrize(("stored", "won"), [(b"mine", True), (b"another's", False)])
def test_a_retry_that_finds_its_own_object_has_won(faulty, monkeypatch, stored, won):
    monkeypatch.setattr(_Faulty, "stored", stored)
    faulty.answers += [(500, "InternalError"), (412, "PreconditionFailed")]
    assert S3Objects("s3://test-bucket").put_if_absent("a", b"mine") is won


def test_a_server_that_is_not_there_is_unavailable(monkeypatch):
    monkeypatch.setattr(module, "_ATTEMPTS", 1)
    point_at(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="could not be reached") as caught:
        S3Objects("s3://test-bucket").read("a")
    assert "AWS_ENDPOINT_URL" in caught.value.hint

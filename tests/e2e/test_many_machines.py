"""The same job on SQLite and files, and on PostgreSQL and S3: the same bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.house import House, fallow, numbered
from tests.e2e.test_fleet import download, submit
from tests.servers.radosgw import S3Server

pytestmark = [pytest.mark.containers, pytest.mark.s3, pytest.mark.postgres]

# Long answers, so that artifacts go through the object store and not inside the report.
WIDE = 'sed \'s/$/ /; s/}/, "pad": "' + "x" * 2000 + "\"}/'"


def test_postgresql_and_s3_deliver_the_same_bytes_as_the_embedded_default(
    tmp_path: Path, busybox: str, house: Callable[..., House], postgres_url: str, s3_server: S3Server
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(300)))
    embedded = house()
    embedded.worker("first", "--slots", "1")
    submit(embedded, "same", busybox, items, command=["sh", "-c", WIDE], chunk_items=50)
    assert embedded.wait_over("same")["state"] == "completed"
    expected = download(embedded, "same", tmp_path / "a")
    embedded.stop()

    (tmp_path / "many").mkdir()
    many = House(
        tmp_path / "many", "--database", postgres_url, "--objects", s3_server.uri("same"), "--allow-root",
        str(tmp_path), **s3_server.environment(),
    )  # fmt: skip
    try:
        many.start_server()
        many.worker("second", "--slots", "1")
        submit(many, "same", busybox, items, command=["sh", "-c", WIDE], chunk_items=50)
        assert many.wait_over("same")["state"] == "completed"
        got = download(many, "same", tmp_path / "b")
    finally:
        many.stop()
    assert (got / "output.jsonl").read_bytes() == (expected / "output.jsonl").read_bytes()
    assert len((got / "output.jsonl").read_bytes()) > 300 * 2000
    assert fallow("verify", got).returncode == 0

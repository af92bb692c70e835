"""The direct contract, written from the seed's text alone: a shell fetches, answers, hashes, pushes, and says so."""

import hashlib
import json

import pytest

from tests.worker.test_stream import blame, lines

SEED = """
set -e
wget -q -O /in/input.jsonl "$AI_INPUT_URI"
sed 's/n/m/' /in/input.jsonl > /out/chunk.jsonl
sum=$(sha256sum /out/chunk.jsonl); sum=${sum%% *}
wget -q -O /dev/null --post-file=/out/chunk.jsonl "$AI_OUTPUT_URI/chunk.jsonl"
echo "{\\"job_id\\":\\"$AI_JOB_ID\\",\\"chunk_id\\":$AI_CHUNK_ID," > /out/receipt.json
echo "\\"artifact\\":{\\"uri\\":\\"$AI_OUTPUT_URI/chunk.jsonl\\",\\"sha256\\":\\"$sum\\"}}" >> /out/receipt.json
"""


def direct(rig, script, count=5):
    items = lines(count)
    return rig.sh(
        script,
        items=items,
        contract="direct",
        input_url=rig.server.put("direct-in", items),
        output_url=f"{rig.server.url}/bytes/out",
    )


def test_the_seeds_image_runs_and_its_receipt_is_completed(rig):
    ended = direct(rig, SEED)
    wanted = lines(5).replace(b"n", b"m")
    assert ended.fault is None, ended.log
    assert rig.server.blobs["/bytes/out/chunk.jsonl"] == wanted
    assert ended.receipt.artifact_sha256 == hashlib.sha256(wanted).hexdigest()
    assert ended.receipt.artifact_uri.endswith("/chunk.jsonl")
    assert ended.receipt.item_count == 5
    assert ended.finished.artifact is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("$AI_CHUNK_ID,", "99,"), "receipt_invalid"),
        (("$sum\\\\", "0000\\\\"), "receipt_invalid"),
        (('{\\\\"uri\\\\":\\\\"$AI_OUTPUT_URI', '{\\\\"uri\\\\":\\\\"http://elsewhere.example'), "receipt_invalid"),
        (("--post-file=/out/chunk.jsonl", "--post-data=x"), "receipt_invalid"),
        (('echo "{', 'echo "['), "receipt_invalid"),
        (("/out/receipt.json", "/out/other.json"), "receipt_missing"),
        (("sed 's/n/m/'", "sed 's/n/m/;2d'"), "too_few_lines"),
        (("sed 's/n/m/'", "sed 's/{/x/'"), "not_json"),
        (("set -e", "exit 7"), "exit_code"),
    ],
)
def test_an_image_that_gets_it_wrong(rig, change, code):
    before, after = (text.replace("\\\\", "\\") for text in change)
    assert before in SEED
    ended = direct(rig, SEED.replace(before, after))
    assert blame(ended)[:2] == ("submitter", code)
    assert ended.receipt is None


def test_the_receipt_of_one_item_may_be_spelled_freely(rig):
    script = SEED.replace('\\"chunk_id\\":$AI_CHUNK_ID', '\\"chunk_id\\":\\"$AI_CHUNK_ID\\"')
    assert direct(rig, script, 1).fault is None
    assert json.loads(rig.server.blobs["/bytes/out/chunk.jsonl"]) == {"m": 0}

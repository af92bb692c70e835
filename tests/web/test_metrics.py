"""What Prometheus is told, and whether what is drawn and alerted on is told at all."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "fallow.json"
RULES = ROOT / "deploy" / "prometheus" / "fallow.rules.yml"
SCRAPE = ROOT / "deploy" / "prometheus" / "prometheus.yml"


@pytest.fixture
def told(admin, finished):
    """Name of a series -> label values (sorted by label) -> value."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(admin.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(told, name: str, **labels: str) -> float:
    """Of all series with these labels, summed."""
    wanted = set(labels.items())
    return sum(each for key, each in told[name].items() if wanted <= set(key))


def test_a_finished_job_is_counted_at_every_step(told):
    assert value(told, "fallow_moves_total", what="job", event="complete", contract="stream") >= 1
    assert value(told, "fallow_moves_total", what="chunk", event="plan") >= 3
    assert value(told, "fallow_moves_total", what="chunk", event="accept") >= 3
    assert value(told, "fallow_leases_total", outcome="granted") >= 3
    assert value(told, "fallow_verifications_total", outcome="valid", method="hash") >= 3
    assert value(told, "fallow_verifications_total", outcome="invalid") == 0
    for step, least in (("first_chunk", 1), ("queue", 3), ("run", 3), ("verify", 3), ("job", 1)):
        assert value(told, "fallow_lifecycle_seconds_count", step=step) >= least, step
        assert value(told, "fallow_lifecycle_seconds_bucket", step=step, le="+Inf") == value(
            told, "fallow_lifecycle_seconds_count", step=step
        )


def test_buckets_only_grow(told):
    for step in ("first_chunk", "queue", "run", "verify", "job"):
        found = {
            float(dict(key)["le"]): count
            for key, count in told["fallow_lifecycle_seconds_bucket"].items()
            if dict(key)["step"] == step
        }
        counts = [found[end] for end in sorted(found)]
        assert counts == sorted(counts), step


def test_bytes_are_counted_by_what_they_are(admin, finished, house):
    before = {kind: _bytes(admin, "in", kind) for kind in ("upload", "inline")}
    given = _bytes(admin, "out", "download")
    assert admin.put("/api/inputs/counted.jsonl", content=b"x" * 5000).status_code == 201
    body = admin.get(f"/api/jobs/{finished}/output/output.jsonl").content
    assert _bytes(admin, "in", "upload") == before["upload"] + 5000
    assert _bytes(admin, "out", "download") == given + len(body)
    assert before["inline"] > 0


def _bytes(admin, direction: str, kind: str) -> float:
    text = admin.get("/metrics").text
    found = re.search(rf'^fallow_bytes_total{{direction="{direction}",kind="{kind}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_the_queue_is_told_by_contract_and_by_the_label_it_needs(admin, house):
    job = {"input_uri": house.input(20), "command": ["cat"], "chunk_items": 10, "worker_label": "cloud"}
    made = admin.post("/api/jobs", json=job)
    assert made.status_code == 201, made.text
    job_id = made.json()["job_id"]
    with admin.stream("GET", f"/api/jobs/{job_id}/events", timeout=30) as events:
        assert any('"event":"planned"' in line for line in events.iter_lines())
    text = admin.get("/metrics").text
    assert 'fallow_chunks{contract="stream",label="cloud",state="planned"} 2.0' in text
    assert job_id not in text
    admin.post(f"/api/jobs/{job_id}/cancel")


def test_labels_are_few_and_name_no_thing(told, finished):
    for name, series in told.items():
        assert len(series) < 500, name
        for key in series:
            for label, said in key:
                assert label in LABELS, (name, label)
                assert finished not in said
                assert not re.search(r"flw_|w-[0-9a-f]{16}", said)


LABELS = {
    "channel",
    "contract",
    "direction",
    "event",
    "failure_class",
    "kind",
    "label",
    "le",
    "method",
    "outcome",
    "role",
    "route",
    "state",
    "status",
    "step",
    "verdict",
    "what",
}


def queries(dashboard: object) -> Iterator[str]:
    if isinstance(dashboard, dict):
        for name, each in dashboard.items():
            if name in ("expr", "query") and isinstance(each, str):
                yield each
            yield from queries(each)
    elif isinstance(dashboard, list):
        for each in dashboard:
            yield from queries(each)


def named(query: str) -> set[str]:
    return set(re.findall(r"\bfallow_[a-z_]+", query))


def exported(admin) -> set[str]:
    """The names of the families and of the series that they give, whether or not they have any by now."""
    found: set[str] = set()
    for family in text_string_to_metric_families(admin.get("/metrics").text):
        found |= {family.name, *(f"{family.name}{end}" for end in ("_total", "_bucket", "_sum", "_count"))}
    return found


def test_the_dashboard_draws_what_is_told(admin, finished):
    dashboard = json.loads(DASHBOARD.read_text())
    drawn = [query for query in queries(dashboard) if named(query)]
    assert len(drawn) > 20
    assert {name for query in drawn for name in named(query)} <= exported(admin)
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in dashboard["panels"])
    assert len({p["id"] for p in dashboard["panels"]}) == len(places)


def test_the_alerts_ask_for_what_is_told(admin, finished):
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {name for rule in rules for name in named(rule["expr"])} <= exported(admin)
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 10
    for rule in rules:
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["remedy"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["expr"].count("(") == rule["expr"].count(")")
    scrape = yaml.safe_load(SCRAPE.read_text())
    assert scrape["rule_files"] == [RULES.name]
    assert {each["job_name"] for each in scrape["scrape_configs"]} == {"fallow"}

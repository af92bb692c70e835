"""Building: the same bytes each time, nothing twice, and each layer's content where it belongs."""

import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from fallow.core.refusals import Code, Refusal
from fallow.protocols.oci.documents import LAYER_GZIP, LAYER_TAR
from fallow.protocols.oci.platforms import host
from fallow.sdk.images import BuiltImage, build_image
from fallow.sdk.images.layout import Image, blob_path, read_image
from fallow.sdk.images.spec import WheelData
from fallow.sdk.images.wheels import unpack_data, unpack_wheel

SMALL = """
name = "small"
base = "oci:../tiny-base"
harness = "/app/harness.py"
command = ["python3", "/app/model.py"]
env = { MODEL = "/model" }
labels = { by = "me" }
[[copy]]
from = "app"
to = "/app"
[[copy]]
from = "spec.toml"
to = "/etc/spec/"
"""


def quiet(_: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture
def small(spec_file, tiny_base):
    path = spec_file(SMALL)
    app = path.parent / "app"
    app.mkdir()
    (app / "model.py").write_text("from harness import serve\nserve(list)\n")
    (app / "run.sh").write_text("#!/bin/sh\n")
    (app / "run.sh").chmod(0o755)
    (app / "link").symlink_to("model.py")
    return path


def build(spec: Path, out: Path, **options) -> BuiltImage:
    return build_image(spec, out, progress=quiet, cache=out.parent / "cache", **options)


def entries(image: Image, layer: int) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(blob_path(image.blobs, image.manifest.layers[layer].digest)) as tar:
        return {entry.name: entry for entry in tar}


def test_an_image_holds_base_and_code(small, tmp_path):
    built = build(small, tmp_path / "out")
    image = read_image(tmp_path / "out", host())
    assert (built.digest, built.image_id) == (image.digest, image.manifest.config.digest)
    assert built.size_bytes == sum(p.stat().st_size for p in image.blobs.iterdir()) - len_of_manifest(image)
    assert sorted(entries(image, 0)) == ["hello.txt"]
    code = entries(image, 1)
    assert {"app/model.py", "app/harness.py", "app/run.sh", "app/link", "etc/spec/spec.toml"} <= set(code)
    assert code["app/link"].linkname == "model.py"
    assert {e.mode for e in code.values() if e.isdir()} == {0o755}
    assert (code["app/run.sh"].mode, code["app/model.py"].mode) == (0o755, 0o644)
    assert {(e.uid, e.gid, e.mtime, e.uname) for e in code.values()} == {(0, 0, 0, "")}


def len_of_manifest(image: Image) -> int:
    return blob_path(image.blobs, image.digest).stat().st_size


def test_what_runs_is_the_specs_on_top_of_the_bases(small, tmp_path):
    build(small, tmp_path / "out")
    config = read_image(tmp_path / "out", host()).config
    run = config.run
    assert run.cmd == ("python3", "/app/model.py")
    assert run.entrypoint is None
    assert run.user == "1000:1000"
    assert run.env == ("PATH=/bin", "PYTHON_VERSION=3.11.9", "MODEL=/model")
    assert run.labels == {"of": "base", "by": "me", "io.fallow.harness": "1"}
    assert [h.created_by for h in config.history or ()] == ["the base", "fallow: code"]


def test_the_same_spec_is_the_same_digest_elsewhere(small, tmp_path):
    """Another folder, another umask, other times, other modes of the checkout."""
    first = build(small, tmp_path / "one")
    umask = os.umask(0o077)
    try:
        moved = tmp_path / "else" / "where"
        shutil.copytree(small.parent, moved / "spec", symlinks=True)
        shutil.copytree(tmp_path / "tiny-base", moved / "tiny-base")
        os.utime(moved / "spec/app/model.py", (1, 1))
        (moved / "spec/app/model.py").chmod(0o600)
        second = build(moved / "spec/spec.toml", moved / "two")
    finally:
        os.umask(umask)
    assert (first.digest, first.image_id) == (second.digest, second.image_id)


def test_a_second_build_builds_nothing(small, tmp_path):
    said: list[str] = []
    first = build(small, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.name != ".lock"}
    second = build_image(small, tmp_path / "out", progress=said.append, cache=tmp_path / "cache")
    assert second.reused
    assert not first.reused
    assert second.digest == first.digest
    assert said == []
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.name != ".lock"} == before


def test_an_edit_builds_only_its_layer_and_leaves_no_rubbish(small, tmp_path):
    first = build(small, tmp_path / "out")
    old = read_image(tmp_path / "out", host()).manifest.layers
    (small.parent / "app/model.py").write_text("print(1)\n")
    second = build(small, tmp_path / "out")
    image = read_image(tmp_path / "out", host())
    assert second.digest != first.digest
    assert image.manifest.layers[0] == old[0]
    assert image.manifest.layers[1] != old[1]
    wanted = {image.digest, image.manifest.config.digest, *(layer.digest for layer in image.manifest.layers)}
    assert {f"sha256:{p.name}" for p in image.blobs.iterdir()} == wanted
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        ".lock",
        "blobs",
        "fallow-build.json",
        "index.json",
        "oci-layout",
    ]


@pytest.mark.parametrize("hurt", ["unlink", "cut"])
def test_a_lost_blob_is_built_again(small, tmp_path, hurt):
    first = build(small, tmp_path / "out")
    layer = blob_path(tmp_path / "out/blobs/sha256", read_image(tmp_path / "out", host()).manifest.layers[1].digest)
    if hurt == "cut":
        layer.write_bytes(layer.read_bytes()[:-1])
    else:
        layer.unlink()
    again = build(small, tmp_path / "out")
    assert not again.reused
    assert again.digest == first.digest
    assert read_image(tmp_path / "out", host()).digest == first.digest


def test_gzip_layers_hold_the_same_archive(small, tmp_path):
    build(small, tmp_path / "plain")
    small.write_text(SMALL.replace('name = "small"', 'name = "small"\ncompress = true'))
    build(small, tmp_path / "squeezed")
    plain, squeezed = (read_image(tmp_path / name, host()) for name in ("plain", "squeezed"))
    assert plain.manifest.layers[1].media_type == LAYER_TAR
    assert squeezed.manifest.layers[1].media_type == LAYER_GZIP
    assert set(entries(plain, 1)) == set(entries(squeezed, 1))
    assert build(small, tmp_path / "again").digest == squeezed.digest


def test_the_base_of_the_caller_wins(small, tmp_path):
    wanted = build(small, tmp_path / "one").digest
    small.write_text(SMALL.replace("../tiny-base", "../gone"))
    with pytest.raises(Refusal) as refused:
        build(small, tmp_path / "two")
    assert refused.value.code is Code.IMAGE_UNKNOWN
    assert build(small, tmp_path / "three", base=f"oci:{tmp_path / 'tiny-base'}").size_bytes
    small.write_text(SMALL)
    assert build(small, tmp_path / "four").digest == wanted


def test_a_base_for_another_machine_is_refused(small, tmp_path):
    index = tmp_path / "tiny-base" / "index.json"
    other = "arm64" if host().architecture == "amd64" else "amd64"
    index.write_text(index.read_text().replace(host().architecture, other))
    with pytest.raises(Refusal) as refused:
        build(small, tmp_path / "out")
    assert refused.value.code is Code.IMAGE_PLATFORM
    assert other in refused.value.message


def test_a_damaged_base_is_refused(small, tmp_path):
    image = read_image(tmp_path / "tiny-base", host())
    blob_path(image.blobs, image.manifest.config.digest).write_text("{}")
    with pytest.raises(Refusal) as refused:
        build(small, tmp_path / "out")
    assert refused.value.code is Code.IMAGE_INVALID


def test_wheels_are_for_the_bases_python(small, tmp_path):
    """The tiny base says PYTHON_VERSION=3.11.9, as the official images do."""
    small.write_text(SMALL.replace('name = "small"', 'name = "small"\nrequirements = ["numpy==0.0.0.1"]'))
    with pytest.raises(Refusal) as refused:
        build(small, tmp_path / "out")
    assert refused.value.code is Code.IMAGE_UNKNOWN
    assert "numpy==0.0.0.1" in refused.value.message
    assert "Python 3.11" in refused.value.message


def test_an_unwritable_place_is_a_refusal(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal) as refused:
        build(small, tmp_path / "file")
    assert refused.value.code is Code.OUTPUT_UNWRITABLE


def test_debian_packages_make_the_same_base_twice(spec_file, tmp_path, downloads):
    """The whole of it: apt, unpacking, compiling. The host's umask and hash seed must not show."""
    path = spec_file('name = "bare"\nbase = "debian:python3"\ncommand = ["python3", "-V"]')
    one = build_image(path, tmp_path / "one", progress=quiet, cache=downloads)
    umask = os.umask(0o077)
    try:
        two = build_image(path, tmp_path / "a" / "longer" / "two", progress=quiet, cache=downloads)
    finally:
        os.umask(umask)
    assert one.digest == two.digest
    image = read_image(tmp_path / "one", host())
    names = entries(image, 0)
    assert names["tmp"].mode == 0o1777
    assert names["bin"].linkname == "usr/bin"
    assert not [name for name in names if name.startswith("lib/")]
    compiled = [name for name in names if "/json/__pycache__/decoder." in name]
    assert len(compiled) == 1
    with tarfile.open(blob_path(image.blobs, image.manifest.layers[0].digest)) as tar:
        code = tar.extractfile(compiled[0])
        assert code is not None
        assert str(tmp_path).encode() not in code.read()


def wheel_of(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_a_wheel_is_unpacked_without_its_scripts(tmp_path):
    wheel = wheel_of(
        tmp_path / "a.whl",
        {
            "a/__init__.py": "1",
            "a-1.data/purelib/b.py": "2",
            "a-1.data/scripts/run": "3",
            "a-1.dist-info/METADATA": "4",
        },
    )
    unpack_wheel(wheel, tmp_path / "site")
    found = {str(p.relative_to(tmp_path / "site")) for p in (tmp_path / "site").rglob("*") if p.is_file()}
    assert found == {"a/__init__.py", "b.py", "a-1.dist-info/METADATA"}


def test_a_wheel_that_reaches_out_of_itself_is_refused(tmp_path):
    for name in ("../evil.py", "/evil.py", "a/../../evil.py"):
        with pytest.raises(Refusal) as refused:
            unpack_wheel(wheel_of(tmp_path / "a.whl", {name: "1"}), tmp_path / "site")
        assert refused.value.code is Code.IMAGE_INVALID
    assert not list(tmp_path.rglob("evil.py"))


def test_data_is_taken_by_pattern_and_a_missing_file_is_named(tmp_path):
    wheel = wheel_of(tmp_path / "a.whl", {"a/model/w.bin": "1", "a/model/deep/t.json": "2", "a/code.py": "3"})
    unpack_data(wheel, WheelData("a==1", "", "a/model", ("*",), "/m"), tmp_path / "m")
    assert sorted(p.name for p in (tmp_path / "m").rglob("*") if p.is_file()) == ["t.json", "w.bin"]
    with pytest.raises(Refusal) as refused:
        unpack_data(wheel, WheelData("a==1", "", "a/model", ("w.bin", "gone.bin"), "/m"), tmp_path / "m")
    assert "a/model/gone.bin" in refused.value.message


def test_the_layout_says_what_it_is(small, tmp_path):
    build(small, tmp_path / "out")
    assert json.loads((tmp_path / "out/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert index["schemaVersion"] == 2
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "small"}
    assert index["manifests"][0]["platform"] == {"architecture": host().architecture, "os": "linux"}

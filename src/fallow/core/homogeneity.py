"""Classes of machines whose floating point comes out the same: answers of one class are compared with each other only.

BOINC has such classes too (sched/hr.cpp), but its families of processors end about 2006 and it leaves accelerators out,
which is where models run. Here a class is made of what the machine says, so that no list has to be kept.
"""

import re
from collections.abc import Sequence
from typing import Final

from fallow.core.job import Homogeneous

_SYSTEMS: Final = (  # by the beginning of what BOINC's client calls an operating system
    ("android", "android"),
    ("linux", "linux"),
    ("microsoft windows", "windows"),
    ("windows", "windows"),
    ("darwin", "darwin"),
    ("mac os", "darwin"),
    ("macos", "darwin"),
    ("freebsd", "freebsd"),
)
_ARCHITECTURES: Final = (  # first match wins, in BOINC's platform names and in those of images
    (re.compile(r"aarch64|arm64"), "arm64"),
    (re.compile(r"\barm"), "arm"),
    (re.compile(r"x86_64|amd64"), "amd64"),
    (re.compile(r"i[3-6]86|intelx86|\b386\b"), "386"),
    (re.compile(r"ppc64le|powerpc64le"), "ppc64le"),
    (re.compile(r"riscv64"), "riscv64"),
    (re.compile(r"s390x"), "s390x"),
)
_VENDORS: Final = {"authenticamd": "amd", "genuineintel": "intel", "hygongenuine": "hygon", "centaurhauls": "centaur"}
_FAMILY: Final = re.compile(r"\[[^\[\]]*?family (\d+) model (\d+)[^\[\]]*\]")
_NOT_THE_MODEL: Final = re.compile(r"\((?:r|tm|c)\)|@\s*[\d.]+\s*[gm]hz|\[[^\[\]]*\]|\b(?:cpu|processor)\b")
_NAME_MAX: Final = 200


def class_of(
    how: Homogeneous,
    *,
    platform: str,
    os: str = "",
    vendor: str = "",
    model: str = "",
    accelerators: Sequence[str] = (),
) -> str:
    """The machine's class, such as "linux/amd64/intel/family 6 model 142+nvidia rtx a4000"; "" for Homogeneous.NONE.

    platform: BOINC's ("x86_64-pc-linux-gnu") or an image's ("linux/amd64"). os, vendor, model: as a BOINC client sends
    os_name, p_vendor and p_model; "" where they are not known, as of workers of our own, which so share a class.
    accelerators: their models; how many of each makes no difference to what one of them computes.
    """
    if how is Homogeneous.NONE:
        return ""
    parts = [_system(os, platform), _architecture(platform)]
    if vendor:
        parts.append(_vendor(vendor))
    if how is Homogeneous.MODEL and model:
        parts.append(_model(model))
    known = sorted({_plain(each) for each in accelerators if _plain(each)})
    return "+".join(["/".join(parts), *known])[:_NAME_MAX]


def classes_of(
    *, platform: str, os: str = "", vendor: str = "", model: str = "", accelerators: Sequence[str] = ()
) -> dict[Homogeneous, str]:
    """The machine's classes, one for each way to ask for them."""
    return {
        how: class_of(how, platform=platform, os=os, vendor=vendor, model=model, accelerators=accelerators)
        for how in (Homogeneous.VENDOR, Homogeneous.MODEL)
    }


def _system(os: str, platform: str) -> str:
    said = os.strip().lower()
    for beginning, name in _SYSTEMS:
        if said.startswith(beginning):
            return name
    for word in ("android", "linux", "windows", "darwin", "freebsd"):
        if word in platform.lower():
            return word
    return _plain(said) or "unknown"


def _architecture(platform: str) -> str:
    said = platform.lower()
    return next((name for pattern, name in _ARCHITECTURES if pattern.search(said)), _plain(said) or "unknown")


def _vendor(vendor: str) -> str:
    said = _plain(vendor)
    return _VENDORS.get(said, said)


def _model(model: str) -> str:
    """The family and model that the client has read from the processor; else its name without speed and ornament.

    The stepping is left out: it is for repairs.
    """
    said = model.lower()
    if found := _FAMILY.search(said):
        return f"family {found[1]} model {found[2]}"
    return _plain(_NOT_THE_MODEL.sub(" ", said))


def _plain(text: str) -> str:
    """In small letters and single spaces, without what separates the parts of a name."""
    return re.sub(r"[\s/+]+", " ", text.lower()).strip()

"""Classes of machines, from what clients really send."""

import pytest

from fallow.core.homogeneity import class_of, classes_of
from fallow.core.job import Homogeneous

EPYC = "AMD EPYC [Family 25 Model 1 Stepping 1]"
KABY = "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz [Family 6 Model 142 Stepping 10]"
RYZEN = "AMD Ryzen 9 5950X 16-Core Processor [Family 25 Model 33 Stepping 0]"
X64, ARM64 = "x86_64-pc-linux-gnu", "aarch64-unknown-linux-gnu"


@pytest.mark.parametrize(
    ("os", "platform", "vendor", "model", "coarse", "fine"),
    [
        ("Linux Debian", X64, "AuthenticAMD", EPYC, "linux/amd64/amd", "linux/amd64/amd/family 25 model 1"),
        ("Linux", X64, "AuthenticAMD", RYZEN, "linux/amd64/amd", "linux/amd64/amd/family 25 model 33"),
        ("Linux Ubuntu", X64, "GenuineIntel", KABY, "linux/amd64/intel", "linux/amd64/intel/family 6 model 142"),
        (
            "Microsoft Windows 11",
            "windows_x86_64",
            "GenuineIntel",
            KABY,
            "windows/amd64/intel",
            "windows/amd64/intel/family 6 model 142",
        ),
        (
            "Darwin",
            "arm64-apple-darwin",
            "Apple",
            "Apple M1 Pro",
            "darwin/arm64/apple",
            "darwin/arm64/apple/apple m1 pro",
        ),
        (
            "Linux Debian",
            ARM64,
            "ARM",
            "ARMv8 Processor rev 3 (v8l)",
            "linux/arm64/arm",
            "linux/arm64/arm/armv8 rev 3 (v8l)",
        ),
        ("Linux", "arm-unknown-linux-gnueabihf", "ARM", "", "linux/arm/arm", "linux/arm/arm"),
        ("Android", "aarch64-android-linux-gnu", "ARM", "", "android/arm64/arm", "android/arm64/arm"),
        ("FreeBSD", "x86_64-pc-freebsd", "GenuineIntel", "", "freebsd/amd64/intel", "freebsd/amd64/intel"),
        ("Linux", "i686-pc-linux-gnu", "GenuineIntel", "", "linux/386/intel", "linux/386/intel"),
        ("", "linux/amd64", "", "", "linux/amd64", "linux/amd64"),
        ("", "linux/arm64", "", "", "linux/arm64", "linux/arm64"),
        ("", "", "", "", "unknown/unknown", "unknown/unknown"),
        ("Haiku", "x86_64-pc-haiku", "Some/Maker", "", "haiku/amd64/some maker", "haiku/amd64/some maker"),
    ],
)
def test_a_class_is_made_of_what_the_machine_says(
    os: str, platform: str, vendor: str, model: str, coarse: str, fine: str
) -> None:
    found = classes_of(platform=platform, os=os, vendor=vendor, model=model)
    assert found == {Homogeneous.VENDOR: coarse, Homogeneous.MODEL: fine}


def test_accelerators_belong_to_the_class_in_any_order_and_number() -> None:
    def of(*models: str) -> str:
        return class_of(Homogeneous.VENDOR, platform="linux/amd64", accelerators=models)

    assert of("NVIDIA RTX A4000", "Intel  Arc") == of("Intel Arc", "nvidia rtx a4000", "NVIDIA RTX A4000")
    assert of("NVIDIA RTX A4000") == "linux/amd64+nvidia rtx a4000"
    assert of("NVIDIA RTX A4000") != of("NVIDIA GeForce RTX 3090") != of()


def test_the_speed_and_the_stepping_make_no_class() -> None:
    def fine(model: str) -> str:
        return class_of(Homogeneous.MODEL, platform=X64, os="Linux", vendor="GenuineIntel", model=model)

    assert fine(KABY) == fine(KABY.replace("1.80", "2.00").replace("Stepping 10", "Stepping 11"))
    assert fine("Intel(R) Xeon(R) CPU @ 2.20GHz") == fine("Intel Xeon @ 2.80GHz") == "linux/amd64/intel/intel xeon"


def test_nobody_who_does_not_ask_has_a_class_and_a_name_is_bounded() -> None:
    assert class_of(Homogeneous.NONE, platform=X64, vendor="GenuineIntel") == ""
    assert len(class_of(Homogeneous.MODEL, platform=X64, vendor="x" * 5000, accelerators=["y" * 5000])) <= 200

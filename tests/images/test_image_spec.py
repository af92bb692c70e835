"""The spec: what it says is read, and each mistake of its writer is named."""

from pathlib import Path

import pytest

from fallow.core.refusals import Code, Refusal
from fallow.sdk.images.spec import read_spec, requirement_lines

DATA = '[[data]]\nwheel = "a==1"\nsha256 = "' + "0" * 64 + '"\nto = "/model"\n'


def test_a_whole_spec_is_read(spec_file):
    path = spec_file(
        """
        name = "model"
        base = "debian:python3.11"
        requirements = ["numpy==2.4.6"]
        harness = "/app/harness.py"
        command = ["python3", "/app/model.py"]
        user = "7:7"
        compress = true
        [env]
        A = "1"
        [labels]
        by = "me"
        [[copy]]
        from = "spec.toml"
        to = "/app/"
        """
        + DATA
    )
    spec = read_spec(path)
    assert spec.name == "model"
    assert spec.requirements == ("numpy==2.4.6",)
    assert spec.labels == {"by": "me", "io.fallow.harness": "1"}
    assert spec.copies[0].source == path.resolve()
    assert spec.data[0].to == "/model"
    assert spec.data[0].files == ("*",)
    assert (spec.user, spec.compress, spec.env) == ("7:7", True, {"A": "1"})


def test_a_short_spec_has_safe_defaults(spec_file):
    spec = read_spec(spec_file('name = "model"'))
    assert (spec.base, spec.user, spec.compress) == ("debian:python3", "1000:1000", False)
    assert spec.labels == {}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "name is missing"),
        ('name = "Bad Name"', "name must be"),
        ("name = 7", "name must be"),
        ('name = "m"\nspeed = 9', "not known: speed"),
        ('name = "m"\nrequirements = ["numpy"]', "'numpy' does not name one version"),
        ('name = "m"\nrequirements = ["numpy>=2"]', "does not name one version"),
        ('name = "m"\nrequirements = ["a==1; python_version < \'3.12\'"]', "does not name one version"),
        ('name = "m"\nrequirements = ["-r other.txt"]', "does not name one version"),
        ('name = "m"\nrequirements = "gone.txt"', "gone.txt, which is not a file"),
        ('name = "m"\nrequirements = 7', "requirements must be"),
        ('name = "m"\ncommand = "python3"', "command must be a list"),
        ('name = "m"\nharness = "app"', "harness must be an absolute path"),
        ('name = "m"\n[env]\n"A B" = "1"', "env must be a table of variable names"),
        ('name = "m"\n[env]\nA = 1', "env must be a table of text"),
        ('name = "m"\n[[copy]]\nfrom = "gone"\nto = "/app/"', "gone, which does not exist"),
        ('name = "m"\n[[copy]]\nfrom = "spec.toml"\nto = "app"', "to must be an absolute path"),
        ('name = "m"\n[[copy]]\nfrom = "spec.toml"\nto = "/../x"', "to must be an absolute path"),
        ('name = "m"\n[[copy]]\nfrom = "spec.toml"\nto = "/x"\nmode = 7', "[[copy]] has a member"),
        ('name = "m"\n' + DATA.replace("a==1", "a"), "wheel must be"),
        ('name = "m"\n' + DATA.replace("0000", "xyz0"), "sha256 must be"),
        ("name = [", "cannot be read"),
    ],
)
def test_a_mistake_is_named(spec_file, text, named):
    with pytest.raises(Refusal) as refused:
        read_spec(spec_file(text))
    assert refused.value.code is Code.BAD_REQUEST
    assert named in refused.value.message
    assert refused.value.remedy


def test_a_spec_that_is_not_there(tmp_path):
    with pytest.raises(Refusal) as refused:
        read_spec(tmp_path / "gone.toml")
    assert refused.value.code is Code.INPUT_MISSING


def test_requirement_lines_join_continuations_and_drop_comments():
    text = "a==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n# all\n\nb==2  # why\n"
    assert requirement_lines(text) == ("a==1 --hash=sha256:00 --hash=sha256:11", "b==2")


def test_the_repositorys_own_specs_are_good():
    found = sorted(Path(__file__).parents[2].glob("images/*/spec.toml"))
    assert found
    for path in found:
        assert read_spec(path).command

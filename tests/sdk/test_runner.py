"""The runner's own parts: values as JSON and back, and answers that nobody should trust."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.sdk.runner import RemoteError, answered, decoded, encoded, raised_again

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.sampled_from(["$int", "$pickle", "$"]), inner)
        | st.frozensets(st.integers() | st.text())
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_come_back_equal_and_of_the_same_type(value: Any) -> None:
    back = decoded(json.loads(json.dumps(encoded(value), allow_nan=False)))
    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value) or isinstance(value, frozenset | dict | list | tuple)


@pytest.mark.parametrize("dtype", ["f8", ">f4", "i2", "u8", "c16", "?", "S5", "U3", "M8[ns]", "m8[s]"])
def test_arrays_and_scalars_of_numpy(dtype: str) -> None:
    array = np.arange(24).astype(dtype).reshape(2, 3, 4)
    for value in (array, array[:, ::2], array[0, 0, 1], np.zeros((0, 3), dtype)):
        back = decoded(json.loads(json.dumps(encoded(value))))
        assert type(back) is type(value)
        assert back.dtype == value.dtype
        assert back.shape == value.shape
        assert back.tobytes() == value.tobytes()


def test_numbers_that_json_has_not() -> None:
    assert math.isnan(decoded(encoded(math.nan)))
    assert [decoded(encoded(each)) for each in (math.inf, -math.inf, 2**53 + 1)] == [math.inf, -math.inf, 2**53 + 1]
    assert math.copysign(1, decoded(encoded(-0.0))) == -1


@pytest.mark.parametrize("value", [object(), np.array([object()]), np.zeros(2, "i4,f4"), range(3), ValueError("x")])
def test_what_is_not_plain_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="trust_workers"):
        encoded(value)


@pytest.mark.parametrize(
    "said",
    [
        {"$pickle": "gASVAAAA"},
        {"$unknown": 1},
        {"$int": "1", "more": 2},
        {"$int": "9" * 5000},
        {"$int": []},
        {"$float": "1.0"},
        {"$array": ["O", [1], "AAAAAAAAAAA="]},
        {"$array": ["V8", [1], "AAAAAAAAAAA="]},
        {"$array": ["U0", [10], ""]},
        {"$array": ["f8", [10**12], "AAAAAAAAAAA="]},
        {"$array": ["f8", [-1], "AAAA"]},
        {"$array": ["f8,f8", [1], "AAAAAAAAAAA="]},
        {"$array": 5},
        {"$scalar": ["f8", ""]},
        {"$dict": [[{"$dict": []}, 1]]},
        {"$complex": [1]},
        {"$bytes": 7},
    ],
)
def test_an_answer_that_no_runner_writes_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match=r"\$"):
        decoded(said)


def test_an_exception_is_made_again_only_of_pythons_own_kinds() -> None:
    def made(**said: Any) -> BaseException:
        return raised_again({"text": "text", "trace": "trace", **said})

    assert repr(made(type="ValueError", module="builtins", args=["a", 1])) == "ValueError('a', 1)"
    for strange in (
        made(type="SystemExit", module="builtins", args=[0]),
        made(type="eval", module="builtins", args=["1/0"]),
        made(type="Popen", module="subprocess", args=["true"]),
        made(type="UnicodeDecodeError", module="builtins", args=["too few"]),
        made(),
    ):
        assert isinstance(strange, RemoteError)
    assert str(made(type="ValueError", module="builtins").__cause__) == "\ntrace"


def test_a_runner_without_the_function_says_so() -> None:
    answer = answered({"call": "never-sent", "given": ""})
    assert answer["missing"] == "never-sent"


def test_another_python_is_told_apart() -> None:
    answer = answered({"call": "f", "given": "", "function": "", "python": "2.7"})
    assert "2.7 do not run on" in answer["raised"]["text"]


def test_an_item_that_is_no_call_is_an_answer_too() -> None:
    assert answered({})["raised"]["type"] == "KeyError"

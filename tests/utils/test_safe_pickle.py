"""Untrusted pickles are read without running any code in them."""

import collections
import io
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.safe_pickle import NUMPY_ARRAYS, NUMPY_SCALARS, restricted_load


class Attack:
    """Unpickling it calls a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def load(value, allowed=(), protocol=2, **options):
    return restricted_load(io.BytesIO(pickle.dumps(value, protocol)), allowed, **options)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_values_and_allowed_types_come_back(protocol):
    value = {
        "a": [1, 2.5, None, True, b"bytes", "text"],
        "s": {1, 2},
        "o": collections.OrderedDict([(0, 1.5)]),
        "n": np.float64(0.25),
        "i": np.array([[1, 2], [3, 4]], dtype=np.uint8),
    }
    # Protocols 0 and 1 rebuild through copyreg, which is not allowed here.
    if protocol < 2:
        del value["i"], value["o"], value["n"]
    back = load(value, {*NUMPY_ARRAYS, ("collections", "OrderedDict")}, protocol)
    assert repr(back) == repr(value)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (os.system, "touch {}"),
        (subprocess.getoutput, "touch {}"),
        (eval, "open('{}', 'w')"),
        (exec, "open('{}', 'w')"),
    ],
)
def test_code_does_not_run(tmp_path: Path, function, argument, protocol):
    trace = tmp_path / "ran"
    with pytest.raises(NbevalError, match=r"asks for \w+\.\w+, .* refused"):
        load({"x": Attack(function, argument.format(trace))}, NUMPY_ARRAYS, protocol)
    assert not trace.exists()


def test_names_of_numpy_1_and_2_are_the_same():
    data = pickle.dumps(np.float64(0.5), 2)
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != data
    assert restricted_load(io.BytesIO(old), NUMPY_SCALARS) == 0.5


def test_other_codecs_are_refused():
    with pytest.raises(NbevalError, match="zlib"):
        load(Attack(__import__("codecs").encode, "text", "zlib"), NUMPY_SCALARS)


def test_a_dotted_name_does_not_reach_into_an_allowed_one():
    evil = b"\x80\x04\x8c\x05numpy\x8c\x0fdtype.__class__\x93."
    with pytest.raises(NbevalError, match=r"asks for numpy\.dtype\.__class__"):
        restricted_load(io.BytesIO(evil), NUMPY_SCALARS)


def test_persistent_references_are_refused():
    with pytest.raises(NbevalError, match="outside itself"):
        restricted_load(io.BytesIO(b"\x80\x02X\x01\x00\x00\x00aQ."), ())


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a pickle", pickle.dumps(list(range(1000)))[:-50]])
def test_truncated_or_wrong_bytes(data):
    with pytest.raises(NbevalError, match=r"cells\.pkl is truncated or not a pickle"):
        restricted_load(io.BytesIO(data), (), name="cells.pkl")


def test_reading_stops_after_the_first_pickle():
    file = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps(2, 2))
    assert [restricted_load(file, ()), restricted_load(file, ())] == [1, 2]

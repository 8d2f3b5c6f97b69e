"""Expressions: Python's arithmetic where it is allowed, and nothing else."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import conv, row, summarize

import cnncalc
from cnncalc.errors import ExpressionError
from cnncalc.spec.arithmetic import FUNCTIONS, MAX_LENGTH, MAX_MAGNITUDE, divisible
from cnncalc.spec.expressions import evaluate, has_unbalanced_brackets, names_in, worked_out

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

NAMES = {"a": 3, "b": 7, "half": 0.5, "yes": True, "word": "tanh", "sizes": [4, 8, 16]}

VALUES = [
    ("=4*2", 8),
    ("=64*0.75", 48),
    ("=7/2", 3.5),
    ("=7//2", 3),
    ("=-7//2", -4),
    ("=7%4", 3),
    ("=2**10", 1024),
    ("=4**0.5", 2),
    ("=2**-1", 0.5),
    ("= ( a + b ) * 2 ", 20),
    ("=sizes[0]", 4),
    ("=sizes[-1]", 16),
    ("=[[1, 2], [3]][0][1]", 2),
    ("=word[0]", "t"),
    ("=len(sizes)", 3),
    ("=min(a, b, 5)", 3),
    ("=max(sizes)", 16),
    ("=abs(-half)", 0.5),
    ("=round(2.5)", 2),
    ("=round(2.567, 1)", 2.6),
    ("=floor(2.9)", 2),
    ("=ceil(2.1)", 3),
    ("=divisible(44.8, 8)", 48),
    ("=a < b", True),
    ("=1 < a < 3", False),
    ("=a == 3 and b != 3", True),
    ("=not yes or a", 3),
    ("=0 and 1/0", 0),
    ("=1 if yes else 1/0", 1),
    ("=a in [1, 3]", True),
    ("=a not in sizes", True),
    ("='relu' if a > 5 else word", "tanh"),
    ("=[1]*3 + [a]", [1, 1, 1, 3]),
    ("=(1, 2)", [1, 2]),
    ("=[2.0, 0.5]", [2, 0.5]),
    ("='a' + 'b'*2", "abb"),
    ("=true", True),
    ("=True", True),
    ("=false or null", None),
    ("=None", None),
    (f"={'(' * 60}1{')' * 60}", 1),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_value(text: str, value: object) -> None:
    result = evaluate(text, NAMES)
    assert result == value
    assert type(result) is type(value)


REFUSED = [
    *re.split(
        r"   |\n",
        """\
=a.real   =a.__class__   =().__class__.__bases__[0].__subclasses__()
=__import__('os').system('touch hacked')   =open('hacked', 'w')   =eval('1')   =min.__self__
=getattr(a, 'real')   =lambda: 1   =(lambda x: x)(1)   =[i for i in sizes]
={i for i in sizes}   ={i: i for i in sizes}   =max(i for i in sizes)   =f'{a}'
=f'{a.real}'   =(x := 5)   =sizes[0:1]   =sizes[:]   =max(*sizes)   =max(sizes, key=abs)
=[*sizes]   ={1: 2}   ={1, 2}   =b'a'   =1j   =...   =a | b   =a & b   =a ^ b   =a << b
=a >> b   =a @ b   =~a   =a is b   =await a   =yield a   =import os   =a = 1   =a; b
=del a   =5(3)   =sizes(0)   =unknown   =unknown(1)   =   ==1   =1 +   =(1   =1)   =[1, 2
='a   =$a   =1__0   =007   =%d   ='%s' % a   ='%999999999d' % a   =1/0   =1//0   =1%0
=0**-1   =(-8)**0.5   =9**9**9   =10**31   =-10**31   =1e31   =1e308*10   =1e999
=1e-999**-1   =1 - 1e999   =[0]*257   =257*[0]   =[[0]*16]*17   ='a'*257   =[1]*10**9
=([1]*200) + ([1]*200)   =a[0]   =sizes['a']   =sizes[3]   =sizes[-4]   =sizes[0.5]
=sizes[None]   =a + 'a'   =-'a'   =sizes < 3   =1 in 2   ='a' ** 2   =len(3)   =len()
=max()   =max(3)   =max([])   =max(1, 'a')   =abs('a')   =abs(1, 2)   =round('a')
=round(1, 'a')   =floor('a')   =divisible(1, 0)   =divisible(1)   =divisible('a', 2)""",
    ),
    "=a\nb",
    "= ",
    "=\x00",
    "=\ud800",
    f"={'9' * 40}",
    f"={'9' * 999}",
    f"={'(0+' * 60}1{')' * 60}",
    f"={'-' * 990}1",
    f"={'not ' * 200}1",
    f"={'[' * 300}{']' * 300}",
    f"={'1+' * 600}1",
    f"={'1 if 1 else ' * 60}1",
]
"""What an expression may not do, or what no machine could."""


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExpressionError) as raised:
        evaluate(text, NAMES)
    assert not [*tmp_path.iterdir()]
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("text", [r"='\d'", "=1if a else 2", "='a' in ['a']", "=0x10", "=1_000"])
def test_no_warning_of_pythons(text: str) -> None:
    """Python's compiler would warn of these, and warnings are errors in these tests."""
    assert evaluate(text, NAMES) is not None


def _python(text: str) -> Any:
    """The value that Python itself gives."""
    functions = {**FUNCTIONS, "round": round}
    return eval(text, {"__builtins__": {}}, {**functions, **NAMES})


def _exact(value: Any) -> Any:
    """`value` with its whole floats as integers."""
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    if isinstance(value, float) and value == math.floor(value):
        return int(value)
    return value


NUMBERS = st.one_of(
    st.integers(0, 20).map(str),
    st.sampled_from(["0.5", "0.25", "1.5", "3.0", "a", "b", "half", "yes", "sizes[1]"]),
)


def _compound(inner: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(" ".join),
        st.tuples(inner, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner).map(" ".join),
        st.tuples(inner, st.sampled_from(["<", "=="]), inner, st.just("!="), inner).map(" ".join),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        st.tuples(inner, inner, inner).map(lambda x: f"{x[0]} if {x[1]} else {x[2]}"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda x: f"{x[0]}({x[1]}, {x[2]})"
        ),
        st.tuples(st.sampled_from(["abs", "floor", "ceil", "round"]), inner).map(
            lambda x: f"{x[0]}({x[1]})"
        ),
        st.tuples(st.sampled_from(["-", "+", "not "]), inner).map("".join),
        inner.map(lambda x: f"[{x}, 1][0]"),
        inner.map(lambda x: f"len([{x}])"),
    ).map(lambda text: f"({text})")


ARITHMETIC = st.recursive(NUMBERS, _compound, max_leaves=12)


@given(ARITHMETIC)
@example("(1 > 2 > (1 / 0))")
@example("(round(2.5))")
def test_arithmetic_is_pythons(text: str) -> None:
    try:
        expected = _python(text)
    except (ArithmeticError, TypeError):
        with pytest.raises(ExpressionError):
            evaluate(f"={text}", NAMES)
        return
    value = evaluate(f"={text}", NAMES)
    assert value == _exact(expected)
    assert type(value) is type(_exact(expected))


@given(st.integers(-30, 30), st.integers(-10, 10), st.sampled_from(["{}**{}", "({})**({}/2)"]))
def test_powers_are_pythons_where_they_are_small_and_real(
    base: int, exponent: int, form: str
) -> None:
    text = form.format(f"({base})", f"({exponent})")
    try:
        expected = _python(text)
    except ZeroDivisionError:
        expected = None
    if isinstance(expected, int | float) and abs(expected) <= MAX_MAGNITUDE:
        assert evaluate(f"={text}", NAMES) == _exact(expected)
    else:
        with pytest.raises(ExpressionError):
            evaluate(f"={text}", NAMES)


TOKENS = st.sampled_from(
    [
        *"()[]{},:.+-*/%<>=!&|^~@'\"\\#; \t\n",
        *("**", "//", "==", "<=", "!=", ":=", "->", "..."),
        *("and ", "or ", "not ", "in ", "is ", " if ", " else ", "for ", "lambda ", "await "),
        *("0", "1", "2", "9", "1e9", "1e30", "1e308", "1e999", "0x1f", "1_0", "1j", ".5", "9" * 20),
        *("True", "None", "true", "null", "a", "sizes", "word", "__class__", "é", "\x00", "日"),
        *(f"{name}(" for name in FUNCTIONS),
        *("[1]*", "'ab'*", "f'", "b'", "r'", "'''", "[0]*99", "sizes*", "+sizes", "**9", "**0.5"),
    ]
)


def _bounded(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return math.isfinite(value) and abs(value) <= MAX_MAGNITUDE
    if isinstance(value, list):
        return len(value) <= MAX_LENGTH and all(map(_bounded, value))
    return isinstance(value, str) and len(value) <= MAX_LENGTH


@given(st.one_of(st.lists(TOKENS, max_size=25).map("".join), st.text(max_size=60)))
@example("9**" * 40 + "9")
@example("[[[1]*99]*99]*99")
@example("1e308*1e308")
def test_anything_is_bounded_or_refused(text: str) -> None:
    try:
        value = evaluate(f"={text}", NAMES)
    except ExpressionError:
        value = None
    assert _bounded(value)


@given(st.lists(TOKENS, max_size=12).map("".join))
def test_names_in_holds_every_name_that_is_looked_up(text: str) -> None:
    try:
        used = names_in(f"={text}")
    except ExpressionError:
        return

    class Seen(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            raise KeyError(name)

        def __getitem__(self, name: str) -> Any:
            looked_up.add(name)
            return super().__getitem__(name)

    looked_up: set[str] = set()
    with suppress(ExpressionError):
        evaluate(f"={text}", Seen(NAMES))
    assert looked_up <= used


@pytest.mark.parametrize(
    ("text", "unbalanced"),
    [
        ("=max(1", True),
        ("=1)", True),
        ("=a[0", True),
        ("=(1]", True),
        ("=max(1, 2)", False),
        ("='(' + \")\"", False),
        ("='[", False),
        ("=a", False),
    ],
)
def test_unbalanced_brackets(text: str, unbalanced: bool) -> None:
    assert has_unbalanced_brackets(text) is unbalanced


@pytest.mark.parametrize(
    ("value", "rounded"),
    # MobileNetV2 at a width of 1.4: Sandler et al. 2018, as its published checkpoint has them.
    [(44.8, 48), (22.4, 24), (33.6, 32), (89.6, 88), (134.4, 136), (224.0, 224), (448.0, 448)],
)
def test_divisible_as_mobilenet_rounds(value: float, rounded: int) -> None:
    assert divisible(value, 8) == rounded


@given(st.floats(0.1, 5_000), st.integers(1, 64))
def test_divisible_is_the_nearest_multiple_that_loses_at_most_a_tenth(
    value: float, divisor: int
) -> None:
    result = divisible(value, divisor)
    assert result % divisor == 0
    assert result >= max(divisor, 0.9 * value)
    nearest = max(divisor, math.floor(value / divisor + 0.5) * divisor)
    assert result in (nearest, nearest + divisor)


def test_worked_out_lists() -> None:
    assert worked_out([1, "=a", ["=b*2", "word"]], NAMES) == [1, 3, [14, "word"]]
    with pytest.raises(ExpressionError, match="a list"):
        worked_out({"a": 1}, NAMES)


class TestInASpec:
    """Where expressions stand, and what they see there."""

    def test_what_flows_in(self) -> None:
        assert row([6, 10, 12], conv("=2*in_channels", "=in_size")).output_shape == (12, 1, 1)

    def test_the_turn_of_the_innermost_repeat(self) -> None:
        inner = {"repeat": 2, "conv": {"out_channels": "=1 + index", "kernel_size": 1}}
        outer = {"repeat": 2, "layers": [inner, conv("=10 + index", 1)]}
        channels = [layer.output_shape[0] for layer in summarize([3, 4, 4], outer).layers]
        assert channels == [1, 2, 10, 1, 2, 11]

    def test_a_block_sees_the_network_and_itself(self) -> None:
        block = {
            "parameters": {"width": None, "twice": "=2*width", "base": "=in_channels"},
            "layers": [conv("=twice + base + extra", 1)],
        }
        last = row([3, 4, 4], {"b": 5}, blocks={"b": block}, parameters={"extra": 100})
        assert last.output_shape[0] == 113

    def test_lists_stay_lists_in_a_block(self) -> None:
        block = {
            "parameters": {"sizes": None, "same": "=sizes == [1, 2]"},
            "layers": [{"if": "=same", **conv("=(sizes + [7])[2]", 1)}],
        }
        for given_sizes in ([1, 2], ["=1", "=1+1"], "=[1, 2]", "=pair"):
            last = row(
                [3, 4, 4],
                {"b": {"sizes": given_sizes}},
                blocks={"b": block},
                parameters={"pair": ["=0+1", 2]},
            )
            assert last.output_shape[0] == 7

    def test_parameters_see_those_above_them(self) -> None:
        network = {
            "input": ["=classes", 4, 4],
            "parameters": {"classes": 3, "double": "=2*classes", "both": ["=classes", "=double"]},
            "layers": [conv("=both[1]", 1)],
        }
        assert cnncalc.analyze(network).output_shape == (6, 4, 4)
        set_higher = cnncalc.load(network, parameters={"classes": "=2 + 3"})
        assert cnncalc.analyze(set_higher).output_shape == (10, 4, 4)

    def test_a_kind(self) -> None:
        layer = row([3, 4, 4], "=act", parameters={"act": "tanh"})
        assert layer.kind == "tanh"

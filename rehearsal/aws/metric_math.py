"""CloudWatch's metric math, as far as arithmetic goes."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Final

OPERATORS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def evaluate(expression: str, values: Mapping[str, float | None]) -> float | None:
    """The value of an expression; None where it needs one that is missing, or divides by zero.

    Raises ValueError for what is no arithmetic, and for a metric that is not among the values.
    """
    try:
        return _value(ast.parse(expression, mode="eval").body, values)
    except SyntaxError as error:
        raise ValueError(f"syntax error in {expression!r}") from error


def _value(node: ast.expr, values: Mapping[str, float | None]) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            first, second = _value(left, values), _value(right, values)
            if first is None or second is None or (isinstance(op, ast.Div) and second == 0):
                return None
            return OPERATORS[type(op)](first, second)
        case _:
            raise ValueError(f"unknown in metric math: {ast.unparse(node)}")

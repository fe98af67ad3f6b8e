"""CloudWatch's metric math, as far as arithmetic goes."""

import ast
from collections.abc import Mapping


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
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as operator, right=right):
            first, second = _value(left, values), _value(right, values)
            return None if first is None or second is None else _combined(first, operator, second)
        case _:
            raise ValueError(f"unknown in metric math: {ast.unparse(node)}")


def _combined(first: float, operator: ast.operator, second: float) -> float | None:
    match operator:
        case ast.Add():
            return first + second
        case ast.Sub():
            return first - second
        case ast.Mult():
            return first * second
        case _:
            return first / second if second else None

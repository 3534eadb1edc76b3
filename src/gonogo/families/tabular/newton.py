"""Which coefficients make the outcomes likeliest, given a ridge that leaves the intercept alone?

The loss is Σ w·log(1 + exp(-s·η)) + ½ Σ ridge·β², s = ±1. Newton's method with a step that is halved until the loss falls. Every sum is
taken in row order by one thread, and no linear-algebra library is called, so that the bits do not depend on its version or threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numba import njit

from gonogo.types.errors import BudgetSpent

if TYPE_CHECKING:
    from gonogo.families.tabular.design import Problem
    from gonogo.types.evidence import Array

WIDE = 600  # coefficients beyond which k² numbers and k³ steps cost more than products with the rows
STEPS = 100  # Newton steps at most; 5–10 are usual
TOLERANCE = 1e-12  # of the Newton decrement, relative to the loss
WARM_ROWS = 16_384  # a fit on so many evenly spaced rows gives the first guess


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """Coefficients, and the penalised loss around them."""

    beta: Array  # (k,)
    loss: float
    gradient: Array  # (k,)
    hessian: Array | None  # (k, k); None where the problem is too wide to hold it
    p: Array  # (n,) fitted probabilities

    @property
    def curvature(self) -> Array:
        """The hessian, where it is held."""
        if self.hessian is None:
            raise ValueError("this problem is too wide to hold its hessian")
        return self.hessian


Evaluate: TypeAlias = "Callable[[Problem, Array], Solution]"
Direct: TypeAlias = "Callable[[Problem, Solution], Array]"


def minimise(problem: Problem, *, deadline: float | None) -> Solution:
    """The coefficients at which the penalised loss is least. Raises BudgetSpent when time.monotonic() passes the deadline."""
    from gonogo.families.tabular.wide import conjugate_direction, evaluate_wide

    if len(problem.ridge) > WIDE:
        return _descend(problem, np.zeros(len(problem.ridge)), evaluate_wide, conjugate_direction, deadline)
    beta = np.zeros(len(problem.ridge))
    step = len(problem.y) // WARM_ROWS
    if step >= 2:
        beta = _descend(problem.every(step), beta, _evaluate, _newton_direction, deadline).beta
    return _descend(problem, beta, _evaluate, _newton_direction, deadline)


def _descend(problem: Problem, beta: Array, evaluate: Evaluate, direct: Direct, deadline: float | None) -> Solution:
    here = evaluate(problem, beta)
    for _ in range(STEPS):
        direction = direct(problem, here)
        decrement = float(np.einsum("i,i->", direction, here.gradient))
        if decrement <= TOLERANCE * (1 + here.loss):
            break
        if deadline is not None and time.monotonic() > deadline:
            raise BudgetSpent("the logistic regression did not converge within budget.training_s", expected="a converged fit")
        there = _downhill(problem, here, direction, decrement, evaluate)
        if there.loss >= here.loss:
            break  # the last bits: no step lowers the loss any more
        here = there
    return here


def _downhill(problem: Problem, here: Solution, direction: Array, decrement: float, evaluate: Evaluate) -> Solution:
    """The whole step, or the first of its halves that lowers the loss as a slope should (Armijo 1966)."""
    share = 1.0
    while True:
        there = evaluate(problem, here.beta - share * direction)
        if there.loss <= here.loss - 1e-4 * share * decrement or share < 1e-6:
            return there
        share /= 2


def _newton_direction(problem: Problem, here: Solution) -> Array:
    return solve(factor(here.curvature), here.gradient)


def _evaluate(problem: Problem, beta: Array) -> Solution:
    k = len(beta)
    gradient, hessian, p = np.zeros(k), np.zeros((k, k)), np.empty(len(problem.y))
    loss = _sums(problem.dense, problem.places, problem.y, problem.weight, beta, gradient, hessian, p)
    hessian = np.triu(hessian) + np.triu(hessian, 1).T
    hessian[np.diag_indices(k)] += problem.ridge
    return Solution(
        beta=beta,
        loss=float(loss + 0.5 * np.einsum("i,i,i->", problem.ridge, beta, beta)),
        gradient=gradient + problem.ridge * beta,
        hessian=hessian,
        p=p,
    )


@njit(cache=True)
def _sums(dense, places, y, weight, beta, gradient, hessian, p):  # type: ignore[no-untyped-def]  # pragma: no cover
    """One pass over the rows: fills gradient, the upper triangle of hessian, and p; gives the loss."""
    n, d = dense.shape
    c = places.shape[1]
    loss = 0.0
    for i in range(n):
        eta = 0.0
        for j in range(d):
            eta += dense[i, j] * beta[j]
        for a in range(c):
            if places[i, a] >= 0:
                eta += beta[places[i, a]]
        small = np.exp(-abs(eta))
        p[i] = 1.0 / (1.0 + small) if eta >= 0 else small / (1.0 + small)
        loss += weight[i] * (np.log1p(small) + max(eta, 0.0) - y[i] * eta)
        residual = weight[i] * (p[i] - y[i])
        curvature = weight[i] * small / ((1.0 + small) * (1.0 + small))
        for j in range(d):
            gradient[j] += residual * dense[i, j]
            scaled = curvature * dense[i, j]
            if scaled != 0.0:
                for m in range(j, d):
                    hessian[j, m] += scaled * dense[i, m]
        for a in range(c):
            place = places[i, a]
            if place < 0:
                continue
            gradient[place] += residual
            for j in range(d):
                hessian[j, place] += curvature * dense[i, j]
            for b in range(a, c):
                if places[i, b] >= 0:
                    hessian[place, places[i, b]] += curvature
    return loss


def factor(matrix: Array) -> Array:
    """The lower Cholesky factor of a positive definite matrix, column by column.

    >>> factor(np.array([[4.0, 2.0], [2.0, 5.0]])).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    k = len(matrix)
    lower = np.zeros_like(matrix)
    # A hair on the diagonal: two inputs that are the same up to rounding must not end the fit.
    floor = 1e-14 * float(np.max(np.diag(matrix), initial=0.0))
    for j in range(k):
        column = matrix[j:, j] - np.einsum("ij,j->i", lower[j:, :j], lower[j, :j])
        pivot = np.sqrt(max(float(column[0]), floor)) or 1.0
        lower[j:, j] = column / pivot
        lower[j, j] = pivot
    return lower


def solve(lower: Array, right: Array) -> Array:
    """x of L Lᵀ x = right, for a vector (k,) or for columns (k, m)."""
    x = right.astype(np.float64, copy=True)
    k = len(lower)
    for j in range(k):
        x[j] = (x[j] - np.einsum("i,i...->...", lower[j, :j], x[:j])) / lower[j, j]
    for j in range(k - 1, -1, -1):
        x[j] = (x[j] - np.einsum("i,i...->...", lower[j + 1 :, j], x[j + 1 :])) / lower[j, j]
    return x

"""Which coefficients make the outcomes likeliest, given a ridge that leaves the intercept alone?

The loss is Σ w·log(1 + exp(-s·η)) + ½ Σ ridge·β², s = ±1. Newton's method with a step that is halved until the loss falls. Every sum is
taken in row order by one thread, and no linear-algebra library is called, so that the bits do not depend on its version or threads.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from gonogo.types.errors import BudgetSpent

if TYPE_CHECKING:
    from gonogo.families.tabular.design import Problem
    from gonogo.types.evidence import Array

STEPS = 100  # Newton steps at most; 5–10 are usual
TOLERANCE = 1e-12  # of the Newton decrement, relative to the loss
WARM_ROWS = 16_384  # a fit on so many evenly spaced rows gives the first guess


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """The coefficients, and the curvature of the penalised loss there."""

    beta: Array  # (k,)
    hessian: Array  # (k, k)
    p: Array  # (n,) fitted probabilities


def minimise(problem: Problem, *, deadline: float | None) -> Solution:
    """The coefficients at which the penalised loss is least. Raises BudgetSpent when time.monotonic() passes the deadline."""
    beta = np.zeros(len(problem.ridge))
    step = len(problem.y) // WARM_ROWS
    if step >= 2:
        beta = _descend(problem.every(step), beta, deadline)
    beta = _descend(problem, beta, deadline)
    _, _, hessian, p = _evaluate(problem, beta)
    return Solution(beta=beta, hessian=hessian, p=p)


def _descend(problem: Problem, beta: Array, deadline: float | None) -> Array:
    loss, gradient, hessian, _ = _evaluate(problem, beta)
    for _ in range(STEPS):
        direction = solve(factor(hessian), gradient)
        decrement = float(np.einsum("i,i->", direction, gradient))
        if decrement <= TOLERANCE * (1 + loss):
            break
        if deadline is not None and time.monotonic() > deadline:
            raise BudgetSpent("the logistic regression did not converge within budget.training_s", expected="a converged fit")
        share = 1.0
        while True:
            trial = beta - share * direction
            after = _evaluate(problem, trial)
            if after[0] <= loss - 1e-4 * share * decrement or share < 1e-6:
                break
            share /= 2
        if after[0] >= loss:
            break
        beta, (loss, gradient, hessian, _) = trial, after
    return beta


def _evaluate(problem: Problem, beta: Array) -> tuple[float, Array, Array, Array]:
    """Loss, gradient and curvature, with the ridge."""
    k = len(beta)
    gradient, hessian, p = np.zeros(k), np.zeros((k, k)), np.empty(len(problem.y))
    loss = _sums(problem.dense, problem.places, problem.y, problem.weight, beta, gradient, hessian, p)
    upper = np.triu(hessian, 1)
    hessian = np.triu(hessian) + upper.T
    hessian[np.diag_indices(k)] += problem.ridge
    return float(loss + 0.5 * np.einsum("i,i,i->", problem.ridge, beta, beta)), gradient + problem.ridge * beta, hessian, p


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

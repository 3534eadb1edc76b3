"""In which direction does the loss fall when there are too many coefficients to hold their curvature?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.newton import Solution

if TYPE_CHECKING:
    from gonogo.families.tabular.design import Problem
    from gonogo.types.evidence import Array

STEPS = 200  # conjugate steps at most
TOLERANCE = 1e-3  # of the gradient's length: what is left is taken up by the next Newton step


def evaluate_wide(problem: Problem, beta: Array) -> Solution:
    """Loss and gradient from products with the rows, no curvature."""
    log_odds = _times(problem, beta)
    small = np.exp(-np.abs(log_odds))
    p = np.where(log_odds >= 0, 1 / (1 + small), small / (1 + small))
    losses = problem.weight * (np.log1p(small) + np.maximum(log_odds, 0) - problem.y * log_odds)
    return Solution(
        beta=beta,
        loss=float(np.sum(losses) + 0.5 * np.sum(problem.ridge * beta * beta)),
        gradient=_transposed_times(problem, problem.weight * (p - problem.y)) + problem.ridge * beta,
        hessian=None,
        p=p,
    )


def conjugate_direction(problem: Problem, here: Solution) -> Array:
    """H⁻¹ · gradient, nearly, by conjugate gradients scaled by the diagonal. Source: Hestenes & Stiefel (1952); truncation as in
    Dembo, Eisenstat & Steihaug (1982), SIAM J. Numer. Anal. 19(2).
    """
    curvature = problem.weight * here.p * (1 - here.p)
    diagonal = np.maximum(_squares(problem, curvature) + problem.ridge, 1e-12)
    x, residual = np.zeros_like(here.beta), here.gradient.copy()
    scaled = residual / diagonal
    along, length = scaled, float(np.sum(residual * scaled))
    enough = TOLERANCE**2 * length
    for _ in range(STEPS):
        if length <= enough:
            break
        bent = _transposed_times(problem, curvature * _times(problem, along)) + problem.ridge * along
        step = length / float(np.sum(along * bent))
        x, residual = x + step * along, residual - step * bent
        scaled = residual / diagonal
        before, length = length, float(np.sum(residual * scaled))
        along = scaled + (length / before) * along
    return x


def _times(problem: Problem, beta: Array) -> Array:
    """(n,) X β. einsum adds in a fixed order, which a linear-algebra library with threads does not."""
    total: Array = np.einsum("ij,j->i", problem.dense, beta[: problem.dense.shape[1]])
    for places in problem.places.T:
        total = total + np.where(places >= 0, beta[places], 0.0)
    return total


def _transposed_times(problem: Problem, right: Array) -> Array:
    """(k,) Xᵀ r."""
    return _collected(problem, np.einsum("ij,i->j", problem.dense, right), right)


def _squares(problem: Problem, right: Array) -> Array:
    """(k,) Σ r x²: the diagonal of Xᵀ diag(r) X; a category's 0 and 1 are their own squares."""
    return _collected(problem, np.einsum("ij,ij,i->j", problem.dense, problem.dense, right), right)


def _collected(problem: Problem, of_dense: Array, right: Array) -> Array:
    total = np.zeros(len(problem.ridge))
    total[: len(of_dense)] = of_dense
    for places in problem.places.T:
        on = places >= 0
        total += np.bincount(places[on], weights=right[on], minlength=len(total))
    return total

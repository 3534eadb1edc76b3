"""How far may the coefficients be from the truth, when rows of one unit move together?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.newton import factor, solve

if TYPE_CHECKING:
    from gonogo.families.tabular.design import Problem
    from gonogo.families.tabular.newton import Solution
    from gonogo.types.evidence import Array, IntArray


def standard_errors(problem: Problem, solution: Solution, unit: IntArray) -> Array | None:
    """(k,) standard errors of the coefficients, clustered by unit; None below 2 units, where the spread is unknown, and
    where the problem is too wide to hold its curvature.

    V = G/(G-1) · H⁻¹ (Σ_g s_g s_gᵀ) H⁻¹, with s_g the unit's sum of scores and H the curvature of the penalised loss.
    Source: Liang & Zeger (1986), Biometrika 73(1); Cameron & Miller (2015), J. Human Resources 50(2).
    """
    _, code = np.unique(unit, return_inverse=True)
    n_units = int(code.max()) + 1
    if n_units < 2 or solution.hessian is None:
        return None
    scores = _unit_scores(problem, solution.p, code, n_units)
    half = solve(factor(solution.hessian), np.ascontiguousarray(scores.T))  # (k, G): H⁻¹ s_g
    variance: Array = np.einsum("kg,kg->k", half, half) * n_units / (n_units - 1)
    return np.asarray(np.sqrt(variance))


def _unit_scores(problem: Problem, p: Array, code: IntArray, n_units: int) -> Array:
    """(G, k) sums of (p - y)·x over the rows of each unit."""
    residual = problem.weight * (p - problem.y)
    scores = np.zeros((n_units, len(problem.ridge)))
    for j in range(problem.dense.shape[1]):
        scores[:, j] = np.bincount(code, weights=residual * problem.dense[:, j], minlength=n_units)
    k = len(problem.ridge)
    for places in problem.places.T:
        on = places >= 0
        cell = code[on] * k + places[on]
        scores += np.bincount(cell, weights=residual[on], minlength=n_units * k).reshape(n_units, k)
    return scores

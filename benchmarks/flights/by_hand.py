"""The flights problem in one straight script, as a good engineer writes it by hand, with 200 bootstrap replicates.

It makes the same features at the same times (events count when they were reported), the same split with its embargo, the same two learners
and a baseline, recalibrates on the validate table, and measures the same figures with intervals, for the whole table and for the slices.
It leaves out what nobody writes by hand: proofs, leak checks, findings, records, the page. It is the peer of `gonogo run examples/flights`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import xgboost as xgb
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score, roc_curve
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "flights"))
import nycflights

REPLICATES = 200
SCHED = "timezone('America/New_York', make_timestamp(year, month, day, hour, minute, 0.0))"


def main() -> None:
    table = features()
    train, validate, test = (table[table["part"] == p] for p in ("train", "validate", "test"))
    numbers = [c for c in table.columns if c not in ("part", "y", "day", "flight_id", "carrier", "origin", "dest", "decided_at")]
    matrices = {n: t[numbers].to_numpy(dtype=np.float64) for n, t in (("train", train), ("validate", validate), ("test", test))}
    words = ["carrier", "origin", "dest"]
    one_hot = OneHotEncoder(handle_unknown="ignore").fit(train[words])
    hot = {n: one_hot.transform(t[words]).toarray() for n, t in (("train", train), ("validate", validate), ("test", test))}
    y = {n: t["y"].to_numpy() for n, t in (("train", train), ("validate", validate), ("test", test))}

    models = {"logistic": fit_logistic(matrices, hot, y), "xgboost": fit_boosted(matrices, hot, y)}
    scores = {name: log_loss(y["validate"], p["validate"]) for name, p in models.items()}
    chosen = models[min(scores, key=scores.__getitem__)]
    p, y_validate, half = chosen["validate"], y["validate"], len(y["validate"]) // 2
    held_out = isotonic().fit(p[:half], y_validate[:half]).predict(p[half:])
    helps = log_loss(y_validate[half:], held_out) < log_loss(y_validate[half:], p[half:])
    challenger = isotonic().fit(p, y_validate).predict(chosen["test"]) if helps else chosen["test"]
    champion = np.full(len(test), y["train"].mean())
    print(json.dumps({"validate": scores, "calibrated": bool(helps), "test": evidence(y["test"], challenger, champion, test)}, indent=1))


def isotonic():
    return IsotonicRegression(out_of_bounds="clip", y_min=1e-6, y_max=1 - 1e-6)


def features():
    con = duckdb.connect(config={"threads": 2})
    con.execute("SET TimeZone = 'UTC'")
    for name, table in (("f", nycflights.flights()), ("weather_raw", nycflights.weather()), ("planes", nycflights.planes())):
        con.register(f"{name}_arrow", table)
        con.execute(f"create table {name} as select * from {name}_arrow")
    con.execute(f"""
        create table flights as select *, sched - interval 2 hours as decided_at, timezone('America/New_York', sched) as local,
          sched + to_minutes(dep_delay) as dep_at, make_date(year, month, day) as day,
          concat_ws('-', carrier, flight, origin, strftime(sched, '%Y%m%dT%H%M')) as flight_id from (select *, {SCHED} as sched from f)""")
    con.execute("""
        create table rows as select flight_id, day, decided_at, carrier, origin, dest, tailnum, (dep_delay >= 15)::int as y,
          hour(local) + minute(local) / 60.0 as hour, dayofweek(local) as weekday, distance,
          case when dep_at < '2013-09-01T04:00Z' and decided_at < '2013-08-31T04:00Z' then 'train'
               when decided_at >= '2013-09-01T04:00Z' and dep_at < '2013-11-01T04:00Z' and decided_at < '2013-10-31T04:00Z' then 'validate'
               when decided_at >= '2013-11-01T04:00Z' then 'test' end as part
        from flights where dep_delay is not null and dep_at <= '2014-01-01T05:00Z'""")
    con.execute("delete from rows where part is null")
    con.execute("""
        create table events as select dep_at, dep_at + interval 5 minutes as known_at, carrier, origin, dest, tailnum, dep_delay,
          (dep_delay >= 15)::int as late from flights where dep_delay is not null""")
    joins = []
    for name, keys, windows in (("o", ["origin"], [1, 3, 24]), ("c", ["carrier", "origin"], [24, 168]), ("d", ["dest"], [168])):
        joins.append(name)
        moments = f"(select distinct {', '.join(keys)}, decided_at from rows)"
        on = " and ".join(f"m.{k} = e.{k}" for k in keys)
        aggregates = ", ".join(
            f"count(*) filter (e.dep_at >= m.decided_at - interval {w} hours) as {name}_n{w}, "
            f"avg(dep_delay) filter (e.dep_at >= m.decided_at - interval {w} hours) as {name}_mean{w}, "
            f"avg(late) filter (e.dep_at >= m.decided_at - interval {w} hours) as {name}_late{w}"
            for w in windows
        )
        con.execute(f"""create table w_{name} as select {", ".join("m." + k for k in keys)}, m.decided_at, {aggregates} from {moments} m
            left join events e on {on} and e.dep_at >= m.decided_at - interval {max(windows)} hours and e.dep_at < m.decided_at
              and e.known_at <= m.decided_at group by all""")
    return con.execute("""
        with t as (select r.*, e.dep_delay as tail_delay, e.dep_at as tail_at from rows r
                   asof left join (select * from events order by known_at) e on r.tailnum = e.tailnum and r.decided_at >= e.known_at),
             w as (select t.*, temp, humid, wind_speed, precip, pressure, visib, observed_at from t
                   asof left join (select *, time_hour as observed_at, time_hour + interval 20 minutes as published_at from weather_raw) w
                     on t.origin = w.origin and t.decided_at >= w.published_at)
        select w.* exclude (tailnum, tail_delay, tail_at, observed_at),
          case when tail_at >= w.decided_at - interval 2 days then tail_delay end as tail_delay,
          case when tail_at >= w.decided_at - interval 2 days then epoch(w.decided_at - tail_at) end as tail_age,
          p.year as built, p.seats, w_o.* exclude (origin, decided_at),
          w_c.* exclude (carrier, origin, decided_at), w_d.* exclude (dest, decided_at)
        from w left join planes p on w.tailnum = p.tailnum
          left join w_o on w.origin = w_o.origin and w.decided_at = w_o.decided_at
          left join w_c on w.carrier = w_c.carrier and w.origin = w_c.origin and w.decided_at = w_c.decided_at
          left join w_d on w.dest = w_d.dest and w.decided_at = w_d.decided_at
        order by decided_at, flight_id""").df()


def fit_logistic(matrices, hot, y):
    medians = np.nanmedian(matrices["train"], axis=0)
    filled = {n: np.hstack([np.where(np.isnan(m), medians, m), np.isnan(m).astype(float)]) for n, m in matrices.items()}
    scaler = StandardScaler().fit(filled["train"])
    full = {n: np.hstack([scaler.transform(m), hot[n]]) for n, m in filled.items()}
    model = LogisticRegression(max_iter=500).fit(full["train"], y["train"])
    return {n: model.predict_proba(full[n])[:, 1] for n in ("validate", "test")}


def fit_boosted(matrices, hot, y):
    data = {n: xgb.DMatrix(np.hstack([m, hot[n]]), label=y[n], nthread=2) for n, m in matrices.items()}
    params = {"objective": "binary:logistic", "max_depth": 6, "eta": 0.08, "tree_method": "hist", "nthread": 2, "seed": 13}
    model = xgb.train(params, data["train"], 600, evals=[(data["validate"], "v")], early_stopping_rounds=30, verbose_eval=False)
    return {n: model.predict(data[n], iteration_range=(0, model.best_iteration + 1)) for n in ("validate", "test")}


def evidence(y, challenger, champion, test):
    """Figures with percentile intervals from days drawn again, and log-loss differences by slice."""
    days, unit = np.unique(test["day"].to_numpy(), return_inverse=True)
    rng = np.random.default_rng(13)
    loss = lambda p: -(y * np.log(np.clip(p, 1e-15, 1)) + (1 - y) * np.log(np.clip(1 - p, 1e-15, 1)))  # noqa: E731
    difference = loss(challenger) - loss(champion)
    drawn = {"roc_auc": [], "average_precision": [], "recall_at_fpr_10": [], "calibration_error": [], "log_loss_difference": []}
    slices = {f"{c}={v}": (test[c] == v).to_numpy() for c in ("origin", "carrier") for v in sorted(test[c].unique())}
    by_slice = {name: [] for name in slices}
    for _ in range(REPLICATES):
        weight = rng.multinomial(len(days), np.full(len(days), 1 / len(days)))[unit]
        drawn["roc_auc"].append(roc_auc_score(y, challenger, sample_weight=weight))
        drawn["average_precision"].append(average_precision_score(y, challenger, sample_weight=weight))
        fpr, tpr, _ = roc_curve(y, challenger, sample_weight=weight)
        drawn["recall_at_fpr_10"].append(np.interp(0.1, fpr, tpr))
        drawn["calibration_error"].append(calibration_error(y, challenger, weight))
        drawn["log_loss_difference"].append(np.average(difference, weights=weight))
        for name, rows in slices.items():
            if weight[rows].sum():
                by_slice[name].append(np.average(difference[rows], weights=weight[rows]))
    return {name: np.quantile(values, [0.025, 0.5, 0.975]).round(5).tolist() for name, values in (drawn | by_slice).items() if values}


def calibration_error(y, p, weight, n_bins=15):
    edges = np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1])
    bins = np.digitize(p, edges)
    w = np.bincount(bins, weight, n_bins)
    return np.abs(np.bincount(bins, weight * p, n_bins) - np.bincount(bins, weight * y, n_bins)).sum() / w.sum()


if __name__ == "__main__":
    main()

"""A small whole project: two sources, Unicode, nulls, rejects, a signal to learn."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

ROWS = 900
SPEC = """\
version: 1
project: {name: tiny, owner: tests, seed: 7, layout_partitions: 2}
business:
  objectives: [{id: O1, statement: Fewer surprises}]
  criteria:
    - {id: M1, objective: O1, metric: roc_auc, target: 0.7, on: test, compare: estimate}
    - {id: B1, objective: O1, level: business, metric: net_value, unit: EUR, target: 1, on: test}
  mining_goal: {problem: binary, target: bought, target_source: visits, target_expression: "amount > 50",
                positive: true, key: [visit], unit_of_prediction: one visit}
  outcome_values: {tp: 10, fp: -2, fn: 0, tn: 0, currency: EUR}
data:
  sources:
    visits:
      kind: csv
      path: visits/*.csv
      key: [visit]
      time: day
      columns:
        visit: {type: bigint, rules: [not_null, {unique: {severity: drop}}]}
        day: {type: date}
        shop: {type: string}
        "größe (m²)": {type: double, rules: [{between: {min: 0, max: 1000, severity: drop}}]}
        pages: {type: int}
        amount: {type: double, known_at: outcome}
    shops:
      kind: csv
      path: shops.csv
      key: [shop]
      columns: {shop: {type: string}, city: {type: string}, rating: {type: double}}
preparation:
  clean:
    visits:
      - {op: trim, columns: [shop], reason: typed by hand}
  merge:
    steps:
      - {id: all, left: visits, right: shops, how: left, keys: [shop], expect: many_to_one, min_match: 0.5,
         reclean: [{op: fill, columns: [city], value: unknown, reason: shops that closed}]}
  derive:
    - {name: weekend, expression: "CAST(weekday(day) >= 5 AS INT)", doc: Saturday or Sunday}
    - {name: pages per rating, expression: "pages / nullif(rating, 0D)", type: double, doc: interest}
  exclude: {day: later days must not be told from earlier ones}
  split: {kind: hash, test: 0.3, folds: 2, later: {from: "2026-03-01", time: day}}
  features:
    - {op: impute, columns: [rating, pages], method: median}
    - {op: encode, columns: [shop, city], method: one_hot}
modeling:
  metric: roc_auc
  families:
    - {kind: logistic_regression, params: {regParam: [0.0, 0.1]}}
    - {kind: random_forest, params: {numTrees: [5], maxDepth: [3]}}
evaluation: {bootstrap: 30, slices: [city], importance: {rows: 200, repeats: 1}}
"""


def write(folder: Path, *, spec: str = SPEC) -> Path:
    """Write the project and return its file."""
    visits = folder / "visits"
    visits.mkdir(parents=True)
    header = "visit,day,shop,größe (m²),pages,amount"
    lines: dict[str, list[str]] = {"a.csv": [header], "b.csv": [header]}
    for number in range(ROWS):
        shop = f"S{number % 9}"
        size = 20 + number % 37
        pages = "" if number % 31 == 0 else str(number * 7 % 23)
        chance = 1 / (1 + math.exp(-((number * 7 % 23) - 11) / 4 - (number % 9 - 4) / 4))
        noise = int(hashlib.sha256(str(number).encode()).hexdigest()[:8], 16) / 16**8
        amount = 80 if noise < chance else 20
        day = f"2026-{1 + number % 3:02d}-{1 + number % 28:02d}"
        lines["a.csv" if number % 2 else "b.csv"].append(
            f"{number},{day}, {shop} ,{size}.5,{pages},{amount}"
        )
    lines["a.csv"] += ["nonsense", "9001,2026-01-01,S1,20,many,20"]  # two rejects
    lines["b.csv"] += ["0,2026-01-01,S0,20.5,1,20", "9002,2026-01-05,S1,-5,3,20"]  # two quarantined
    for name, content in lines.items():
        (visits / name).write_text("\n".join(content) + "\n", encoding="utf-8")
    shops = ["shop,city,rating"] + [
        f"S{n},{'Zürich' if n % 2 else 'Ωmega'},{n / 2}" for n in range(7)
    ]
    (folder / "shops.csv").write_text("\n".join(shops) + "\n", encoding="utf-8")
    project = folder / "crisp.yml"
    project.write_text(spec, encoding="utf-8")
    return project

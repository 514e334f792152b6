"""Options of the baselines for bundles of tests. Small values are fast on small stores."""

from typing import Any

BASELINE_OPTIONS: dict[str, dict[str, Any]] = {
    "decayed_cooccurrence": {
        "distance_power": 1, "backward_weight": 0.1, "popularity_power": 0, "history_decay": 0.5,
    },
    "session_knn": {"neighbours": 5, "history_decay": 0.5},
    "ease": {"regularisation": 1, "history_decay": 0.5, "max_items": 100},
    "recent_personal_frequency": {"decay": 0.8},
    "tifu_knn": {
        "groups": 7, "order_decay": 0.9, "group_decay": 0.7, "neighbours": 5, "own_weight": 0.7,
    },
    "repurchase_timing": {"smoothing": 3},
}  # fmt: skip

"""The tutorial's search as a script of its user: a CSV file, GridSearchCV with SciKeras, the best model saved.

    python benchmarks/contenders/scikeras_command.py train.csv --n-jobs 2 --model best.keras --scores scores.json

It stands alone, as such a script does, and is timed as a whole process.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any


def build(nodes: int, learning_rate: float, meta: dict[str, Any]) -> Any:
    """The tutorial's model, for pixels that are scaled already."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(nodes, activation="relu", kernel_initializer="uniform"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.RMSprop(learning_rate)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def parse() -> argparse.Namespace:
    """The options of the script."""
    parser = argparse.ArgumentParser(description="GridSearchCV with SciKeras on a CSV file.")
    parser.add_argument("file")
    parser.add_argument("--nodes", nargs="+", type=int, default=[32, 64, 128, 256, 512])
    parser.add_argument("--learning-rates", nargs="+", type=float, default=[0.001])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--model", required=True)
    parser.add_argument("--scores", required=True)
    return parser.parse_args()


def share_cores(n_jobs: int) -> None:
    """Give each worker its part of the cores, and this process, which makes the refit, all of them."""
    import tensorflow

    tensorflow.config.list_logical_devices()  # starts TensorFlow's threads here, before the workers' number is set
    # joblib shares out the cores among its workers for BLAS and OpenMP, but does not know TensorFlow.
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(max(1, (os.cpu_count() or 1) // n_jobs))


def main() -> None:
    """Read, search, refit, save."""
    options = parse()
    import pandas
    from scikeras.wrappers import KerasClassifier
    from sklearn.model_selection import GridSearchCV, KFold

    if options.n_jobs > 1:
        share_cores(options.n_jobs)
    table = pandas.read_csv(options.file)
    y = table.pop("label").to_numpy()
    x = table.to_numpy(dtype="float32") / 255.0
    classifier = KerasClassifier(
        model=build,
        nodes=options.nodes[0],
        learning_rate=options.learning_rates[0],
        epochs=options.epochs,
        batch_size=options.batch_size,
        predict__batch_size=1_000,
        verbose=0,
    )
    search = GridSearchCV(
        classifier,
        {"nodes": options.nodes, "learning_rate": options.learning_rates},
        scoring="accuracy",
        cv=KFold(options.folds, shuffle=True, random_state=0),
        n_jobs=options.n_jobs,
        refit=True,
        error_score="raise",
    )
    search.fit(x, y)
    search.best_estimator_.model_.save(options.model)
    scores = zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True)
    with open(options.scores, "w", encoding="utf-8") as file:
        json.dump([[params, float(score)] for params, score in scores], file)


if __name__ == "__main__":
    main()

"""A control for defences: one answer for all pictures, so that no attack takes anything from it.

    python run.py --method zero --input /input --output /output

Its delta is 0; the floor on clean accuracy keeps it from winning.
"""

import argparse
import csv
import json
from pathlib import Path


def main() -> None:
    """Say for every picture that it shows the first person, or none of the attributes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--method", choices=["zero"], default="zero")
    parser.add_argument("--input", type=Path, default=Path("/input"))
    parser.add_argument("--output", type=Path, default=Path("/output"))
    options = parser.parse_args()
    task = json.loads((options.input / "task.json").read_text(encoding="utf-8"))
    columns = ["person"] if task["task"] == "reid" else task["attributes"]
    with (options.output / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", *columns])
        table.writerows([path.name, *[0] * len(columns)] for path in sorted((options.input / "images").glob("*.png")))


if __name__ == "__main__":
    main()

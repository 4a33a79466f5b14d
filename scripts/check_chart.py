#!/usr/bin/env python3
"""Lints and renders the Helm chart, once with its own values and once with each file of its ci/ folder.

Usage: check_chart.py CHART FOLDER. For each rendering, NAME.yaml in FOLDER gets what Kubernetes itself knows, for a check
against its schemas, and NAME.toml the server's settings. Needs the packages helm-python-sdk, which is Helm's own library,
and PyYAML.
"""

import sys
from pathlib import Path

import helm_python
import yaml

# Messages of this severity are advice, such as that an icon is recommended.
ADVICE = 1


def documents(chart, values):
    """What the chart makes with these values."""
    rendered = chart.render(values, name="media", namespace="live")
    texts = [text for template, text in rendered.items() if template.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def lint(path, values):
    """What Helm's linter has against the chart."""
    report = helm_python.lint(path, values, strict=True)
    return [message["error"] for message in report["messages"] if message["severity"] > ADVICE] + report["errors"]


def main(path, folder):
    wrong = []
    cases = {"own": {}} | {file.stem: yaml.safe_load(file.read_text()) for file in sorted((path / "ci").glob("*.yaml"))}
    with helm_python.Chart.load(path) as chart:
        for case, values in cases.items():
            wrong += [f"{case}: {error}" for error in lint(path, values)]
            made = documents(chart, values)
            # There is no schema here for what the Prometheus operator has added.
            core = [document for document in made if document["kind"] != "ServiceMonitor"]
            (folder / f"{case}.yaml").write_text(yaml.safe_dump_all(core))
            settings = next(document for document in made if document["kind"] == "ConfigMap")
            (folder / f"{case}.toml").write_text(settings["data"]["flumen.toml"])
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

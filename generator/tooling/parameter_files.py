"""Parameters of a new workload, and their insertion into the text of a parameter file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from generator.workloads import EcsService, Workload

# CloudFormation accepts no value with it. `deploy.py params check` reports it until the user writes the real value.
FILL_IN = "FILL-IN"
SIZES = {"Cpu": "256", "Memory": "512", "MinTasks": "2", "MaxTasks": "4"}


class ParameterFileError(Exception):
    """A parameter file that cannot be extended without guessing."""


def service_parameters(entry: Workload, model: str) -> dict[str, tuple[str, str]]:
    """Return each parameter of a workload, with the same parameter of ``model`` and a default value.

    The size of ``model`` suits an environment better than the default.
    """
    subject = entry.name if entry.own_size else "Service"
    is_scaled = isinstance(entry, EcsService) and not entry.one_task
    sizes = {
        f"{subject}{what}": (f"{model}{what}", default)
        for what, default in SIZES.items()
        if is_scaled or not what.endswith("Tasks")
    }
    return {**({} if entry.like else {f"{entry.name}Image": (f"{model}Image", FILL_IN)}), **sizes}


def insert_parameters(text: str, new: Mapping[str, str]) -> str:
    """Return the text of a parameter file with more parameters. The file keeps its form and the values that it has."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ParameterFileError(f"line {error.lineno}: not JSON: {error.msg}") from None
    if isinstance(document, list):
        items = {item["ParameterKey"]: item for item in document}
        more = {key: {"ParameterKey": key, "ParameterValue": value} for key, value in new.items() if key not in items}
        document = list(_inserted(items, more).values())
    elif isinstance(document, dict) and isinstance(document.get("Parameters"), dict):
        parameters = document["Parameters"]
        document["Parameters"] = _inserted(parameters, {k: v for k, v in new.items() if k not in parameters})
    else:
        raise ParameterFileError('expected {"Parameters": {...}}: add the parameters of the service by hand')
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _inserted(parameters: Mapping[str, object], new: Mapping[str, object]) -> dict[str, object]:
    """Return all parameters, the new ones after the last of their kind: images after images, sizes after sizes."""
    result = dict(parameters)
    for image in (True, False):
        group = {key: value for key, value in new.items() if key.endswith("Image") == image}
        pattern = r".+Image" if image else r".+(Cpu|Memory|MinTasks|MaxTasks)"
        like = [place for place, key in enumerate(result, start=1) if re.fullmatch(pattern, key)]
        place = like[-1] if like else len(result)
        items = list(result.items())
        result = dict([*items[:place], *group.items(), *items[place:]])
    return result

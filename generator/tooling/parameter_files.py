"""Adds the parameters of a service to params/<env>.json. Text in, text out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from generator.workloads import Service

# CloudFormation accepts no value with it. `deploy.py params check` reports it until the user writes the real value.
FILL_IN = "FILL-IN"
SIZES = {"Cpu": "256", "Memory": "512", "MinTasks": "2", "MaxTasks": "4"}


class ParameterFileError(Exception):
    """A parameter file that cannot be extended without guessing."""


def with_service(text: str, entry: Service, model: str, *, image: str = FILL_IN) -> str:
    """Return the text of a parameter file with the parameters of one more service.

    The size is that of the service ``model`` if the file has it, because it suits the environment.
    """
    document = _parsed(text)
    parameters: dict[str, object] = document["Parameters"]
    subject = entry.name if entry.own_size else "Service"
    sizes = {f"{subject}{what}": parameters.get(f"{model}{what}", value) for what, value in SIZES.items()}
    wanted = {f"{entry.name}Image": image, **sizes}
    document["Parameters"] = _inserted(parameters, {k: v for k, v in wanted.items() if k not in parameters})
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def image_of(text: str, service: str) -> str:
    """Return the image of a service in a parameter file, or an empty text."""
    return str(_parsed(text)["Parameters"].get(f"{service}Image", ""))


def _parsed(text: str) -> dict[str, dict[str, object]]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ParameterFileError(f"line {error.lineno}: not JSON: {error.msg}") from None
    if not isinstance(document, dict) or not isinstance(document.get("Parameters"), dict):
        raise ParameterFileError('expected {"Parameters": {...}}: add the parameters of the service by hand')
    return document


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

"""`archdsl sizes`: which sizes a model takes, its figures as formulas, and the largest size within a limit."""

import json
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from archdsl import api
from archdsl.cli.flags import FEATURES, FORMAT, SPEC, SPEC_FLAGS, Command, flag, positive
from archdsl.cli.specs import open_spec, parse_settings
from archdsl.cli.terminal import WrongCommand, print_table, print_text
from archdsl.language.types import DTYPES

__all__ = ["COMMANDS"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_BYTES = {"": 1, **{f"{unit}{end}": 1024**n for n, unit in enumerate("KMGT", 1) for end in ("iB", "B", "")}}


def sizes(
    spec: str, model: str | None, settings: Sequence[str], input: str | None, features: str | None, format: str,
    macs: str | None, params: str | None, memory: str | None, batch: int, dtype: str,
) -> int:  # fmt: skip
    from archdsl.graph.sizes import TooManyPieces
    from archdsl.show.sizes import as_json, table

    given = {"macs": (macs, _UNITS), "params": (params, _UNITS), "train_bytes": (memory, _BYTES)}
    limits = {name: _limit(name, text, units) for name, (text, units) in given.items() if text is not None}
    source, named = open_spec(spec, model)
    try:
        found = api.sizes(source, named, parse_settings(settings), input, features)
        if format == "json":
            print_text(json.dumps(as_json(found, dtype, limits, batch), indent=2, ensure_ascii=False))
        else:
            print_table(table(found, dtype, limits, batch))
    except TooManyPieces:
        raise WrongCommand(
            f"`{spec}` decides by its size too often to say it of all; `archdsl show` with `--input` says it of one"
        ) from None
    return 0


def _limit(name: str, text: str, units: Mapping[str, int]) -> int:
    """The number of `at most 500M`."""
    flag_name = {"train_bytes": "memory"}.get(name, name)
    found = re.fullmatch(r"(?:at most|<=)? *([0-9]{1,15}(?:\.[0-9]{1,6})?) *([A-Za-z]{0,3})", text.strip())
    unit = next((n for known, n in units.items() if found and known.lower() == found[2].lower()), None)
    if found is None or unit is None:
        example = "2GiB" if flag_name == "memory" else "500M"
        raise WrongCommand(
            f"--{flag_name} takes a limit, for example --{flag_name} 'at most {example}'; this is `{text}`"
        )
    return int(Fraction(found[1]) * unit)


COMMANDS = {
    "sizes": Command(
        sizes,
        SPEC,
        *SPEC_FLAGS,
        FEATURES,
        FORMAT,
        flag("--macs", metavar="LIMIT", help="say the largest size with so few: 'at most 500M'"),
        flag("--params", metavar="LIMIT", help="likewise for parameters, where they depend on the size"),
        flag("--memory", metavar="LIMIT", help="likewise for the memory of a training: 'at most 8GiB'"),
        flag("--batch", type=positive, default=1, metavar="N", help="examples at once, for the memory figures"),
        flag("--dtype", choices=tuple(DTYPES), default="float32", help="of activations"),
        examples=("archdsl sizes attention56", "archdsl sizes resnet50 --macs 'at most 500M'"),
    ),
}

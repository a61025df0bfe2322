"""The arguments and flags that commands share: what each is called and what its help says."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Option

Spec = Annotated[str, Argument(metavar="SPEC[:MODEL]", help="A file or a shipped spec; - is standard input.")]
Specs = Annotated[list[str], Argument(metavar="SPEC[:MODEL]...", help="Files or shipped specs; - is standard input.")]
Files = Annotated[list[str], Argument(metavar="FILE...", help="Spec files; - is standard input.")]

Model = Annotated[str | None, Option("--model", metavar="NAME", help="Which model of the file.")]
Set = Annotated[list[str] | None, Option("--set", metavar="NAME=VALUE", help="Set a parameter; repeatable.")]
Input = Annotated[str | None, Option("--input", metavar="CxHxW", help="Replace the model's input.")]

Form = Annotated[Literal["text", "json"], Option("--format", help="For people or for programs.")]
Batch = Annotated[int, Option("--batch", min=1, metavar="N", help="Examples at once, for the memory figures.")]
Dtype = Annotated[Literal["float64", "float32", "bfloat16", "float16"], Option("--dtype", help="Of activations.")]
CostBy = Annotated[Literal["stage", "block", "line"], Option("--cost-by", help="What a row of the table is.")]
Expand = Annotated[bool, Option("--expand", help="Print the spec with everything worked out.")]

Level = Annotated[Literal["stage", "block", "op"], Option("--level", help="How much to draw.")]
Picture = Annotated[Literal["svg", "dot", "png", "pdf"] | None, Option("--format", help="Default: as FILE ends.")]
Drawing = Annotated[str, Option("-o", "--output", metavar="FILE", help="Where to put it; - is standard output.")]

To = Annotated[str, Option("--to", metavar="BACKEND", help="The framework.")]
Output = Annotated[str | None, Option("-o", "--output", metavar="FILE", help="Where to put it; printed without.")]
Force = Annotated[bool, Option("--force", help="Replace FILE even where archdsl did not write it.")]

Code = Annotated[str | None, Argument(metavar="CODE", help="As in E0203.")]
OnlyCheck = Annotated[bool, Option("--check", help="Change nothing; exit 1 where something would change.")]
ZooName = Annotated[str | None, Argument(metavar="NAME", help="Print this one.")]

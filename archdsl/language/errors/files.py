"""Mistakes about files: specs that cannot be read, `use`, results that cannot be written."""

from archdsl.language.diagnostics import Error

__all__ = ["BinaryFile", "FileTooLarge", "IsADirectory", "NoModel", "NoSuchFile", "NotOurs", "Unreadable", "WhichModel"]


class NoSuchFile(Error):
    """There is no such file.

    A spec is named by its path, or by the name of a spec that is shipped (`archdsl zoo` lists them). An
    existing path comes first. A file that `use "…"` names is looked for beside the file that uses it.

        archdsl check attenton56     # wrong: no such file, and no shipped spec of that name
        archdsl check attention56    # right
    """

    code = "E0601"
    title = "there is no {what} `{path}`"
    help = "{hint}"
    what: str
    path: str
    hint: str


class IsADirectory(Error):
    """A spec is a file, and this is a folder.

    Each spec is named on its own; the shell can name all of a folder.

        archdsl check specs          # wrong: a folder
        archdsl check specs/*.arch   # right
    """

    code = "E0602"
    title = "`{path}` is a folder, not a spec"
    help = "name the files in it: `{path}/*.arch`"
    path: str


class Unreadable(Error):
    """The file is there, but the system does not let archdsl read it, or it is none: a pipe, a device.

    The reason is mostly the system's own: the file's permissions. What comes through a pipe is read from
    standard input.

        chmod u+r model.arch                 # lets you read it
        make_spec | archdsl check -          # instead of `archdsl check <(make_spec)`
    """

    code = "E0603"
    title = "`{path}` cannot be read: {reason}"
    path: str
    reason: str


class BinaryFile(Error):
    """The file is not text in UTF-8.

    A spec is plain text. This file has bytes that no text in UTF-8 has: it may be an image, an archive, saved
    weights, or text in an older encoding, which an editor can save again as UTF-8.

        archdsl check model.safetensors   # wrong: weights
        archdsl check model.arch          # right
    """

    code = "E0604"
    title = "`{path}` is not text in UTF-8"
    label = "byte {offset} is 0x{byte:02x}"
    help = "name a spec, or save this file as UTF-8"
    path: str
    offset: int
    byte: int


class FileTooLarge(Error):
    """The file is larger than a spec may be: 4 MiB.

    Attention-452 takes less than 2 KiB. A file of this size is not a spec, and reading on would cost time and
    memory for nothing. Repeats and blocks keep a large network's spec short.

        a = in -> conv(64, 3); b = a -> conv(64, 3); …    # wrong: every layer written out
        out = in -> conv(64, 3) * 1000                    # right
    """

    code = "E0605"
    title = "`{path}` is larger than 4 MiB, the most that a spec may be"
    path: str


class NoModel(Error):
    """The file declares no model, so there is nothing to show, draw, compile or train.

    A file may hold blocks alone, for others to use; `archdsl check` takes it. A model is a block with an input
    and labelled stages.

        block unit(c) { out = in -> conv(c, 3) }      # wrong, alone

        model net(classes=10) {                       # right
          input [3, 32, 32]
          body: unit(16)
          head: gap -> dense(classes)
        }
    """

    code = "E0606"
    title = "`{file}` has no model"
    help = "declare one: `model net(classes=10) {{ … }}`"
    file: str


class WhichModel(Error):
    """The file has several models, and the command takes one.

    `archdsl check` takes all of them. The other commands want to be told which one.

        archdsl show nets.arch            # wrong, where nets.arch has the models small and large
        archdsl show nets.arch:small      # right
        archdsl show nets.arch --model small
    """

    code = "E0607"
    title = "`{file}` has {count} models, and none is named: {names}"
    help = "name one: `{file}:{first}`, or `--model {first}`"
    file: str
    count: int
    names: str
    first: str


class NotOurs(Error):
    """The file exists already, and archdsl did not write it.

    `archdsl compile -o FILE.py` replaces only a file whose first lines say that archdsl wrote it, and `convert` and
    `export` one that says so inside, so that no work of yours is lost to a mistyped name.

        archdsl compile net.arch -o train.py           # wrong: train.py is yours
        archdsl compile net.arch -o net.py             # right
        archdsl compile net.arch -o train.py --force   # right, if you mean it
    """

    code = "E0608"
    title = "`{path}` exists, and archdsl did not write it"
    help = "name another file, or say `--force`"
    path: str

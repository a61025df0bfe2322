"""Mistakes about files of weights, and about what is made of them."""

from archdsl.language.diagnostics import Error

__all__ = ["AxisNotOpen", "ExportDiffers", "ExportTooLarge", "NoSpecInside", "NotExported", "NotNormalised",
           "WeightsDiffer", "WeightsUnusable"]  # fmt: skip


class WeightsUnusable(Error):
    """This is not a file of weights that can be read.

    Weights are read from safetensors files: `best.safetensors` of a run, or any other with the paths of a spec's
    graph as its keys. `archdsl convert` also reads what a generated Keras model saved (`.weights.h5`, `.keras`). A
    pickle (`.pt`, `.pth`, `.ckpt`) can run a program when it is opened, so archdsl never opens one: load it where you
    trust it, and save its state dict with `safetensors.torch.save_file`.

        archdsl convert model.pt --to keras -o net.weights.h5             # wrong: a pickle
        archdsl convert runs/first --to keras -o net.weights.h5           # right: a run
        archdsl convert net.safetensors --to keras -o net.weights.h5      # right
    """

    code = "E0901"
    title = "`{path}` cannot be read as weights"
    label = "{why}"
    help = "{hint}"
    path: str
    why: str
    hint: str


class WeightsDiffer(Error):
    """The weights are not those of this spec.

    A file of weights has exactly the keys of the graph, each as long as the spec makes it, in float32. The first
    key that differs is named, with the place in the spec that it belongs to. Most often the weights are of another
    version of the spec, or of other settings: `--set`, `--input` and `--model` have to be as in the training.

        archdsl convert w.safetensors --spec net.arch --to onnx -o net.onnx                  # wrong: trained with 100
        archdsl convert w.safetensors --spec net.arch --set classes=100 --to onnx -o net.onnx    # right
    """

    code = "E0902"
    title = "the weights of `{path}` are not those of `{model}`"
    label = "{what}"
    help = "{hint}"
    path: str
    model: str
    what: str
    hint: str


class NoSpecInside(Error):
    """The file does not say which spec its weights are of.

    Files that archdsl writes hold the spec beside the weights. Other files hold weights alone, and the spec has to
    be named.

        archdsl convert state.safetensors --to keras -o net.weights.h5                   # wrong
        archdsl convert state.safetensors --spec net.arch --to keras -o net.weights.h5   # right
    """

    code = "E0903"
    title = "`{path}` does not say which spec its weights are of"
    help = "name it: `--spec SPEC`, with `--set` and `--input` as it was trained"
    path: str


class ExportDiffers(Error):
    """The exported network does not compute what the network computes, so no file is left.

    Every export is run on random images and compared with the network that it came from. A difference beyond
    rounding is a mistake of an exporter or of the program that runs the file: please report it with the spec.

        archdsl verify net.arch    # shows where the difference begins
    """

    code = "E0904"
    title = "the {what} export of `{model}` differs from the network by {difference}, more than {most}"
    help = "nothing was written; `archdsl verify` shows where the difference begins"
    what: str
    model: str
    difference: str
    most: str


class ExportTooLarge(Error):
    """The weights do not fit into one file of this format.

    An ONNX file is one protobuf message, which ends at 2 GiB: some 530 million weights in float32.

        archdsl convert runs/huge --to onnx -o huge.onnx              # wrong
        archdsl convert runs/huge --to torch -o huge.safetensors      # right: without a limit
    """

    code = "E0905"
    title = "the weights of `{model}` take {size} GiB, and an {what} file holds at most {most}"
    help = "set a smaller model, or convert to `torch` or `keras`"
    model: str
    size: str
    what: str
    most: str


class NotExported(Error):
    """An op cannot be written in the format that was asked for.

    The exporter, the checker of the format or the program that runs it refused the network. It was then exported
    with ever fewer ops: the one that is named is the first without which all goes well. An older opset lacks newer
    ops, and the newest may be ahead of the exporter; with `--dynamic` an op may need a size that is then not known.

        archdsl export runs/first --opset 9 -o net.onnx     # wrong: it has no `layernorm`
        archdsl export runs/first -o net.onnx               # right
    """

    code = "E0906"
    title = "{op} cannot be written as {what}"
    label = "{why}"
    help = "{hint}"
    op: str
    what: str
    why: str
    hint: str


class AxisNotOpen(Error):
    """A size was to be left open that the network depends on.

    A file whose height and width are open takes images of any size, so the same weights have to serve all of them. They
    do where pools and convolutions lead to `gap`. They do not where `flatten -> dense` has a weight for every
    position, where a `param` or relative positions have the image's size, or where sizes only fit by chance.

        archdsl export runs/lenet5 --dynamic batch,height,width -o net.onnx    # wrong: lenet5 flattens
        archdsl export runs/lenet5 --dynamic batch -o net.onnx                 # right
    """

    code = "E0907"
    title = "{axes} cannot be left open in `{model}`"
    label = "with input {size}: {why}"
    help = "leave {axes} out of `--dynamic`, or end in `gap -> dense`, which takes any size"
    axes: str
    model: str
    size: str
    why: str


class NotNormalised(Error):
    """Nothing says how this network's images are normalised, so none can be shown to it.

    Quantisation looks at what images make of the network. The weights of a run say how pixels were normalised in its
    training; those of other files do not.

        archdsl convert state.safetensors --spec net.arch --to onnx --int8 digits -o net.onnx    # wrong
        archdsl export runs/first --int8 digits -o net.onnx                                      # right
    """

    code = "E0908"
    title = "`{path}` does not say how images are normalised"
    help = "quantise the weights of a run: `archdsl export RUN --int8 DATA`"
    path: str

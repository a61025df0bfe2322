"""Mistakes about files of weights, and about what is made of them."""

from archdsl.language.diagnostics import Error

__all__ = ["ExportDiffers", "ExportTooLarge", "NoSpecInside", "WeightsDiffer", "WeightsUnusable"]


class WeightsUnusable(Error):
    """This is not a file of weights that can be read.

    Weights are read from safetensors files: `best.safetensors` of a run, or any other with the paths of a spec's
    graph as its keys. A pickle (`.pt`, `.pth`, `.ckpt`) can run a program when it is opened, so archdsl never
    opens one: load it where you trust it, and save its state dict with `safetensors.torch.save_file`.

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

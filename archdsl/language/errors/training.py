"""Mistakes about training: recipes, data, devices, runs."""

from collections.abc import Iterable
from typing import Self

from archdsl.language.diagnostics import Error

__all__ = [
    "BatchNotShared", "BatchOfOne", "DataChanged", "DeviceMissing", "Diverged", "InputNotImages", "LoggerMissing",
    "NoClasses", "NothingToResume", "OutOfMemory", "OutputNotClasses", "RunBusy", "RunChanged", "RunDisagrees",
    "RunExists", "RunUnusable", "RunUnwritable", "SettingValue",
]  # fmt: skip


class SettingValue(Error):
    """A setting of the training is outside of what it can be.

    Settings say where and how a recipe is run: the device, the precision, the seed (docs/training.md). They are checked
    before anything starts.

        archdsl train lenet5 --data digits --device gpu     # wrong: it is called cuda
        archdsl train lenet5 --data digits --device cuda    # right
    """

    code = "E0801"
    title = "`--{flag} {value}` cannot be used"
    label = "{why}"
    help = "{fix}"
    flag: str
    value: str
    why: str
    fix: str


class InputNotImages(Error):
    """The model does not read images.

    Data are images for now: a model that trains reads `[1, h, w]` (grey) or `[3, h, w]` (colours). A network
    of sound `[c, n]` or of volumes `[c, d, h, w]` is compiled, and trained by a program of yours.

        input [4, 32, 32]    # wrong
        input [3, 32, 32]    # right
    """

    code = "E0811"
    title = "the model reads {shape}, but the data are images"
    label = "images are [1, h, w] or [3, h, w]"
    help = "say `--input 3x32x32` or change the model's `input`; for other data `archdsl compile` writes the network"
    shape: str


class SeveralInputs(Error):
    """The model has several inputs, and data are images alone.

    Such a model is compiled, compared, exported and timed; it is trained by code of one's own around the program.
    """

    code = "E0889"
    title = "the model reads {inputs}, but the data are images alone"
    label = "nothing to read here"
    help = "`archdsl compile` gives the network, for a training of your own"
    inputs: str


class OutputWithoutLoss(Error):
    """A model has several outputs, and the recipe says nothing of one of them.

    Every output that a model names has a loss: the main one as `cross_entropy`, others by their names, each with the
    weight that it counts. Training minimises the sum; top-1 and the loss on held-out images are the main one's.

        loss: cross_entropy                             # wrong, for a model with `output head, aux`
        loss: cross_entropy + 0.3 * aux.cross_entropy   # right
    """

    code = "E0890"
    title = "the output `{name}` has no loss"
    label = "of the model's outputs {outputs}"
    help = "write `loss: cross_entropy + 0.3 * {side}.cross_entropy`, or take `{name}` out of the `output` line"
    name: str
    outputs: str
    side: str


class LossOfNoOutput(Error):
    """The loss speaks of an output that the model does not have."""

    code = "E0891"
    title = "the model has no output `{name}`"
    label = "a loss of nothing"
    help = "{hint}"
    name: str
    hint: str


class OutputNotClasses(Error):
    """The model does not end in one number for each class.

    A model that trains gives `[classes]`, or `[classes, 1, 1]`.

        head: conv(classes, 1)           # wrong: a map for each class
        head: gap -> dense(classes)      # right
    """

    code = "E0813"
    title = "the model gives {shape}, but training needs one number for each class"
    help = "end it in `gap -> dense(classes)`"
    shape: str


class DeviceMissing(Error):
    """The device that was asked for is not there, or cannot do what was asked of it.

    `--device auto` takes a GPU where there is one that the framework can use, else the processor.
    `float16` needs a GPU; `bfloat16` works on both.

        archdsl train lenet5 --data digits --device cuda    # wrong on a machine without a GPU
        archdsl train lenet5 --data digits                  # right everywhere
    """

    code = "E0820"
    title = "`--{flag} {value}` is not possible here"
    label = "{why}"
    help = "{fix}"
    flag: str
    value: str
    why: str
    fix: str


class Diverged(Error):
    """A number of the training became infinite or not a number: it has blown up.

    The place is the first node of the network where that happened, in the order in which it runs. Nearly always the
    learning rate is too high for this network and batch, or the node divides by something that can be 0. The run's
    folder keeps the best weights from before.

        archdsl train lenet5 --data digits --lr 100                                       # wrong
        archdsl train lenet5 --data digits --lr 0.05 --schedule 'cosine(warmup=epochs(1))'    # right
    """

    code = "E0821"
    title = "the training broke down in epoch {epoch}, at step {step}"
    label = "{what}"
    help = "lower the learning rate, `--lr {lower}`, or let it rise: `--schedule 'cosine(warmup=epochs(1))'`"
    epoch: int
    step: int
    what: str
    lower: str


class OutOfMemory(Error):
    """The training does not fit into the memory of its device.

    Most of it are the activations, which grow with the batch. `archdsl show --batch N` says how much a batch takes.

        archdsl train attention92 --data flowers --batch 256           # wrong, if it does not fit
        archdsl train attention92 --data flowers --batch 64 --amp      # right: less, and half as wide
    """

    code = "E0822"
    title = "a batch of {batch} does not fit into the memory of the {device}"
    help = "take a smaller batch: `--batch {smaller}`"
    batch: int
    device: str
    smaller: int


class BatchNotShared(Error):
    """The batch cannot be divided evenly among the processes that train together.

    The recipe's batch is that of one optimizer step on all devices together, so that a recipe means the same on one
    GPU and on eight. Each process has an equal part of it. Nothing is scaled for you (docs/scaling.md).

        archdsl train lenet5 --data digits --batch 50 --devices 4     # wrong
        archdsl train lenet5 --data digits --batch 52 --devices 4     # right
    """

    code = "E0824"
    title = "a batch of {batch} cannot be divided among {processes} processes"
    label = "each has an equal part of it"
    help = "{fix}"
    batch: int
    processes: int
    fix: str


class LoggerMissing(Error):
    """A package that `--log` names is not installed.

    TensorBoard's files and metrics.csv are written without it.

        archdsl train lenet5 --data digits --log wandb     # wrong before `pip install wandb`
    """

    code = "E0825"
    title = "`--log {name}` needs a package that is not installed"
    help = "`pip install {name}`, or leave it out"
    name: str


class BatchOfOne(Error):
    """Batch norm cannot be trained with one value for each channel.

    The model normalises a map of 1 x 1 over the batch, and the batch is one image: the variance of one number is
    nothing.

        archdsl train lenet5 --data digits --batch-size 1      # wrong for a model that does so
        archdsl train lenet5 --data digits --batch-size 32     # right
    """

    code = "E0823"
    title = "this model cannot be trained on one image at a time"
    label = "batch norm would see one value for each channel"
    help = "take a larger batch: `--batch-size 32`"


class RunExists(Error):
    """There is a run of that name already.

    A run is never written over: its numbers may stand in a paper.

        archdsl train lenet5 --data digits --name first     # wrong the second time
        archdsl train lenet5 --data digits --name second    # right
        archdsl train lenet5 --data digits                  # right: named by the time
    """

    code = "E0830"
    title = "there is a run `{path}` already"
    help = "take another `--name`, or none: the time will name it"
    path: str


class RunBusy(Error):
    """Another process trains into the folder of the run.

    Two at once would write over each other's states and figures. A process that has ended, however it did, holds
    nothing: where this is said, one is still there, on this machine or on another that shares the disk.

        archdsl train --resume RUN & archdsl train --resume RUN     # wrong
        archdsl train --resume RUN                                  # right, once the other has ended
    """

    code = "E0838"
    title = "`{path}` is being trained by another process"
    help = "wait until that has ended, or stop it"
    path: str


class RunUnwritable(Error):
    """The folder of a run cannot be made or written.

    The reason is the system's own: permissions, a full disk, or a file that stands where a folder should.

        archdsl train lenet5 --data digits --output /root/runs    # wrong for most people
        archdsl train lenet5 --data digits --output ~/runs        # right
    """

    code = "E0831"
    title = "`{path}` cannot be written: {reason}"
    help = "name a folder that you can write with `--output`"
    path: str
    reason: str


class RunUnusable(Error):
    """This folder is not a run, or the run is not complete.

    `archdsl eval` takes the folder that `archdsl train` wrote. It reads `config.json`, `spec.arch`, `recipe.arch` and
    `best.safetensors`, which is there once the first epoch has ended. `archdsl train --resume` reads `metrics.csv` too,
    and the last state: `last.ckpt` of PyTorch, `last.weights.h5` of Keras.

        archdsl eval runs                                    # wrong: the folder of all runs
        archdsl eval runs/lenet5-digits-20260101-120000      # right
    """

    code = "E0832"
    title = "`{path}` is not a run that can be used"
    label = "{why}"
    help = "{hint}"
    path: str
    why: str
    hint: str


class RunChanged(Error):
    """A file of the run is not the one that was written with its weights.

    Weights belong to one spec, and a training goes on with one recipe. To go on with an edited network, train it anew.
    `model.py` is never run: the program is generated from the spec again, and a `model.py` that is another is named.

        archdsl eval RUN       # wrong after RUN/spec.arch was edited
    """

    code = "E0833"
    title = "`{path}` was changed after the training"
    help = "put the file back as it was, or train again"
    path: str


class RunDisagrees(Error):
    """Two files of the run say different things of it.

    The weights of the best epoch say which epoch that was, how good it was, of which spec they are and how images were
    normalised, under a checksum of the whole file. What `metrics.csv`, `config.json` and `summary.json` say has to be
    the same: a number that was changed in one of them would be believed otherwise.

        archdsl runs           # leaves the run out, after a digit of its metrics.csv was changed
    """

    code = "E0837"
    title = "the files of `{path}` disagree"
    label = "{what}"
    help = "put back the file that was changed, or train again"
    path: str
    what: str


class DataChanged(Error):
    """The data are not those that the run was trained with.

    The names or sizes of files differ, so the accuracy would not be the one that the run reports. Say `--data` to
    evaluate on other data of the same classes. A training goes on with its own data only.

        archdsl eval RUN                      # wrong once the images were changed
        archdsl eval RUN --data flowers-2     # right: you mean it
    """

    code = "E0834"
    title = "the data `{name}` were changed after the training"
    label = "{what}"
    help = "{fix}"
    name: str
    what: str
    fix: str


class NoClasses(Error):
    """The data to evaluate on have other classes than those that the run learned.

    The network's outputs are the classes of its training, in their order. Other data need the same names.

        archdsl eval RUN --data cars      # wrong for a run that learned flowers
    """

    code = "E0835"
    title = "the data `{name}` have other classes than the run learned"
    label = "{what}"
    help = "evaluate on data with the folders of the training"
    name: str
    what: str

    @classmethod
    def of(cls, name: str, found: Iterable[str], learned: Iterable[str]) -> Self:
        """For data with the classes `found`."""
        only = sorted({*found} ^ {*learned})
        return cls(name, f"not in both: {', '.join(only[:5])}")


class NothingToResume(Error):
    """The run has done all that its recipe says.

    `--resume` goes on to the end of the recipe's budget, or of the larger one that `--epochs`, `--steps` or `--budget`
    gives; the learning rate then follows the schedule of the longer training. A training that was ended by its patience
    is done.

        archdsl train --resume RUN                  # wrong after the last epoch
        archdsl train --resume RUN --epochs 20      # right: 20 epochs in all
    """

    code = "E0836"
    title = "`{path}` has nothing left to train"
    label = "{why}"
    help = "{fix}"
    path: str
    why: str
    fix: str

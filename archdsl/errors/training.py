"""Mistakes about training: recipes, data, devices, runs."""

from __future__ import annotations

from archdsl.diagnostics import Error

__all__ = [
    "BatchOfOne",
    "ClassesDiffer",
    "ClassesDisagree",
    "ColourIntoGrey",
    "DataChanged",
    "DataMissing",
    "DeepImages",
    "DeviceMissing",
    "Diverged",
    "EmptyData",
    "InputNotImages",
    "LooseImages",
    "NoClasses",
    "NothingToResume",
    "OneClass",
    "OutOfMemory",
    "OutputNotClasses",
    "RecipeValue",
    "RunChanged",
    "RunExists",
    "RunUnusable",
    "RunUnwritable",
    "SplitMissing",
    "UnreadableImages",
]


class RecipeValue(Error):
    """A setting of the training is outside of what it can be.

    Each setting has bounds: a learning rate is above 0, a probability lies between 0 and 1, the warm-up is
    shorter than the training. They are checked before anything starts.

        archdsl train lenet5 --data digits --hflip 50    # wrong: a probability
        archdsl train lenet5 --data digits --hflip 0.5   # right
    """

    code = "E0801"
    title = "`--{flag} {value}` cannot be used"
    label = "{why}"
    help = "{fix}"
    flag: str
    value: str
    why: str
    fix: str


class DataMissing(Error):
    """There are no such data.

    `--data` takes the name of a data set that comes with a package (`digits`), or a folder of images laid out as
    PATH/train/CLASS/FILE and PATH/test/CLASS/FILE. A name comes first: say `./digits` for a folder so called.

        archdsl train lenet5 --data digit      # wrong: misspelt
        archdsl train lenet5 --data digits     # right
        archdsl train lenet5 --data ~/flowers  # right: your own images
    """

    code = "E0802"
    title = "there are no data `{name}`"
    label = "{what}"
    help = "{hint}"
    name: str
    what: str
    hint: str


class SplitMissing(Error):
    """A folder of images lacks its part for training or for testing.

    archdsl does not split your images for you: pictures of one object or one person on both sides would make the
    accuracy look better than it is. Lay the folder out as

        PATH/train/CLASS/FILE
        PATH/test/CLASS/FILE      # or val
    """

    code = "E0803"
    title = "`{path}` has no folder `{part}`"
    label = "found {found}"
    help = "images are expected as `{part}/CLASS/FILE`"
    path: str
    part: str
    found: str


class EmptyData(Error):
    """A class, or a whole part of the data, has no images.

    A class that is never seen cannot be learned, and one that is never tested cannot be measured. Images are
    files whose names end in .png, .jpg, .jpeg, .bmp, .gif, .webp, .tif, .tiff, .ppm or .pgm.

        train/cat/001.jpg    # right
        train/dog/           # wrong: empty
    """

    code = "E0804"
    title = "no images in `{path}`"
    label = "{what}"
    help = "put images there, or remove the folder"
    path: str
    what: str


class OneClass(Error):
    """The data have one class only, so there is nothing to tell apart.

    Every folder inside `train` is a class. Often `--data` names one level too high or too low.

        flowers/train/all/001.jpg                             # wrong: one class
        flowers/train/rose/001.jpg, flowers/train/tulip/…     # right
    """

    code = "E0805"
    title = "the data have one class only: `{name}`"
    help = "make a folder for each class in `{path}`"
    name: str
    path: str


class ClassesDiffer(Error):
    """Training and test images are not of the same classes.

    Classes are the names of folders. They have to be the same in both parts, letter by letter, because a class's
    place in their order is the network's output for it.

        train/cat  train/dog   test/cat  test/Dog    # wrong
        train/cat  train/dog   test/cat  test/dog    # right
    """

    code = "E0806"
    title = "`{one}` and `{other}` have different classes"
    label = "{what}"
    help = "give both the same folders"
    one: str
    other: str
    what: str


class LooseImages(Error):
    """Images lie beside the folders of classes, where they have no class.

    The folder that an image lies in is its class.

        train/001.jpg          # wrong: of what?
        train/rose/001.jpg     # right
    """

    code = "E0807"
    title = "`{path}` itself holds {count}, outside of any class"
    label = "the first is `{first}`"
    help = "move them into folders named after their classes: `{path}/CLASS/FILE`"
    path: str
    count: str
    first: str


class UnreadableImages(Error):
    """Files that are named as images cannot be read as such.

    They are damaged, cut short, empty, or something else under an image's name. They are not left out silently,
    because the numbers that come out would speak of other data than you think. Repair or remove them.

        train/rose/007.jpg     # wrong: 0 bytes, a download that failed
    """

    code = "E0808"
    title = "{count} cannot be read"
    label = "{names}"
    help = "repair or remove them: damaged files are not skipped"
    count: str
    names: str


class ColourIntoGrey(Error):
    """Images have colours, and the model reads one channel.

    Grey images are repeated to three channels where a model wants three, which loses nothing. The other way
    would drop the colours, so it is not done for you.

        archdsl train net.arch --data flowers                     # wrong where it says `input [1, 32, 32]`
        archdsl train net.arch --data flowers --input 3x32x32     # right
    """

    code = "E0809"
    title = "the images have colours, but the model reads one channel"
    label = "{count}, the first is `{first}`"
    help = "give the model three channels: `--input 3x{height}x{width}`"
    count: str
    first: str
    height: int
    width: int


class DeepImages(Error):
    """Images have more than 8 bits per channel.

    Their range says nothing about what they show (a 16-bit medical image may use a hundredth of it), so a
    conversion that is right for one set ruins another. Convert them to 8 bits as is right for yours.

        Image.open("scan.tif").point(lambda v: v / 256).convert("L").save("scan.png")
    """

    code = "E0810"
    title = "{count} of more than 8 bits per channel"
    label = "the first is `{first}`, of mode `{mode}`"
    help = "convert them to 8 bits per channel"
    count: str
    first: str
    mode: str


class InputNotImages(Error):
    """The model does not read images.

    Data are images for now: a model that trains reads `[1, h, w]` (grey) or `[3, h, w]` (colours).

        input [4, 32, 32]    # wrong
        input [3, 32, 32]    # right
    """

    code = "E0811"
    title = "the model reads {shape}, but the data are images"
    label = "images are [1, h, w] or [3, h, w]"
    help = "say `--input 3x32x32`, or change the model's `input`"
    shape: str


class ClassesDisagree(Error):
    """The model tells another number of classes apart than the data have.

    `train` sets the model's parameter `classes` from the data, unless `--set classes=…` gives it. This model has
    another number: because it was given, or because its last layer does not read `classes`.

        head: gap -> dense(1000)       # wrong: whatever the data are
        head: gap -> dense(classes)    # right
    """

    code = "E0812"
    title = "the model tells {outputs} apart, the data have {classes}"
    label = "{classes}: {names}"
    help = "{fix}"
    outputs: str
    classes: str
    names: str
    fix: str


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
    """The loss became infinite or not a number: the training has blown up.

    Nearly always the learning rate is too high for this network and batch. The run's folder keeps the best weights
    from before.

        archdsl train lenet5 --data digits --lr 100                        # wrong
        archdsl train lenet5 --data digits --lr 0.05 --warmup-epochs 1     # right
    """

    code = "E0821"
    title = "the loss became {loss} in epoch {epoch}"
    label = "learning rate"
    help = "lower it, `--lr {lower}`, or warm it up, `--warmup-epochs {warmup}`"
    loss: str
    epoch: int
    lower: str
    warmup: int


class OutOfMemory(Error):
    """The training does not fit into the memory of its device.

    Most of it are the activations, which grow with the batch. `archdsl show --batch N` says how much a batch takes.

        archdsl train attention92 --data flowers --batch-size 256           # wrong, if it does not fit
        archdsl train attention92 --data flowers --batch-size 64 --amp      # right: less, and half as wide
    """

    code = "E0822"
    title = "a batch of {batch} does not fit into the memory of the {device}"
    help = "take a smaller batch: `--batch-size {smaller}`"
    batch: int
    device: str
    smaller: int


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

    `archdsl eval` takes the folder that `archdsl train` wrote. It reads `config.json`, `model.py` and
    `best.safetensors`, which is there once the first epoch has ended. `archdsl train --resume` reads `metrics.csv` too,
    and the state after the last epoch: `last.ckpt` of PyTorch, `last` of Keras.

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

    `model.py` is run as a program, so it has to be exactly the text that was trained, and weights belong to one
    text. To go on with an edited network, copy both files elsewhere and use them from Python.

        archdsl eval RUN       # wrong after RUN/model.py was edited
    """

    code = "E0833"
    title = "`{path}` was changed after the training"
    help = "put the file back as it was, or train again"
    path: str


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


class NothingToResume(Error):
    """The run has done all that its recipe says.

    `--resume` goes on to the recipe's number of epochs, or to the larger one that `--epochs` gives; the learning rate
    then follows the schedule of the longer training. A training that was ended by its `--patience` is done.

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

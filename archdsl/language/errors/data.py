"""Mistakes about data: what is not there, cannot be read, or does not fit together."""

from archdsl.language.diagnostics import Error

__all__ = [
    "ArchiveDamaged", "CannotDivide", "ClassesDiffer", "ClassesDisagree", "ColourIntoGrey", "DataMissing", "DeepImages",
    "DownloadFailed", "EmptyData", "FlatValidation", "HubUnusable", "LabelOutOfRange", "LooseImages", "NotTheClasses",
    "OneClass", "SplitMissing", "TooFewImages", "UnreadableImages", "WhichColumn",
]  # fmt: skip


class DataMissing(Error):
    """There are no such data.

    `--data` takes the name of a data set (`digits`, `cifar10`, `cifar100`, `imagenet`, `synthetic`), or a folder of
    images laid out as PATH/train/CLASS/FILE and PATH/test/CLASS/FILE, or as PATH/CLASS/FILE. A name comes first: say
    `./digits` for a folder so called.

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

    Lay the folder out as

        PATH/train/CLASS/FILE
        PATH/test/CLASS/FILE      # or val

    or leave both out, and archdsl divides the images of each class:

        PATH/CLASS/FILE

    It cannot know which images belong together. Pictures of one object or one person on both sides make the accuracy
    look better than it is: divide such images yourself.
    """

    code = "E0803"
    title = "`{path}` has no folder `{part}`"
    label = "found {found}"
    help = "images are expected as `{part}/CLASS/FILE`, or all as `CLASS/FILE`"
    path: str
    part: str
    found: str


class CannotDivide(Error):
    """A folder of images cannot be divided into those to train on and those that are held out.

    `split` holds out a part of each class, so that each class has an image on both sides. A folder that has `train` and
    `test` is divided already.

        data: folder("flowers", split=0.2)           # wrong where it has flowers/train/rose
        data: folder("flowers")                      # right
        data: folder("flowers/train", split=0.2)     # right, and leaves flowers/test alone
    """

    code = "E0888"
    title = "`{path}` cannot be divided"
    label = "{what}"
    help = "{fix}"
    path: str
    what: str
    fix: str


class EmptyData(Error):
    """A class, or a whole part of the data, has no images.

    A class that is never seen cannot be learned, and one that is never tested cannot be measured. Images are
    files whose names end in .png, .jpg, .jpeg, .jpe, .jfif, .jp2, .bmp, .gif, .webp, .tif, .tiff, .ppm or .pgm.

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

    Every folder inside `train` is a class. Often `--data` names one level too high or too low. Of archives and sets of
    the hub the labels count: more names of classes do not help where all images have one label.

        flowers/train/all/001.jpg                             # wrong: one class
        flowers/train/rose/001.jpg, flowers/train/tulip/…     # right
    """

    code = "E0805"
    title = "the data have one class only: `{name}`"
    help = "{fix}"
    name: str
    fix: str


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
    because the numbers that come out would speak of other data than you think. Repair or remove them, or say how many
    may be overlooked: they are then named in the run.

        train/rose/007.jpg     # wrong: 0 bytes, a download that failed
    """

    code = "E0808"
    title = "{count} cannot be read"
    label = "{names}"
    help = "repair or remove them; `--max-corrupt N` overlooks as many as N"
    count: str
    names: str


class ColourIntoGrey(Error):
    """Images have colours, and the model reads one channel.

    Grey images are repeated to three channels where a model wants three, which loses nothing. The other way
    would drop the colours, so it is done where the recipe says so.

        archdsl train net.arch --data flowers                     # wrong where it says `input [1, 32, 32]`
        archdsl train net.arch --data flowers --input 3x32x32     # right
        archdsl train net.arch --data flowers --augment grey      # right, and the colours are lost
    """

    code = "E0809"
    title = "the images have colours, but the model reads one channel"
    label = "{count}, the first is `{first}`"
    help = "give the model three channels, `--input 3x{height}x{width}`, or begin the recipe's `augment` with `grey`"
    count: str
    first: str
    height: int
    width: int


class DeepImages(Error):
    """Images have more than 8 bits per channel.

    Their range says nothing about what they show (a 16-bit medical image may use a hundredth of it), so a
    conversion that is right for one set ruins another. Convert them to 8 bits as is right for yours; of colours Pillow
    reads the upper 8 bits.

        Image.open("scan.tif").point(lambda v: v / 256).convert("L").save("scan.png")
        Image.open("photo.png").convert("RGB").save("photo8.png")
    """

    code = "E0810"
    title = "{count} of more than 8 bits per channel"
    label = "the first is `{first}`, of mode `{mode}`"
    help = "convert them to 8 bits per channel"
    count: str
    first: str
    mode: str


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


class TooFewImages(Error):
    """A class has fewer images than the recipe's `subset` wants of each.

    augment: subset(per_class=500)     # wrong where a class has 300
    augment: subset(per_class=300)     # right
    """

    code = "E0880"
    title = "class `{name}` has {count}, fewer than `subset` wants"
    help = "say `subset(per_class={fewer})` or less"
    name: str
    count: str
    fewer: int


class FlatValidation(Error):
    """ImageNet's validation images lie in one folder, as they come in the official archive.

    The archive of the validation images has no folders, because the classes stand in another file (in the development
    kit). Everybody moves the images into folders named as those of `train`; the usual script is `valprep.sh`.

        val/ILSVRC2012_val_00000001.JPEG              # wrong: of which class?
        val/n01751748/ILSVRC2012_val_00000001.JPEG    # right
    """

    code = "E0881"
    title = "`{path}` holds {count}, but no folders of classes"
    label = "ImageNet's archive of validation images comes like this"
    help = "move each image into the folder of its class, `{path}/nXXXXXXXX/FILE`: `valprep.sh` does it"
    path: str
    count: str


class DownloadFailed(Error):
    """A data set is not there yet, and cannot be downloaded.

    Data sets that are free to download are fetched on first use, and kept in the folder `$ARCHDSL_DATA`, or in the
    system's folder for such things. Where there is no network, put the file there yourself, or name it in the recipe.

        data: cifar10                                            # downloads once
        data: cifar10(path="/data/cifar-10-binary.tar.gz")       # does not
    """

    code = "E0882"
    title = "{url} cannot be downloaded: {reason}"
    help = "download it elsewhere and put it at `{place}`, or name its path"
    url: str
    place: str
    reason: str


class ArchiveDamaged(Error):
    """An archive of data is damaged, or is not the one that it should be.

    The archives of CIFAR-10 and CIFAR-100 come in several forms; archdsl reads the binary one, which runs no code. An
    archive that archdsl downloads is held to the MD5 that its author gives. One that you name is held to what is in it.

        data: cifar10(path="cifar-10-python.tar.gz")     # wrong: another form
        data: cifar10(path="cifar-10-binary.tar.gz")     # right
    """

    code = "E0883"
    title = "`{path}` cannot be used"
    label = "{what}"
    help = "{fix}"
    path: str
    what: str
    fix: str


class LabelOutOfRange(Error):
    """An image has a label that is the number of no class.

    Labels are numbers from 0 to one less than the number of classes. In data sets of the hub, -1 often marks images
    whose label is kept secret: such a part cannot be used for testing.

        data: hub("food", test="test")           # wrong where its labels are -1
        data: hub("food", test="validation")     # right
    """

    code = "E0884"
    title = "{where}: {name} has label {number}, but there are {classes} classes"
    help = "{fix}"
    where: str
    name: str
    number: int
    classes: int
    fix: str


class NotTheClasses(Error):
    """A folder that is said to be a certain data set has another number of classes.

    data: cifar100(path="cifar10")      # wrong: CIFAR-10 has 10
    data: folder("my-images")           # right for other data
    """

    code = "E0885"
    title = "`{path}` has {found} classes, but {name} has {classes}"
    help = 'say `folder("{path}")` where it is other data'
    path: str
    found: int
    name: str
    classes: int


class HubUnusable(Error):
    """A data set of the hub cannot be loaded, or lacks what a training needs.

    `hub` takes what the `datasets` library takes: a name on the Hugging Face hub, a folder that `save_to_disk` made, a
    folder or file of Parquet. What the library says is shown as it is. A set is downloaded once; some are gated: one
    has to accept their terms on the hub first.

        data: hub("fod101")             # wrong: misspelt
        data: hub("ethz/food101")       # right
    """

    code = "E0886"
    title = "the data set `{name}` cannot be used"
    label = "{what}"
    help = "{fix}"
    name: str
    what: str
    fix: str


class WhichColumn(Error):
    """A data set of the hub has no column of images or labels, or several.

    The column of images is found by its kind. The labels are `label` or `labels`, else the only column of classes.
    Where that does not tell, name it.

        data: hub("uoft-cs/cifar100")                           # wrong: fine_label or coarse_label?
        data: hub("uoft-cs/cifar100", label="fine_label")       # right
    """

    code = "E0887"
    title = "which column of `{name}` has the {kind}s?"
    label = "{what}"
    help = 'say `{kind}="…"`'
    name: str
    kind: str
    what: str

"""`archdsl import`: models that come back as specs, and what is refused (E1001, E1002, E1003)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mistakes import mistake, mistakes

import archdsl

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


class Unit(nn.Module):
    def __init__(self, before: int, c: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, c // 4, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c // 4)
        self.conv2 = nn.Conv2d(c // 4, c, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)
        self.side = nn.Conv2d(before, c, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.side(x))


class Units(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.body = nn.Sequential(Unit(16, 32), Unit(32, 64, 2), Unit(64, 64), Unit(64, 64))
        self.head = nn.Linear(64, 10)
        self.unused = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)).mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, c: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm, self.qkv, self.proj = heads, nn.LayerNorm(c), nn.Linear(c, 3 * c), nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))


class Tokens(nn.Module):
    """A class token, learned positions, heads by a permute, the token by its index."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 12, 4, 4)
        self.cls, self.place = nn.Parameter(torch.zeros(1, 1, 12)), nn.Parameter(torch.zeros(1, 17, 12))
        self.blocks = nn.Sequential(Attention(12, 3), Attention(12, 3))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(len(x), -1, -1), x), dim=1) + self.place
        return self.head(self.blocks(x)[:, 0])


class Shuffled(nn.Module):
    """Channels-last, a shuffle of channels, a buffer and a number read in the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor([1.0, 2.0, 0.5, 1.5]).view(1, 4, 1, 1))
        self.norm, self.up, self.head = nn.LayerNorm(4), nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        x = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w) * self.gain
        y = self.up(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        return self.head((0.5 * torch.sigmoid(y) + y).flatten(2).mean(-1))


class Kernels(nn.Module):
    """Kernels that are computed of weights, one with a bias and a mask, and local response norm."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.shift = nn.Parameter(torch.randn(6, 2, 3, 3)), nn.Parameter(torch.randn(6))
        self.register_buffer("mask", (torch.arange(54) % 3 > 0).float().view(6, 1, 3, 3))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        flat = self.kernel - self.kernel.mean((1, 2, 3), keepdim=True)
        x = F.conv2d(x, flat[:, :, 1:2, 1:2], stride=2, groups=2)
        x = F.conv2d(F.relu(x), self.mask[:, :, :, :].expand(6, 2, 3, 3) * self.kernel, self.shift, 1, 1, 1, 3)
        return self.head(F.local_response_norm(x, 3, alpha=0.5).mean((2, 3)))


@pytest.mark.parametrize(
    ("cls", "input"), [(Units, (3, 16, 16)), (Tokens, (3, 16, 16)), (Shuffled, (4, 6, 6)), (Kernels, (4, 8, 8))]
)
def test_a_model_comes_back(cls: type[nn.Module], input: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = cls().eval()
    found = archdsl.lift(network, input)
    ours = archdsl.load(found.text).eval()
    from archdsl_torch.weights import set_weights

    set_weights(ours, found.origin.graph, found.tensors())
    x = torch.randn(3, *input)
    np.testing.assert_allclose(ours(x).detach(), network(x).detach(), atol=1e-5)
    assert not [d for d in archdsl.check(found.text) if d.severity == "error"]


def test_numbers_become_few_parameters() -> None:
    found = archdsl.lift(Units(), (3, 16, 16))
    assert "block unit(c, stride=1) {" in found.text
    assert "unit(32) -> unit(64, 2) -> unit(64) * 2" in found.text
    assert found.held.unread == {"unused.weight": 6, "unused.bias": 3}


@pytest.mark.parametrize("name", ["lenet5", "resnet34", "mobilenetv2", "vit_ti16", "shufflenet"])
def test_the_zoo_comes_back(name: str) -> None:
    found = archdsl.lift(archdsl.load(name))
    assert found.held.outputs < 1e-5


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x))


class Sorted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sort(x, dim=1)[0]


class Looks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Listed(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return "no tensor"


@pytest.mark.parametrize(("network", "code", "says"), [
    (Twice(), "E1002", "used twice"), (Sorted(), "E1002", "`sort`"), (Looks(), "E1001", "depends on the numbers"),
    (Listed(), "E1002", "gives no tensor"), (object(), "E1001", "nn.Module"),
])  # fmt: skip
def test_what_has_no_equal_is_named(network: Any, code: str, says: str) -> None:
    found = mistakes(lambda: archdsl.lift(network, (3, 8, 8)))
    assert found[0].code == code
    assert any(says in f"{d.message} {d.label} {d.help}" for d in found)


def test_a_spec_that_differs_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl_torch import recognise

    monkeypatch.setitem(recognise.FUNCTIONS, "relu", recognise.FUNCTIONS["sigmoid"])
    assert mistake(lambda: archdsl.lift(Units(), (3, 16, 16))).code == "E1003"


NETS = """
from torch import nn
def net(classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(12, classes))
def fails():
    raise RuntimeError("no GPU here")
"""


def test_the_command(run: Callable[..., Any], tmp_path: Path) -> None:
    nets, spec, weights = (tmp_path / name for name in ("nets.py", "net.arch", "net.safetensors"))
    nets.write_text(NETS)
    done = run(
        "import", f"{nets}:net(classes=7)", "-o", spec, "--input", "3x2x2", "--weights", weights, "--name", "net"
    )
    assert done.code == 0 and "91 parameters" in done.out
    assert run("check", spec).code == 0
    assert run("convert", weights, "--to", "torch", "-o", tmp_path / "again.safetensors").code == 0
    for source, says in (("fails()", "no GPU here"), ("missing", "has no `missing`"), ("net(", "is no factory")):
        ended = run("import", f"{nets}:{source}", "-o", tmp_path / "other.arch")
        assert ended.code == 1 and says in ended.err and not (tmp_path / "other.arch").exists()

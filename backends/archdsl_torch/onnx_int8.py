"""ONNX files in 8 bits: static quantisation after training, by onnxruntime, and what it costs in accuracy."""

import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from archdsl.train.form import Calibration

__all__ = ["quantised"]


class _Images(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
    def __init__(self, batches: Iterator[Any]) -> None:
        self.batches = batches

    def get_next(self) -> dict[str, Any] | None:
        found = next(self.batches, None)
        return None if found is None else {"input": found[0]}


def quantised(content: bytes, images: Calibration, batch: int) -> tuple[bytes, str]:
    """The file in 8 bits, and what there is to say of it. batch: images that the file takes at a time.

    Weights and values become int8 with `QuantizeLinear` and `DequantizeLinear` around each op (QDQ), weights with a
    scale for each output channel; the range of values is the largest that the calibration images give.
    """
    with TemporaryDirectory() as folder:
        plain, ready, small = (Path(folder) / name for name in ("plain.onnx", "ready.onnx", "small.onnx"))
        plain.write_bytes(content)
        logging.disable(logging.WARNING)
        try:
            quant_pre_process(plain, ready, skip_symbolic_shape=True)
            quantize_static(
                ready,
                small,
                _Images(images.shown(images.images, batch)),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
            )
        finally:
            logging.disable(logging.NOTSET)
        found = small.read_bytes()
    return found, _said(content, found, images, batch)


def _said(before: bytes, after: bytes, images: Calibration, batch: int) -> str:
    sessions = [
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]) for content in (before, after)
    ]
    right, alike, count = [0, 0], 0, 0
    for pixels, labels in images.shown(images.held_out, batch):
        first, second = (
            session.run(None, {"input": pixels})[0].reshape(len(pixels), -1).argmax(1) for session in sessions
        )
        right = [n + int((chosen == labels).sum()) for n, chosen in zip(right, (first, second), strict=True)]
        alike, count = alike + int((first == second).sum()), count + len(labels)
    was, now, same = (f"{100 * n / count:.2f} %" for n in (*right, alike))
    of = f" of {images.of:,}" if count < images.of else ""
    return (
        f"int8 by {len(images.images):,} images of {images.data}: top-1 {now} instead of {was}, "
        f"the same class for {same} of {count:,}{of} held-out images; {_size(after)} instead of {_size(before)}"
    )


def _size(content: bytes) -> str:
    return f"{len(content) / 2**20:.2f} MiB"

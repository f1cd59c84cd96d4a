"""Writes ONNX graphs in double precision, and runs them; the one door to onnx and onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.errors import EnvironmentFaultError

OPSET = 18
"""Of ai.onnx."""
TREE_OPSET = 5
"""Of ai.onnx.ml: from here on trees test and add up doubles."""
_IR_VERSION = 10
_PACKAGES = ("onnx", "onnxruntime")


def check_installed() -> None:
    """Refuse to begin without the packages.

    Raises:
        EnvironmentFaultError: One of them is missing.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise EnvironmentFaultError(
            f"export onnx: not installed: {', '.join(missing)}",
            hint="pip install 'crisp-spark[onnx]'",
        )


def as_tensor(array: NDArray[Any], name: str = "") -> Any:
    """Return numbers as ONNX holds them."""
    from onnx import numpy_helper

    return numpy_helper.from_array(array, name)


class Graph:
    """A graph that grows node by node; tensors are known by name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def take(self, name: str, width: int) -> str:
        """Add an input: a matrix of doubles, rows by ``width``."""
        from onnx import TensorProto, helper

        self._inputs.append(
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", width])
        )
        return name

    def give(self, name: str, tensor: str, kind: str, width: int | None = None) -> None:
        """Add an output.

        Args:
            name: Its name.
            tensor: What it shows.
            kind: ``DOUBLE``, ``INT64`` or ``BOOL``.
            width: Columns; None for one value a row.
        """
        from onnx import TensorProto, helper

        self._nodes.append(helper.make_node("Identity", [tensor], [name]))
        shape = ["rows"] if width is None else ["rows", width]
        value = helper.make_tensor_value_info(name, getattr(TensorProto, kind), shape)
        self._outputs.append(value)

    def constant(self, values: Any, dtype: Any = np.float64) -> str:
        """Add numbers and return their name."""
        name = f"_c{len(self._constants)}"
        array: NDArray[Any] = np.ascontiguousarray(np.asarray(values, dtype=dtype))
        self._constants.append(as_tensor(array.reshape(np.shape(values)), name))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add an operator with one output and return the output's name."""
        from onnx import helper

        name = f"_t{len(self._nodes)}"
        node = helper.make_node(kind, list(inputs), [name], domain=domain, **attributes)
        self._nodes.append(node)
        return name

    def cast(self, tensor: str, kind: str) -> str:
        """Change the type of a tensor."""
        from onnx import TensorProto

        return self.op("Cast", tensor, to=getattr(TensorProto, kind))

    def column(self, tensor: str, place: int) -> str:
        """Return one column of a matrix, as a matrix."""
        return self.op("Gather", tensor, self.constant([place], np.int64), axis=1)

    def flat(self, tensor: str) -> str:
        """Return a matrix of one column as one value a row."""
        return self.op("Squeeze", tensor, self.constant([1], np.int64))

    def summed(self, tensor: str, last: int) -> str:
        """Add up along the second axis from left to right, as Spark does; the axis is gone.

        Args:
            tensor: What is added up.
            last: Last place of the axis.
        """
        running = self.op("CumSum", tensor, self.constant(1, np.int64))
        return self.op("Gather", running, self.constant(last, np.int64), axis=1)

    def written(self, facts: Mapping[str, str]) -> bytes:
        """Return the file; the same graph and facts give the same bytes."""
        from onnx import checker, helper

        graph = helper.make_graph(
            self._nodes, "crisp_spark", self._inputs, self._outputs, self._constants
        )
        domains = [("", OPSET), ("ai.onnx.ml", TREE_OPSET)]
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(name, version) for name, version in domains],
            ir_version=_IR_VERSION,
            producer_name="crisp_spark",
        )
        helper.set_model_props(model, dict(facts))
        checker.check_model(model)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


class Session:
    """A graph in ONNX Runtime, on the processor.

    Args:
        content: File of the graph.
        threads: Threads of an operator; 0 lets the runtime choose.
    """

    def __init__(self, content: bytes, *, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self.outputs: Sequence[str] = [one.name for one in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[Any]]:
        """Return the outputs by name."""
        return dict(zip(self.outputs, self._session.run(None, dict(inputs)), strict=True))

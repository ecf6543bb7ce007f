"""An exported model, as Triton's Python backend and MLServer serve it: the ONNX file, and around it the code in the
export's README.md that makes codes of names. scripts/serving_peers.py starts the two.

The inputs are those of `degas serve`: name, BYTES [n], or the codes of the ONNX file, INT64 [n, window]. So are the
outputs: label, score and scores.
"""

import os
import re

import numpy

CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


class Scorer:
    """The model in a folder that export-model has written. It changes the working directory, as the code needs it."""

    def __init__(self, folder):
        os.chdir(folder)
        with open("README.md", encoding="utf-8") as readme:
            code = CODE.search(readme.read())[1]
        self.recipe = {"__name__": "recipe"}
        exec(compile(code, "README.md", "exec"), self.recipe)
        self.input = self.recipe["model"]["input"]
        if threads := int(os.environ.get("DEGAS_THREADS", "0")):
            runtime = self.recipe["onnxruntime"]
            options = runtime.SessionOptions()
            options.intra_op_num_threads = threads
            self.recipe["session"] = runtime.InferenceSession("model.onnx", options)

    def names(self, names):
        """label, score and scores of names, which are bytes."""
        folded = [self.recipe["fold"](n.decode("utf-8", "replace")) for n in names]
        codes = numpy.array([self.recipe["encode"](f) for f in folded], "int64")
        label, score, scores = self.codes(codes.reshape(len(names), self.recipe["encoder"]["window"]))
        for i, name in enumerate(folded):
            if not name:
                label[i], score[i], scores[i] = b"invalid", 0, 0
        return label, score, scores

    def codes(self, codes):
        """label, score and scores of rows of codes."""
        labels, threshold = self.recipe["labels"], self.recipe["model"]["threshold"]
        score, scores = self.recipe["session"].run(["score", "probabilities"], {self.input: codes})
        label = [
            labels[1 + row[1:].argmax() if s >= threshold else 0].encode()
            for s, row in zip(score[:, 0].tolist(), scores, strict=True)
        ]
        return numpy.array(label, dtype=object), score, scores


class TritonPythonModel:
    """What Triton's Python backend looks for in a model.py."""

    def initialize(self, args):
        self.scorer = Scorer(os.environ["DEGAS_EXPORT"])

    def execute(self, requests):
        import triton_python_backend_utils as backend  # from beside the backend

        answers = []
        for request in requests:
            names = backend.get_input_tensor_by_name(request, "name")
            codes = backend.get_input_tensor_by_name(request, self.scorer.input)
            if (names is None) == (codes is None):
                wrong = backend.TritonError("one of the two inputs, please", backend.TritonError.INVALID_ARG)
                answers.append(backend.InferenceResponse([], wrong))
                continue
            try:
                if codes is None:
                    label, score, scores = self.scorer.names(names.as_numpy().reshape(-1))
                else:
                    label, score, scores = self.scorer.codes(codes.as_numpy())
            except Exception as error:  # such as a code that the network does not know
                wrong = backend.TritonError(str(error), backend.TritonError.INVALID_ARG)
                answers.append(backend.InferenceResponse([], wrong))
                continue
            found = {"label": label, "score": score, "scores": scores}
            wanted = [backend.Tensor(name, found[name]) for name in request.requested_output_names()]
            answers.append(backend.InferenceResponse(wanted))
        return answers


try:
    from mlserver import MLModel
    from mlserver.errors import InferenceError
    from mlserver.types import InferenceResponse, ResponseOutput
except ImportError:  # in Triton
    pass
else:

    class MLServerModel(MLModel):
        """A custom runtime of MLServer."""

        async def load(self):
            self.scorer = Scorer(os.environ["DEGAS_EXPORT"])
            return True

        async def predict(self, payload):
            tensors = {t.name: t for t in payload.inputs}
            name, codes = tensors.get("name"), tensors.get(self.scorer.input)
            try:
                if codes is None:
                    texts = [n if isinstance(n, bytes) else n.encode() for n in flat(name.data.root)]
                    label, score, scores = self.scorer.names(texts)
                else:
                    rows = numpy.array(list(flat(codes.data.root)), "int64").reshape(codes.shape)
                    label, score, scores = self.scorer.codes(rows)
            except Exception as error:
                raise InferenceError(str(error)) from error
            found = {"label": ("BYTES", label), "score": ("FP32", score), "scores": ("FP32", scores)}
            wanted = [o.name for o in payload.outputs or []] or list(found)
            outputs = []
            for output in wanted:
                if output not in found:
                    raise InferenceError(f"there is no output {output}")
                datatype, values = found[output]
                data = [x.decode() for x in values] if datatype == "BYTES" else values.reshape(-1).tolist()
                outputs.append(ResponseOutput(name=output, datatype=datatype, shape=list(values.shape), data=data))
            return InferenceResponse(
                id=payload.id, model_name=self.name, model_version=self.version, outputs=outputs
            )


def flat(values):
    """The elements of lists in lists."""
    for value in values:
        if isinstance(value, list):
            yield from flat(value)
        else:
            yield value

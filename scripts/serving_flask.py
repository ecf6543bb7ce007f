"""The scoring server of the CoreDNS project, as its mlbridge_middleware has it: Flask's own server, one name a request,
and Keras' predict. Three things are other: the model is degas' exported model.h5; it is loaded once, where the original
loads it for every request; and nothing is written to Elasticsearch. scripts/bench-serve starts it:

    DEGAS_EXPORT=models/degas/1 PORT=5000 python serving_flask.py
"""

import os
import re

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import keras  # noqa: E402
import numpy  # noqa: E402
from flask import Flask, request  # noqa: E402

folder = os.environ["DEGAS_EXPORT"]
with open(f"{folder}/README.md", encoding="utf-8") as card:
    code = re.search(r"```python\n(.*?)```", card.read(), re.DOTALL)[1]
os.chdir(folder)
# The code in the export makes codes of names. Its session is ONNX Runtime's, which is not needed here.
recipe = {"__name__": "recipe"}
exec(code.replace(", onnxruntime", "").replace('onnxruntime.InferenceSession("model.onnx")', "None"), recipe)
model = keras.models.load_model("model.h5", compile=False)
app = Flask(__name__)


@app.route("/", methods=["GET", "POST"])
def home():
    if request.method == "GET":
        return "ready"
    name = list(request.get_json().values())[0]
    codes = numpy.array([recipe["encode"](recipe["fold"](name))], "int32")
    return {"p": str(1 - model.predict(codes, verbose=0)[0][0])}


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))

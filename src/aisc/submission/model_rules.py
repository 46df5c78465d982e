"""The rules about a model that a defence hands over; docs/formats/safair-defence.md describes the file."""

from typing import Final

from aisc.submission.findings import Rule

MODEL: Final = "model.onnx"
LEAST_OPSET: Final = 13
MOST_NODES: Final = 4096
_FORMAT: Final = "docs/formats/safair-defence.md"

MODEL_RULES: Final[dict[str, Rule]] = {
    rule.code: rule
    for rule in (
        Rule("MODEL_MISSING", "refused", f'Write /output/{MODEL} where task.json says "wanted": "model".'),
        Rule("MODEL_NOT_ONNX", "refused", f"Export one graph with operator set {LEAST_OPSET} or newer; see {_FORMAT}."),
        Rule("MODEL_WEIGHTS_OUTSIDE", "refused", "Save the weights inside the file, without external data."),
        Rule("MODEL_TOO_MANY_NODES", "refused", "Simplify the graph, or hand over a smaller network."),
        Rule("MODEL_OPERATOR", "refused", f"Use the operators that {_FORMAT} lists; all of them have gradients."),
        Rule("MODEL_INPUT", "refused", "Take one input: float32 RGB pictures (n, 3, 112, 112) in [0, 255], any n."),
        Rule("MODEL_OUTPUT", "refused", "Give finite logits (n, people) or (n, attributes), float32, for any n."),
        Rule("MODEL_WITHOUT_GRADIENT", "refused", "Let the logits depend on the pictures by steps with a gradient."),
        Rule("MODEL_COST", "refused", "Hand over a smaller network, or one that needs less memory a picture."),
    )
}

"""ONNX files that hold everything from the user's input to score, p-value, flag and map; their use without torch."""

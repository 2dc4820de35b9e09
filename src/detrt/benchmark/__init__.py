"""The timing protocols: engine, infer, e2e.

`engine` is device compute with the tensors resident; `infer` is from decoded photos in host memory to detections.
Every runtime is timed by the same loop on the same photos, in turns, so that rows of one run compare.
"""

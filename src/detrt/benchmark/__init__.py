"""The timing protocols: engine, infer, e2e, stream.

`engine` is device compute with the tensors resident; `infer` is from decoded photos in host memory to detections;
`e2e` from the bytes of JPEG files in host memory to detections, call by call; `stream` the same through the pipeline.
Every runtime is timed by the same loop on the same photos, in turns, so that rows of one run compare.
"""

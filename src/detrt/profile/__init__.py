"""Where an engine's time goes: its layers, their times, the parts of the detector that they belong to."""

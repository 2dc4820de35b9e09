"""Photos on the GPU: decoded there or sent there, and made into the network's input by one kernel."""

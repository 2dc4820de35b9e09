"""From checkpoint to verdict: the steps, what each depends on, and which of them are still to be done."""

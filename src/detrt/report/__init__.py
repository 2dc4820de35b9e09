"""What was measured, as a page that a person reads: the verdict first, then everything that it stands on."""

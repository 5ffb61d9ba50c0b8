"""The harness for one's own code: a Julia session for one's own files, checks of one's own, pytest and hypothesis."""

"""Other toolkits' models under our evaluation: each runs in a process of its own and exchanges files with ours."""

"""From overrides to a plan: defaults, recipes, what the user said, and what is refused before anything is trained."""

"""
Coverage-guided fuzzing: what comes from outside, made up by atheris; see fuzz/README.md.
"""

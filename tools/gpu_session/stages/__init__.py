"""The stages of a session; each module has ``run(context)`` and runs in a process of its own."""

"""From the options of a command to a training session, and back to a command.

================  =========================================================
``request``       the options that were given, made into configurations
``beginning``     the first weights of a new run, fresh or another run's
``sessions``      opening the session of a new run, or of one that goes on
``commands``      the command that begins such a run, or repeats one
================  =========================================================
"""

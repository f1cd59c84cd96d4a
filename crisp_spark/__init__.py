"""CRISP-DM as code on Spark and AWS.

The six phases of CRISP-DM as typed, resumable Spark steps driven by one project file. Importing
this package starts nothing: no JVM, no network, no logging set-up.
"""

__version__ = "0.1.0"

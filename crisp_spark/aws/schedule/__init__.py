"""Scheduled runs: state machines, one CloudFormation template, and its deployment."""

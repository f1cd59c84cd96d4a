"""Engines: ways to fit trials. MLlib alone can fit all of them; the others share work."""

"""The blueprints package: pure rules, so plain tests and properties."""

"""Diagnoses as text, figures and pages."""

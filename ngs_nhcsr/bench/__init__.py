"""Seconds of everything, honestly: what ``ngs-nhcsr bench`` measures, and the tables it writes."""

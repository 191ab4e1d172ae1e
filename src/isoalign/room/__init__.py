"""isoalign.room."""

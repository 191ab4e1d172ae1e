"""Room: one treatment room put together. The only place that joins ports to drivers.

``settings`` reads ``room.toml``; ``service`` is the room process and ``client`` asks it; ``processes`` supervises
children; ``simulation`` starts a simulated room, ``demo`` runs the main job in it; ``facade`` is the blocking door for
scripts (``isoalign.open_room``). Nothing heavy is loaded before it is needed.
"""

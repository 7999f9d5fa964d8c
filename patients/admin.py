"""No clinical table stands in the admin: rows change through actions, under a reason, or not at all."""

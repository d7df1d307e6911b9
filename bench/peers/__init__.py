"""Services that do the same guarded transition as docket, on the same tables, under the same role."""

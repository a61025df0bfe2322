"""What people look at: drawings, tables, the zoo."""

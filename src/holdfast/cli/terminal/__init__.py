"""What people see: prompts, tables, progress, exit statuses."""

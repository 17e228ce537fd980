"""Commands about this machine: processes, doctor, tools."""

"""The dashboard: pages that read and act through the API, in the same process."""

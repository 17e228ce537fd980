"""What pages of the dashboard read beside the API: all addons at once, history, activity."""

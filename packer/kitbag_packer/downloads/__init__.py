"""Gets archives through links that fail: side by side, resumed, checked while they arrive."""

"""The texts that start kitbag on the target: data for the packer, never imported by it."""

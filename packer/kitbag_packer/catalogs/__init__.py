"""Where builds come from: lists of archives in several formats, behind one small interface."""
